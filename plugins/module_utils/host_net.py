# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a host: addresses, the default route, listening ports and who listens."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from dataclasses import dataclass
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host

LISTEN = "0A"
RTF_UP, RTF_GATEWAY = 1, 2


@dataclass(frozen=True)
class Route:
    """The default route that the kernel prefers."""

    interface: str
    gateway: str | None
    family: int


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket."""

    port: int
    address: str
    inode: int


def parse_addresses(text: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Addresses and MACs from `ip -j addr`."""
    try:
        links = json.loads(text or "[]")
    except ValueError:
        links = []
    addresses: list[dict[str, Any]] = []
    macs: dict[str, str] = {}
    for link in links:
        name = str(link.get("ifname", ""))
        if link.get("link_type") == "ether":
            macs[name] = str(link.get("address", ""))
        for entry in link.get("addr_info", []):
            if entry.get("local"):
                family = 6 if entry.get("family") == "inet6" else 4
                prefix = int(entry.get("prefixlen", 0))
                addresses.append({"interface": name, "address": entry["local"], "prefix": prefix, "family": family})
    return addresses, macs


def parse_route4(text: str) -> Route | None:
    """The default route with the lowest metric, from /proc/net/route."""
    best: tuple[int, Route] | None = None
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) < 8 or words[1] != "00000000" or words[7] != "00000000" or not int(words[3], 16) & RTF_UP:
            continue
        raw = bytes.fromhex(words[2])[::-1]
        gateway = str(ipaddress.IPv4Address(raw)) if int(words[3], 16) & RTF_GATEWAY else None
        if best is None or int(words[6]) < best[0]:
            best = (int(words[6]), Route(words[0], gateway, 4))
    return best[1] if best else None


def parse_route6(text: str) -> Route | None:
    """The default route with the lowest metric, from /proc/net/ipv6_route."""
    best: tuple[int, Route] | None = None
    for line in text.splitlines():
        words = line.split()
        if len(words) < 10 or words[0] != "0" * 32 or words[1] != "00" or words[9] == "lo":
            continue
        gateway = ipaddress.IPv6Address(bytes.fromhex(words[4]))
        metric = int(words[5], 16)
        if int(words[8], 16) & RTF_UP and (best is None or metric < best[0]):
            best = (metric, Route(words[9], str(gateway) if int(gateway) else None, 6))
    return best[1] if best else None


def source_address(route: Route, addresses: list[dict[str, Any]]) -> str | None:
    """The address that the kernel uses towards the route's gateway: one in its subnet, else the interface's first."""
    local = [a for a in addresses if a["interface"] == route.interface and a["family"] == route.family]
    local = [a for a in local if not ipaddress.ip_address(a["address"]).is_link_local] or local
    if route.gateway:
        gateway = ipaddress.ip_address(route.gateway)
        for entry in local:
            if gateway in ipaddress.ip_network(f"{entry['address']}/{entry['prefix']}", strict=False):
                return str(entry["address"])
    return str(local[0]["address"]) if local else None


def interface_for(address: str, addresses: list[dict[str, Any]]) -> str | None:
    """The interface whose subnet holds the address."""
    wanted = ipaddress.ip_address(address)
    for entry in addresses:
        network = ipaddress.ip_network(f"{entry['address']}/{entry['prefix']}", strict=False)
        if wanted.version == network.version and wanted in network and network.prefixlen < network.max_prefixlen:
            return str(entry["interface"])
    return None


def parse_tcp(text: str) -> list[Listener]:
    """The listening sockets in /proc/net/tcp or /proc/net/tcp6."""
    listeners = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) >= 10 and words[3] == LISTEN:
            raw, port = words[1].split(":")
            listeners.append(Listener(int(port, 16), _kernel_address(raw), int(words[9])))
    return listeners


def _kernel_address(raw: str) -> str:
    """The kernel prints addresses as 32-bit words in the machine's byte order (little endian on our platforms)."""
    content = bytes.fromhex(raw)
    content = b"".join(content[i : i + 4][::-1] for i in range(0, len(content), 4))
    address = ipaddress.ip_address(content)
    return str(getattr(address, "ipv4_mapped", None) or address)


def socket_owners(host: Host, inodes: set[int]) -> dict[int, str]:
    """Names of the processes that hold these sockets."""
    owners: dict[int, str] = {}
    for pid in host.names("/proc"):
        if len(owners) == len(inodes):
            break
        if not pid.isdigit():
            continue
        for descriptor in host.names(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(host.real(f"/proc/{pid}/fd/{descriptor}"))
            except OSError:
                continue
            found = re.match(r"socket:\[(\d+)\]$", target)
            if found and int(found.group(1)) in inodes:
                owners[int(found.group(1))] = (host.read_text(f"/proc/{pid}/comm") or "").strip()
    return owners


def read_listening(host: Host, ports: list[int]) -> list[dict[str, Any]]:
    """Who listens on the watched ports. The processes' descriptors are walked only when a port is taken."""
    if not ports:
        return []
    sockets = parse_tcp(host.read_text("/proc/net/tcp") or "") + parse_tcp(host.read_text("/proc/net/tcp6") or "")
    taken = [s for s in sockets if s.port in ports]
    owners = socket_owners(host, {s.inode for s in taken}) if taken else {}
    rows = {(s.port, s.address): owners.get(s.inode) for s in taken}
    return [{"port": p, "address": a, "process": name} for (p, a), name in sorted(rows.items())]


def read_network(host: Host) -> dict[str, Any]:
    addresses, macs = parse_addresses(host.run(["ip", "-j", "addr"]).out)
    route = parse_route4(host.read_text("/proc/net/route") or "")
    route = route or parse_route6(host.read_text("/proc/net/ipv6_route") or "")
    default = None
    if route:
        address = source_address(route, addresses)
        default = {"interface": route.interface, "address": address, "gateway": route.gateway}
    return {"addresses": addresses, "macs": macs, "default_route": default}
