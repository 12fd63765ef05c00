# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one machine of an external etcd is: one to start the cluster on, a member, one to join or to take out."""

from __future__ import annotations

from .etcd_look import EtcdLook
from .facts import Node
from .findings import Finding, fatal, warning
from .pki import same_ca
from .preflight_inputs import HostInputs
from .quorum import Member

BOOTSTRAP, JOIN, KEEP, LEAVE, GONE, UNREACHABLE = "bootstrap", "join", "keep", "leave", "gone", "unreachable"
FIRST_START, JOINING = "new", "existing"
DATA = "/var/lib/etcd"
EMPTY = "find out whose data it is; when nothing of it is needed, move {path} away on {host}"


def _without_cluster(host: HostInputs, node: Node, begin: bool) -> tuple[str, list[Finding]]:
    """No etcd answers anywhere."""
    facts = node.kubernetes
    if begin and (facts.etcd_initial or ("" if facts.etcd_data == "present" else FIRST_START)) == FIRST_START:
        return BOOTSTRAP, []
    if facts.etcd_data == "present" or facts.etcd_initial == JOINING:
        found = f"{'an unfinished join' if facts.etcd_initial else f'etcd data in {DATA}'}, and no etcd answers"
        step = f"start it (systemctl start etcd on the etcd machines), or {EMPTY.format(path=DATA, host=host.name)}"
        return KEEP, [fatal(host.name, "etcd-data", found, step)]
    found = "a blank etcd machine, and of the running cluster's etcd nothing is seen"
    return KEEP, [fatal(host.name, "etcd", found, "put the other etcd machines into the run, and start etcd there")]


def _new_member(host: HostInputs, node: Node, seen: EtcdLook) -> tuple[str, list[Finding]]:
    """An etcd answers, and this machine is none of its members."""
    facts, namesake = node.kubernetes, seen.named(host.name)
    if namesake:
        found = f"the member {host.name} is at {', '.join(namesake.peer_urls)}, the inventory says {host.node_ip}"
        return KEEP, [
            fatal(host.name, "etcd", found, "correct kube_node_ip, or give the new machine a name of its own")
        ]
    if facts.etcd_data == "present" and facts.etcd_initial != JOINING:
        found = f"{DATA} is not empty, and the machine is no member of the etcd that answers"
        return KEEP, [fatal(host.name, "etcd-data", found, EMPTY.format(path=DATA, host=host.name))]
    return JOIN, []


def _member(host: HostInputs, node: Node, member: Member) -> tuple[str, list[Finding]]:
    """The machine is a member by its peer URL."""
    facts = node.kubernetes
    if facts.etcd_initial == FIRST_START:
        return BOOTSTRAP, []
    if facts.etcd_initial == JOINING or member.learner or not member.started:
        return JOIN, []
    if node.etcd:
        return KEEP, []
    if facts.etcd_data == "present":
        return KEEP, [warning(host.name, "etcd", "its own etcd does not answer", "journalctl -u etcd tells why")]
    # A member of a new cluster tells its client URLs when it starts for the first time.
    if not member.client_urls:
        return BOOTSTRAP, []
    found = f"a member of etcd without its data: {DATA} is empty"
    step = f"ansible-playbook playbooks/replace_node.yml -e node={host.name}"
    return KEEP, [fatal(host.name, "etcd-data", found, step)]


def judge(host: HostInputs, node: Node, seen: EtcdLook | None, begin: bool) -> tuple[str, list[Finding]]:
    if seen is None:
        return _without_cluster(host, node, begin)
    member = seen.at(host.node_ip)
    return _member(host, node, member) if member else _new_member(host, node, seen)


def leaves(host: HostInputs, node: Node | None, seen: EtcdLook | None, ca_pem: str) -> tuple[str, list[Finding]]:
    """A machine that is to be taken out; one that was taken out by an earlier run is left alone."""
    if seen is None:
        return KEEP, [fatal(host.name, "etcd-remove", "no etcd answers", "start it, then run again")]
    if seen.at(host.node_ip):
        return LEAVE, []
    facts = node.kubernetes if node else None
    ours = bool(facts and facts.etcd_ca_pem and same_ca(facts.etcd_ca_pem, ca_pem))
    if facts and ours:
        return (LEAVE if facts.etcd_data == "present" else GONE), []
    members = ", ".join(str(member) for member in seen.members)
    found = f"it is no member of etcd (members {members})"
    return KEEP, [fatal(host.name, "etcd-remove", found, "name a member in etcd_remove")]
