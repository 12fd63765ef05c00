"""Gates asked about a cluster as it is now."""

from __future__ import annotations

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_gates as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_health import Sample
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
    assert subject.ask(sample(*healthy).cluster, subject.Question(action, "cp1")).allowed is allowed


def test_names_are_exact() -> None:
    with pytest.raises(InputError, match='named "cp"'):
        subject.ask(sample(True, True, True).cluster, subject.Question("restart", "cp"))
