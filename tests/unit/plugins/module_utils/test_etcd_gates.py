"""Gates asked about a cluster as it is now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_gates as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.control_plane_gate import ControlPlane
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_health import Probe, Sample
from ansible_collections.quorum.kubeadm.plugins.module_utils.quorum import Member

JOIN = subject.Question("add_learner", "cp4", "https://192.0.2.14:2380")


def sample(*healthy: bool, learner: bool = False, linearizable: bool = True) -> Sample:
    members = tuple(
        Member(id=str(i), name=f"cp{i}", peer_urls=(f"https://192.0.2.1{i}:2380",), healthy=ok, version="3.6.16")
        for i, ok in enumerate(healthy, 1)
    )
    if learner:
        members += (Member(id="9", name="cp9", learner=True, version="3.6.16"),)
    return Sample(members, {}, linearizable=linearizable)


def test_it_waits_for_a_learner_to_be_promoted() -> None:
    samples = [sample(True, True, learner=True), sample(True, True, learner=True), sample(True, True, True)]
    slept: list[float] = []
    seen, gate = subject.wait_for_yes(lambda: samples.pop(0), JOIN, 60, clock=lambda: 0.0, sleep=slept.append)
    assert gate.allowed
    assert len(seen.members) == 3
    assert len(slept) == 2


def test_a_no_that_lasts_is_refused_with_the_arithmetic() -> None:
    now = iter([0.0, 1.0, 3.0])
    with pytest.raises(RefusedError, match=r"1 of 3 voters healthy, quorum 2") as caught:
        subject.wait_for_yes(lambda: sample(True, False, False), JOIN, 2, clock=lambda: next(now), sleep=lambda _: None)
    assert "cp4" in str(caught.value)


def test_a_list_without_a_majority_behind_it_is_no_yes() -> None:
    with pytest.raises(RefusedError, match="no majority"):
        subject.wait_for_yes(lambda: sample(True, True, True, linearizable=False), JOIN, 0, clock=lambda: 0.0)


@pytest.mark.parametrize(
    ("action", "healthy", "allowed"),
    [
        ("restart", (True, True, True), True),
        ("restart", (True, True, False), False),
        ("remove", (True, True, True), True),
        ("remove", (True, False), False),
    ],
)
def test_restart_and_remove_ask_their_gates(action: str, healthy: tuple[bool, ...], allowed: bool) -> None:
    assert subject.ask([sample(*healthy)], subject.Question(action, "cp1")).allowed is allowed


def test_names_are_exact() -> None:
    with pytest.raises(InputError, match='named "cp"'):
        subject.ask([sample(True, True, True)], subject.Question("restart", "cp"))


def lagging(*lags: int) -> list[Sample]:
    """One sample for each lag of the learner cp9."""
    made = []
    for lag in lags:
        seen = sample(True, True, True, learner=True)
        leads = Probe(status={"raftIndex": "100000", "raftAppliedIndex": "100000"}, reads=True)
        follows = Probe(status={"raftIndex": "100000", "raftAppliedIndex": str(100000 - lag)}, reads=True)
        made.append(Sample(seen.members, {"1": leads, "9": follows}, newest=100000))
    return made


@pytest.mark.parametrize(
    ("lags", "allowed"), [((0, 0), True), ((5000, 5000), True), ((5001, 0), False), ((0, 5001), False)]
)
def test_a_promotion_looks_at_the_lag_twice(lags: tuple[int, ...], allowed: bool) -> None:
    samples, slept = lagging(*lags), []
    question = subject.Question("promote", "cp9")
    if allowed:
        seen, _gate = subject.wait_for_yes(lambda: samples.pop(0), question, 0, clock=lambda: 0.0, sleep=slept.append)
        assert seen.members
    else:
        with pytest.raises(RefusedError, match="lags 5001 entries behind, 5000 are allowed"):
            subject.wait_for_yes(lambda: samples.pop(0), question, 0, clock=lambda: 0.0, sleep=slept.append)
    assert slept == [subject.LAG_SPACING]


def test_a_lag_that_is_not_known_is_no_small_one() -> None:
    seen = sample(True, True, True, learner=True)
    gate = subject.ask([seen, seen], subject.Question("promote", "cp9"))
    assert 'the lag of "cp9" is not known from two samples' in gate.reasons


def sized(**sizes: tuple[int, int]) -> Sample:
    seen = sample(True, True, True)
    told = {
        name[2:]: Probe(status={"dbSize": str(a << 20), "dbSizeInUse": str(b << 20)}) for name, (a, b) in sizes.items()
    }
    return Sample(seen.members, told)


@pytest.mark.parametrize(
    ("size", "used", "allowed"), [(100, 70, True), (99, 10, False), (1000, 701, False), (0, 0, False)]
)
def test_a_defragmentation_has_to_be_worth_it(size: int, used: int, allowed: bool) -> None:
    gate = subject.ask([sized(cp1=(size, used))], subject.Question("defragment", "cp1"))
    assert gate.allowed is allowed
    assert allowed or "under 100 MiB" in gate.reasons[0]


def test_restarts_are_one_at_a_time() -> None:
    gate = subject.ask([sample(True, True, True)], subject.Question("restart", "cp1", restarting=("cp2",)))
    assert gate.reasons == ("another member is being restarted: 2",)


PLANES = tuple(ControlPlane(name, True, True, True, True) for name in ("cp1", "cp2", "cp3", "out1"))


@pytest.mark.parametrize(
    ("healthy", "name", "reason"),
    [
        ((True, True, True), "cp1", ""),
        ((True, True, False), "cp1", "1 of 3 voters healthy, quorum 2"),
        # Its etcd is elsewhere, so none goes down with it.
        ((True, True, False), "out1", ""),
    ],
)
def test_a_control_plane_goes_with_the_member_that_runs_on_it(
    healthy: tuple[bool, ...], name: str, reason: str
) -> None:
    question = subject.Question("take_down", name, planes=PLANES, backends_up=3)
    gate = subject.ask([sample(*healthy)], question)
    assert gate.allowed is not bool(reason)
    assert reason in "".join(gate.reasons)


def led(leader: str) -> Sample:
    seen = sample(True, True, True)
    return replace(seen, members=tuple(replace(m, leader=m.name == leader) for m in seen.members))


@pytest.mark.parametrize(
    ("leader", "moves", "reason"),
    [
        ("cp1", False, '"cp1" is the leader: move the leadership first'),
        ("cp1", True, ""),
        ("cp2", False, ""),
        ("cp2", True, ""),
    ],
)
def test_the_leader_is_taken_down_when_its_leadership_moves_before(leader: str, moves: bool, reason: str) -> None:
    question = subject.Question("take_down", "cp1", planes=PLANES, backends_up=3, moves_leader=moves)
    assert subject.ask([led(leader)], question).reasons == ((reason,) if reason else ())


def test_moving_the_leadership_moves_no_quorum() -> None:
    question = subject.Question("take_down", "cp1", planes=PLANES, backends_up=3, moves_leader=True)
    assert not subject.ask([sample(True, True, False)], question).allowed


def test_a_leaders_restart_is_asked_after_its_leadership_moved() -> None:
    question = subject.Question("restart", "cp1", moves_leader=True)
    assert not subject.ask([led("cp1")], question).allowed
