# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's maintenance: from what is asked to the steps, and the steps done one after another, each behind its gate.

A plan is walked through before it is given: every step is asked its gate in the state that those before it leave, so
a plan whose end would be refused begins nothing. When a step is done for real its gate is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .errors import ApiError, InputError, RefusedError, UnreachableError
from .etcd_api import revision
from .etcd_changes import passing
from .etcd_health import Sample
from .etcd_upkeep_steps import (
    NOSPACE,
    Compact,
    Defragment,
    Disarm,
    Lead,
    Room,
    Task,
    alarms,
    finish_compaction,
    mib,
    room,
)
from .etcd_world import PAUSE, World
from .membership import arithmetic
from .quorum import Member

Compacted = Callable[[int], bool]
# The second write counts what a compaction freed, later still when a read holds on to the pages.
RECOUNTS = 5


@dataclass(frozen=True)
class Asked:
    """What is wanted. revision: 0 for all but the last `keep` ones. A member smaller than min_size bytes, or with a
    smaller share free, is not worth a defragmentation."""

    action: str
    name: str = ""
    away_from: str = ""
    revision: int = 0
    keep: int = 0
    min_size: int = 0
    min_share: float = 0.0
    allow_downtime: bool = False


@dataclass(frozen=True)
class Plan:
    """The steps, what a person has to be told, and what is there before and, as far as it can be told, after them."""

    steps: tuple[Task, ...]
    aloud: tuple[str, ...]
    before: Sample
    after: Sample


def look(world: World, asked: Asked, inspect: Callable[[], Sample], compacted: Compacted) -> Sample:
    """A look to plan from; inspect: one that compares the members' data as well.

    etcd counts what is in use when it writes, and what a compaction freed only with the second write after it. While
    NOSPACE is raised nothing is written: full members are made to count anew before they are believed to be hopeless.
    """
    world.last = first = inspect()
    for _turn in range(RECOUNTS):
        if not _hopeless(world.last, asked, compacted):
            break
        # To what was compacted already, which forgets nothing more.
        finish_compaction(world, max(_target(world.last, asked), 1), [row[0].id for row in _full(world.last)])
        world.sample()
    # The later looks did not compare the members' data.
    world.last = replace(world.last, hashes=first.hashes)
    return world.last


def _hopeless(sample: Sample, asked: Asked, compacted: Compacted) -> bool:
    """Whether the plan would be refused for the count of what is in use."""
    wanted = asked.action == "auto" and bool(_nospace(sample))
    return wanted and bool(_stuck(_full(sample))) and not _compact(sample, asked, compacted)


def plan_upkeep(sample: Sample, asked: Asked, compacted: Compacted) -> Plan:
    """The steps, or RefusedError. compacted: whether everything before a revision is gone already."""
    steps = _PLANS[asked.action](sample, asked, compacted)
    state = sample
    # In order, and each only once.
    aloud: dict[str, None] = {}
    reasons: dict[str, None] = {}
    for step in steps:
        # How far a compaction shrinks the data is seen when it is done.
        if not (isinstance(step, Disarm) and any(isinstance(one, Compact) for one in steps)):
            gate = step.gate(state)
            reasons.update(dict.fromkeys(f"{step.words}: {reason}" for reason in gate.reasons))
            aloud.update(dict.fromkeys(gate.aloud))
        state = step.after(state)
    if reasons:
        raise refused(sample, tuple(reasons))
    return Plan(tuple(steps), tuple(aloud), sample, state)


def refused(sample: Sample, reasons: Sequence[str]) -> RefusedError:
    """Every reason, with the numbers."""
    return RefusedError(
        "etcd's maintenance is not safe now",
        where="etcd",
        found=f"{'; '.join(reasons)} ({arithmetic(sample.cluster)})",
        next_step="mend what is named (etcd_info says how), then run the same again",
    )


def _compact(sample: Sample, asked: Asked, compacted: Compacted) -> list[Task]:
    to = _target(sample, asked)
    return [] if to <= 1 or compacted(to) else [Compact(to)]


def _target(sample: Sample, asked: Asked) -> int:
    """The revision to compact to."""
    newest = max((revision(probe.status) for probe in sample.probes.values() if probe.status), default=0)
    to = asked.revision or newest - asked.keep
    if to > newest:
        raise InputError(
            f"revision {to} is not there yet",
            where="revision",
            found=f"the newest is {newest}",
            next_step="give an older one, or keep instead",
        )
    return to


def _defragment(sample: Sample, asked: Asked, _compacted: Compacted) -> list[Task]:
    wanted = [sample.cluster.named(asked.name)] if asked.name else list(sample.members)
    return _one_by_one(sample, [m for m in wanted if _worth(sample, m, asked)], asked, mending=False)


def _worth(sample: Sample, member: Member, asked: Asked) -> bool:
    own = room(sample, member.id)
    return own is not None and own.size >= asked.min_size and own.size - own.used >= max(asked.min_share * own.size, 1)


def _one_by_one(sample: Sample, members: Sequence[Member], asked: Asked, *, mending: bool) -> list[Task]:
    """The leader last, when another one has become it."""
    steps: list[Task] = []
    for member in sorted(members, key=lambda one: (one.leader, one.name, one.id)):
        if member.leader and len(sample.cluster.voters) > 1:
            steps.append(Lead(member, heir(sample, member)))
        steps.append(Defragment(member, mending, asked.allow_downtime))
    return steps


def heir(sample: Sample, leader: Member) -> Member:
    """The best other voter: healthy, and least behind."""
    cluster = sample.forgiving(NOSPACE)
    able = [m for m in cluster.voters if m.healthy and m.id != leader.id]
    if not able:
        raise refused(sample, [f"no other healthy voter can lead instead of {leader}"])
    return min(able, key=lambda m: (sample.lag(m.id) or 0, m.name, m.id))


def _move_leader(sample: Sample, asked: Asked, _compacted: Compacted) -> list[Task]:
    leader = next((member for member in sample.members if member.leader), None)
    if leader is None:
        raise refused(sample, ["no member leads now"])
    if asked.away_from and sample.cluster.named(asked.away_from).id != leader.id:
        return []
    to = sample.cluster.named(asked.name) if asked.name else heir(sample, leader)
    return [] if to.id == leader.id else [Lead(leader, to)]


def _disarm(sample: Sample, _asked: Asked, _compacted: Compacted) -> list[Task]:
    return [Disarm(identity, alarm, sample.cluster.find(identity)) for identity, alarm in alarms(sample)]


def _auto(sample: Sample, asked: Asked, compacted: Compacted) -> list[Task]:
    """What the alarm NOSPACE needs, in this order: compact, defragment the full members, disarm."""
    raised = _nospace(sample)
    if not raised:
        return []
    full = _full(sample)
    steps = _compact(sample, asked, compacted) if full else []
    stuck = _stuck(full)
    if stuck and not steps:
        raise refused(sample, [*stuck, "nothing is left to compact: delete keys, or raise the quota and restart"])
    return [*steps, *_one_by_one(sample, [member for member, _own in full], asked, mending=True), *raised]


def _nospace(sample: Sample) -> list[Disarm]:
    return [Disarm(owner, alarm, sample.cluster.find(owner)) for owner, alarm in alarms(sample) if alarm == NOSPACE]


def _full(sample: Sample) -> list[tuple[Member, Room]]:
    return [(m, own) for m in sample.members for own in [room(sample, m.id)] if own is not None and own.full]


def _stuck(full: Sequence[tuple[Member, Room]]) -> list[str]:
    return [f"{m} has {mib(own.used)} MiB in use of {mib(own.quota)}" for m, own in full if own.stuck]


_PLANS: dict[str, Callable[[Sample, Asked, Compacted], list[Task]]] = {
    "compact": _compact,
    "defragment": _defragment,
    "disarm": _disarm,
    "move_leader": _move_leader,
    "auto": _auto,
}
ACTIONS = tuple(_PLANS)


def carry_out(plan: Plan, world: World, inspect: Callable[[], Sample]) -> Sample:
    """Do it, one step after another; inspect: a look that compares the members' data as well."""
    for step in plan.steps:
        _do(step, world, inspect)
    return world.sample(world.clock() + world.settings.wait)


def _do(step: Task, world: World, inspect: Callable[[], Sample]) -> None:
    deadline, called = world.clock() + world.settings.wait, False
    while True:
        sample = inspect() if step.compares else world.sample(deadline)
        world.last = sample
        if (called or not step.once) and sample.linearizable and step.done(sample):
            return
        gate = step.gate(sample)
        problem: Exception = refused(sample, [f"{step.words}: {reason}" for reason in gate.reasons])
        if gate.allowed and not (called and step.once):
            try:
                step.call(world)
            except (ApiError, UnreachableError) as exc:
                if step.once or not passing(exc):
                    raise
                problem = exc
            else:
                called = True
                continue
        if world.clock() >= deadline or not (gate.allowed or step.waits):
            raise problem
        world.sleep(PAUSE)


def outcome(plan: Plan, after: Sample | None = None) -> dict[str, Any]:
    """As etcd_maintenance returns it; after: what was seen at the end, None for what is predicted."""
    end = after or plan.after
    freed = sum(max(_size(plan.before, m.id) - _size(end, m.id), 0) for m in end.members) if plan.steps else 0
    return {
        "changed": bool(plan.steps),
        "steps": [step.words for step in plan.steps],
        "arithmetic": arithmetic(end.cluster),
        "aloud": list(plan.aloud),
        "freed": freed,
        "diff": {"before": _lines(plan.before), "after": _lines(end if plan.steps else plan.before)},
    }


def _size(sample: Sample, member: str) -> int:
    own = room(sample, member)
    return own.size if own else 0


def _lines(sample: Sample) -> str:
    lines = []
    for member in sample.members:
        own = room(sample, member.id)
        sizes = f"{own.size >> 10} KiB on disk, {own.used >> 10} KiB in use" if own else "does not answer"
        lines.append(", ".join([f"{member}: {sizes}", *(["leader"] if member.leader else []), *member.alarms]))
    lines += [f"removed member {identity}: {alarm}" for identity, alarm in sample.stray_alarms]
    return "".join(f"{line}\n" for line in lines)
