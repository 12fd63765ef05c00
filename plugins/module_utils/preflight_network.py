# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of networks and addresses: overlaps, families, the VIP, VRRP, the API's address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from .facts import Node, endpoint_of
from .findings import Finding, fatal, warning
from .preflight_case import Case, Check
from .preflight_inputs import CONTROL_PLANE, LB, HostInputs
from .vip import interface_for, vrid

ADDRESSES_SHOWN = 4
PER_NODE_PREFIX = 24
LARGEST_SERVICE_PREFIX = 12
ANY_ADDRESS = ("0.0.0.0", "::", "*", "127.0.0.1", "::1")  # noqa: S104 - compared with, not bound to


def _cluster_networks(case: Case) -> dict[str, Any]:
    found = {"kube_pod_cidr": case.inputs.pod_cidr, "kube_service_cidr": case.inputs.service_cidr}
    return {name: network for name, network in found.items() if network is not None}


def families(case: Case) -> Iterator[Finding]:
    """One address family everywhere; the VIP is IPv4."""
    mixed = [f"{name} {network}" for name, network in _cluster_networks(case).items() if network.version != 4]
    mixed += [f"{host.name} {host.node_ip}" for host in case.inputs.hosts.values() if ":" in host.node_ip]
    if mixed:
        found = f"IPv6 beside the IPv4 VIP {case.inputs.vip or ''}: {', '.join(mixed[:5])}".replace("  ", " ")
        yield fatal("", "family", found, "use IPv4 for the VIP, the nodes, the pods and the services")


def overlaps(case: Case) -> Iterator[Finding]:
    """Pod and service network apart from each other, from the VIP and from every node's address and network."""
    networks = _cluster_networks(case)
    pods, services = networks.get("kube_pod_cidr"), networks.get("kube_service_cidr")
    if pods and services and pods.version == services.version and pods.overlaps(services):
        found = f"kube_pod_cidr {pods} and kube_service_cidr {services} overlap"
        yield fatal("", "overlap", found, "choose networks that do not touch")
    for name, network in networks.items():
        if case.inputs.vip and case.inputs.vip in network:
            yield fatal(
                "", "overlap", f"kube_vip {case.inputs.vip} is inside of {name} {network}", f"choose another {name}"
            )
        for host in case.inputs.hosts.values():
            found = _node_overlap(host, case.nodes.get(host.name), network)
            if found:
                yield fatal(host.name, "overlap", f"{found} touches {name} {network}", f"choose another {name}")


def _node_overlap(host: HostInputs, node: Node | None, network: Any) -> str:
    if not host.node_ip:
        return ""
    if ipaddress.ip_address(host.node_ip) in network:
        return f"its address {host.node_ip}"
    entry = node.network_of(host.node_ip) if node else None
    if entry and entry.network.version == network.version and entry.network.overlaps(network):
        return f"its network {entry.network} ({entry.interface})"
    return ""


def other_networks(case: Case) -> Iterator[Finding]:
    """Another interface of a joining machine in the cluster's networks, for example docker0 or an old cni0."""
    for host, node in case.kubernetes_hosts():
        if not case.plan.joins(host.name) or node.kubernetes.marker:
            continue
        for entry in node.addresses:
            touched = [name for name, net in _cluster_networks(case).items() if _touches(entry.network, net)]
            if touched and entry.address != host.node_ip:
                found = f"{entry.interface} has {entry.address}/{entry.prefix}, inside of {' and '.join(touched)}"
                yield warning(
                    host.name,
                    "overlap",
                    found,
                    f"remove the interface if it is a leftover: ip link delete {entry.interface}",
                )


def _touches(one: Any, other: Any) -> bool:
    return bool(one.version == other.version and one.overlaps(other))


def sizes(case: Case) -> Iterator[Finding]:
    """Networks that are too small for the inventory or too large for the API server."""
    pods, services = case.inputs.pod_cidr, case.inputs.service_cidr
    count = sum(host.is_kubernetes for host in case.inputs.hosts.values())
    room = 2 ** max(0, PER_NODE_PREFIX - pods.prefixlen) if pods and pods.version == 4 else count
    if pods and ((pods.version == 4 and pods.prefixlen > PER_NODE_PREFIX) or room < count):
        fits = 0 if pods.prefixlen > PER_NODE_PREFIX else room
        found = f"kube_pod_cidr {pods} has room for {fits} nodes (a /24 each), the inventory has {count}"
        yield fatal("", "network-size", found, "choose a larger network")
    if services and services.version == 4 and not LARGEST_SERVICE_PREFIX <= services.prefixlen <= 28:
        found = f"kube_service_cidr {services}: API servers take /12 to /28"
        yield fatal("", "network-size", found, "choose a network from /12 to /28")


def node_addresses(case: Case) -> Iterator[Finding]:
    """The node's address must be on the node, and must not be the VIP."""
    for host, node in case.known():
        if not host.node_ip:
            continue
        if host.node_ip == str(case.inputs.vip):
            yield fatal(
                host.name, "node-ip", f"its address {host.node_ip} is the VIP", "choose a free address for kube_vip"
            )
        elif node.addresses and not node.network_of(host.node_ip):
            has = [entry.address for entry in node.addresses if entry.interface != "lo" and entry.network.version == 4]
            shown = ", ".join(has[:ADDRESSES_SHOWN]) + (" ..." if len(has) > ADDRESSES_SHOWN else "")
            found = f"kube_node_ip {host.node_ip} is on none of its interfaces ({shown})"
            yield fatal(host.name, "node-ip", found, "correct kube_node_ip")


def default_routes(case: Case) -> Iterator[Finding]:
    """The kernel looks for a route to a Service's address before kube-proxy turns it into a pod's."""
    for host, node in case.kubernetes_hosts():
        if node.default_route is False:
            found = f"it has no default route: {case.inputs.cni} and others on the host itself have no way to Services"
            step = f"add one, or a route to kube_service_cidr {case.inputs.service_cidr} through any interface"
            yield warning(host.name, "route", found, step)


def load_balancers(case: Case) -> Iterator[Finding]:
    """Somebody must hold the VIP."""
    names, served = case.inputs.names(LB), case.plan.vip_live or case.inputs.rules.allow_no_lb
    if not names and not served:
        step = "name two hosts in kube_lb, or set kube_preflight_allow_no_lb when a load balancer of your own serves it"
        yield fatal("", "lb", "kube_lb has no host, and nobody answers at the VIP", step)
    elif not names:
        step = "nothing, when a load balancer of your own serves it; or name two hosts in kube_lb"
        yield warning("", "lb", "kube_lb has no host; the VIP must be served by somebody else", step)
    elif len(names) == 1:
        found = f"one load balancer ({names[0]}): when it fails, the API cannot be reached"
        yield warning("", "lb", found, "name two hosts in kube_lb")
    in_play = [name for name in names if case.inputs.hosts[name].in_play]
    if in_play and not any(name in case.nodes for name in in_play) and not case.plan.vip_live:
        yield fatal("", "lb", f"no load balancer answers: {', '.join(in_play)}", "make at least one reachable")


def balancer_ports(case: Case) -> Iterator[Finding]:
    """HAProxy listens on two ports; on a control plane the API server has a third."""
    for host in case.inputs.members(LB):
        if host.lb_health_port == case.inputs.api_port:
            found = f"haproxy would listen twice on {host.lb_health_port}"
            yield fatal(host.name, "lb", found, "set kube_lb_health_port to a port of its own, for example 8405")
        if CONTROL_PLANE in host.groups and case.inputs.api_port == case.inputs.bind_port:
            found = f"haproxy and kube-apiserver would both listen on {case.inputs.api_port}"
            yield fatal(host.name, "lb", found, "set kube_api_port to another port, for example 8443")


def vip_interface(case: Case) -> Iterator[Finding]:
    """Each load balancer needs an interface on the VIP's network."""
    for host, node in case.known():
        if LB not in host.groups or case.inputs.vip is None or not node.addresses:
            continue
        rows: list[Mapping[str, Any]] = [
            {"interface": e.interface, "address": e.address, "prefix": e.prefix, "family": e.network.version}
            for e in node.addresses
        ]
        wanted = case.inputs.vip_interface
        if wanted and wanted not in {entry.interface for entry in node.addresses}:
            yield fatal(host.name, "vip", f"it has no interface {wanted}", "correct kube_vip_interface")
        elif not wanted and not interface_for(str(case.inputs.vip), rows):
            found = f"none of its networks holds the VIP {case.inputs.vip}"
            yield fatal(
                host.name, "vip", found, "choose a VIP on the load balancers' network, or set kube_vip_interface"
            )


def foreign_vip(case: Case) -> Iterator[Finding]:
    """The VIP belongs to the load balancers: nobody else may answer for it."""
    balancers = case.inputs.names(LB)
    own = {mac for name in balancers if name in case.nodes for mac in case.nodes[name].macs}
    all_known = all(name in case.nodes for name in balancers)
    seen: set[str] = set()
    for _host, node in case.known():
        if node.arp_address != str(case.inputs.vip) or node.arp_mac in own | seen:
            continue
        seen.add(node.arp_mac)
        found = f"the VIP {node.arp_address} is answered by {node.arp_mac}, not a load balancer ({node.name} asked)"
        if all_known:
            yield fatal(
                "",
                "vip",
                found,
                "find that machine (ip neigh, the switch) and take the address from it, or choose another kube_vip",
            )
        else:
            away = ", ".join(name for name in balancers if name not in case.nodes)
            yield warning("", "vip", f"{found}; nothing is known about {away}", f"make sure that it is {away}")


def foreign_vrid(case: Case) -> Iterator[Finding]:
    """Another router on the segment that speaks with our VRID would fight for it."""
    balancers = case.inputs.members(LB)
    own = {host.node_ip for host in balancers}
    own |= {entry.address for host in balancers if host.name in case.nodes for entry in case.nodes[host.name].addresses}
    for host in balancers:
        number = host.vrid or (vrid(str(case.inputs.vip)) if case.inputs.vip else None)
        for peer in case.nodes[host.name].vrrp if host.name in case.nodes else ():
            if peer.vrid == number and peer.source not in own:
                holds = f" for {', '.join(peer.vips)}" if peer.vips else ""
                found = f"{peer.source} speaks VRRP with router id {peer.vrid}{holds} on this segment"
                yield fatal(host.name, "vrid", found, "choose a kube_vip with another last number, or set kube_lb_vrid")


def api_address(case: Case) -> Iterator[Finding]:
    """A node that runs was made with other addresses than the inventory gives now."""
    inputs = case.inputs
    for host, node in case.kubernetes_hosts():
        server = node.kubernetes.kubelet_server
        if not case.is_joined(host.name) or not server or inputs.vip is None:
            continue
        address, port = endpoint_of(server)
        allowed = {(str(inputs.vip), inputs.api_port)}
        if CONTROL_PLANE in host.groups:
            allowed |= {(name, inputs.bind_port) for name in (host.node_ip, "127.0.0.1", "localhost")}
        if address.replace(".", "").isdigit() and (address, port) not in allowed:
            wanted = " or ".join(
                f"{name}:{number}" for name, number in sorted(allowed) if name[0].isdigit() and name != "127.0.0.1"
            )
            found = f"its kubelet talks to {address}:{port}, the inventory says {wanted}"
            step = "set kube_vip, kube_api_port and kube_node_ip back: they cannot be changed on a running cluster"
            yield fatal(host.name, "address-changed", found, step)


def advertised(case: Case) -> Iterator[Finding]:
    """An API server that is bound to another address than the node's."""
    for host, node in case.planes_joined():
        for listener in node.listening:
            if listener.port != case.inputs.bind_port or listener.process not in (
                "kube-apiserver",
                "kube-apiserver"[:15],
            ):
                continue
            if listener.address not in (*ANY_ADDRESS, host.node_ip):
                found = f"its API server listens on {listener.address}, kube_node_ip is {host.node_ip}"
                yield fatal(host.name, "address-changed", found, f"set kube_node_ip back to {listener.address}")


CHECKS: tuple[Check, ...] = (
    families,
    overlaps,
    other_networks,
    sizes,
    node_addresses,
    default_routes,
    load_balancers,
    balancer_ports,
    vip_interface,
    foreign_vip,
    foreign_vrid,
    api_address,
    advertised,
)
