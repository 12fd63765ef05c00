# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_info's result as value objects: parsed once, here. What is missing or null becomes None, "" or empty."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .etcd_look import EtcdLook, is_stopped, parse_look

# /readyz without credentials: 401 and 403 come from a server whose anonymous access is off.
LIVE_STATUS = (200, 401, 403)


@dataclass(frozen=True)
class Address:
    """An address of an interface."""

    interface: str
    address: str
    prefix: int

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        """The network that it is in."""
        return ipaddress.ip_network(f"{self.address}/{self.prefix}", strict=False)


@dataclass(frozen=True)
class Listener:
    """A listening TCP port; process is "" when unknown."""

    port: int
    address: str
    process: str


@dataclass(frozen=True)
class Disk:
    """The file system under a path."""

    mount: str
    total_bytes: int
    free_bytes: int
    writable: bool

    @property
    def used_percent(self) -> float:
        """As the kubelet computes it."""
        return 100.0 * (1 - self.free_bytes / self.total_bytes) if self.total_bytes else 0.0


@dataclass(frozen=True)
class Probe:
    """What one host got from one API address."""

    host: str
    port: int
    status: int | None

    @property
    def live(self) -> bool:
        """A ready API server answered."""
        return self.status in LIVE_STATUS


@dataclass(frozen=True)
class VrrpPeer:
    """A VRRP sender heard on the segment."""

    source: str
    vrid: int
    vips: tuple[str, ...]


@dataclass(frozen=True)
class KubernetesFacts:
    """What a cluster put on the host. manifests: static pod to image. marker: our unfinished action, "" when none.

    busy: an operation of ours still runs there. etcd_initial: etcd's unfinished first start, new or existing."""

    kubelet_version: str = ""
    containerd_version: str = ""
    ca_pem: str = ""
    etcd_ca_pem: str = ""
    kubelet_server: str = ""
    kubelet_ca_pem: str = ""
    has_kubelet_conf: bool = False
    admin_conf: bool = False
    bootstrap_conf: bool = False
    manifests: Mapping[str, str] = field(default_factory=dict)
    marker: str = ""
    busy: bool = False
    etcd_data: str = "absent"
    etcd_initial: str = ""
    etcd_servers: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()

    @property
    def api_image(self) -> str:
        """The API server's image; "" when its static pod is not there."""
        return self.manifests.get("kube-apiserver", "")

    @property
    def runs_api(self) -> bool:
        """Whether the API server's static pod is there."""
        return "kube-apiserver" in self.manifests


@dataclass(frozen=True)
class Node:
    """A host. None, "" and empty mean unknown, never a default. receipts: proven ones, name to their inputs."""

    name: str
    hostname: str = ""
    machine_id: str = ""
    product_uuid: str = ""
    boot_id: str = ""
    os_id: str = ""
    os_family: str = ""
    os_version: str = ""
    arch: str = ""
    cpu_count: int | None = None
    memory_mib: int | None = None
    swap: tuple[str, ...] = ()
    cgroup: str = ""
    init: str = ""
    epoch: float | None = None
    synchronized: bool | None = None
    disks: Mapping[str, Disk] = field(default_factory=dict)
    addresses: tuple[Address, ...] = ()
    default_route: bool | None = None
    macs: frozenset[str] = frozenset()
    listening: tuple[Listener, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    features: Mapping[str, bool] = field(default_factory=dict)
    arp_address: str = ""
    arp_mac: str = ""
    vrrp: tuple[VrrpPeer, ...] = ()
    receipts: Mapping[str, str] = field(default_factory=dict)
    etcd: EtcdLook | None = None
    etcd_stopped: bool = False
    kubernetes: KubernetesFacts = KubernetesFacts()

    def network_of(self, address: str) -> Address | None:
        """The entry that carries this address."""
        return next((entry for entry in self.addresses if entry.address == address), None)


def _text(value: Any) -> str:
    return str(value).strip() if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [row for row in _list(value) if isinstance(row, Mapping)]


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _present(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): _text(value) for name, value in values.items() if value is not None}


def endpoint_of(url: str) -> tuple[str, int]:
    """Address and port of an API URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 443


def _probes(api: Mapping[str, Any]) -> tuple[Probe, ...]:
    return tuple(
        Probe(*endpoint_of(str(url)), _number(_map(answer).get("status"))) for url, answer in sorted(api.items())
    )


def _addresses(rows: Any) -> tuple[Address, ...]:
    return tuple(
        Address(_text(row.get("interface")), _text(row["address"]), _number(row.get("prefix")) or 0)
        for row in _rows(rows)
        if _is_ip(_text(row.get("address")))
    )


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _disks(values: Mapping[str, Any]) -> dict[str, Disk]:
    return {
        str(path): Disk(
            _text(entry.get("mount")),
            _number(entry.get("total_bytes")) or 0,
            _number(entry.get("free_bytes")) or 0,
            entry.get("writable") is not False,
        )
        for path, entry in values.items()
        if isinstance(entry, Mapping)
    }


def _listening(rows: Any) -> tuple[Listener, ...]:
    return tuple(
        Listener(_number(row.get("port")) or 0, _text(row.get("address")), _text(row.get("process")))
        for row in _rows(rows)
    )


def _vrrp(rows: Any) -> tuple[VrrpPeer, ...]:
    return tuple(
        VrrpPeer(_text(row.get("source")), _number(row.get("vrid")) or 0, tuple(map(_text, _list(row.get("vip")))))
        for row in _rows(rows)
    )


def parse_kubernetes(raw: Mapping[str, Any]) -> KubernetesFacts:
    """The `kubernetes` part."""
    kubelet_conf, marker = raw.get("kubelet_conf"), raw.get("marker")
    return KubernetesFacts(
        kubelet_version=_text(raw.get("kubelet_version")),
        containerd_version=_text(raw.get("containerd_version")),
        ca_pem=_text(raw.get("ca_pem")),
        etcd_ca_pem=_text(raw.get("etcd_ca_pem")),
        kubelet_server=_text(_map(kubelet_conf).get("server")),
        kubelet_ca_pem=_text(_map(kubelet_conf).get("ca_pem")),
        has_kubelet_conf=bool(kubelet_conf),
        admin_conf=bool(raw.get("admin_conf")),
        bootstrap_conf=bool(raw.get("bootstrap_conf")),
        manifests={str(name): _text(image) for name, image in _map(raw.get("manifests")).items()},
        # A marker that cannot be read is one all the same.
        marker=(_text(_map(marker).get("action")) or "unknown") if marker else "",
        busy=bool(raw.get("busy")),
        etcd_data=_text(raw.get("etcd_data")) or "absent",
        etcd_initial=_text(raw.get("etcd_initial")),
        etcd_servers=tuple(map(_text, _list(raw.get("etcd_servers")))),
        probes=_probes(_map(raw.get("api"))),
    )


def parse_node(name: str, raw: Mapping[str, Any]) -> Node:
    """One host's `node`."""
    system, clock, arp = _map(raw.get("os")), _map(raw.get("time")), _map(raw.get("arp"))
    return Node(
        name=name,
        hostname=_text(raw.get("hostname")),
        machine_id=_text(raw.get("machine_id")),
        product_uuid=_text(raw.get("product_uuid")).lower(),
        boot_id=_text(raw.get("boot_id")),
        os_id=_text(system.get("id")).lower(),
        os_family=_text(system.get("family")),
        os_version=_text(system.get("version")),
        arch=_text(system.get("arch")),
        cpu_count=_number(raw.get("cpu_count")) or None,
        memory_mib=_number(raw.get("memory_mib")) or None,
        swap=tuple(_text(device) for device in _list(raw.get("swap"))),
        cgroup=_text(raw.get("cgroup")),
        init=_text(raw.get("init")),
        epoch=float(clock["epoch"]) if isinstance(clock.get("epoch"), (int, float)) else None,
        synchronized=_flag(clock.get("synchronized")),
        disks=_disks(_map(raw.get("disks"))),
        addresses=_addresses(raw.get("addresses")),
        default_route=bool(raw.get("default_route")) if raw.get("addresses") else None,
        macs=frozenset(_text(mac).lower() for mac in _map(raw.get("macs")).values() if mac),
        listening=_listening(raw.get("listening")),
        packages=_present(_map(raw.get("packages"))),
        features={
            str(key): value
            for key, value in _map(_map(raw.get("kernel")).get("features")).items()
            if isinstance(value, bool)
        },
        arp_address=_text(arp.get("address")) if arp.get("answered") else "",
        arp_mac=_text(arp.get("mac")).lower() if arp.get("answered") else "",
        vrrp=_vrrp(raw.get("vrrp")),
        receipts={str(name): _text(_map(known).get("inputs")) for name, known in _map(raw.get("receipts")).items()},
        etcd=parse_look(raw.get("etcd")),
        etcd_stopped=is_stopped(raw.get("units")),
        kubernetes=parse_kubernetes(_map(raw.get("kubernetes"))),
    )
