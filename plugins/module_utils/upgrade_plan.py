# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the hosts, the API, etcd and the load balancers tell to one plan and one report. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from . import report
from .etcd_look import parse_look
from .facts import parse_kubernetes
from .findings import FATAL, Finding, fatal
from .quorum import Cluster
from .upgrade_check import BalancerState, Case, blocked, check
from .upgrade_order import CONTROL_PLANE, WORKER, NodeState, Order, Target, arrange, is_at
from .versions import component

INTERRUPTED = "upgrade"


@dataclass(frozen=True)
class Inputs:
    """What was read. hosts: name to node_info's `node`; away: name to why there is none. nodes, api_versions:
    cluster_info's. balancers: load balancer to lb_backend's result. drains: kube_drain's checked rows.
    settings_only: no version changes; the nodes of `restart` are taken although they are at the target.
    """

    version: str
    control_planes: tuple[str, ...]
    workers: tuple[str, ...]
    hosts: Mapping[str, Mapping[str, Any]]
    away: Mapping[str, str]
    cluster: Mapping[str, Any]
    etcd: Mapping[str, Any]
    balancers: Mapping[str, Mapping[str, Any]]
    drains: Sequence[Mapping[str, str]] = ()
    external_etcd: bool = False
    etcd_tag: str = ""
    policy: str = "fail"
    until: str = ""
    inventory: str = ""
    allow_downtime: bool = False
    settings_only: bool = False
    restart: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The order, what speaks against it, what runs, and the addons that are not at the target."""

    order: Order
    findings: tuple[Finding, ...]
    nodes: tuple[NodeState, ...]
    target: Target
    addons: tuple[str, ...] = ()

    @property
    def is_fatal(self) -> bool:
        """Whether nothing may be changed."""
        return any(item.level == FATAL for item in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """For a result: plain values only."""
        order = asdict(self.order)
        return {
            **{name: list(value) for name, value in order.items()},
            "first": self.order.first,
            "todo": list(self.order.todo),
            "members": members(self.order),
            "addons": list(self.addons),
            "target": self.target.version,
            "etcd_target": self.target.etcd,
            "running": sorted({node.api for node in self.nodes if node.api}),
            "before": versions(self.nodes),
        }


def members(order: Order) -> list[dict[str, Any]]:
    """The groups of the plays that each node comes into, in the order in which they are taken."""
    groups = {name: ["kube_upgrade_finish"] for name in order.finishing}
    groups |= {name: ["kube_upgrade_stage", "kube_upgrade_control_plane"] for name in order.control_planes}
    groups |= {name: ["kube_upgrade_stage", "kube_upgrade_worker"] for name in order.workers}
    return [{"name": name, "groups": groups[name]} for name in order.todo]


def outdated_addons(cluster: Mapping[str, Any], version: str) -> tuple[str, ...]:
    """CoreDNS and kube-proxy, where the cluster has them with another image than the version's."""
    wanted = {"coredns": component(version, "coredns"), "kube-proxy": version}
    addons = cluster.get("addons") or {}
    return tuple(
        name
        for name, addon in sorted(addons.items())
        if name in wanted and addon and not is_at(str(addon.get("image") or ""), wanted[name])
    )


def versions(nodes: Sequence[NodeState]) -> dict[str, dict[str, str]]:
    """What runs on each node, for the record."""
    return {
        node.name: {"kubelet": node.kubelet, **{name: str(image) for name, image in sorted(node.images.items())}}
        for node in nodes
    }


def node_states(inputs: Inputs) -> tuple[NodeState, ...]:
    """Every node of the inventory that the cluster has."""
    shown = {str(node["name"]): node for node in inputs.cluster.get("nodes") or []}
    versions_of = api_versions(inputs)
    out = {
        name: tuple(sorted(lb for lb, seen in inputs.balancers.items() if _is_drained(seen, name)))
        for name in inputs.control_planes
    }
    states = []
    for name in (*inputs.control_planes, *inputs.workers):
        if name not in shown:
            continue
        facts = parse_kubernetes((inputs.hosts.get(name) or {}).get("kubernetes") or {})
        states.append(
            NodeState(
                name=name,
                role=CONTROL_PLANE if name in inputs.control_planes else WORKER,
                kubelet=str(shown[name].get("kubelet_version") or ""),
                images=facts.manifests,
                api=versions_of.get(name, ""),
                ready=bool(shown[name].get("ready")),
                cordoned=bool(shown[name].get("cordoned")),
                out_of_service=out.get(name, ()),
                interrupted=facts.marker == INTERRUPTED,
                restart=name in inputs.restart,
            )
        )
    return tuple(states)


def api_versions(inputs: Inputs) -> dict[str, str]:
    """Control plane to the version that its own API server answers."""
    told = inputs.cluster.get("api_versions_by_node") or {}
    return {str(name): str(version) for name, version in told.items()}


def _is_drained(seen: Mapping[str, Any], name: str) -> bool:
    """Whether somebody took the server out of service: not one whose health check fails."""
    server = (seen.get("servers") or {}).get(name) or {}
    return bool(server) and str(server.get("admin", "ready")) not in ("ready", "")


def balancer_states(inputs: Inputs) -> tuple[BalancerState, ...]:
    """What each load balancer has in service."""
    states = []
    for name, seen in sorted(inputs.balancers.items()):
        servers = {str(server): bool(told.get("up")) for server, told in (seen.get("servers") or {}).items()}
        silent = "" if servers else str(seen.get("found") or seen.get("msg") or "it was not asked")
        states.append(BalancerState(name, servers, silent))
    return tuple(states)


def review(inputs: Inputs, more: Sequence[Finding] = ()) -> Outcome:
    """Everything that speaks against the upgrade, and its order. more: findings of gates that look at hosts."""
    target = Target.of(inputs.version, inputs.external_etcd, inputs.etcd_tag)
    nodes, look = node_states(inputs), parse_look(inputs.etcd)
    etcd = Cluster(look.members) if look else Cluster(())
    listed = {node.name for node in nodes}
    case = Case(
        nodes=nodes,
        target=target,
        etcd=etcd,
        silent="" if look else str(inputs.etcd.get("msg") or "no member was asked"),
        balancers=balancer_states(inputs),
        away=inputs.away,
        missing=tuple(n for n in (*inputs.control_planes, *inputs.workers) if n not in listed and n not in inputs.away),
        inventory=inputs.inventory,
        allow_downtime=inputs.allow_downtime,
    )
    order = arrange(nodes, target, etcd, inputs.until)
    findings = [*_unknown_until(inputs, nodes), *_restarts(inputs, nodes), *check(case)]
    if order.todo or order.later:
        findings += [*more, *blocked(inputs.drains, order.todo, inputs.policy)]
    addons = () if order.later else outdated_addons(inputs.cluster, inputs.version)
    return Outcome(order, tuple(sorted(findings)), nodes, target, addons)


def _restarts(inputs: Inputs, nodes: Sequence[NodeState]) -> list[Finding]:
    """A restart for settings is none for versions, and takes only nodes that are there."""
    names = {node.name for node in nodes}
    findings = [
        fatal("", "restart", f'"{name}" is no node of the cluster', f"name nodes of {', '.join(sorted(names))}")
        for name in inputs.restart
        if name not in names
    ]
    for node in nodes if inputs.settings_only else ():
        other = {version for version in (node.api, node.kubelet) if version not in ("", inputs.version)}
        if other:
            found = f"{', '.join(sorted(other))} runs there, and kube_version is {inputs.version}"
            step = "set kube_version to what runs, or upgrade: playbooks/upgrade.yml"
            findings.append(fatal(node.name, "restart", found, step))
    return findings


def _unknown_until(inputs: Inputs, nodes: Sequence[NodeState]) -> list[Finding]:
    if not inputs.until or inputs.until in {node.name for node in nodes}:
        return []
    known = ", ".join(node.name for node in nodes)
    return [fatal("", "until", f'upgrade_until names "{inputs.until}", which is no node', f"name one of {known}")]


def plan_text(outcome: Outcome, width: int = 120) -> str:
    """What will happen, node by node, for a person."""
    order, target = outcome.order, outcome.target
    running = ", ".join(sorted({node.api for node in outcome.nodes if node.api})) or "unknown"
    title = f"Upgrade {running} -> {target.version}" + (f", etcd {target.etcd}" if target.etcd else "")
    counts = (
        f"{len(order.control_planes)} control planes and {len(order.workers)} workers to upgrade, "
        f"{len(order.done)} done, {len(order.finishing)} to bring back into service, {len(order.later)} later"
    )
    lines = [f"{title}: {counts}."]
    if order.steps:
        rows = [[s.node, s.before or "-", s.after or "-", s.does, s.left or "-"] for s in order.steps]
        lines += report.table(["NODE", "FROM", "TO", "STEP", "LEFT MEANWHILE"], rows, width)
    if order.later:
        lines.append(f"Not in this run (upgrade_until): {report.host_list(order.later)}")
    return "\n".join(lines)
