# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of membership: which steps, in which order, and the words of every refusal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import membership as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.membership import Join, Leave, Plan, Sweep, Target, Wanted
from ansible_collections.quorum.kubeadm.plugins.module_utils.membership_steps import (
    AddLearner,
    Finish,
    MoveLeader,
    Promote,
    Remove,
    Start,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.quorum import Cluster, Member


def urls(number: int) -> tuple[str, ...]:
    return (f"https://192.0.2.{number}:2380",)


def member(number: int, **more: object) -> Member:
    made = Member(id=f"{number:x}", name=f"e{number}", peer_urls=urls(number), healthy=True, version="3.6.16")
    return replace(made, **more)


def cluster(voters: int, unhealthy: int = 0, leader: int = 1, *more: Member) -> Cluster:
    """Voters 1 to n, the last ones unhealthy."""
    made = [member(n, healthy=n <= voters - unhealthy, leader=n == leader) for n in range(1, voters + 1)]
    return Cluster((*made, *more))


def wanted(*numbers: int) -> tuple[Wanted, ...]:
    return tuple(Wanted(f"e{n}", urls(n)) for n in numbers)


def kinds(plan: Plan) -> list[type]:
    assert plan.allowed, plan.reasons
    assert plan.have.members or not plan.steps
    return [type(step) for step in plan.steps]


LEARNER = member(9, learner=True)
UNSTARTED = member(9, learner=True, name="", healthy=False, version="")
JOIN = Join("e9", urls(9), starts=True, has_data=False)


@pytest.mark.parametrize(
    ("have", "want", "steps"),
    [
        (cluster(3), JOIN, [AddLearner, Start, Promote]),
        (cluster(1), JOIN, [AddLearner, Start, Promote]),
        (cluster(3), Join("e9", urls(9)), [AddLearner, Promote]),
        (cluster(3), replace(JOIN, vote=False), [AddLearner, Start]),
        # Killed after the addition, after the start, after the promotion, at the very end.
        (cluster(3, 0, 1, UNSTARTED), JOIN, [Start, Promote]),
        (cluster(3, 0, 1, UNSTARTED), replace(JOIN, has_data=True, begun=True), [Start, Promote]),
        (cluster(3, 0, 1, LEARNER), replace(JOIN, has_data=True, begun=True), [Promote]),
        (cluster(3, 0, 1, replace(LEARNER, healthy=False)), replace(JOIN, has_data=True), [Start, Promote]),
        (cluster(3, 0, 1, member(9)), replace(JOIN, has_data=True, begun=True), [Finish]),
        (cluster(3, 0, 1, member(9, healthy=False)), replace(JOIN, has_data=True, begun=True), [Start]),
        (cluster(3, 0, 1, member(9)), replace(JOIN, has_data=True), []),
        # A learner whose data are gone cannot go on as the same member.
        (cluster(3, 0, 1, LEARNER), JOIN, [Remove, AddLearner, Start, Promote]),
        (cluster(3, 0, 1, LEARNER), replace(JOIN, vote=False, has_data=True), []),
        (cluster(3, 0, 1, LEARNER), replace(JOIN, vote=False, has_data=True, begun=True), [Finish]),
        # Whether a voter that is down comes up again is not a matter of membership.
        (cluster(4, 1), Join("e4", urls(4), starts=True, has_data=True), []),
        (cluster(3), Leave("7"), []),
        (cluster(3, 1), Leave("3"), [Remove]),
        (cluster(5), Leave("5"), [Remove]),
        (cluster(5), Leave("1"), [MoveLeader, Remove]),
        (cluster(3, 0, 1, UNSTARTED), Leave("9"), [Remove]),
        (cluster(3, 0, 1, UNSTARTED), Sweep(("9",)), [Remove]),
        (cluster(3), Sweep(()), []),
    ],
)
def test_steps(have: Cluster, want: subject.Want, steps: list[type]) -> None:
    plan = subject.plan_membership(have, want)
    assert kinds(plan) == steps
    assert all(step.words and "->" in step.arithmetic(have) for step in plan.steps)


@pytest.mark.parametrize(
    ("have", "want", "reason"),
    [
        # The end is refused, so nothing is begun.
        (cluster(3, 1), JOIN, "refuses where 2 of 4 voters healthy, quorum 3 would be the outcome"),
        (cluster(3, 2), JOIN, "the quorum is lost (1 of 3 voters healthy, quorum 2)"),
        (cluster(3, 0, 1, member(8, learner=True)), JOIN, 'another learner is joining: "e8"'),
        (cluster(3), replace(JOIN, has_data=True), 'the host of "e9" has the data of a member'),
        (cluster(3), Join("e9", urls(2)), '"e2" has the peer URL of "e9" already'),
        (cluster(3), Join("e2", urls(9)), '"e2" has that name already'),
        (cluster(3), Leave("2"), "after its removal none may fail (2 of 2 voters healthy, quorum 2)"),
        (cluster(3), Leave("1"), "confirm_no_tolerance"),
        (cluster(5, 1), Leave("2"), "after its removal none may fail (3 of 4 voters healthy, quorum 3)"),
        (cluster(5, 2), Leave("2", confirmed=True), "after the removal of \"e2\": 2 of 4 voters healthy, quorum 3"),
        (cluster(2, 1), Leave("2"), "only a restore helps"),
        (cluster(1), Leave("1", confirmed=True), '"e1" is the only voter'),
        (cluster(3, 0, 1, UNSTARTED), Leave("9", claimed=True), "its join is running now"),
        (cluster(3, 0, 1, LEARNER), Leave("9", claimed=True), "its join is running now"),
        (cluster(3, 0, 1, LEARNER), Sweep(("9",)), "it has started meanwhile"),
        (cluster(3, 2, 1, UNSTARTED), Sweep(("9",)), "only a restore helps"),
    ],
)  # fmt: skip
def test_a_refusal_has_no_steps_and_names_its_reason(have: Cluster, want: subject.Want, reason: str) -> None:
    plan = subject.plan_membership(have, want)
    assert not plan.allowed
    assert plan.steps == ()
    assert plan.after == have
    assert reason in "; ".join(plan.reasons)


def test_a_healthy_voter_of_three_goes_when_it_is_confirmed_and_it_is_said_aloud() -> None:
    plan = subject.plan_membership(cluster(3), Leave("2", confirmed=True))
    assert kinds(plan) == [Remove]
    assert plan.aloud[0] == '"e2" is healthy'
    assert "2 of 2 voters healthy, quorum 2; none may fail" in plan.aloud[1]


def test_the_leadership_goes_to_a_healthy_voter_that_stays() -> None:
    have = Cluster((member(1, leader=True), member(2, healthy=False), member(3), member(4), member(5)))
    plan = subject.plan_membership(have, Leave("1", confirmed=True))
    assert [step.words for step in plan.steps] == [
        'move the leadership from "e1" to "e3"',
        'remove the member "e1" with the ID 1',
    ]
    shrink = subject.plan_membership(cluster(5, 0, 4), Target(wanted(1, 2, 5)))
    assert [step.words for step in shrink.steps] == [
        'remove the member "e3" with the ID 3',
        'move the leadership from "e4" to "e1"',
        'remove the member "e4" with the ID 4',
    ]


def test_growing_adds_one_at_a_time_and_shrinking_removes_one_at_a_time() -> None:
    grow = subject.plan_membership(cluster(3), Target(wanted(1, 2, 3, 4, 5)))
    assert kinds(grow) == [AddLearner, Start, Promote] * 2
    assert kinds(subject.plan_membership(cluster(5), Target(wanted(1, 2, 3)))) == [Remove, Remove]
    assert subject.arithmetic(grow.after) == "5 of 5 voters healthy, quorum 3, tolerance 2"


def test_replacing_removes_the_dead_one_first_then_adds() -> None:
    elsewhere = Target((*wanted(1, 2), Wanted("e3", urls(33))))
    assert kinds(subject.plan_membership(cluster(3, 1), elsewhere)) == [Remove, AddLearner, Start, Promote]
    same = Target(wanted(1, 2, 3), gone=frozenset({"3"}))
    plan = subject.plan_membership(cluster(3, 1), same)
    assert kinds(plan) == [Remove, AddLearner, Start, Promote]
    assert plan.steps[0].member.id == "3"
    # Done once, the same wish asks for nothing more.
    assert kinds(subject.plan_membership(plan.after, same)) == []


def test_a_healthy_one_is_replaced_by_adding_first_unless_it_is_in_the_way() -> None:
    assert kinds(subject.plan_membership(cluster(3), Target(wanted(1, 2, 4)))) == [AddLearner, Start, Promote, Remove]
    moved = (*wanted(1, 2), Wanted("e3", urls(33)))
    assert "confirm_no_tolerance" in "".join(subject.plan_membership(cluster(3), Target(moved)).reasons)
    plan = subject.plan_membership(cluster(3), Target(moved, confirmed=True))
    assert kinds(plan) == [Remove, AddLearner, Start, Promote]


@pytest.mark.parametrize(
    ("want", "reason"),
    [
        (Target(wanted(1, 2, 3, 4)), "4 voters (quorum 3) endure the failure of 1, as many as 3 do: ask for 3 or 5"),
        (Target(wanted(1, 2)), "2 voters (quorum 2) endure the failure of 0, as many as 1 do: ask for 1 or 3"),
        (Target(()), "no member is wanted"),
        (Target((*wanted(1, 2), Wanted("e1", urls(7)))), "the same name or peer URL"),
        (Target((*wanted(1, 2), Wanted("e7", urls(1)))), "the same name or peer URL"),
    ],
)
def test_what_is_no_cluster_to_have(want: Target, reason: str) -> None:
    plan = subject.plan_membership(cluster(3), want)
    assert reason in "".join(plan.reasons)
    assert plan.steps == ()


def test_an_even_number_is_allowed_as_a_step_of_a_change() -> None:
    want = Target(wanted(1, 2, 3, 4), step_of_a_change=True)
    assert kinds(subject.plan_membership(cluster(3), want)) == [AddLearner, Start, Promote]


def test_a_learner_of_a_running_join_is_not_removed_for_a_target() -> None:
    have = cluster(3, 0, 1, UNSTARTED)
    plan = subject.plan_membership(have, Target(wanted(1, 2, 3), claimed=frozenset({"9"})))
    assert "its join is running now" in "".join(plan.reasons)
    assert kinds(subject.plan_membership(have, Target(wanted(1, 2, 3)))) == [Remove]


def test_names_that_contain_one_another_are_different_members() -> None:
    have = Cluster((member(1, leader=True), member(2), member(10)))
    plan = subject.plan_membership(have, Target(wanted(2, 10, 100), confirmed=True))
    assert [getattr(step, "member", None) and step.member.name for step in plan.steps][-1] == "e1"
    assert {m.name for m in plan.after.members} == {"e2", "e10", "e100"}
