# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""May this cluster be upgraded to this version now? Everything that speaks against it, from what runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from . import skew
from .findings import Finding, fatal, warning
from .membership import arithmetic
from .quorum import Cluster, Member, restart_gate
from .upgrade_order import TODO, NodeState, Target, state_of
from .version import Version, known_version, parse_version

AGAIN = "then run the same playbook again"
# With fewer control planes there is a gap in any case.
WITHOUT_GAP = 3


@dataclass(frozen=True)
class BalancerState:
    """A load balancer's view. servers: control plane to whether it is in service; empty when HAProxy is silent."""

    name: str
    servers: Mapping[str, bool] = field(default_factory=dict)
    silent: str = ""


@dataclass(frozen=True)
class Case:
    """What is known before an upgrade. away: hosts of the play without facts, and why. etcd: its members, as one look
    saw them; silent: why there is no look. blocked: what keeps pods on their nodes, by the eviction's dry run."""

    nodes: tuple[NodeState, ...]
    target: Target
    etcd: Cluster = field(default_factory=lambda: Cluster(()))
    silent: str = ""
    balancers: tuple[BalancerState, ...] = ()
    away: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    inventory: str = ""
    allow_downtime: bool = False

    @property
    def control_planes(self) -> tuple[NodeState, ...]:
        """The nodes with an API server."""
        return tuple(node for node in self.nodes if node.is_control_plane)

    @property
    def todo(self) -> tuple[NodeState, ...]:
        """The nodes that are not at the target."""
        return tuple(node for node in self.nodes if state_of(node, self.target) == TODO)


def check(case: Case) -> list[Finding]:
    """All findings."""
    findings = _hosts(case)
    findings += _versions(case)
    if case.todo:
        findings += [*_nodes(case), *_etcd(case), *_balancers(case), *_alone(case)]
    return findings


def _hosts(case: Case) -> list[Finding]:
    found = [
        fatal(name, "unreachable", f"it does not answer: {why}", f"make it reachable, or remove_node; {AGAIN}")
        for name, why in case.away.items()
    ]
    found += [
        fatal(name, "node", "it is in the inventory, and no node of the cluster", f"run site first, {AGAIN}")
        for name in case.missing
    ]
    return found


def _versions(case: Case) -> list[Finding]:
    wanted = parse_version(case.target.version)
    findings = [*_path(case, wanted)]
    oldest = min((one for node in case.control_planes if (one := known_version(node.api))), default=None)
    for node in case.nodes:
        kubelet = known_version(node.kubelet)
        # A control plane's kubelet is upgraded with its own API server, while others are older yet.
        beside = known_version(node.api) if node.is_control_plane else oldest
        if kubelet:
            findings += _kubelet(node.name, kubelet, wanted, beside)
    return findings + _etcd_versions(case, wanted)


def _kubelet(name: str, kubelet: Version, wanted: Version, beside: Version | None) -> Iterable[Finding]:
    """wanted: where it would go. beside: the API server that it works with now."""
    newer = skew.kubelet_with_api(kubelet, beside) if beside and kubelet.minors_after(beside) > 0 else skew.YES
    behind = skew.kubelet_with_api(kubelet, wanted)
    if kubelet > wanted:
        found = f"{wanted} is older than the kubelet ({kubelet}), which runs: Kubernetes cannot be downgraded"
        yield fatal(name, "skew", found, f"set kube_version to {kubelet} or newer, {AGAIN}")
    elif not newer.allowed:
        step = f"bring the kubelet back to {beside}: its package or program, then systemctl restart kubelet; {AGAIN}"
        yield fatal(name, "skew", newer.reason, step)
    elif not behind.allowed:
        path = skew.upgrade_path(kubelet, wanted)
        step = f"upgrade this node first, one version after another: {' -> '.join(path[:-1])}; {AGAIN}"
        yield fatal(name, "skew", behind.reason, step)


def _path(case: Case, wanted: Version) -> Iterable[Finding]:
    """Minor versions that are skipped, and downgrades, by the version of every API server."""
    groups: dict[Version, list[str]] = {}
    for node in case.control_planes:
        running = known_version(node.api)
        if running:
            groups.setdefault(running, []).append(node.name)
    for running, names in sorted(groups.items()):
        verdict = skew.upgrade(running, wanted)
        if not verdict.allowed:
            commands = [skew.upgrade_command(step, case.inventory) for step in verdict.path]
            step = (
                f"go {' -> '.join(verdict.path)}: {', then '.join(commands)}"
                if verdict.path
                else (f"set kube_version to {running} or newer, {AGAIN}")
            )
            yield fatal(", ".join(names), "version", f"the API server: {verdict.reason}", step)


def _etcd_versions(case: Case, wanted: Version) -> list[Finding]:
    findings = []
    for member in case.etcd.members:
        running = known_version(member.version)
        if running is None:
            continue
        if not case.target.etcd:
            verdict = skew.etcd_with_kubernetes(running, wanted)
            step = f"upgrade etcd first, {AGAIN}"
        else:
            verdict = skew.etcd_upgrade(running, parse_version(case.target.etcd))
            way = " -> ".join(verdict.path)
            step = f"set kube_control_plane_etcd_image_tag: {way}, one upgrade each" if way else (
                f"set kube_control_plane_etcd_image_tag to {running}-0 or newer"
            )  # fmt: skip
        if not verdict.allowed:
            findings.append(fatal(member.name or member.id, "etcd-version", verdict.reason, step))
    return findings


def _nodes(case: Case) -> list[Finding]:
    """Every node has to be well, except those that an unfinished run of ours has left half done."""
    findings = []
    for node in case.nodes:
        if node.begun:
            what = "its static pods are being changed" if node.interrupted else "it is out of service"
            step = "nothing: it comes first in this run"
            findings.append(warning(node.name, "resume", f"an earlier run has not finished here: {what}", step))
        elif not node.ready:
            findings.append(
                fatal(
                    node.name, "ready", "the node is not Ready", f"mend it: kubectl describe node {node.name}; {AGAIN}"
                )
            )
        elif node.is_control_plane and not node.api:
            step = f"look at it: journalctl -u kubelet; {AGAIN}"
            findings.append(fatal(node.name, "api", "its API server does not answer", step))
    return findings


def _etcd(case: Case) -> list[Finding]:
    """Would etcd go on without each member that restarts? As long as all the others are as they are now."""
    if not case.etcd.members:
        return [fatal("", "etcd", f"etcd cannot be seen: {case.silent or 'no member answered'}", f"mend it, {AGAIN}")]
    reasons: dict[str, list[str]] = {}
    # A member that an unfinished run has stopped comes back before another one is touched, or the run stops there.
    begun = {node.name for node in case.nodes if node.begun}
    etcd = Cluster(tuple(replace(m, healthy=m.healthy or m.name in begun, leader=False) for m in case.etcd.members))
    for node in case.todo:
        member = _member(etcd, node.name)
        if member is None or not node.is_control_plane:
            continue
        gate = restart_gate(etcd, member.id, allow_downtime=case.allow_downtime)
        for reason in gate.reasons:
            reasons.setdefault(reason.replace(str(member), "the member that restarts"), []).append(node.name)
    if not case.target.etcd and not case.etcd.has_quorum:
        reasons["the quorum is lost"] = []
    return [
        fatal(", ".join(names), "etcd", f"{reason} ({arithmetic(case.etcd)})", f"mend what is named, {AGAIN}")
        for reason, names in reasons.items()
    ]


def _member(etcd: Cluster, name: str) -> Member | None:
    return next((member for member in etcd.members if member.name == name), None)


def _balancers(case: Case) -> list[Finding]:
    findings = []
    begun = {node.name for node in case.nodes if node.begun}
    for balancer in case.balancers:
        if balancer.silent:
            step = f"systemctl status haproxy there; {AGAIN}"
            findings.append(fatal(balancer.name, "haproxy", f"HAProxy does not answer: {balancer.silent}", step))
            continue
        absent = sorted(node.name for node in case.control_planes if node.name not in balancer.servers)
        down = sorted(name for name, up in balancer.servers.items() if not up and name not in begun)
        if absent:
            findings.append(
                fatal(balancer.name, "haproxy", f"it does not know {', '.join(absent)}", f"run site, {AGAIN}")
            )
        if down:
            found = f"it has {', '.join(down)} out of service"
            findings.append(fatal(balancer.name, "haproxy", found, f"look at what its health check says; {AGAIN}"))
    return findings


def _alone(case: Case) -> list[Finding]:
    count = len(case.control_planes)
    if count >= WITHOUT_GAP or not any(node.is_control_plane for node in case.todo):
        return []
    found = f"{count} control plane(s): the API is away while one restarts"
    if case.allow_downtime:
        return [warning("", "gap", found, "nothing: upgrade_allow_downtime accepts it")]
    return [
        fatal("", "gap", found, "add control planes up to three, or accept the gap: -e upgrade_allow_downtime=true")
    ]


def blocked(rows: Sequence[Mapping[str, str]], todo: Iterable[str], policy: str) -> list[Finding]:
    """Pods that cannot leave their nodes, from the eviction's dry run: fatal where the policy would fail there."""
    level = fatal if policy == "fail" else warning
    names = set(todo)
    return [
        level(str(row["node"]), "drain", f"{row['pod']}: {row['found']}", str(row["next"]))
        for row in rows
        if row["node"] in names
    ]
