# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an etcd cluster looks like right now: members, who is healthy, what is odd about it.

A voter is healthy when it answers a linearizable read, raises no alarm, lags little behind and, where hashes were
asked for, holds what the majority holds. What cannot be asked is unknown, and unknown counts as unhealthy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .etcd_api import Answer, member_id, number
from .etcd_findings import Finding, findings, stray
from .etcd_hashes import Hashes, take
from .etcd_probe import Connect, Probe, alarms, empty, member_list, probe_all, reading
from .quorum import LAG_LIMIT, Cluster, Member, quorum, tolerance


@dataclass(frozen=True)
class Sample:
    """One look at the cluster. `sound`: IDs of members that are healthy, or would be if they raised no alarm.

    `newest` is the newest raft entry that any member knows; `empty` is None when it is not known; `stray_alarms` are
    of members that were removed: they stop writes all the same.
    """

    members: tuple[Member, ...]
    probes: dict[str, Probe]
    cluster_id: str = ""
    linearizable: bool = True
    silent: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = field(default=())
    newest: int = 0
    hashes: Hashes = field(default_factory=Hashes)
    empty: bool | None = None
    sound: frozenset[str] = frozenset()
    stray_alarms: tuple[tuple[str, str], ...] = ()

    @property
    def cluster(self) -> Cluster:
        """What the quorum gates take."""
        return Cluster(self.members)

    def forgiving(self, alarm: str) -> Cluster:
        """The cluster as it would be without this alarm: what mends its cause has to work while it is raised."""
        kept = {member.id: tuple(name for name in member.alarms if name != alarm) for member in self.members}
        return Cluster(tuple(replace(m, alarms=kept[m.id], healthy=m.id in self.sound and not kept[m.id])
                             for m in self.members))  # fmt: skip

    def lag(self, identity: str) -> int | None:
        """How many raft entries a member lags behind the newest, None when it is not known."""
        return self.probes[identity].lag(self.newest)

    def result(self) -> dict[str, Any]:
        """As it is returned by etcd_info."""
        cluster = self.cluster
        voters = len(cluster.voters)
        return {
            "cluster_id": self.cluster_id,
            "members": [self._member(member) for member in self.members],
            "leader": next((member.id for member in self.members if member.leader), None),
            "voters": voters,
            "healthy_voters": cluster.healthy(),
            "quorum": quorum(voters),
            "tolerance": tolerance(voters),
            "linearizable": self.linearizable,
            "hash_revision": self.hashes.revision or None,
            "empty": self.empty,
            "silent_endpoints": list(self.silent),
            "findings": [finding.result() for finding in self.findings],
        }

    def _member(self, member: Member) -> dict[str, Any]:
        probe = self.probes[member.id]
        differs = "holds other data than other members" if member.id in self.hashes.differing else ""
        return {
            "id": member.id,
            "name": member.name,
            "peer_urls": list(member.peer_urls),
            "client_urls": list(member.client_urls),
            "learner": member.learner,
            "started": member.started,
            "healthy": member.healthy,
            "leader": member.leader,
            "version": member.version or None,
            "db_size": probe.number("dbSize"),
            "db_size_in_use": probe.number("dbSizeInUse"),
            "db_quota": probe.number("dbSizeQuota") or None,
            "raft_index": probe.number("raftIndex"),
            "raft_applied_index": probe.number("raftAppliedIndex"),
            "raft_lag": probe.lag(self.newest),
            "hash": self.hashes.by_member.get(member.id),
            "alarms": list(member.alarms),
            "error": probe.error or differs,
        }


def observe(endpoints: Sequence[str], connect: Connect, *, hashes: bool = False) -> Sample:
    """Look at the cluster through whichever endpoint answers; every member is asked itself, all at once.

    hashes: whether the members' data are compared as well. Each reads all of its keys for that, so this is for those
    who ask about the data, not for a look in every run.
    """
    listed = member_list(endpoints, connect)
    probes = probe_all(listed.answer, connect)
    apis = reading(probes, connect)
    silent = dict.fromkeys((*listed.silent, *(url for probe in probes.values() for url in probe.silent)))
    return judge(
        listed.answer,
        probes,
        alarms(apis.values()),
        linearizable=listed.linearizable,
        silent=tuple(silent),
        hashes=take(apis) if hashes else None,
        registry_empty=empty(apis.values()),
    )


def judge(
    answer: Answer,
    probes: dict[str, Probe],
    raised: Sequence[tuple[str, str]] | None,
    *,
    linearizable: bool = True,
    silent: Sequence[str] = (),
    hashes: Hashes | None = None,
    registry_empty: bool | None = None,
) -> Sample:
    """What was answered, put together; `raised`, the alarms, is None when nobody could say. Pure."""
    hashes = hashes or Hashes()
    newest = max((probe.number("raftIndex") or 0 for probe in probes.values()), default=0)
    leader = _leader(probes)
    members, known, sound = [], {}, set()
    for raw in answer.get("members") or []:
        identity = member_id(raw.get("ID"))
        probe = known[identity] = probes.get(identity, Probe(error="was not asked"))
        own = tuple(sorted({alarm for owner, alarm in raised or () if owner == identity and alarm != "NONE"}))
        lag = probe.lag(newest)
        if probe.reads and raised is not None and lag is not None and lag <= LAG_LIMIT:
            sound |= {identity} - hashes.differing
        members.append(
            Member(
                id=identity,
                name=str(raw.get("name", "")),
                peer_urls=tuple(raw.get("peerURLs") or ()),
                client_urls=tuple(raw.get("clientURLs") or ()),
                learner=bool(raw.get("isLearner")),
                healthy=identity in sound and not own,
                leader=identity == leader,
                version=str((probe.status or {}).get("version", "")),
                alarms=own,
            )
        )
    members.sort(key=lambda member: (member.name, member.id))
    strays = tuple(sorted({(owner, name) for owner, name in raised or () if owner not in known and name != "NONE"}))
    return Sample(
        tuple(members),
        known,
        member_id((answer.get("header") or {}).get("cluster_id")),
        linearizable,
        tuple(silent),
        findings(Cluster(tuple(members)), known, newest, hashes) + stray(strays),
        newest,
        hashes,
        registry_empty,
        frozenset(sound),
        strays,
    )


def _leader(probes: dict[str, Probe]) -> str:
    """The leader that the newest term names; a member that was cut off may still believe in an older one."""
    seen = [(number(p.status.get("raftTerm")), member_id(p.status.get("leader"))) for p in probes.values() if p.status]
    return max((item for item in seen if item[1] != "0"), default=(0, ""))[1]
