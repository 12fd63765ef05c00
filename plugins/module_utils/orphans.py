# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which members an interrupted join has left behind, and which belong to a join that is running.

Pure. While a join of ours runs it holds a claim in etcd, bound to a lease that it keeps alive; beside the claim stands
a record without a lease that names the member. A record without a claim therefore proves that nobody has cared for
that member for the length of a lease. A member without a record is watched first: whoever sweeps writes both.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from .quorum import Cluster, Member

# What a claim says of its holder: a join that runs, a sweep that removes, or a sweep that watches.
JOIN, SWEEP, SEEN = "join", "sweep", "seen"


@dataclass(frozen=True)
class Trace:
    """What is known about a member that never started. answers: its peer URL accepts a connection.

    claim: the kind of its claim, "" without one. cared: whoever holds it kept it alive while we looked.
    recorded: the ID that its record names. name: of the host, where a claim or a record tells it.
    """

    answers: bool = False
    claim: str = ""
    cared: bool = False
    recorded: str = ""
    name: str = ""


@dataclass(frozen=True)
class Verdict:
    """keep: it must stay, and `reason` says why. watch: not proven yet. Otherwise it is an orphan."""

    reason: str
    keep: bool = False
    watch: bool = False

    @property
    def orphan(self) -> bool:
        """Whether it may be removed, as far as this goes: the gate is asked as well."""
        return not (self.keep or self.watch)


def suspects(cluster: Cluster) -> tuple[Member, ...]:
    """Members that could be orphans: those that never started."""
    return cluster.unstarted


def verdict(cluster: Cluster, member: Member, trace: Trace, joining: Collection[str] = ()) -> Verdict:
    """joining: hosts on which a join is known to run, by name, address or peer URL."""
    judged = (
        (member.started, Verdict("it has started: finish it by state promoted, or end it by state absent", keep=True)),
        (trace.answers, Verdict("its peer URL answers, so it is about to start", keep=True)),
        (_is_joining(cluster, member, trace, joining), Verdict("a join runs on its host", keep=True)),
        (bool(trace.claim) and trace.cared, Verdict("its join is running: its claim is kept alive", keep=True)),
        (bool(trace.claim), Verdict("somebody claims it: not known yet whether that somebody lives", watch=True)),
        (trace.recorded != member.id, Verdict("nobody has watched it yet", watch=True)),
    )
    abandoned = Verdict("it never started, its peer URL is dead and for the length of a lease nobody claimed it")
    return next((answer for holds, answer in judged if holds), abandoned)


def _is_joining(cluster: Cluster, member: Member, trace: Trace, joining: Collection[str]) -> bool:
    known = {trace.name, *member.peer_urls, *(urlsplit(url).hostname or "" for url in member.peer_urls)} - {""}
    if known & set(joining):
        return True
    # etcd does not know the name of a member that never started: a stranger among those who join may be this one.
    strangers = set(joining) - {name for m in cluster.members for name in _known_as(m)}
    return bool(strangers) and not trace.name


def _known_as(member: Member) -> Sequence[str]:
    return (member.name, *member.peer_urls, *(urlsplit(url).hostname or "" for url in member.peer_urls))
