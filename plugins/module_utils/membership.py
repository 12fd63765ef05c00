# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the members there are and the members there should be to the steps between, or to the reasons against them.

Pure. A plan is walked through before it is given: every step is asked its gate in the state that the steps before it
leave, so a plan whose end would be refused begins nothing. When a step is done for real its gate is asked again.
A member is known by its ID and its peer URLs; a name alone identifies nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Union

from .membership_steps import AddLearner, Finish, MoveLeader, Promote, Remove, Start, Step, replaceable
from .quorum import Cluster, Member, quorum, tolerance

# Steps that one plan may have at most: nine members replaced take fewer.
LONGEST = 99


@dataclass(frozen=True)
class Wanted:
    """A member that should vote in the end."""

    name: str
    peer_urls: tuple[str, ...]


@dataclass(frozen=True)
class Join:
    """One member more. vote: as a voter, otherwise as a learner.

    starts: etcd is started by whoever asks. has_data: that host has etcd's data; None when nobody looked.
    begun: a beginning on that host has not been finished.
    """

    name: str
    peer_urls: tuple[str, ...]
    vote: bool = True
    starts: bool = False
    has_data: bool | None = None
    begun: bool = False


@dataclass(frozen=True)
class Leave:
    """One member fewer, by its ID. confirmed: although none may fail afterwards. claimed: its join is running."""

    member_id: str
    confirmed: bool = False
    claimed: bool = False


@dataclass(frozen=True)
class Sweep:
    """The members with these IDs, which orphans.py judged, are removed."""

    orphans: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """Exactly these voters. gone: IDs of members that are removed although a member like them is wanted.

    claimed: IDs of members whose join is running. An even number is refused unless it is a step of a change.
    """

    members: tuple[Wanted, ...]
    gone: frozenset[str] = frozenset()
    claimed: frozenset[str] = frozenset()
    confirmed: bool = False
    step_of_a_change: bool = False


Want = Union[Join, Leave, Sweep, Target]


@dataclass(frozen=True)
class Plan:
    """Steps, or the reasons why there are none. `after` are the members when all steps are done."""

    have: Cluster
    after: Cluster
    steps: tuple[Step, ...] = ()
    reasons: tuple[str, ...] = ()
    aloud: tuple[str, ...] = field(default=())

    @property
    def allowed(self) -> bool:
        """True when nothing speaks against the steps, of which there may be none."""
        return not self.reasons


def arithmetic(cluster: Cluster) -> str:
    """The numbers behind an answer."""
    voters = len(cluster.voters)
    return f"{cluster.healthy()} of {voters} voters healthy, quorum {quorum(voters)}, tolerance {tolerance(voters)}"


def plan_membership(have: Cluster, want: Want) -> Plan:
    """The steps from here to there."""
    if isinstance(want, Target):
        return _target(have, want)
    if isinstance(want, Join):
        return _join(have, want)
    if isinstance(want, Sweep):
        return walk(have, [Remove(m, swept=True) for m in have.members if m.id in want.orphans])
    return _leave(have, want)


def walk(have: Cluster, steps: Sequence[Step]) -> Plan:
    """Ask every step its gate, in the state that the steps before it leave."""
    state = have
    aloud: list[str] = []
    for step in steps:
        gate = step.gate(state)
        if not gate.allowed:
            return Plan(have, have, (), tuple(f"{step.words}: {reason}" for reason in gate.reasons), tuple(aloud))
        aloud += [text for text in gate.aloud if text not in aloud]
        state = step.after(state)
    return Plan(have, state, tuple(steps), (), tuple(aloud))


def refused(have: Cluster, *reasons: str) -> Plan:
    """A plan without steps."""
    return Plan(have, have, (), reasons)


def by_urls(cluster: Cluster, peer_urls: Iterable[str]) -> Member | None:
    """The member with exactly these peer URLs."""
    return next((m for m in cluster.members if set(m.peer_urls) == set(peer_urls)), None)


def _join(have: Cluster, want: Join) -> Plan:
    own = by_urls(have, want.peer_urls)
    new: list[Step] = [AddLearner(want.name, want.peer_urls), *_rest(want)]
    if own is None:
        if want.has_data:
            text = f'the host of "{want.name}" has the data of a member that this cluster does not have'
            return refused(have, f"{text}: find out whose they are, set them aside")
        return walk(have, new)
    if own.started and own.name != want.name:
        return refused(have, f'{own} has the peer URL of "{want.name}" already')
    if own.learner and own.started and want.has_data is False:
        # Its log is gone: with an empty one it could not go on as the same member.
        return walk(have, [Remove(own), *new])
    return walk(have, _go_on(own, want))


def _rest(want: Join) -> list[Step]:
    start: list[Step] = [Start(want.name, want.peer_urls)] if want.starts else []
    return [*start, *([Promote(want.name, want.peer_urls)] if want.vote else [])]


def _go_on(own: Member, want: Join) -> list[Step]:
    """What is missing of a join that had begun."""
    if not own.learner:
        return [*_started(own, want), *_finish(own, want)]
    steps: list[Step] = [*_started(own, want)]
    if want.vote:
        steps.append(Promote(want.name, want.peer_urls))
    return steps or _finish(own, want)


def _started(own: Member, want: Join) -> list[Step]:
    begins = own.learner or want.begun or not own.started
    return [Start(want.name, want.peer_urls)] if want.starts and begins and not own.healthy else []


def _finish(own: Member, want: Join) -> list[Step]:
    return [Finish(want.name)] if want.starts and want.begun and own.healthy else []


def _leave(have: Cluster, want: Leave) -> Plan:
    member = have.find(want.member_id)
    if member is None:
        return Plan(have, have)
    if want.claimed and (member.learner or not member.started):
        return refused(have, f"remove {member}: its join is running now")
    return walk(have, removal(have, member, want.confirmed))


def removal(have: Cluster, member: Member, confirmed: bool, keep_from: Iterable[str] = ()) -> list[Step]:
    """A removal, with the leadership moved away before. keep_from: IDs that are no good as the next leader."""
    steps: list[Step] = [Remove(member, confirmed=confirmed)]
    avoided = {member.id, *keep_from}
    heirs = sorted((m for m in have.voters if m.healthy and m.id not in avoided), key=lambda m: (m.name, m.id))
    if member.leader and heirs:
        # Asked here, because a removal that is refused in the end must not move the leadership.
        return [MoveLeader(member, heirs[0]), *steps]
    return steps


def _target(have: Cluster, want: Target) -> Plan:
    count = len(want.members)
    if len({url for m in want.members for url in m.peer_urls}) < count or len({m.name for m in want.members}) < count:
        return refused(have, "two wanted members have the same name or peer URL")
    if not count:
        return refused(have, "no member is wanted: a cluster is not removed member by member")
    if count % 2 == 0 and not want.step_of_a_change:
        fewer = f"{count} voters (quorum {quorum(count)}) endure the failure of {tolerance(count)}"
        return refused(have, f"{fewer}, as many as {count - 1} do: ask for {count - 1} or {count + 1}")
    steps: list[Step] = []
    state = have
    while more := _next(state, want):
        plan = walk(state, more) if len(steps) < LONGEST else refused(state, "this wish contradicts itself")
        if not plan.allowed:
            return refused(have, *plan.reasons)
        steps += more
        state = plan.after
    return walk(have, steps)


def _next(state: Cluster, want: Target) -> list[Step]:
    """The next member that is dealt with: what does not count, what is dead, what is new, what is too many."""
    urls = {frozenset(m.peer_urls) for m in want.members}
    names = {m.name: frozenset(m.peer_urls) for m in want.members}
    extra = [m for m in state.members if m.id in want.gone or frozenset(m.peer_urls) not in urls]
    extra += [m for m in state.members if m not in extra and m.started and names.get(m.name) != frozenset(m.peer_urls)]
    order = sorted(extra, key=lambda m: (not m.learner, m.healthy, m.leader, m.name, m.id))
    missing = [w for w in want.members if by_urls(Cluster(_without(state, extra)), w.peer_urls) is None]
    # A member in the way of a new one goes before it, a healthy one that is only too many after it.
    first = [m for m in order if m.learner or not m.healthy or any(_in_the_way(m, w) for w in missing)]
    if first:
        return _gone(state, first[0], extra, want)
    for member in state.members:
        if member.learner or not member.started:
            own = next(w for w in want.members if set(w.peer_urls) == set(member.peer_urls))
            return _go_on(member, Join(own.name, own.peer_urls, starts=True))
    if missing:
        return [AddLearner(missing[0].name, missing[0].peer_urls), *_rest(Join(*_pair(missing[0]), starts=True))]
    return _gone(state, order[0], extra, want) if order else []


def _gone(state: Cluster, member: Member, extra: Sequence[Member], want: Target) -> list[Step]:
    if member.id in want.claimed:
        return [Remove(member, claimed=True)]
    wanted_less = [m.id for m in extra]
    heirs = [m for m in state.voters if m.healthy and m.id not in wanted_less]
    return removal(state, member, want.confirmed, wanted_less if heirs else ())


def _pair(wanted: Wanted) -> tuple[str, tuple[str, ...]]:
    return wanted.name, wanted.peer_urls


def _in_the_way(member: Member, wanted: Wanted) -> bool:
    return replaceable(member, wanted.name, wanted.peer_urls)


def _without(state: Cluster, extra: Sequence[Member]) -> tuple[Member, ...]:
    return tuple(m for m in state.members if m not in extra)
