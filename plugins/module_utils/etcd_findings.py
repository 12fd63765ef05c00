# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person should know about an etcd cluster, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .etcd_hashes import Hashes
from .etcd_probe import Probe
from .quorum import LAG_LIMIT, Cluster, Member, quorum

# Share of the database quota that is worth a word: at the quota etcd raises NOSPACE and stops writing.
QUOTA_WARNING = 0.8
ALARMS = {
    "NOSPACE": "Run etcd_maintenance with action=auto: compacts, defragments one member at a time, disarms",
    "CORRUPT": "Change nothing else; see with etcd_info which member's hash differs, and replace that one",
}
ORPHAN = "Run site again: it goes on with the join, or sweeps the member (etcd_member state=swept does only that)"


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


def findings(cluster: Cluster, probes: Mapping[str, Probe], newest: int, hashes: Hashes) -> tuple[Finding, ...]:
    """Everything; newest: the newest entry of the raft log that any member knows."""
    found = [finding for member in cluster.members for finding in _about(member, probes[member.id], newest)]
    if not cluster.has_quorum:
        healthy, voters = cluster.healthy(), len(cluster.voters)
        text = f"the quorum is lost: {healthy} of {voters} voters are healthy, {quorum(voters)} are needed"
        found.insert(0, Finding("fatal", "", text, "Start the missing members, or run recover_quorum"))
    versions = sorted({member.version for member in cluster.members if member.version})
    if len(versions) > 1:
        found.append(Finding("warning", "", f"different versions: {', '.join(versions)}", "Finish the upgrade"))
    return (*found, *differences(cluster, hashes))


def differences(cluster: Cluster, hashes: Hashes) -> list[Finding]:
    """Members that do not hold what the others hold."""
    if not hashes.differing:
        return []
    names = {member.id: str(member) for member in cluster.members}
    groups = [", ".join(sorted(names.get(identity, identity) for identity in group)) for group in hashes.groups]
    at = f"at revision {hashes.revision}"
    if not hashes.majority:
        said = f"the members do not hold the same data {at}: {' / '.join(groups)}; no side has a majority"
        step = "Change nothing; compare each side with a verified snapshot, then restore the right one"
        return [Finding("fatal", "", said, step)]
    step = "Change nothing else; replace this member: remove it, and let it join again without its data"
    said = f"holds other data than {groups[0]} {at}"
    return [Finding("fatal", names.get(one, one), said, step) for one in sorted(hashes.differing)]


def stray(alarms: Iterable[tuple[str, str]]) -> tuple[Finding, ...]:
    """Alarms of members that were removed."""
    step = "Run etcd_maintenance with action=disarm"
    return tuple(
        Finding("fatal", "", f"the alarm {alarm} of {identity}, which is no member any more, is still raised", step)
        for identity, alarm in alarms
    )


def _orphan(member: Member) -> str:
    kind = "a learner that was added and never started" if member.learner else "added as a voter and never started"
    return f"{kind}; peer URL {', '.join(member.peer_urls)}"


def _about(member: Member, probe: Probe, newest: int) -> list[Finding]:
    who = str(member)
    lag = probe.lag(newest) or 0
    size, quota = probe.number("dbSize") or 0, probe.number("dbSizeQuota") or 0
    checks = (
        (not member.started, "fatal", _orphan(member), ORPHAN),
        (member.started and bool(probe.error), "fatal", probe.error, "Look at the etcd of that host"),
        *((True, "fatal", f"raises the alarm {name}", ALARMS.get(name, "See etcd's log")) for name in member.alarms),
        (lag > LAG_LIMIT, "fatal", f"lags {lag} entries behind", "Wait, then look at its disk and network"),
        (member.learner and member.started, "warning", "is a learner, it does not vote",
         "Wait for its promotion; run site again when no join of it runs any more"),
        (bool(quota) and size > quota * QUOTA_WARNING, "warning",
         f"uses {size >> 20} MiB of {quota >> 20} MiB", "Compact, defragment (etcd_maintenance), or raise the quota"),
    )  # fmt: skip
    return [Finding(level, who, text, step) for wrong, level, text, step in checks if wrong]
