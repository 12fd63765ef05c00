# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host of an existing cluster is: a node to keep, one to join, or one that must not be touched."""

from __future__ import annotations

from . import evidence as ev
from .facts import KubernetesFacts, Node
from .findings import Finding, fatal, warning
from .pki import same_ca
from .preflight_inputs import HostInputs

INIT, JOIN_CONTROL_PLANE, JOIN_WORKER, KEEP = "init", "join_control_plane", "join_worker", "keep"
# The cluster's name is to be spelled by the person who resets: it is not filled in here.
RESET = (
    "reset it by name when nothing on it is needed: "
    "ansible-playbook playbooks/reset.yml -e reset_hosts={host} -e reset_confirm=NAME (kube_cluster_name)"
)


def foreign_ca(host: HostInputs, facts: KubernetesFacts, ca_pem: str) -> list[Finding]:
    """Another cluster's CA on a host of this one."""
    if not ca_pem:
        return []
    found = {"/etc/kubernetes/pki/ca.crt": facts.ca_pem, "kubelet.conf": facts.kubelet_ca_pem}
    wrong = [path for path, pem in found.items() if pem and not same_ca(pem, ca_pem)]
    if not wrong:
        return []
    return [
        fatal(
            host.name,
            "foreign-ca",
            f"the CA in {' and '.join(wrong)} is not this cluster's",
            RESET.format(host=host.name),
        )
    ]


def _unfinished(host: HostInputs, facts: KubernetesFacts) -> list[Finding]:
    found = f"an unfinished {facts.marker or 'bootstrap of the kubelet'} is on this host"
    if facts.marker == ev.INIT:
        return [
            fatal(host.name, "unfinished", f"{found}, while a cluster answers elsewhere", RESET.format(host=host.name))
        ]
    return [warning(host.name, "unfinished", found, "nothing: it is joined again")]


def judge_control_plane(host: HostInputs, node: Node, live: frozenset[str]) -> tuple[str, list[Finding]]:
    """The action for a host of kube_control_plane."""
    facts = node.kubernetes
    if facts.marker:
        return JOIN_CONTROL_PLANE, _unfinished(host, facts)
    if ev.is_control_plane(facts):
        step = "look at its kubelet and kube-apiserver: journalctl -u kubelet"
        down = [warning(host.name, "api", "its own API server does not answer", step)]
        return KEEP, [] if host.name in live else down
    if facts.has_kubelet_conf:
        found = "it is a node already, but the static pod of its API server is missing"
        step = f"ansible-playbook playbooks/replace_node.yml -e node={host.name}"
        return KEEP, [fatal(host.name, "half-joined", found, step)]
    return JOIN_CONTROL_PLANE, _leftovers(host, facts)


def _leftovers(host: HostInputs, facts: KubernetesFacts) -> list[Finding]:
    """On a host that is to become a node there must be nothing of an earlier life."""
    findings = []
    if facts.etcd_data == "present":
        step = f"find out whose data it is; {RESET.format(host=host.name)}"
        findings.append(fatal(host.name, "etcd-data", "/var/lib/etcd is not empty, and the host is not a node", step))
    if facts.manifests:
        names = ", ".join(sorted(facts.manifests))
        findings.append(
            fatal(
                host.name,
                "static-pods",
                f"static pods on a host that is not a node: {names}",
                RESET.format(host=host.name),
            )
        )
    return findings


def judge_worker(host: HostInputs, node: Node) -> tuple[str, list[Finding]]:
    """The action for a host of kube_node."""
    facts = node.kubernetes
    if facts.marker or (facts.bootstrap_conf and not facts.has_kubelet_conf):
        return JOIN_WORKER, _unfinished(host, facts)
    if facts.runs_api or "etcd" in facts.manifests:
        found = f"a host of kube_node runs static pods of a control plane: {', '.join(sorted(facts.manifests))}"
        step = f"put it into kube_control_plane, or ansible-playbook playbooks/remove_node.yml -e node={host.name}"
        return KEEP, [fatal(host.name, "wrong-group", found, step)]
    if facts.has_kubelet_conf:
        return KEEP, []
    return JOIN_WORKER, _leftovers(host, facts)
