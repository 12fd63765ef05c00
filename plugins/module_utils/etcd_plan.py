# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of each machine of an external etcd, from evidence. Pure: facts in, actions and findings out.

Members found: never a bootstrap beside them. Data without a living cluster: refused, unless it is a beginning of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .etcd_judge import (
    BOOTSTRAP,
    DATA,
    FIRST_START,
    JOIN,
    JOINING,
    KEEP,
    LEAVE,
    UNREACHABLE,
    judge,
    leaves,
)
from .etcd_look import EtcdLook, client_url, peer_url
from .facts import Node
from .findings import Finding, fatal
from .pki import same_ca
from .preflight_inputs import CONTROL_PLANE, ETCD, Inputs

BEGINS = (BOOTSTRAP, JOIN)
STACKED, EXTERNAL = "stacked", "external"


@dataclass(frozen=True)
class EtcdPlan:
    """actions: every etcd machine of the play. ca_host: where the CA is, or is made. reader: where etcd answers.

    unfinished: members that never started, and learners, of whichever topology. leave: machines to take out, in order.
    lost: machines to take out that do not answer, to their peer URLs. order: those that stay, the leader last.
    initial: the members of a cluster that begins, to their peer URLs. members: client URLs of those that are members.
    endpoints: the members' client URLs when the run has ended. outdated: control planes whose API server names others.
    sweeper: the host on which what interrupted joins left is removed before others join, "" when there is nothing.
    joining: hosts on which an operation of ours runs, or one that etcd has begun there goes on.
    """

    topology: str = STACKED
    actions: Mapping[str, str] = field(default_factory=dict)
    ca_host: str = ""
    reader: str = ""
    unfinished: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    lost: Mapping[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    initial: Mapping[str, str] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    sweeper: str = ""
    joining: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    def told(self, hosts: Mapping[str, str]) -> dict[str, str]:
        """Every host of the plan to what becomes of it, for a person."""
        etcd = {name: f"etcd_{action}" for name, action in self.actions.items() if action != UNREACHABLE}
        return {name: etcd.get(name, action) for name, action in hosts.items()}

    def as_dict(self) -> dict[str, object]:
        """For a result: plain values, under the plan's names."""
        return {
            "topology": self.topology,
            "etcd": dict(self.actions),
            "etcd_ca_host": self.ca_host,
            "etcd_reader": self.reader,
            "etcd_unfinished": list(self.unfinished),
            "etcd_leave": list(self.leave),
            "etcd_lost": dict(self.lost),
            "etcd_order": list(self.order),
            "etcd_initial": dict(self.initial),
            "etcd_members": list(self.members),
            "etcd_endpoints": list(self.endpoints),
            "etcd_outdated": list(self.outdated),
            "etcd_joining": list(self.joining),
            "etcd_groups": self.groups(),
        }

    def groups(self) -> dict[str, list[str]]:
        """Hosts to the groups of site's plays on etcd that they are in."""
        found: dict[str, list[str]] = {}
        for name, action in self.actions.items():
            begins = ["begin"] if action in BEGINS else []
            makes = ["ca"] if name == self.ca_host and set(BEGINS) & set(self.actions.values()) else []
            # Those that leave have an order of their own.
            found[name] = [*begins, *makes, *([] if action == LEAVE else [action])]
        for name in self.outdated:
            found.setdefault(name, []).append("outdated")
        for name in self.lost:
            found[name].append("lost")
            found.setdefault(self.reader, []).append("forget")
        if self.sweeper:
            found.setdefault(self.sweeper, []).append("sweep")
        return {name: [f"kube_site_etcd_{part}" for part in parts] for name, parts in found.items() if parts}


def topology_of(inputs: Inputs) -> str:
    """External as soon as a machine of the group etcd is no control plane."""
    apart = set(inputs.names(ETCD)) - set(inputs.names(CONTROL_PLANE))
    return EXTERNAL if apart else STACKED


def find_look(inputs: Inputs, nodes: Mapping[str, Node], group: str = ETCD) -> tuple[str, EtcdLook | None]:
    """The host through which etcd is seen best: with a majority behind it, then by name."""
    looks = [(not look.linearizable, name, look) for name in inputs.names(group)
             if name in nodes for look in [nodes[name].etcd] if look]  # fmt: skip
    if not looks:
        return "", None
    _minority, name, look = min(looks, key=lambda entry: entry[:2])
    return name, look


def stored(inputs: Inputs, nodes: Mapping[str, Node]) -> dict[str, tuple[str, ...]]:
    """Machines of an external etcd that hold something of a cluster, and what.

    An etcd that answers and has no object of Kubernetes is no cluster yet: a first run was interrupted. Nor is a first
    start of ours that has not ended.
    """
    if topology_of(inputs) == STACKED:
        return {}
    _name, seen = find_look(inputs, nodes)
    if seen and seen.empty:
        return {}
    return {
        host.name: (f"etcd data in {DATA}",)
        for host in inputs.members(ETCD)
        if host.name in nodes
        and nodes[host.name].kubernetes.etcd_data == "present"
        and nodes[host.name].kubernetes.etcd_initial != FIRST_START
    }


def _two_clusters(inputs: Inputs, nodes: Mapping[str, Node]) -> list[Finding]:
    seen: dict[str, list[str]] = {}
    for name in sorted(inputs.names(ETCD)):
        look = nodes[name].etcd if name in nodes else None
        if look and look.cluster_id:
            seen.setdefault(look.cluster_id, []).append(name)
    if len(seen) < 2:
        return []
    told = "; ".join(f"{', '.join(names)}: cluster {cluster}" for cluster, names in seen.items())
    return [fatal("", "etcd", f"the etcd machines belong to different clusters: {told}", "keep one of them")]


def _ca_host(inputs: Inputs, nodes: Mapping[str, Node]) -> str:
    """The machine that has the CA, one whose etcd answers first; else the one that makes it. By name."""
    names = [name for name in inputs.names(ETCD) if name in nodes and name not in inputs.etcd_remove]

    def order(name: str) -> tuple[bool, bool, str]:
        return not nodes[name].kubernetes.etcd_ca_pem, nodes[name].etcd is None, name

    return min(names, key=order, default="")


def _foreign(inputs: Inputs, nodes: Mapping[str, Node], ca_host: str) -> list[Finding]:
    ca_pem = nodes[ca_host].kubernetes.etcd_ca_pem if ca_host else ""
    findings = []
    for host in (*inputs.members(ETCD), *inputs.members(CONTROL_PLANE)):
        other = nodes[host.name].kubernetes.etcd_ca_pem if host.name in nodes else ""
        if ca_pem and other and not same_ca(other, ca_pem):
            found = f"the etcd CA in /etc/kubernetes/pki/etcd is not that of {ca_host}"
            step = "find out whose it is; when nothing of it is needed, move /etc/kubernetes/pki/etcd away there"
            findings.append(fatal(host.name, "foreign-etcd-ca", found, step))
    return findings


def _in_order(names: list[str], inputs: Inputs, seen: EtcdLook | None) -> tuple[str, ...]:
    """Those that do not work first, the leader last."""

    def order(name: str) -> tuple[bool, bool, str]:
        member = seen.at(inputs.hosts[name].node_ip) if seen else None
        return bool(member and member.leader), bool(member and member.healthy), name

    return tuple(sorted(names, key=order))


def _outdated(inputs: Inputs, nodes: Mapping[str, Node], endpoints: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        sorted(
            name
            for name in inputs.names(CONTROL_PLANE)
            if name in nodes and endpoints
            for servers in [nodes[name].kubernetes.etcd_servers]
            if servers and not nodes[name].kubernetes.marker and set(servers) != set(endpoints)
        )
    )


def _busy(nodes: Mapping[str, Node], resumes: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*resumes, *(name for name, node in nodes.items() if node.kubernetes.busy)}))


def decide_stacked(inputs: Inputs, nodes: Mapping[str, Node], seed: str, resumes: Iterable[str]) -> EtcdPlan:
    """etcd on the control planes: kubeadm does it; only what interrupted joins left is told.

    seed: where it is removed, "" when nobody joins. resumes: control planes whose join goes on.
    """
    _name, seen = find_look(inputs, nodes, CONTROL_PLANE)
    findings = [
        fatal(name, "etcd-remove", "etcd is on the control planes", "remove the control plane as a node")
        for name in inputs.etcd_remove
    ]
    left = seen.unfinished if seen else ()
    return EtcdPlan(
        unfinished=left,
        sweeper=seed if left else "",
        joining=_busy(nodes, resumes),
        findings=tuple(findings),
    )


def decide_external(inputs: Inputs, nodes: Mapping[str, Node], begin: bool) -> EtcdPlan:
    """begin: nothing speaks against a new cluster."""
    reader, seen = find_look(inputs, nodes)
    ca_host = _ca_host(inputs, nodes)
    ca_pem = nodes[ca_host].kubernetes.etcd_ca_pem if ca_host else ""
    findings = _two_clusters(inputs, nodes) + _foreign(inputs, nodes, ca_host)
    actions: dict[str, str] = {}
    for host in inputs.members(ETCD):
        node = nodes.get(host.name)
        told: list[Finding] = []
        if host.name in inputs.etcd_remove:
            actions[host.name], told = leaves(host, node, seen, ca_pem)
        elif host.in_play:
            actions[host.name], told = judge(host, node, seen, begin) if node else (UNREACHABLE, [])
        findings += told
    staying = [host for host in inputs.members(ETCD) if host.name not in inputs.etcd_remove]
    endpoints = tuple(
        client_url(host.node_ip)
        for host in sorted(staying, key=lambda host: host.name)
        if actions.get(host.name) in (*BEGINS, KEEP) or (seen and seen.at(host.node_ip))
    )
    members = [name for name in sorted(actions) if actions[name] in (BOOTSTRAP, KEEP)]
    leaving = [name for name, action in actions.items() if action == LEAVE]
    reader, left = _reader(inputs, nodes, reader), seen.unfinished if seen else ()
    if leaving and not reader:
        step = "start etcd on a machine that stays, then run again"
        findings.append(fatal("", "etcd-remove", "etcd answers on no machine that stays", step))
    return EtcdPlan(
        topology=EXTERNAL,
        actions=actions,
        ca_host=ca_host,
        reader=reader,
        unfinished=left,
        sweeper=reader if left and JOIN in actions.values() else "",
        joining=_busy(nodes, [name for name, node in nodes.items() if node.kubernetes.etcd_initial == JOINING]),
        leave=_in_order([name for name in leaving if name in nodes], inputs, seen),
        lost={name: peer_url(inputs.hosts[name].node_ip) for name in sorted(leaving) if name not in nodes},
        order=_in_order([host.name for host in staying if host.name in nodes], inputs, seen),
        initial={name: peer_url(inputs.hosts[name].node_ip) for name in members if BOOTSTRAP in actions.values()},
        members=tuple(client_url(inputs.hosts[name].node_ip) for name in members),
        # Where etcd is outside of the run, its members are those of the inventory, as far as anybody knows.
        endpoints=endpoints or tuple(client_url(host.node_ip) for host in sorted(staying, key=lambda host: host.name)),
        outdated=_outdated(inputs, nodes, endpoints),
        findings=tuple(findings),
    )


def _reader(inputs: Inputs, nodes: Mapping[str, Node], reader: str) -> str:
    """A machine that stays and whose etcd answers."""
    staying = [name for name in sorted(inputs.names(ETCD)) if name in nodes and name not in inputs.etcd_remove]
    return reader if reader in staying else next((name for name in staying if nodes[name].etcd), "")
