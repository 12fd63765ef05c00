# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an etcd cluster looks like right now: members, who is healthy, what is odd about it.

A voter is healthy when it answers a linearizable read, raises no alarm and lags little behind. What cannot be asked
is unknown, and unknown counts as unhealthy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from .errors import ApiError, KubeadmError, UnreachableError
from .etcd_api import Answer, EtcdApi, member_id, number
from .quorum import LAG_LIMIT, Cluster, Member, quorum, tolerance

Connect = Callable[[str], EtcdApi]
# Share of the database quota that is worth a word: at the quota etcd raises NOSPACE and stops writing.
QUOTA_WARNING = 0.8


@dataclass(frozen=True)
class Probe:
    """What one member answered. `status` is None when it did not; `error` is "" when it answered everything."""

    endpoint: str = ""
    status: Answer | None = None
    reads: bool = False
    error: str = ""


@dataclass(frozen=True)
class Finding:
    """Something a person should know about the cluster."""

    level: str
    member: str
    found: str
    next_step: str

    def result(self) -> dict[str, str]:
        """As it is returned by modules."""
        return {"level": self.level, "member": self.member, "found": self.found, "next_step": self.next_step}


@dataclass(frozen=True)
class Sample:
    """One look at the cluster."""

    members: tuple[Member, ...]
    probes: dict[str, Probe]
    cluster_id: str = ""
    linearizable: bool = True
    silent: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = field(default=())

    @property
    def cluster(self) -> Cluster:
        """What the quorum gates take."""
        return Cluster(self.members)

    def result(self) -> dict[str, Any]:
        """As it is returned by etcd_info."""
        cluster = self.cluster
        voters = len(cluster.voters)
        return {
            "cluster_id": self.cluster_id,
            "members": [_member_result(member, self.probes[member.id]) for member in self.members],
            "leader": next((member.id for member in self.members if member.leader), None),
            "voters": voters,
            "healthy_voters": cluster.healthy(),
            "quorum": quorum(voters),
            "tolerance": tolerance(voters),
            "linearizable": self.linearizable,
            "silent_endpoints": list(self.silent),
            "findings": [finding.result() for finding in self.findings],
        }


def observe(endpoints: Sequence[str], connect: Connect) -> Sample:
    """Look at the cluster through whichever endpoint answers; every member is asked itself, all at once."""
    answer, linearizable, silent = _member_list(endpoints, connect)
    listed = sorted(answer.get("members") or [], key=lambda raw: (str(raw.get("name", "")), number(raw.get("ID"))))
    with ThreadPoolExecutor(max_workers=max(len(listed), 1)) as pool:
        answers = pool.map(lambda raw: _probe(raw, connect), listed)
        probes = {member_id(raw.get("ID")): probe for raw, probe in zip(listed, answers)}
    living = [probe.endpoint for probe in probes.values() if probe.status is not None]
    return judge(answer, probes, _alarms(living, connect), linearizable=linearizable, silent=silent)


def judge(
    answer: Answer,
    probes: dict[str, Probe],
    alarms: Sequence[tuple[str, str]] | None,
    *,
    linearizable: bool = True,
    silent: Sequence[str] = (),
) -> Sample:
    """What was answered, put together; `alarms` is None when nobody could say. Pure."""
    newest = max((number(probe.status.get("raftIndex")) for probe in probes.values() if probe.status), default=0)
    leader = _leader(probes)
    members = []
    for raw in answer.get("members") or []:
        identity = member_id(raw.get("ID"))
        probe = probes.get(identity, Probe(error="was not asked"))
        status = probe.status or {}
        raised = tuple(sorted({alarm for owner, alarm in alarms or () if owner == identity and alarm != "NONE"}))
        lag = newest - number(status.get("raftAppliedIndex"))
        members.append(
            Member(
                id=identity,
                name=str(raw.get("name", "")),
                peer_urls=tuple(raw.get("peerURLs") or ()),
                client_urls=tuple(raw.get("clientURLs") or ()),
                learner=bool(raw.get("isLearner")),
                healthy=probe.reads and alarms is not None and not raised and lag <= LAG_LIMIT,
                leader=identity == leader,
                version=str(status.get("version", "")),
                alarms=raised,
            )
        )
    members.sort(key=lambda member: (member.name, member.id))
    known = {member.id: probes.get(member.id, Probe(error="was not asked")) for member in members}
    cluster_id = member_id((answer.get("header") or {}).get("cluster_id"))
    sample = Sample(tuple(members), known, cluster_id, linearizable, tuple(silent))
    return Sample(sample.members, known, cluster_id, linearizable, sample.silent, tuple(_findings(sample, newest)))


def _member_list(endpoints: Sequence[str], connect: Connect) -> tuple[Answer, bool, list[str]]:
    """The first endpoint that a majority stands behind; without a majority, what any living one believes."""
    errors: dict[str, KubeadmError] = {}
    for endpoint in endpoints:
        try:
            return connect(endpoint).members(), True, _silent(errors)
        except (ApiError, UnreachableError) as exc:
            errors[endpoint] = exc
    believed: Answer | None = None
    for endpoint in endpoints:
        try:
            answer = connect(endpoint).members(linearizable=False)
        except (ApiError, UnreachableError) as exc:
            errors[endpoint] = exc
        else:
            errors.pop(endpoint, None)
            believed = believed or answer
    if believed is not None:
        return believed, False, _silent(errors)
    raise UnreachableError(
        "No etcd endpoint answers",
        where=", ".join(endpoints),
        found="; ".join(f"{where}: {exc.found}" for where, exc in errors.items()),
        next_step="Look at the etcd members' logs; when most members are gone for good, only a restore helps",
    )


def _silent(errors: dict[str, KubeadmError]) -> list[str]:
    return [endpoint for endpoint, exc in errors.items() if isinstance(exc, UnreachableError)]


def _probe(raw: Answer, connect: Connect) -> Probe:
    error = "never started: it has no client URL"
    for url in raw.get("clientURLs") or []:
        api = connect(url)
        try:
            status = api.status()
        except (ApiError, UnreachableError) as exc:
            error = exc.found or exc.what
            continue
        try:
            # A learner does not serve linearizable reads.
            api.read(linearizable=not raw.get("isLearner"))
        except (ApiError, UnreachableError) as exc:
            return Probe(url, status, error=exc.found or exc.what)
        return Probe(url, status, reads=True)
    return Probe(error=error)


def _alarms(living: Sequence[str], connect: Connect) -> list[tuple[str, str]] | None:
    for endpoint in living:
        try:
            return connect(endpoint).alarms()
        except (ApiError, UnreachableError):
            continue
    return None


def _leader(probes: dict[str, Probe]) -> str:
    """The leader that the newest term names; a member that was cut off may still believe in an older one."""
    seen = [(number(p.status.get("raftTerm")), member_id(p.status.get("leader"))) for p in probes.values() if p.status]
    return max((item for item in seen if item[1] != "0"), default=(0, ""))[1]


def _member_result(member: Member, probe: Probe) -> dict[str, Any]:
    status = probe.status or {}
    known = probe.status is not None
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
        "db_size": number(status.get("dbSize")) if known else None,
        "db_size_in_use": number(status.get("dbSizeInUse")) if known else None,
        "db_quota": number(status.get("dbSizeQuota")) or None,
        "raft_index": number(status.get("raftIndex")) if known else None,
        "raft_applied_index": number(status.get("raftAppliedIndex")) if known else None,
        "alarms": list(member.alarms),
        "error": probe.error,
    }


def _findings(sample: Sample, newest: int) -> list[Finding]:
    cluster = sample.cluster
    found = [finding for member in sample.members for finding in _about(member, sample.probes[member.id], newest)]
    if not cluster.has_quorum:
        healthy, voters = cluster.healthy(), len(cluster.voters)
        text = f"the quorum is lost: {healthy} of {voters} voters are healthy, {quorum(voters)} are needed"
        found.insert(0, Finding("fatal", "", text, "Start the missing members, or run recover_quorum"))
    versions = sorted({member.version for member in sample.members if member.version})
    if len(versions) > 1:
        found.append(Finding("warning", "", f"different versions: {', '.join(versions)}", "Finish the upgrade"))
    return found


def _about(member: Member, probe: Probe, newest: int) -> list[Finding]:
    who, status = str(member), probe.status or {}
    lag = newest - number(status.get("raftAppliedIndex")) if status else 0
    size, quota = number(status.get("dbSize")), number(status.get("dbSizeQuota"))
    checks = (
        (not member.started, "fatal", "never started", "Start etcd there, or run site again"),
        (member.started and bool(probe.error), "fatal", probe.error, "Look at the etcd of that host"),
        *((True, "fatal", f"raises the alarm {name}", _ALARMS.get(name, "See etcd's log")) for name in member.alarms),
        (lag > LAG_LIMIT, "fatal", f"lags {lag} entries behind", "Wait, then look at its disk and network"),
        (member.learner and member.started, "warning", "is a learner, it does not vote", "Wait for its promotion"),
        (bool(quota) and size > quota * QUOTA_WARNING, "warning",
         f"uses {size >> 20} MiB of {quota >> 20} MiB", "Compact and defragment, or raise the quota"),
    )  # fmt: skip
    return [Finding(level, who, text, step) for wrong, level, text, step in checks if wrong]


_ALARMS = {
    "NOSPACE": "Compact, defragment one member at a time, then disarm the alarm",
    "CORRUPT": "Change nothing; compare the members' hashes and replace the one that differs",
}
