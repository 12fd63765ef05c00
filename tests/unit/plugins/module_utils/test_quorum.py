# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gates: the truth table of the safety rules, and no allowed step that loses the quorum."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import quorum as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.quorum import Cluster, Member

PEER = "https://192.0.2.{}:2380"


def member(number: int, *, healthy: bool = True, **more: object) -> Member:
    made = Member(
        id=f"{number:x}", name=f"cp{number}", peer_urls=(PEER.format(number),), healthy=healthy, version="3.6.16"
    )
    return replace(made, **more)


def cluster(voters: int, unhealthy: int = 0, leader: int = 0, *more: Member) -> Cluster:
    """Voters 1 to n, the last ones unhealthy."""
    made = [member(n, healthy=n <= voters - unhealthy, leader=n == leader) for n in range(1, voters + 1)]
    return Cluster((*made, *more))


LEARNER = member(30, learner=True)


@pytest.mark.parametrize(
    ("voters", "needed", "may_fail"), [(1, 1, 0), (2, 2, 0), (3, 2, 1), (4, 3, 1), (5, 3, 2), (7, 4, 3), (9, 5, 4)]
)
def test_arithmetic(voters: int, needed: int, may_fail: int) -> None:
    assert subject.quorum(voters) == needed
    assert subject.tolerance(voters) == may_fail


@pytest.mark.parametrize(
    ("voters", "unhealthy", "allowed"),
    [
        (3, 0, True), (4, 0, True), (5, 0, True), (5, 1, True), (7, 2, True),
        (1, 0, False), (2, 0, False), (3, 1, False), (4, 1, False), (5, 2, False),
    ],
)  # fmt: skip
def test_restart_a_healthy_member(voters: int, unhealthy: int, allowed: bool) -> None:
    assert subject.restart_gate(cluster(voters, unhealthy), "1").allowed is allowed


@pytest.mark.parametrize(
    ("voters", "unhealthy", "allowed"),
    [(3, 1, True), (5, 1, True), (5, 2, True), (4, 1, True), (2, 1, False), (3, 2, False), (4, 2, False)],
)
def test_restart_an_unhealthy_member(voters: int, unhealthy: int, allowed: bool) -> None:
    assert subject.restart_gate(cluster(voters, unhealthy), f"{voters:x}").allowed is allowed


@pytest.mark.parametrize(
    ("voters", "unhealthy", "allowed"),
    [
        (3, 1, True), (4, 1, True), (5, 1, True), (5, 2, True), (7, 3, True),
        (2, 1, False), (3, 2, False), (4, 2, False), (5, 3, False),
    ],
)  # fmt: skip
def test_remove_an_unhealthy_member(voters: int, unhealthy: int, allowed: bool) -> None:
    assert subject.remove_gate(cluster(voters, unhealthy), f"{voters:x}").allowed is allowed


@pytest.mark.parametrize(
    ("voters", "unhealthy", "allowed"),
    [
        (1, 0, True), (2, 0, True), (3, 0, True), (4, 0, True), (4, 1, True), (5, 0, True), (5, 1, True),
        (2, 1, False), (3, 1, False), (1, 1, False),
    ],
)  # fmt: skip
def test_promote(voters: int, unhealthy: int, allowed: bool) -> None:
    assert subject.promote_gate(cluster(voters, unhealthy, 0, LEARNER), LEARNER.id, (0, 0)).allowed is allowed


@pytest.mark.parametrize(
    ("learner", "lags", "reason"),
    [
        (LEARNER, (subject.LAG_LIMIT, subject.LAG_LIMIT), ""),
        (LEARNER, (0, subject.LAG_LIMIT + 1), "lags 5001 entries behind, 5000 are allowed"),
        (LEARNER, (0,), "not known from two samples"),
        (replace(LEARNER, learner=False), (0, 0), "is a voter already"),
        (replace(LEARNER, name=""), (0, 0), "never started"),
    ],
)
def test_promote_needs_a_learner_that_has_caught_up(learner: Member, lags: tuple[int, ...], reason: str) -> None:
    gate = subject.promote_gate(cluster(3, 0, 0, learner), learner.id, lags)
    assert gate.allowed is not bool(reason)
    assert reason in " ".join(gate.reasons)


@pytest.mark.parametrize(
    ("state", "restarting", "reason"),
    [
        (cluster(3, 0, 1), (), "is the leader: move the leadership first"),
        (cluster(3, 0, 2), (), ""),
        (cluster(3, 0, 0, LEARNER), (), 'a learner is joining: "cp30"'),
        (cluster(5, 0, 0, member(6, name="", healthy=True)), (), "was added and never started"),
        (cluster(3), ("2",), "another member is being restarted: 2"),
        (cluster(3), ("1",), ""),
        (cluster(3, 1), (), "1 of 3 voters healthy, quorum 2"),
    ],
)
def test_restart_names_what_speaks_against_it(state: Cluster, restarting: tuple[str, ...], reason: str) -> None:
    gate = subject.restart_gate(state, "1", restarting=restarting)
    assert gate.allowed is not bool(reason)
    assert reason in " ".join(gate.reasons)


@pytest.mark.parametrize(("voters", "allowed"), [(1, True), (2, True), (3, False)])
def test_downtime_can_be_wanted_only_where_it_cannot_be_avoided(voters: int, allowed: bool) -> None:
    gate = subject.restart_gate(cluster(voters, max(voters - 2, 0)), "1", allow_downtime=True)
    assert gate.allowed is allowed
    assert bool(gate.aloud) is allowed


def test_the_only_voter_may_be_restarted_although_it_leads() -> None:
    assert subject.restart_gate(cluster(1, 0, 1), "1", allow_downtime=True).allowed


@pytest.mark.parametrize("leader", [0, 1, 3])
def test_without_a_leader_everything_else_stays_the_same(leader: int) -> None:
    led = cluster(3, 1, leader, LEARNER)
    assert led.without_leader() == cluster(3, 1, 0, LEARNER)
    assert any(m.leader for m in led.members) is bool(leader), "the cluster itself has not changed"


def test_no_member_is_removed_that_leads_or_is_alone() -> None:
    assert "is the leader" in " ".join(subject.remove_gate(cluster(3, 0, 1), "1").reasons)
    assert "is the only voter" in " ".join(subject.remove_gate(cluster(1), "1").reasons)


def test_removing_a_healthy_member_of_three_is_said_aloud() -> None:
    gate = subject.remove_gate(cluster(3), "1")
    assert gate.allowed
    assert gate.aloud[0] == '"cp1" is healthy'
    assert "2 of 2 voters healthy, quorum 2; none may fail until one is added" in gate.aloud[1]


def test_a_learner_can_be_removed_while_there_is_a_quorum() -> None:
    assert subject.remove_gate(cluster(3, 1, 0, LEARNER), LEARNER.id).allowed
    assert not subject.remove_gate(cluster(3, 2, 0, LEARNER), LEARNER.id).allowed


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (cluster(3), ""),
        (cluster(1), ""),
        (cluster(4, 1), ""),
        (cluster(5, 1), ""),
        (cluster(6, 2), ""),
        (cluster(7, 2), ""),
        # What a real etcd of 3.6.16 does: "unhealthy cluster", with nothing to wait for.
        (cluster(3, 1), "2 of 4 voters healthy, quorum 3 would be the outcome: remove the dead member first"),
        (cluster(5, 2), "remove the dead member first"),
        (cluster(7, 3), "remove the dead member first"),
        (cluster(3, 2), "the quorum is lost (1 of 3 voters healthy, quorum 2)"),
        (cluster(3, 0, 0, LEARNER), "another learner is joining"),
        (cluster(3, 0, 0, member(9, name="", learner=True)), "was added and never started"),
        (Cluster((*cluster(3).members[:2], member(3, alarms=("NOSPACE",)))), "raises the alarm NOSPACE"),
        (cluster(3, 0, 0, member(9, name="new")), '"new" has that name already'),
        (cluster(3, 0, 0, member(9, peer_urls=("https://192.0.2.99:2380",))), "has that peer URL already"),
        (Cluster((*cluster(2).members, member(3, healthy=False, version="3.6.10"))), "remove the dead member first"),
        (Cluster((*cluster(3).members[:2], member(3, version="3.6.10"))), ""),
    ],
)
def test_add_a_learner(state: Cluster, reason: str) -> None:
    gate = subject.add_learner_gate(state, "new", ["https://192.0.2.99:2380"])
    assert gate.allowed is not bool(reason), gate.reasons
    assert reason in " ".join(gate.reasons)


OWN = {"name": "new", "peer_urls": ("https://192.0.2.99:2380",)}


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (cluster(3, 0, 0, member(9, **OWN)), ""),
        (cluster(3, 0, 0, member(9, learner=True, **OWN)), ""),
        (cluster(3, 0, 0, member(9, name="", peer_urls=OWN["peer_urls"], learner=True)), ""),
        (cluster(3, 0, 0, member(9, name="other", peer_urls=OWN["peer_urls"])), "has that peer URL already"),
        (cluster(3, 0, 0, member(9, name="new")), '"new" has that name already'),
        (cluster(3, 0, 0, member(9, **OWN), LEARNER), "learner"),
        (cluster(1, 0, 0, member(9, healthy=False, **OWN)), "the quorum is lost"),
    ],
)
def test_an_interrupted_join_goes_on_with_its_own_member_and_no_other(state: Cluster, reason: str) -> None:
    gate = subject.add_learner_gate(state, "new", ["https://192.0.2.99:2380"], resumes=True)
    assert gate.allowed is not bool(reason), gate.reasons
    assert reason in " ".join(gate.reasons)


def test_names_are_compared_exactly() -> None:
    assert subject.add_learner_gate(cluster(3), "cp", ["https://192.0.2.100:2380"]).allowed
    assert subject.add_learner_gate(cluster(3), "cp11", ["https://192.0.2.10:2380"]).allowed


@pytest.mark.parametrize(
    ("version", "able"),
    [
        ("3.5.29", False), ("3.5.30", True), ("3.6.0", False), ("3.6.10", False), ("3.6.11", True), ("3.6.16", True),
        ("3.7.0", True), ("4.0.0", True), ("3.4.99", False), ("", False), ("unknown", False),
    ],
)  # fmt: skip
def test_versions_that_add_while_a_member_is_down(version: str, able: bool) -> None:
    assert subject.adds_while_one_is_down(version) is able


@pytest.mark.parametrize("gate", [subject.restart_gate, subject.remove_gate])
def test_an_unknown_member_is_refused(gate: object) -> None:
    assert callable(gate)
    assert gate(cluster(5), "cp1").reasons == ("no member has the ID cp1",)


BIG, SMALL = (200 << 20, 50 << 20), (200 << 20, 190 << 20)


@pytest.mark.parametrize(
    ("state", "sizes", "reason"),
    [
        (cluster(3, 0, 3), {"1": BIG}, ""),
        (cluster(5, 0, 3), {"1": BIG, "2": BIG}, ""),
        (cluster(3, 0, 3), {"1": SMALL}, "gains less than 30%"),
        (cluster(3, 0, 3), {"1": (99 << 20, 0)}, "is under 100 MiB"),
        (cluster(3, 0, 3), {}, "0 MiB of 0 MiB are in use"),
        (cluster(5, 1, 3), {"1": BIG}, 'not healthy: "cp5"'),
        (cluster(3, 1, 2), {"1": BIG}, "1 of 3 voters healthy, quorum 2"),
        (cluster(3, 0, 1), {"1": BIG, "2": BIG}, 'the leader, which comes last: first "cp2"'),
        (cluster(3, 0, 1), {"1": BIG, "2": SMALL}, "move the leadership first"),
        (cluster(3, 0, 3, LEARNER), {"1": BIG}, "a learner is joining"),
        (cluster(1, 0, 1), {"1": BIG}, "0 of 1 voters healthy, quorum 1"),
    ],
)
def test_defragment(state: Cluster, sizes: dict[str, tuple[int, int]], reason: str) -> None:
    gate = subject.defragment_gate(state, "1", sizes)
    assert gate.allowed is not bool(reason), gate.reasons
    assert reason in " ".join(gate.reasons)


def test_a_single_member_is_defragmented_when_a_gap_is_wanted() -> None:
    gate = subject.defragment_gate(cluster(1, 0, 1), "1", {"1": BIG}, allow_downtime=True)
    assert gate.allowed
    assert gate.aloud
    assert subject.defragment_gate(cluster(1), "9", {}).reasons == ("no member has the ID 9",)


def test_two_samples_agree_or_do_not() -> None:
    assert subject.agree(cluster(3, 1), cluster(3, 1), 5.0).allowed
    assert "4.9 s apart" in " ".join(subject.agree(cluster(3), cluster(3), 4.9).reasons)
    assert 'changed between two samples: "cp3"' in " ".join(subject.agree(cluster(3), cluster(3, 1), 9).reasons)
    assert 'gone between two samples: "cp3"' in " ".join(subject.agree(cluster(3), cluster(2), 9).reasons)
    assert 'changed between two samples: "cp3"' in " ".join(subject.agree(cluster(2), cluster(3), 9).reasons)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Up to nine members in any state, one of which may lead."""
    size = draw(st.integers(1, 9))
    leader = draw(st.integers(0, size))
    members = []
    for number in range(1, size + 1):
        learner = number > 1 and draw(st.booleans()) and draw(st.booleans())
        made = member(number, healthy=draw(st.booleans()) or draw(st.booleans()), learner=learner)
        made = replace(made, leader=number == leader and not learner, name=made.name if draw(st.integers(0, 9)) else "")
        members.append(replace(made, version=draw(st.sampled_from(["3.6.16", "3.6.10", "3.5.30", ""]))))
    return Cluster(tuple(members))


def holds(state: Cluster) -> bool:
    return state.healthy() >= subject.quorum(len(state.voters))


def without(state: Cluster, identity: str) -> Cluster:
    return Cluster(tuple(one for one in state.members if one.id != identity))


def changed(state: Cluster, identity: str, **change: object) -> Cluster:
    return Cluster(tuple(replace(one, **change) if one.id == identity else one for one in state.members))


@given(clusters(), st.integers(1, 9))
def test_an_allowed_restart_keeps_the_quorum(state: Cluster, number: int) -> None:
    identity = f"{number:x}"
    if subject.restart_gate(state, identity).allowed:
        assert holds(changed(state, identity, healthy=False))


@given(clusters(), st.integers(1, 9))
def test_an_allowed_removal_keeps_the_quorum(state: Cluster, number: int) -> None:
    identity = f"{number:x}"
    if subject.remove_gate(state, identity).allowed:
        assert holds(state)
        assert holds(without(state, identity))
        assert without(state, identity).voters


@given(clusters())
def test_an_allowed_addition_keeps_the_quorum_even_when_the_learner_never_starts(state: Cluster) -> None:
    if subject.add_learner_gate(state, "new", ["https://192.0.2.99:2380"]).allowed:
        new = Member(id="99", peer_urls=("https://192.0.2.99:2380",), learner=True)
        assert holds(Cluster((*state.members, new)))


@given(clusters(), st.integers(1, 9))
def test_an_allowed_promotion_keeps_the_quorum_when_the_new_voter_fails_at_once(state: Cluster, number: int) -> None:
    identity = f"{number:x}"
    if subject.promote_gate(state, identity, (0, 0)).allowed:
        after = changed(state, identity, learner=False, healthy=len(state.voters) == 1)
        assert holds(after)


@pytest.mark.parametrize("voters", range(1, 10))
def test_every_cluster_up_to_nine_voters(voters: int) -> None:
    """Without anything random: all numbers of unhealthy voters, every member."""
    for unhealthy in range(voters + 1):
        state = cluster(voters, unhealthy)
        for one in state.members:
            if subject.restart_gate(state, one.id).allowed:
                assert holds(changed(state, one.id, healthy=False))
            if subject.remove_gate(state, one.id).allowed:
                assert holds(without(state, one.id))
        with_learner = cluster(voters, unhealthy, 0, LEARNER)
        if subject.promote_gate(with_learner, LEARNER.id, (0, 0)).allowed and voters > 1:
            assert holds(changed(with_learner, LEARNER.id, learner=False, healthy=False))
