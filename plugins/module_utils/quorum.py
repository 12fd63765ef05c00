# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quorum arithmetic: what may be restarted, removed, added or promoted without losing the cluster.

Pure. Every gate simulates the quorum AFTER the step against the members that are healthy NOW, and unknown counts
as unhealthy. A gate's answer is a value: the reasons against the step (none = allowed) and what to say aloud.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .errors import InputError

# Entries that a member may lag behind the leader and still count as caught up. etcd itself would promote a learner
# at 90 % of the leader's log index, which is far behind when the index is large.
LAG_LIMIT = 5000
# etcd restores its own strict reconfiguration check only after 5 s of connectivity.
SAMPLE_SPACING = 5.0
# Below these a defragmentation, which stops the member for its time, is not worth it.
FRAGMENTED = 0.3
LARGE = 100 << 20


def quorum(voters: int) -> int:
    """How many voters must agree."""
    return voters // 2 + 1


def tolerance(voters: int) -> int:
    """How many voters may be lost before nothing can be written any more."""
    return max(voters - quorum(voters), 0)


@dataclass(frozen=True)
class Member:
    """One etcd member. `id` is hexadecimal, as etcdctl prints it. `healthy` is False when it is not known."""

    id: str
    name: str = ""
    peer_urls: tuple[str, ...] = ()
    client_urls: tuple[str, ...] = ()
    learner: bool = False
    healthy: bool = False
    leader: bool = False
    version: str = ""
    alarms: tuple[str, ...] = ()

    @property
    def started(self) -> bool:
        """etcd learns a member's name from the member itself, when it starts for the first time."""
        return bool(self.name)

    def __str__(self) -> str:
        return f'"{self.name}"' if self.name else f"{self.id} ({', '.join(self.peer_urls) or 'no peer URL'})"


@dataclass(frozen=True)
class Gate:
    """A gate's answer. `aloud` is what a person has to be told even when the step is allowed."""

    reasons: tuple[str, ...] = ()
    aloud: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """True when nothing speaks against the step."""
        return not self.reasons


@dataclass(frozen=True)
class Cluster:
    """The members, as one sample saw them."""

    members: tuple[Member, ...]

    @property
    def voters(self) -> tuple[Member, ...]:
        """Members that vote (a member that never started votes as well)."""
        return tuple(m for m in self.members if not m.learner)

    @property
    def learners(self) -> tuple[Member, ...]:
        """Members that only copy the log."""
        return tuple(m for m in self.members if m.learner)

    @property
    def unstarted(self) -> tuple[Member, ...]:
        """Members that were added and never started."""
        return tuple(m for m in self.members if not m.started)

    @property
    def has_quorum(self) -> bool:
        """Whether the healthy voters can still decide something."""
        return self.healthy() >= quorum(len(self.voters))

    def healthy(self, without: str = "") -> int:
        """The number of healthy voters, not counting the member with this ID."""
        return sum(1 for m in self.voters if m.healthy and m.id != without)

    def without_leader(self) -> Cluster:
        """The same members when nobody leads: for a step before which the leadership is moved."""
        return Cluster(tuple(replace(member, leader=False) for member in self.members))

    def find(self, member_id: str) -> Member | None:
        """The member with this ID: a name alone does not identify a member."""
        return next((m for m in self.members if m.id == member_id), None)

    def named(self, name: str) -> Member:
        """The only member with this name, as a person gave it."""
        found = [m for m in self.members if m.name == name]
        if len(found) != 1:
            raise InputError(
                f'no single etcd member is named "{name}"',
                where="etcd",
                found=f"members {', '.join(str(m) for m in self.members)}",
                next_step="give the name of one of them",
            )
        return found[0]


def _reasons(*checks: tuple[bool, str]) -> tuple[str, ...]:
    return tuple(text for wrong, text in checks if wrong)


def counted(healthy: int, voters: int) -> str:
    """The numbers behind a gate's answer."""
    return f"{healthy} of {voters} voters healthy, quorum {quorum(voters)}"


def _unknown(member_id: str) -> Gate:
    return Gate((f"no member has the ID {member_id}",))


def restart_gate(
    cluster: Cluster, member_id: str, *, allow_downtime: bool = False, restarting: Iterable[str] = ()
) -> Gate:
    """May this member be restarted, whatever the cause?

    `restarting` are the IDs of the members that are being restarted now. One or two voters cannot be restarted without
    a gap: `allow_downtime` says that the gap is wanted.
    """
    member = cluster.find(member_id)
    if member is None:
        return _unknown(member_id)
    voters, left = len(cluster.voters), cluster.healthy(without=member_id)
    gap = left < quorum(voters)
    waived = gap and allow_downtime and voters <= 2
    others = sorted(set(restarting) - {member_id})
    return Gate(
        _reasons(
            (gap and not waived, f"without {member}: {counted(left, voters)}"),
            (bool(cluster.learners), f"a learner is joining: {_names(cluster.learners)}"),
            (bool(cluster.unstarted), f"a member was added and never started: {_names(cluster.unstarted)}"),
            (member.leader and voters > 1, f"{member} is the leader: move the leadership first"),
            (bool(others), f"another member is being restarted: {', '.join(others)}"),
        ),
        (f"no quorum while {member} restarts ({counted(left, voters)})",) if waived else (),
    )


def remove_gate(cluster: Cluster, member_id: str) -> Gate:
    """May this member be removed? Before anything is removed, two samples must agree: see `agree`."""
    member = cluster.find(member_id)
    if member is None:
        return _unknown(member_id)
    voters, now, left = len(cluster.voters), cluster.healthy(), cluster.healthy(without=member_id)
    votes = not member.learner
    after = voters - 1 if votes else voters
    return Gate(
        _reasons(
            (not cluster.has_quorum, f"the quorum is lost already ({counted(now, voters)}): only a restore helps"),
            (votes and voters <= 1, f"{member} is the only voter"),
            (votes and left < quorum(after), f"after the removal of {member}: {counted(left, after)}"),
            (member.leader, f"{member} is the leader: move the leadership first"),
        ),
        _reasons(
            (votes and member.healthy, f"{member} is healthy"),
            (votes and left <= quorum(after),
             f"after the removal of {member}: {counted(left, after)}; none may fail until one is added or mended"),
        ),
    )  # fmt: skip


def add_learner_gate(cluster: Cluster, name: str, peer_urls: Sequence[str], *, resumes: bool = False) -> Gate:
    """May a learner with this name and these peer URLs be added?

    resumes: a join that was interrupted goes on, on a host that has its etcd data. Its own member, by the very name and
    peer URLs, may be there already then.
    """
    now, voters = cluster.healthy(), len(cluster.voters)
    own = {m.id for m in cluster.members if resumes and m.name in ("", name) and set(m.peer_urls) == set(peer_urls)}
    others = Cluster(tuple(m for m in cluster.members if m.id not in own))
    down = tuple(m for m in others.voters if not m.healthy)
    old = sorted({m.version for m in cluster.members if m.version and not adds_while_one_is_down(m.version)})
    return Gate(
        _reasons(
            (not cluster.has_quorum, f"the quorum is lost ({counted(now, voters)})"),
            (bool(others.learners), f"another learner is joining: {_names(others.learners)}"),
            (bool(others.unstarted), f"a member was added and never started: {_names(others.unstarted)}"),
            *((True, f"{m} raises the alarm {', '.join(m.alarms)}") for m in cluster.members if m.alarms),
            *((True, f"{m} has that name already") for m in others.members if name and m.name == name),
            *((True, f"{m} has that peer URL already") for m in others.members if set(peer_urls) & set(m.peer_urls)),
            (bool(down) and not own and cluster.has_quorum and now < quorum(voters + 1),
             f"{_names(down)} is down, and etcd refuses where {counted(now, voters + 1)} would be the outcome: "
             "remove the dead member first"),
            (bool(down and old), f"{_names(down)} is down and etcd {', '.join(old)} cannot add a member meanwhile: "
                                 "remove the dead member first"),
        )
    )  # fmt: skip


def promote_gate(cluster: Cluster, member_id: str, lags: Sequence[int]) -> Gate:
    """May this learner be made a voter? `lags` are the entries it lagged behind, one number for each sample."""
    member = cluster.find(member_id)
    if member is None:
        return _unknown(member_id)
    voters, now = len(cluster.voters), cluster.healthy()
    return Gate(
        _reasons(
            (not member.learner, f"{member} is a voter already"),
            (not member.started, f"{member} never started"),
            (not cluster.has_quorum, f"the quorum is lost ({counted(now, voters)})"),
            (voters != 1 and now < quorum(voters + 1),
             f"if {member} failed right after: {counted(now, voters + 1)}"),
            (len(lags) < 2, f"the lag of {member} is not known from two samples"),
            (any(lag > LAG_LIMIT for lag in lags),
             f"{member} lags {max(lags, default=0)} entries behind, {LAG_LIMIT} are allowed"),
        )
    )  # fmt: skip


def defragment_gate(
    cluster: Cluster, member_id: str, sizes: Mapping[str, tuple[int, int]], *, allow_downtime: bool = False
) -> Gate:
    """May this member be defragmented, which stops it meanwhile? `sizes`: bytes on disk and in use, by member ID."""
    restart = restart_gate(cluster, member_id, allow_downtime=allow_downtime)
    member = cluster.find(member_id)
    if member is None:
        return restart
    size, used = sizes.get(member_id, (0, 0))
    down = [m for m in cluster.members if not m.healthy]
    before = [m for m in cluster.voters if m.id != member_id and _fragmented(*sizes.get(m.id, (0, 0)))]
    text = f"{used >> 20} MiB of {size >> 20} MiB are in use in {member}"
    return Gate(
        restart.reasons + _reasons(
            (bool(down), f"not healthy: {_names(down)}"),
            (not _fragmented(size, used), f"{text}: it gains less than {FRAGMENTED:.0%} or is under {LARGE >> 20} MiB"),
            (member.leader and bool(before), f"{member} is the leader, which comes last: first {_names(before)}"),
        ),
        restart.aloud,
    )  # fmt: skip


def _fragmented(size: int, used: int) -> bool:
    return size >= LARGE and size - used >= FRAGMENTED * size


def agree(first: Cluster, second: Cluster, seconds: float, needed: float = SAMPLE_SPACING) -> Gate:
    """Do two samples that are `seconds` apart say the same about every member?"""
    state = {m.id: m for m in first.members}
    changed = [m for m in second.members if not _same(state.pop(m.id, None), m)]
    return Gate(
        _reasons(
            (seconds < needed, f"the samples are {seconds:.1f} s apart, {needed:g} s are needed"),
            (bool(changed), f"changed between two samples: {_names(changed)}"),
            (bool(state), f"gone between two samples: {_names(list(state.values()))}"),
        )
    )


def adds_while_one_is_down(version: str) -> bool:
    """Whether this etcd can add a member while another one is down (3.5.30, 3.6.11 and newer)."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if not found:
        return False
    major, minor, patch = (int(part) for part in found.groups())
    return (major, minor) > (3, 6) or ((major, minor) == (3, 6) and patch >= 11) or (
        (major, minor) == (3, 5) and patch >= 30
    )  # fmt: skip


def _same(one: Member | None, other: Member) -> bool:
    return one is not None and (one.peer_urls, one.learner, one.healthy, one.leader, one.started) == (
        other.peer_urls, other.learner, other.healthy, other.leader, other.started,
    )  # fmt: skip


def _names(members: Iterable[Member]) -> str:
    return ", ".join(str(member) for member in members)
