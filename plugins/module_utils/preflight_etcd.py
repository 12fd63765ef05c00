# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of an external etcd: whose machines they are, how many members, which version, which leave."""

from __future__ import annotations

from collections.abc import Iterator

from . import skew
from .etcd_judge import GONE, LEAVE
from .etcd_plan import BEGINS, EXTERNAL
from .findings import FATAL, WARNING, Finding, fatal, warning
from .preflight_case import Case, Check
from .preflight_inputs import CONTROL_PLANE, ETCD, WORKER
from .version import known_version
from .versions import RELEASES


def groups(case: Case) -> Iterator[Finding]:
    """The group etcd is the control planes, or has nothing to do with nodes."""
    members, planes = case.inputs.names(ETCD), case.inputs.names(CONTROL_PLANE)
    shared = sorted(set(members) & set(planes))
    if shared and set(members) != set(planes):
        found = (
            f"{', '.join(shared)} in both etcd ({', '.join(sorted(members))}) and kube_control_plane "
            f"({', '.join(sorted(planes))}), which are neither the same nor apart"
        )
        yield fatal(
            "", "groups", found, "leave the group etcd out (etcd on the control planes), or take these out of it"
        )
    for name in sorted(set(members) & set(case.inputs.names(WORKER))):
        yield fatal(name, "groups", "the host is in etcd and in kube_node", "give etcd a machine of its own")


def unchanged_topology(case: Case) -> Iterator[Finding]:
    """etcd does not move from the control planes to machines of its own."""
    stacked = [host.name for host, node in case.planes_joined() if "etcd" in node.kubernetes.manifests]
    if stacked and case.plan.etcd.topology == EXTERNAL:
        found = f"etcd runs on {', '.join(sorted(stacked))}, and the group etcd has machines of its own"
        yield fatal("", "groups", found, "leave the group etcd out: the topology of a running cluster stays as it is")


def member_count(case: Case) -> Iterator[Finding]:
    """An even number of members tolerates no more than one member less."""
    if case.plan.etcd.topology != EXTERNAL:
        return
    leaving = [name for name in case.inputs.etcd_remove if name in case.inputs.names(ETCD)]
    names = [name for name in case.inputs.names(ETCD) if name not in leaving]
    changes = leaving or set(BEGINS) & set(case.plan.etcd.actions.values())
    without = f" without {', '.join(leaving)}" if leaving else ""
    if len(names) % 2 == 0:
        found = f"{len(names)} members of etcd{without} tolerate the loss of {max(0, (len(names) - 1) // 2)}"
        told = f"{found}, as {len(names) - 1} do" if names else f"no member of etcd is left{without}"
        level = FATAL if not names or (changes and not case.inputs.rules.allow_even) else WARNING
        yield Finding("", "etcd-members", level, told, "name 3, 5 or 7 hosts in etcd")
    elif len(names) == 1:
        found = f"one member of etcd ({names[0]}): its loss is the loss of the cluster"
        yield warning("", "etcd-members", found, "name three hosts in etcd")


def removals(case: Case) -> Iterator[Finding]:
    """Only what is in the inventory can be taken out by name."""
    members = case.inputs.names(ETCD)
    for name in case.inputs.etcd_remove:
        if case.plan.etcd.topology == EXTERNAL and name not in members:
            found = f"etcd_remove names {name}, which the group etcd does not have ({', '.join(sorted(members))})"
            yield fatal("", "etcd-remove", found, "name machines of the group etcd")
    for name, action in case.plan.etcd.actions.items():
        if action == LEAVE and name not in case.nodes:
            found = "it does not answer: its member is removed, what is on the machine stays"
            yield warning(name, "etcd-remove", found, "keep it switched off, or empty /var/lib/etcd when it is back")
        elif action == GONE:
            yield warning(name, "etcd-remove", "it was taken out already", "take it out of the inventory")


def member_versions(case: Case) -> Iterator[Finding]:
    """etcd not too old for kube_version."""
    wanted, seen = case.inputs.version, {}
    if case.plan.etcd.topology != EXTERNAL or not wanted or wanted.series not in RELEASES:
        return
    for _host, node in case.etcd_machines():
        seen.update({member.name: member.version for member in (node.etcd.members if node.etcd else ())})
    for name, text in sorted(seen.items()):
        version = known_version(text)
        verdict = skew.etcd_with_kubernetes(version, wanted) if version else skew.YES
        if not verdict.allowed:
            yield fatal(
                name, "etcd-version", verdict.reason, "upgrade etcd first, with the Kubernetes version that runs"
            )


CHECKS: tuple[Check, ...] = (groups, unchanged_topology, member_count, removals, member_versions)
