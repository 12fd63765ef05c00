# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `site` will do on each host, from evidence. Pure: facts in, a plan and findings out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import evidence as ev
from .etcd_judge import GONE, LEAVE
from .etcd_plan import EXTERNAL, EtcdPlan, decide_external, decide_stacked, topology_of
from .evidence import Evidence
from .facts import Node
from .findings import FATAL, Finding, fatal, warning
from .joining import INIT, JOIN_CONTROL_PLANE, JOIN_WORKER, KEEP, RESET, foreign_ca, judge_control_plane, judge_worker
from .pki import same_ca
from .preflight_inputs import CONTROL_PLANE, ETCD, LB, HostInputs, Inputs
from .prepared import is_prepared
from .site_findings import not_restored, unreachable
from .vip import vrid

NEW, EXISTING = "new", "existing"
ONLY_LB, ONLY_ETCD, UNREACHABLE = "lb", "etcd", "unreachable"
JOINING = (INIT, JOIN_CONTROL_PLANE, JOIN_WORKER)


@dataclass(frozen=True)
class SitePlan:
    """state: new or existing. seed: the control plane that others join through, "" when refused.

    hosts: every host of the play to its action. ca_pem: the cluster's CA when it is known. live: control planes
    whose own address answers. node_ips: every host of the inventory. extra: hosts that hold a part of the cluster
    which the inventory does not give them. prepared: hosts on which everything is proven that site prepares there.
    resumes: control planes whose join was interrupted when etcd had begun there. etcd: what becomes of etcd.
    """

    state: str
    seed: str
    hosts: Mapping[str, str]
    ca_pem: str = ""
    live: tuple[str, ...] = ()
    vip_live: bool = False
    vrid: int | None = None
    node_ips: Mapping[str, str] = field(default_factory=dict)
    extra: tuple[str, ...] = ()
    prepared: tuple[str, ...] = ()
    resumes: tuple[str, ...] = ()
    etcd: EtcdPlan = field(default_factory=EtcdPlan)
    findings: tuple[Finding, ...] = ()

    def joins(self, host: str) -> bool:
        """Whether this run makes the host a node."""
        return self.hosts.get(host) in JOINING

    def as_dict(self) -> dict[str, Any]:
        """For a result: plain values only."""
        return {
            "state": self.state,
            "seed": self.seed,
            "hosts": dict(self.hosts),
            "ca_pem": self.ca_pem or None,
            "live": list(self.live),
            "vip_live": self.vip_live,
            "vrid": self.vrid,
            "node_ips": dict(self.node_ips),
            "extra": list(self.extra),
            "prepared": list(self.prepared),
            "resumes": list(self.resumes),
            **self.etcd.as_dict(),
        }


def _other(host: HostInputs) -> str:
    return ONLY_ETCD if ETCD in host.groups else ONLY_LB if LB in host.groups else KEEP


def _refused(inputs: Inputs, nodes: Mapping[str, Node], findings: list[Finding]) -> SitePlan:
    """A plan in which nothing happens to any host."""
    hosts = {}
    for host in inputs.hosts.values():
        if host.in_play:
            hosts[host.name] = UNREACHABLE if host.name not in nodes else KEEP if host.is_kubernetes else _other(host)
    return SitePlan(EXISTING, "", hosts, findings=tuple(findings))


def _found(evidence: Evidence, nodes: Mapping[str, Node]) -> str:
    """The evidence in words, three hosts at most."""
    lines = [f"{host}: {', '.join(words)}" for host, words in sorted(evidence.traces.items())]
    lines += [f"{host}: {', '.join(words)}" for host, words in sorted(evidence.stored.items())]
    lines += [f"{host}: {', '.join(ev.traces(nodes[host].kubernetes))}" for host in sorted(evidence.starters)]
    more = f"; and {len(lines) - 3} more hosts" if len(lines) > 3 else ""
    sick = [f"{', '.join(evidence.sick)} answers, but is not ready"] if evidence.sick else []
    return "; ".join(lines[:3] + sick) + more


def _starter(evidence: Evidence, nodes: Mapping[str, Node]) -> str:
    """The one host on which an unfinished init goes on; "" when it cannot be told."""
    marked = [name for name in evidence.starters if nodes[name].kubernetes.marker == ev.INIT]
    authorities = [nodes[name].kubernetes.ca_pem for name in evidence.starters if nodes[name].kubernetes.ca_pem]
    if len(marked) > 1 or any(not same_ca(authorities[0], other) for other in authorities[1:]):
        return ""
    return marked[0] if marked else min(evidence.starters)


def _unknown_hosts(inputs: Inputs, evidence: Evidence) -> list[Finding]:
    """No API answers, so a cluster is new only when every control plane was looked at (a cluster may run there)."""
    findings = []
    for name in evidence.unknown:
        host = inputs.hosts[name]
        why = "it did not answer" if host.in_play else f"it is outside of the limit ({inputs.limit or '--limit'})"
        step = "make it reachable, or take it out of the inventory" if host.in_play else "run without --limit"
        findings.append(
            fatal(
                name,
                "evidence",
                f"no API answers, and nothing is known about this host: {why}; a cluster may exist",
                step,
            )
        )
    return findings


def _new(inputs: Inputs, nodes: Mapping[str, Node], evidence: Evidence) -> SitePlan:
    restores = inputs.rules.restores
    findings = _unknown_hosts(inputs, evidence) + (not_restored(inputs, nodes, evidence) if restores else [])
    planes = inputs.names(CONTROL_PLANE)
    if not planes:
        findings.append(fatal("", "evidence", "kube_control_plane has no host", "name 1, 3 or 5 hosts in it"))
    start = restores or (_starter(evidence, nodes) if evidence.starters else next(iter(planes), ""))
    if evidence.starters and not start:
        step = f"keep the one that is right; {RESET.format(host='<the other>')}"
        findings.append(fatal("", "evidence", f"more than one beginning of a cluster: {_found(evidence, nodes)}", step))
    if findings:
        return _refused(inputs, nodes, findings)
    hosts = {host.name: _new_action(host, start, nodes) for host in inputs.hosts.values() if host.in_play}
    if evidence.starters:
        words = ", ".join(ev.traces(nodes[start].kubernetes))
        findings.append(
            warning(start, "resume", f"an earlier beginning is here: {words}", "nothing: it is used and finished")
        )
    return SitePlan(NEW, start, hosts, nodes[start].kubernetes.ca_pem, findings=tuple(findings))


def _new_action(host: HostInputs, start: str, nodes: Mapping[str, Node]) -> str:
    if host.name not in nodes:
        return UNREACHABLE
    if host.name == start:
        return INIT
    if not host.is_kubernetes:
        return _other(host)
    if nodes[host.name].kubernetes.has_kubelet_conf:
        return KEEP
    return JOIN_CONTROL_PLANE if CONTROL_PLANE in host.groups else JOIN_WORKER


def _seed(inputs: Inputs, nodes: Mapping[str, Node], live: frozenset[str]) -> str:
    """A live control plane, one in the play and without an unfinished operation first; the name decides the rest."""

    def order(name: str) -> tuple[bool, bool, str]:
        return name not in nodes, bool(name in nodes and nodes[name].kubernetes.marker), name

    return min((name for name in inputs.names(CONTROL_PLANE) if name in live), key=order, default="")


def _existing_action(host: HostInputs, nodes: Mapping[str, Node], evidence: Evidence) -> tuple[str, list[Finding]]:
    if host.name not in nodes:
        return UNREACHABLE, []
    if not host.is_kubernetes:
        return _other(host), []
    node = nodes[host.name]
    judged = (
        judge_control_plane(host, node, evidence.live) if CONTROL_PLANE in host.groups else judge_worker(host, node)
    )
    return judged[0], judged[1] + foreign_ca(host, node.kubernetes, evidence.ca_pem)


def _existing(inputs: Inputs, nodes: Mapping[str, Node], evidence: Evidence) -> SitePlan:
    seed = _seed(inputs, nodes, evidence.live)
    hosts, findings = {}, []
    for host in inputs.hosts.values():
        if host.in_play:
            hosts[host.name], judged = _existing_action(host, nodes, evidence)
            findings += judged
    if evidence.vip_asked and not evidence.vip_live:
        findings.append(_vip_fault(inputs, evidence, joins=bool(set(JOINING) & set(hosts.values()))))
    return SitePlan(EXISTING, seed, hosts, evidence.ca_pem, findings=tuple(findings))


def _vip_fault(inputs: Inputs, evidence: Evidence, *, joins: bool) -> Finding:
    live, balancers = ", ".join(sorted(evidence.live)), ", ".join(inputs.names(LB)) or "the load balancers"
    found = f"VIP fault, API fine: nothing answers at {inputs.vip}:{inputs.api_port}, the API servers of {live} do"
    step = "nothing for this run, which asks the control planes at their own addresses"
    if joins:
        step += ", and configures haproxy and keepalived before it joins anybody: a join goes through the VIP"
    return warning("", "vip", found, f"{step}; then look at haproxy and keepalived on {balancers}")


def _no_seed(inputs: Inputs, nodes: Mapping[str, Node], evidence: Evidence) -> SitePlan:
    found = f"an API answers at the VIP {inputs.vip}:{inputs.api_port}, but on no control plane of the inventory"
    step = "put a control plane that serves it into kube_control_plane, or choose another kube_vip"
    told = "; ".join(filter(None, [found, _found(evidence, nodes)]))
    return _refused(inputs, nodes, [fatal("", "evidence", told, step)])


def _dead(inputs: Inputs, nodes: Mapping[str, Node], evidence: Evidence) -> SitePlan:
    """A cluster exists or existed, and no API answers: never a second one."""
    found = f"a cluster exists, and no API answers. {_found(evidence, nodes)}"
    step = (
        "start it (systemctl start containerd kubelet on its control planes) and run again; when etcd has lost its "
        "quorum: playbooks/recover_quorum.yml; when all control planes are lost: playbooks/restore_cluster.yml; when "
        "it is not needed: playbooks/reset.yml with -e reset_hosts=NAME,NAME"
    )
    return _refused(inputs, nodes, [fatal("", "evidence", found, step), *_unknown_hosts(inputs, evidence)])


def _extra(inputs: Inputs, nodes: Mapping[str, Node]) -> tuple[str, ...]:
    """Hosts that are nodes by what is on them, but not by the inventory."""
    return tuple(
        sorted(
            name
            for name in nodes
            if name in inputs.hosts and not inputs.hosts[name].is_kubernetes and nodes[name].kubernetes.has_kubelet_conf
        )
    )


def _resumes(action: str, node: Node) -> bool:
    facts = node.kubernetes
    return action == JOIN_CONTROL_PLANE and facts.marker == ev.JOIN and facts.etcd_data == "present"


def _etcd(inputs: Inputs, nodes: Mapping[str, Node], plan: SitePlan, evidence: Evidence) -> EtcdPlan:
    """What becomes of etcd; nothing at all when the plan is refused as a whole."""
    if topology_of(inputs) != EXTERNAL:
        seed = plan.seed if plan.state == EXISTING and JOIN_CONTROL_PLANE in plan.hosts.values() else ""
        return decide_stacked(inputs, nodes, seed, plan.resumes)
    if not plan.seed:
        return EtcdPlan(EXTERNAL, {host.name: KEEP for host in inputs.members(ETCD) if host.name in nodes})
    return decide_external(inputs, nodes, begin=plan.state == NEW and not evidence.live)


def _is_prepared(host: HostInputs, node: Node, etcd: EtcdPlan) -> bool:
    """A member whose service is stopped is prepared again, which starts it; one that leaves needs nothing."""
    action = etcd.actions.get(host.name)
    stopped = action == KEEP and node.etcd_stopped
    return action in (LEAVE, GONE) or (is_prepared(host, node) and not stopped)


def decide(inputs: Inputs, nodes: Mapping[str, Node]) -> SitePlan:
    """The plan. A second cluster is never begun: `new` needs the absence of evidence on every control plane."""
    evidence = ev.collect(inputs, nodes)
    if inputs.rules.restores or not evidence.anything or ev.is_unfinished_init(evidence, nodes):
        plan = _new(inputs, nodes, evidence)
    elif evidence.live:
        plan = _existing(inputs, nodes, evidence)
    else:
        plan = (_no_seed if evidence.vip_live else _dead)(inputs, nodes, evidence)
    plan = replace(
        plan,
        resumes=tuple(name for name in sorted(nodes) if _resumes(plan.hosts.get(name, ""), nodes[name])),
    )
    etcd = _etcd(inputs, nodes, plan, evidence)
    return replace(
        plan,
        etcd=etcd,
        live=tuple(sorted(evidence.live)),
        vip_live=evidence.vip_live,
        vrid=vrid(str(inputs.vip)) if inputs.vip else None,
        node_ips={host.name: host.node_ip for host in inputs.hosts.values() if host.node_ip},
        extra=_extra(inputs, nodes),
        prepared=tuple(name for name in sorted(nodes) if _is_prepared(inputs.hosts[name], nodes[name], etcd)),
        findings=plan.findings + etcd.findings + tuple(unreachable(inputs, nodes)),
    )


def is_refused(plan: SitePlan) -> bool:
    """Whether the plan must not be carried out."""
    return any(finding.level == FATAL for finding in plan.findings)
