# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaks against a plan of `site`: hosts that gave no facts, and a cluster that is not lost as a whole. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from . import evidence as ev
from .etcd_plan import EXTERNAL, topology_of
from .evidence import Evidence
from .facts import KubernetesFacts, Node
from .findings import Finding, fatal, warning
from .joining import RESET, foreign_ca
from .preflight_inputs import CONTROL_PLANE, ETCD, LB, Inputs

RESTORE = "ansible-playbook playbooks/restore_etcd.yml -e snapshot=PATH"


def unreachable(inputs: Inputs, nodes: Mapping[str, Node]) -> list[Finding]:
    """Hosts of the play without facts: a host that is away is left out; one that failed to answer stops the run."""
    findings = []
    for host in inputs.hosts.values():
        if not host.in_play or host.name in nodes:
            continue
        why = host.problem or "no facts"
        if not host.unreachable:
            step = "mend what is named (Python 3.9 or newer and root by become are needed)"
            findings.append(fatal(host.name, "facts", f"its facts could not be read: {why}", step))
        elif host.is_kubernetes or LB in host.groups or ETCD in host.groups:
            findings.append(
                warning(
                    host.name,
                    "unreachable",
                    f"it does not answer: {why}",
                    "nothing: it will be left out; run again when it is back",
                )
            )
    return findings


def _used(facts: KubernetesFacts) -> bool:
    """A control plane that is no blank one, and no beginning of this restore either."""
    return facts.has_kubelet_conf or facts.admin_conf or bool(facts.manifests) or facts.bootstrap_conf


def _answering(evidence: Evidence) -> list[Finding]:
    there = sorted({*evidence.live, *evidence.sick, *([ev.THE_VIP] if evidence.vip_live else [])})
    if not there:
        return []
    found = f"an API answers at {', '.join(there)}: not all of the cluster is lost"
    return [fatal("", "restore", found, f"run site.yml, or go back to a snapshot: {RESTORE}")]


def not_restored(inputs: Inputs, nodes: Mapping[str, Node], evidence: Evidence) -> list[Finding]:
    """Why a cluster is not begun again from a snapshot: it lives, it is not blank, or the PKI is another one's."""
    start, findings = inputs.rules.restores, _answering(evidence)
    if topology_of(inputs) == EXTERNAL:
        step = "restore etcd on its machines first, with the programs and the PKI that are in its backups"
        findings.append(fatal("", "restore", "etcd has machines of its own, which this does not make anew", step))
    if start not in inputs.names(CONTROL_PLANE) or start not in nodes:
        found = "the cluster shall begin on it again, and it is no control plane that was looked at"
        return [*findings, fatal(start, "restore", found, "name a host of kube_control_plane in restore_host")]
    for name in inputs.names(CONTROL_PLANE):
        facts = nodes[name].kubernetes if name in nodes else None
        if facts and facts.marker != ev.INIT and (_used(facts) or (name != start and ev.traces(facts))):
            found = f"it is not blank: {', '.join(ev.traces(facts))}"
            step = f"where etcd's data are left: {RESTORE}; {RESET.format(host=name)}"
            findings.append(fatal(name, "restore", found, step))
    ca_pem = nodes[start].kubernetes.ca_pem
    if not ca_pem:
        found = "it has no CA: the cluster's own has to be there before it begins again"
        findings.append(fatal(start, "restore", found, "give the archive of the PKI: -e pki_archive=PATH"))
    for host in inputs.hosts.values():
        if host.name in nodes and host.is_kubernetes:
            findings += foreign_ca(host, nodes[host.name].kubernetes, ca_pem)
    return findings
