# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that compare hosts with each other and with the cluster: identities, counts, versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from . import skew
from .etcd_plan import EXTERNAL
from .findings import FATAL, WARNING, Finding, fatal, warning
from .joining import JOIN_CONTROL_PLANE
from .preflight_case import Case, Check
from .preflight_inputs import CONTROL_PLANE, LB, WORKER
from .site_plan import EXISTING, NEW
from .version import Version, image_version, known_version
from .versions import RELEASES, supported

# What boards of some makers carry instead of a number of their own.
PLACEHOLDER_UUIDS = {
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "03000200-0400-0500-0006-000700080009",
}


def _shared(values: Mapping[str, str]) -> Iterator[tuple[list[str], str]]:
    """Values that several hosts have, with the hosts in the order of their names."""
    owners: dict[str, list[str]] = {}
    for host in sorted(values):
        owners.setdefault(values[host], []).append(host)
    return ((hosts, value) for value, hosts in owners.items() if value and len(hosts) > 1)


def _together(hosts: list[str]) -> str:
    return f"{', '.join(hosts[:-1])} and {hosts[-1]}"


def duplicate_names(case: Case) -> Iterator[Finding]:
    """Names that only differ by case are one name to Kubernetes. Names that contain one another are different."""
    for hosts, _value in _shared({name: name.lower() for name in case.inputs.hosts}):
        yield fatal(hosts[-1], "duplicate-name", f"{_together(hosts)} are the same node name", "rename them")


def duplicate_addresses(case: Case) -> Iterator[Finding]:
    """One address, one host."""
    for hosts, value in _shared({host.name: host.node_ip for host in case.inputs.hosts.values()}):
        found = f"{_together(hosts)} have the same address {value}"
        yield fatal(hosts[-1], "duplicate-address", found, "correct kube_node_ip or ansible_host")


def duplicate_machine_ids(case: Case) -> Iterator[Finding]:
    """Two hosts with one machine-id are one host to the kubelet, to DHCP servers and to pod networks."""
    for hosts, value in _shared({host.name: node.machine_id for host, node in case.known()}):
        found = f"{_together(hosts)} have the same machine-id {value}"
        step = "make new ones: rm /etc/machine-id && systemd-machine-id-setup, unless they are one and the same machine"
        yield fatal(hosts[-1], "duplicate-machine-id", found, step)


def duplicate_products(case: Case) -> Iterator[Finding]:
    """Two machines with one product_uuid: a clone.

    Containers of one kernel (the same boot_id) all read their machine's number, so it says nothing about them.
    Where a boot_id is not known that may be the case too, so it is only told.
    """
    uuids = {host.name: node.product_uuid for host, node in case.known() if node.product_uuid not in PLACEHOLDER_UUIDS}
    for hosts, value in _shared(uuids):
        boots = {case.nodes[name].boot_id for name in hosts}
        if len(boots) > 1 or boots == {""}:
            found = f"{_together(hosts)} have the same product_uuid {value}"
            level = WARNING if "" in boots else FATAL
            yield Finding(hosts[-1], "duplicate-product-uuid", level, found, "give each virtual machine its own UUID")


def control_plane_count(case: Case) -> Iterator[Finding]:
    """Stacked etcd votes: an even number of members tolerates no more than one member less."""
    names = case.inputs.names(CONTROL_PLANE)
    grows = case.plan.state == NEW or JOIN_CONTROL_PLANE in case.plan.hosts.values()
    if len(names) % 2 == 0 and names and case.plan.etcd.topology != EXTERNAL:
        least = f"{len(names)} control planes tolerate the loss of {(len(names) - 1) // 2}, as {len(names) - 1} do"
        level = FATAL if grows and not case.inputs.rules.allow_even else WARNING
        yield Finding("", "control-planes", level, least, "name 1, 3 or 5 hosts in kube_control_plane")
    elif len(names) == 1:
        yield warning(
            "",
            "control-planes",
            f"one control plane ({names[0]}): its loss is the loss of the cluster",
            "name three hosts",
        )


def api_via(case: Case) -> Iterator[Finding]:
    """The host that talks to the API must be one that exists."""
    via = case.inputs.api_via
    if via != "localhost" and via not in case.inputs.hosts:
        yield fatal(
            "",
            "input",
            f"kube_api_via is {via!r}, which the inventory does not have",
            "name a control plane or localhost",
        )


def supported_version(case: Case) -> Iterator[Finding]:
    """kube_version in the table."""
    wanted = case.inputs.version
    if wanted and wanted.series not in RELEASES:
        yield fatal("", "version", f"kube_version {wanted} is not supported", f"use one of {', '.join(supported())}")


def _running(case: Case) -> dict[str, Version]:
    """Control planes to the version of their API server."""
    found = {host.name: image_version(node.kubernetes.api_image) for host, node in case.planes_joined()}
    versions = {name: version for name, version in found.items() if version}
    asked = known_version(case.inputs.api_version)
    return versions or ({"the API": asked} if asked else {})


def unknown_version(case: Case) -> Iterator[Finding]:
    """A limited run whose hosts join an API of which nobody could tell the version."""
    if case.plan.state == EXISTING and not _running(case) and any(case.plan.joins(name) for name in case.plan.hosts):
        found = (
            "the version of the running API is not known: no control plane is in the play, nor does the kubeconfig help"
        )
        step = "make sure that it is kube_version, or put a control plane into --limit"
        yield warning("", "version", found, step)


def site_version(case: Case) -> Iterator[Finding]:
    """`site` runs the version that runs."""
    wanted, running = case.inputs.version, _running(case)
    if not wanted or wanted.series not in RELEASES or not running:
        return
    versions = sorted(set(running.values()))
    if len(versions) > 1:
        told = ", ".join(f"{name} {version}" for name, version in sorted(running.items()))
        step = f"finish it: {skew.upgrade_command(str(versions[-1]), case.inputs.inventory)}"
        yield fatal("", "version", f"an upgrade is not finished: {told}", step)
        return
    verdict = skew.site(versions[0], wanted, case.inputs.inventory)
    if not verdict.allowed:
        yield fatal("", "version", verdict.reason, verdict.path[0])


def kubelet_versions(case: Case) -> Iterator[Finding]:
    """Kubelets of nodes beside the API servers, and beside what `site` would install."""
    wanted, running = case.inputs.version, _running(case)
    oldest = min(running.values(), default=None)
    for host, node in case.kubernetes_hosts():
        kubelet = known_version(node.kubernetes.kubelet_version)
        if not case.is_joined(host.name) or not kubelet or not wanted:
            continue
        verdict = skew.kubelet_with_api(kubelet, oldest) if oldest else skew.YES
        step = skew.upgrade_command(str(wanted), case.inputs.inventory)
        if not verdict.allowed:
            yield fatal(host.name, "version", verdict.reason, step)
        elif kubelet != wanted and oldest in (None, wanted):
            yield fatal(
                host.name,
                "version",
                f"its kubelet is {kubelet}, kube_version is {wanted}, and site never upgrades",
                step,
            )


def etcd_versions(case: Case) -> Iterator[Finding]:
    """etcd not too old for kube_version."""
    wanted = case.inputs.version
    for host, node in case.planes_joined():
        etcd = image_version(node.kubernetes.manifests.get("etcd", ""))
        if not wanted or wanted.series not in RELEASES or not etcd:
            continue
        verdict = skew.etcd_with_kubernetes(etcd, wanted)
        if not verdict.allowed:
            yield fatal(
                host.name, "etcd-version", verdict.reason, "upgrade etcd first, with the Kubernetes version that runs"
            )


def empty_groups(case: Case) -> Iterator[Finding]:
    """A cluster without workers runs no workload."""
    if not case.inputs.names(WORKER):
        yield warning(
            "", "workers", "kube_node has no host", "name workers in it, or take the taint off the control planes"
        )


def limited_balancers(case: Case) -> Iterator[Finding]:
    """A new load balancer that the others have not heard of hears no advertisements and takes the VIP as well."""
    balancers = case.inputs.names(LB)
    outside = [name for name in balancers if not case.inputs.hosts[name].in_play]
    for name in balancers:
        node = case.nodes.get(name)
        if outside and node and not any(entry.port == case.inputs.api_port for entry in node.listening):
            found = f"a new load balancer, and {', '.join(outside)}, which must know it, outside of the limit"
            yield fatal(name, "limit", found, "add the group kube_lb to --limit")


def limited_control_planes(case: Case) -> Iterator[Finding]:
    """Joined, but not balanced to."""
    outside = [name for name in case.inputs.names(LB) if not case.inputs.hosts[name].in_play]
    joining = [name for name, action in case.plan.hosts.items() if action == JOIN_CONTROL_PLANE]
    if outside and joining:
        found = f"{', '.join(outside)} will not send requests to it: outside of the limit"
        yield warning(joining[0], "limit", found, "run site without --limit afterwards")


def known_authority(case: Case) -> Iterator[Finding]:
    """Who joins must know the CA beforehand: discovery is never left to trust."""
    joining = [name for name in case.plan.hosts if case.plan.joins(name)]
    if case.plan.state == EXISTING and joining and not case.plan.ca_pem:
        found = "it joins a cluster whose CA is not known: no control plane is in the run, and no kubeconfig of it here"
        yield fatal(
            joining[0], "authority", found, "add a control plane to --limit, or put the kubeconfig in its place"
        )


CHECKS: tuple[Check, ...] = (
    limited_balancers,
    limited_control_planes,
    known_authority,
    duplicate_names,
    duplicate_addresses,
    duplicate_machine_ids,
    duplicate_products,
    control_plane_count,
    api_via,
    supported_version,
    site_version,
    unknown_version,
    kubelet_versions,
    etcd_versions,
    empty_groups,
)
