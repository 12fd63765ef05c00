# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of etcd's maintenance, as values: what each says, its gate, the call, and what is there after it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from . import etcd_changes as changes
from .errors import ApiError, UnreachableError
from .etcd_api import EtcdApi, number
from .etcd_findings import differences
from .etcd_health import Sample
from .etcd_world import NO_MAJORITY, World
from .quorum import LAG_LIMIT, Gate, Member, counted, quorum, restart_gate

NOSPACE, CORRUPT = "NOSPACE", "CORRUPT"
# Share of the quota at which an alarm is not taken back: it would be raised again at once.
HEADROOM = 0.9
# etcd's own, where a member does not say its quota (before 3.6).
DEFAULT_QUOTA = 2 << 30


@dataclass(frozen=True)
class Room:
    """A member's database in bytes: on disk, in use, allowed."""

    size: int
    used: int
    quota: int

    @property
    def full(self) -> bool:
        """Whether it is so near to its quota that writes stop, or would soon."""
        return self.size > HEADROOM * self.quota

    @property
    def stuck(self) -> bool:
        """Whether it would be full even without a free page."""
        return self.used > HEADROOM * self.quota


def room(sample: Sample, member: str) -> Room | None:
    """None for a member that does not answer."""
    probe = sample.probes.get(member)
    if probe is None or probe.status is None:
        return None
    size, used, quota = (number(probe.status.get(key)) for key in ("dbSize", "dbSizeInUse", "dbSizeQuota"))
    return Room(size, used, quota or DEFAULT_QUOTA)


def undamaged(sample: Sample) -> tuple[str, ...]:
    """Reasons against every change: nobody decides, or the members' data are not the same."""
    corrupt = [str(member) for member in sample.members if CORRUPT in member.alarms]
    checks = (
        (not sample.linearizable, NO_MAJORITY),
        (bool(corrupt), f"{', '.join(corrupt)} raises the alarm {CORRUPT}"),
        *((True, f"{item.member} {item.found}".strip()) for item in differences(sample.cluster, sample.hashes)),
    )
    return tuple(text for wrong, text in checks if wrong)


@dataclass(frozen=True)
class Task:
    """One step. compares: its gate wants the members' hashes. once: it is not called a second time.

    waits: a no of its gate may become a yes when the members have settled.
    """

    compares = False
    once = False
    waits = True

    @property
    def words(self) -> str:
        """What a person reads. The same in check mode and in a run."""
        raise NotImplementedError

    def gate(self, sample: Sample) -> Gate:
        """May it be done now?"""
        raise NotImplementedError

    def call(self, world: World) -> None:
        """Do it; `world.last` is the sample that the gate saw."""
        raise NotImplementedError

    def done(self, sample: Sample) -> bool:
        """Whether it is seen to be done. Of a step that is called once: whether all is well again after it."""
        return sample.linearizable

    def after(self, sample: Sample) -> Sample:
        """What is there when it is done, as far as it can be told before."""
        return sample


def compact(api: EtcdApi, to: int, seconds: float) -> None:
    """Compact, or wait until this member has freed the pages of a compaction to that revision, or a later one."""
    try:
        api.compact(to, seconds)
    except ApiError as exc:
        if "has been compacted" not in exc.found:
            raise


def finish_compaction(world: World, to: int, members: Iterable[str]) -> None:
    """Wait until each of these has done a compaction that was made already. It counts its pages anew then."""
    for member in members:
        probe = world.last.probes[member]
        # Who cannot be waited for, as a learner, is judged by the gates of the steps that follow.
        with contextlib.suppress(ApiError, UnreachableError):
            if probe.reads:
                compact(world.connect(probe.endpoint), to, world.settings.wait)


@dataclass(frozen=True)
class Compact(Task):
    """What was overwritten or deleted before a revision is forgotten, on all members."""

    revision: int
    once = True

    @property
    def words(self) -> str:
        return f"compact to revision {self.revision}"

    def gate(self, sample: Sample) -> Gate:
        cluster = sample.forgiving(NOSPACE)
        lost = f"the quorum is lost ({counted(cluster.healthy(), len(cluster.voters))})"
        return Gate((*undamaged(sample), *(() if cluster.has_quorum else (lost,))))

    def call(self, world: World) -> None:
        world.through(lambda api: compact(api, self.revision, world.settings.wait))
        # The others free their pages by themselves, a little later. A defragmentation before that would free nothing.
        finish_compaction(world, self.revision, world.last.probes)


@dataclass(frozen=True)
class Defragment(Task):
    """A member gives its free pages back to its disk. mending: because the alarm NOSPACE is raised.

    Then nothing is written anyway: neither a dead member nor a learner stands in the way, and a wanted gap is allowed
    in a cluster of any size. Otherwise all members must be healthy.
    """

    member: Member
    mending: bool = False
    allow_downtime: bool = False
    once = True

    @property
    def words(self) -> str:
        return f"defragment {self.member}"

    def gate(self, sample: Sample) -> Gate:
        if self.mending:
            return self._mending(sample)
        gate = restart_gate(sample.cluster, self.member.id, allow_downtime=self.allow_downtime)
        down = ", ".join(str(member) for member in sample.members if not member.healthy)
        return Gate((*undamaged(sample), *gate.reasons, *((f"not healthy: {down}",) if down else ())), gate.aloud)

    def _mending(self, sample: Sample) -> Gate:
        cluster = sample.forgiving(NOSPACE)
        own = cluster.find(self.member.id)
        if own is None or not own.healthy:
            return Gate((*undamaged(sample), f"{self.member} is not healthy"))
        voters, left = len(cluster.voters), cluster.healthy(without=own.id)
        gap = not own.learner and left < quorum(voters)
        text = f"without {own}: {counted(left, voters)}"
        refused = (f"{text}; nothing is written now anyway: allow_downtime allows it",)
        return Gate(
            (
                *undamaged(sample),
                *(refused if gap and not self.allow_downtime else ()),
                *((f"{own} is the leader: move the leadership first",) if own.leader and voters > 1 else ()),
            ),
            (f"no quorum while {own} is defragmented ({counted(left, voters)})",) if gap else (),
        )

    def call(self, world: World) -> None:
        world.connect(world.last.probes[self.member.id].endpoint).defragment(world.settings.wait)

    def done(self, sample: Sample) -> bool:
        now = (sample.forgiving(NOSPACE) if self.mending else sample.cluster).find(self.member.id)
        return now is not None and now.healthy

    def after(self, sample: Sample) -> Sample:
        probe = sample.probes[self.member.id]
        status = dict(probe.status or {})
        status["dbSize"] = status.get("dbSizeInUse", 0)
        return replace(sample, probes={**sample.probes, self.member.id: replace(probe, status=status)})


@dataclass(frozen=True)
class Lead(Task):
    """Another voter becomes the leader."""

    member: Member
    to: Member

    @property
    def words(self) -> str:
        return f"move the leadership from {self.member} to {self.to}"

    def gate(self, sample: Sample) -> Gate:
        cluster = sample.forgiving(NOSPACE)
        heir, lag = cluster.find(self.to.id), sample.lag(self.to.id)
        checks = (
            (heir is None or not heir.healthy, f"{self.to} is not healthy"),
            (heir is not None and heir.learner, f"{self.to} is a learner, it does not vote"),
            (lag is not None and lag > LAG_LIMIT, f"{self.to} lags {lag} entries behind"),
        )
        return Gate((*undamaged(sample), *(text for wrong, text in checks if wrong)))

    def call(self, world: World) -> None:
        # The leader itself is asked: no other member can do it.
        leader = next((member.id for member in world.last.members if member.leader), self.member.id)
        changes.move_leader(world.connect(world.last.probes[leader].endpoint), self.to.id)

    def done(self, sample: Sample) -> bool:
        now = sample.cluster.find(self.to.id)
        return now is not None and now.leader

    def after(self, sample: Sample) -> Sample:
        return replace(sample, members=tuple(replace(m, leader=m.id == self.to.id) for m in sample.members))


@dataclass(frozen=True)
class Disarm(Task):
    """An alarm is taken back, when its cause is gone. member: None for one that is no member any more."""

    identity: str
    alarm: str
    member: Member | None = None
    compares = True
    waits = False

    @property
    def words(self) -> str:
        return f"disarm {self.alarm} of {self.member or f'the removed member {self.identity}'}"

    def gate(self, sample: Sample) -> Gate:
        reasons = [] if sample.linearizable else [NO_MAJORITY]
        if self.alarm == CORRUPT:
            reasons += [f"{item.member} {item.found}".strip() for item in differences(sample.cluster, sample.hashes)]
            unknown = [str(m) for m in sample.cluster.voters if m.id not in sample.hashes.by_member]
            reasons += [f"whether {', '.join(unknown)} holds the same data is not known"] if unknown else []
        else:
            reasons += _no_room(sample, self.member)
        return Gate(tuple(reasons))

    def call(self, world: World) -> None:
        world.through(lambda api: api.disarm(self.identity, self.alarm))

    def done(self, sample: Sample) -> bool:
        return (self.identity, self.alarm) not in alarms(sample)

    def after(self, sample: Sample) -> Sample:
        members = tuple(
            replace(m, alarms=tuple(a for a in m.alarms if a != self.alarm)) if m.id == self.identity else m
            for m in sample.members
        )
        stray = tuple(pair for pair in sample.stray_alarms if pair != (self.identity, self.alarm))
        return replace(sample, members=members, stray_alarms=stray)


def alarms(sample: Sample) -> list[tuple[str, str]]:
    """(member ID, alarm), those of members that were removed as well: they stop writes all the same."""
    return [(member.id, alarm) for member in sample.members for alarm in member.alarms] + list(sample.stray_alarms)


def _no_room(sample: Sample, raised_by: Member | None) -> list[str]:
    found = []
    for member in sample.members:
        own = room(sample, member.id)
        if own is None and raised_by is not None and member.id == raised_by.id:
            found.append(f"{member} does not answer: whether it has room is not known")
        elif own is not None and own.full:
            found.append(
                f"{member} has {mib(own.size)} of {mib(own.quota)} MiB on disk ({mib(own.used)} in use), "
                f"{HEADROOM:.0%} are allowed"
            )
    return found


def mib(size: int) -> str:
    """As it is told."""
    return f"{size / (1 << 20):.1f}"
