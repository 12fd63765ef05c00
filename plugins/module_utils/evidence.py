# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is there a cluster? What was found on the hosts and at the API's addresses, never a position in the inventory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from . import etcd_plan
from .facts import KubernetesFacts, Node
from .pki import same_ca
from .preflight_inputs import CONTROL_PLANE, ETCD, Inputs

INIT, JOIN = "init", "join"
THE_VIP = "the VIP"


@dataclass(frozen=True)
class Evidence:
    """live: control planes whose own address answers. vip_live: the VIP answers.

    sick: control planes, or "the VIP", where something answers that is not ready.
    traces: host to what a cluster left there. stored: the same of machines of an external etcd.
    starters: control planes on which nothing but a beginning of ours was found: an unfinished init, or a CA alone.
    unknown: control planes and etcd hosts of the inventory about which nothing is known.
    """

    live: frozenset[str]
    vip_live: bool
    vip_asked: bool
    sick: tuple[str, ...]
    traces: Mapping[str, tuple[str, ...]]
    stored: Mapping[str, tuple[str, ...]]
    starters: tuple[str, ...]
    unknown: tuple[str, ...]
    ca_pem: str

    @property
    def anything(self) -> bool:
        """Whether a cluster exists or existed, unfinished beginnings included."""
        return bool(self.live or self.vip_live or self.sick or self.traces or self.stored or self.starters)


def is_control_plane(facts: KubernetesFacts) -> bool:
    """Whether the host is a joined control plane."""
    return facts.has_kubelet_conf and facts.runs_api


def only_ca(facts: KubernetesFacts) -> bool:
    """A CA and nothing that has run: made by us before init, or put there for the new cluster."""
    used = facts.has_kubelet_conf or facts.admin_conf or facts.bootstrap_conf or facts.manifests or facts.marker
    return bool(facts.ca_pem) and not used and facts.etcd_data != "present"


def traces(facts: KubernetesFacts) -> tuple[str, ...]:
    """What a cluster left on a node, in words."""
    found = {
        f"an unfinished {facts.marker}": bool(facts.marker),
        f"kubelet.conf for {facts.kubelet_server or 'an unknown server'}": facts.has_kubelet_conf,
        "bootstrap-kubelet.conf": facts.bootstrap_conf,
        "admin.conf": facts.admin_conf,
        f"static pods ({', '.join(sorted(facts.manifests))})": bool(facts.manifests),
        "a CA in /etc/kubernetes/pki": bool(facts.ca_pem),
        "etcd data in /var/lib/etcd": facts.etcd_data == "present",
        "the CA of an etcd in /etc/kubernetes/pki/etcd": bool(facts.etcd_ca_pem),
    }
    return tuple(words for words, there in found.items() if there)


def _answers(nodes: Mapping[str, Node]) -> dict[tuple[str, int], bool]:
    """API address to whether any host got a ready answer; only addresses where something answered."""
    answers: dict[tuple[str, int], bool] = {}
    for node in nodes.values():
        for probe in node.kubernetes.probes:
            if probe.status is not None:
                key = (probe.host, probe.port)
                answers[key] = answers.get(key, False) or probe.live
    return answers


def _starts(facts: KubernetesFacts) -> bool:
    return facts.marker == INIT or only_ca(facts)


def _live_ca(nodes: Mapping[str, Node], live: frozenset[str], fallback: str) -> str:
    """The CA of the control planes that answer, else the one in the controller's kubeconfig."""
    for name in sorted(live & set(nodes)):
        if nodes[name].kubernetes.ca_pem:
            return nodes[name].kubernetes.ca_pem
    return fallback if live else ""


def _sick(
    answers: Mapping[tuple[str, int], bool], owners: Mapping[tuple[str, int], str], nodes: Mapping[str, Node]
) -> tuple[str, ...]:
    found = {owners[key] for key, ready in answers.items() if not ready and key in owners}
    return tuple(sorted(name for name in found if name not in nodes or nodes[name].kubernetes.runs_api))


def collect(inputs: Inputs, nodes: Mapping[str, Node]) -> Evidence:
    """All evidence of all hosts."""
    answers = _answers(nodes)
    vip = (str(inputs.vip), inputs.api_port)
    planes = inputs.members(CONTROL_PLANE)
    own = {(host.node_ip, inputs.bind_port): host.name for host in planes if host.node_ip}
    # Something answers on a blank machine's port: that is a taken port, not a control plane of this cluster.
    live = frozenset(
        name for key, name in own.items() if answers.get(key) and (name not in nodes or nodes[name].kubernetes.runs_api)
    )
    starters = tuple(host.name for host in planes if host.name in nodes and _starts(nodes[host.name].kubernetes))
    found = {}
    for host in inputs.hosts.values():
        if host.name in nodes and host.name not in starters and host.is_kubernetes:
            words = traces(nodes[host.name].kubernetes)
            if words:
                found[host.name] = words
    members = {host.name: host for host in [*planes, *inputs.members(ETCD)]}
    return Evidence(
        live=live,
        vip_live=answers.get(vip, False),
        vip_asked=any((probe.host, probe.port) == vip for node in nodes.values() for probe in node.kubernetes.probes),
        sick=_sick(answers, {**own, vip: THE_VIP}, nodes),
        traces=found,
        stored=etcd_plan.stored(inputs, nodes),
        starters=starters,
        unknown=tuple(sorted(name for name in members if name not in nodes)),
        ca_pem=_live_ca(nodes, live, inputs.ca_pem),
    )


def _elsewhere(evidence: Evidence) -> set[str]:
    """Where something of a cluster answers that is none of the beginnings; behind the VIP there may be a beginning."""
    answering = {*evidence.live, *evidence.sick, *([THE_VIP] if evidence.vip_live else [])}
    beginnings = answering & set(evidence.starters)
    return answering - beginnings - ({THE_VIP} if beginnings else set())


def is_unfinished_init(evidence: Evidence, nodes: Mapping[str, Node]) -> bool:
    """Whether all that was found is a beginning: an init that goes on where it was killed.

    Hosts that joined the beginning's own cluster do not speak against it while its API answers. Nor does what is in an
    external etcd, where init itself has begun: it had found nothing there, or it would have been refused.
    """
    if not evidence.starters or _elsewhere(evidence):
        return False
    if not evidence.live:
        begun = any(nodes[name].kubernetes.marker == INIT for name in evidence.starters)
        return not evidence.traces and (begun or not evidence.stored)
    joined = [nodes[name].kubernetes for name in evidence.traces]
    ca_pem = nodes[min(evidence.live)].kubernetes.ca_pem
    return all(same_ca(facts.ca_pem or facts.kubelet_ca_pem, ca_pem) for facts in joined)
