# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every plan of membership, over all clusters up to nine members in any health."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.membership import (
    Join,
    Leave,
    Plan,
    Sweep,
    Target,
    Want,
    Wanted,
    by_urls,
    plan_membership,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.membership_steps import Promote, Start, Step
from ansible_collections.quorum.kubeadm.plugins.module_utils.quorum import Cluster, Member, quorum

MOST = 9
# A campaign asks for more of them.
MANY = settings(max_examples=int(os.environ.get("MEMBERSHIP_EXAMPLES", "400")), deadline=None)
FRESH = itertools.count(0x1000)


def urls(number: int) -> tuple[str, ...]:
    return (f"https://192.0.2.{number}:2380",)


def holds(state: Cluster) -> bool:
    return state.healthy() >= quorum(len(state.voters))


def with_leader(state: Cluster, wish: int) -> Cluster:
    """Some healthy voter leads while there is a quorum, nobody otherwise."""
    able = [m for m in state.voters if m.healthy] if holds(state) else []
    leader = able[wish % len(able)].id if able else ""
    return Cluster(tuple(replace(m, leader=m.id == leader) for m in state.members))


def carried_out(state: Cluster, steps: Sequence[Step]) -> Cluster:
    """As etcd does it: a new member gets an ID that there never was."""
    for step in steps:
        state = step.after(state)
        fresh = (replace(m, id=f"{next(FRESH):x}") if m.id.startswith("new ") else m for m in state.members)
        state = Cluster(tuple(fresh))
    return state


@st.composite
def clusters(draw: st.DrawFn, faults: int = 9) -> Cluster:
    """Up to nine members, each a voter or a learner, started or not, healthy or not."""
    members = []
    for number in range(1, draw(st.integers(1, MOST)) + 1):
        learner = number > 1 and draw(st.integers(0, 9)) == 0
        started = draw(st.integers(0, 9)) > 0
        healthy = started and draw(st.integers(0, 9)) < faults
        version = draw(st.sampled_from(["3.6.16"] * 4 + ["3.6.10", ""]))
        name = f"e{number}" if started else ""
        members.append(Member(f"{number:x}", name, urls(number), learner=learner, healthy=healthy, version=version))
    return with_leader(Cluster(tuple(members)), draw(st.integers(0, MOST)))


NUMBERS = st.integers(1, MOST + 3)
TARGETS = st.builds(
    lambda numbers, gone, claimed, confirmed: Target(
        tuple(Wanted(f"e{n}", urls(n)) for n in numbers),
        frozenset(f"{n:x}" for n in gone),
        frozenset(f"{n:x}" for n in claimed),
        confirmed=confirmed,
    ),
    st.lists(NUMBERS, min_size=1, max_size=MOST, unique=True),
    st.sets(NUMBERS, max_size=2),
    st.sets(NUMBERS, max_size=1),
    st.booleans(),
)
ODD_TARGETS = TARGETS.map(lambda target: replace(target, members=target.members[len(target.members) % 2 == 0 :]))
WANTS: st.SearchStrategy[Want] = st.one_of(
    TARGETS,
    st.builds(
        lambda n, vote, starts, data, begun: Join(f"e{n}", urls(n), vote, starts, data, begun),
        NUMBERS, st.booleans(), st.booleans(), st.sampled_from([True, False, None]), st.booleans(),
    ),
    st.builds(lambda n, sure, claimed: Leave(f"{n:x}", sure, claimed), NUMBERS, st.booleans(), st.booleans()),
    st.builds(lambda numbers: Sweep(tuple(f"{n:x}" for n in numbers)), st.lists(NUMBERS, max_size=3)),
)  # fmt: skip


def pessimistic(step: Step, before: Cluster) -> Cluster:
    """What the step leaves when what is new fails at once: a promoted voter, a learner that never comes up."""
    after = step.after(before)
    if isinstance(step, Start):
        return before
    if isinstance(step, Promote) and len(before.voters) > 1:
        own = by_urls(after, step.peer_urls)
        return Cluster(tuple(replace(m, healthy=m != own and m.healthy) for m in after.members))
    return after


def is_sound(plan: Plan) -> None:
    """Either steps, none of which loses the quorum, or reasons and no step."""
    if not plan.allowed:
        assert plan.steps == ()
        assert all(len(reason) > 10 for reason in plan.reasons)
        return
    state = plan.have
    for step in plan.steps:
        assert step.gate(state).allowed, step.words
        after = step.after(state)
        if isinstance(step, Start):
            assert {m.id for m in after.voters} == {m.id for m in state.voters}
        else:
            assert holds(state), f"{step.words} without a quorum"
            assert holds(after), step.words
            assert holds(pessimistic(step, state)), f"{step.words}, and what is new fails at once"
        changed = {(m.id, m.learner) for m in state.members} ^ {(m.id, m.learner) for m in after.members}
        assert len({identity for identity, _learner in changed}) <= 1, "one change at a time"
        assert not any(m.leader for m in state.members if after.find(m.id) is None), "the leader was removed"
        state = after
    assert end(state) == end(plan.after)


def end(state: Cluster) -> set[tuple[str, tuple[str, ...], bool]]:
    return {(m.name, m.peer_urls, m.learner) for m in state.members}


@MANY
@given(clusters(), st.lists(st.tuples(WANTS, st.integers(0, 20), st.integers(0, 2 * MOST)), max_size=6))
def test_no_sequence_of_allowed_steps_loses_the_quorum(state: Cluster, history: list[tuple[Want, int, int]]) -> None:
    """Plans are begun, broken off, followed by others; members die and come back in between."""
    for want, done, event in history:
        plan = plan_membership(state, want)
        is_sound(plan)
        state = carried_out(state, plan.steps[:done])
        if event < len(state.members):
            struck = state.members[event]
            healthy = not struck.healthy and struck.started
            state = Cluster(tuple(replace(m, healthy=healthy) if m == struck else m for m in state.members))
            state = with_leader(state, event)


@MANY
@given(clusters(), WANTS)
def test_a_plan_is_sound_reaches_its_end_and_needs_nothing_more(state: Cluster, want: Want) -> None:
    plan = plan_membership(state, want)
    is_sound(plan)
    if not plan.allowed:
        return
    if isinstance(want, Target):
        assert end(plan.after) == {(m.name, m.peer_urls, False) for m in want.members}
        assert not want.gone & {m.id for m in plan.after.members}
    if isinstance(want, Leave):
        assert plan.after.find(want.member_id) is None
    if isinstance(want, Join):
        own = by_urls(plan.after, want.peer_urls)
        assert own is not None
        assert not (own.learner and want.vote)
        want = replace(want, has_data=True, begun=False)
    again = plan_membership(plan.after, want)
    assert again.allowed, again.reasons
    assert again.steps == (), "what is reached asks for nothing more"


@MANY
@given(clusters(faults=10), ODD_TARGETS, st.integers(0, 40))
def test_any_prefix_and_a_new_plan_reach_the_same_end(state: Cluster, want: Target, done: int) -> None:
    plan = plan_membership(state, want)
    state = carried_out(state, plan.steps[:done])
    again = plan_membership(state, want)
    is_sound(again)
    assert again.allowed is plan.allowed, again.reasons
    if plan.allowed:
        assert end(again.after) == end(plan.after)
        assert again.steps == plan.steps[done:] or len(again.steps) <= len(plan.steps)


@MANY
@given(clusters(faults=10), ODD_TARGETS, st.integers(0, 12), st.integers(0, MOST), st.booleans())
def test_a_member_that_dies_in_between_leads_to_a_refusal_or_to_the_same_end(
    state: Cluster, want: Target, done: int, dying: int, replaced: bool
) -> None:
    plan = plan_membership(state, want)
    state = carried_out(state, plan.steps[:done])
    dead = state.members[dying % len(state.members)]
    state = Cluster(tuple(replace(m, healthy=m != dead and m.healthy) for m in state.members))
    state = with_leader(state, dying)
    wish = replace(want, gone=want.gone | {dead.id}) if replaced else want
    again = plan_membership(state, wish)
    is_sound(again)
    if again.allowed and plan.allowed:
        assert end(again.after) == end(plan.after)
    if plan.allowed and not again.allowed:
        assert any(word in " ".join(again.reasons) for word in ("voters healthy", "down", "join is running"))


@pytest.mark.parametrize("voters", range(1, MOST + 1))
def test_every_cluster_and_every_size_wanted(voters: int) -> None:
    """Nothing random: each number of voters, each set of unhealthy ones, each leader, each odd size."""
    for sick in itertools.chain.from_iterable(itertools.combinations(range(1, voters + 1), n) for n in range(4)):
        members = [
            Member(f"{n:x}", f"e{n}", urls(n), healthy=n not in sick, version="3.6.16") for n in range(1, voters + 1)
        ]
        state = with_leader(Cluster(tuple(members)), sum(sick))
        for size in range(1, MOST + 1, 2):
            plan = plan_membership(state, Target(tuple(Wanted(f"e{n}", urls(n)) for n in range(1, size + 1))))
            is_sound(plan)
            if not sick and (size > 1 or voters == 1):
                assert plan.allowed, plan.reasons
            if not holds(state) and voters != size:
                assert not plan.allowed
