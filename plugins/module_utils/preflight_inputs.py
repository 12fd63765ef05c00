# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's inputs, read and checked by type and pattern before anything else looks at them.

A value that cannot be used becomes None and a finding, so that one report still tells everything that is wrong.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import input_types as read
from .findings import Finding, fatal, warning
from .preflight_rules import RULES, Rules
from .version import Version

CONTROL_PLANE, WORKER, LB, ETCD = "control_plane", "worker", "lb", "etcd"
GROUPS = (CONTROL_PLANE, WORKER, LB, ETCD)
# The default of the role kube_lb.
LB_HEALTH_PORT = 8405
GROUP_NAMES = {CONTROL_PLANE: "kube_control_plane", WORKER: "kube_node", LB: "kube_lb", ETCD: "etcd"}


@dataclass(frozen=True)
class HostInputs:
    """A host of the inventory. node_ip "": unusable or unknown. problem: why there are no facts, "" when there are.

    sent and received: the controller's clock around the call that read the host's clock. inputs: the digest of what
    the tasks that prepare the host are made from, "" when there is none.
    """

    name: str
    groups: frozenset[str] = frozenset()
    node_ip: str = ""
    in_play: bool = True
    unreachable: bool = False
    problem: str = ""
    sent: float | None = None
    received: float | None = None
    vrid: int | None = None
    lb_health_port: int = LB_HEALTH_PORT
    inputs: str = ""

    @property
    def is_kubernetes(self) -> bool:
        """Whether a kubelet runs there."""
        return bool(self.groups & {CONTROL_PLANE, WORKER})

    @property
    def is_etcd_machine(self) -> bool:
        """Whether an etcd of our own service runs there, and no kubelet."""
        return ETCD in self.groups and not self.is_kubernetes


@dataclass(frozen=True)
class Source:
    """Where the software comes from. checksums: publisher's URL -> sha256."""

    kind: str = "public"
    repository: str = ""
    files: str = ""
    checksums: Mapping[str, str] = field(default_factory=dict)

    @property
    def required(self) -> dict[str, str]:
        """The variables that this kind of source needs, and their values."""
        mirror = {"kube_source_repository": self.repository, "kube_source_files": self.files}
        return mirror if self.kind == "mirror" else {}


@dataclass(frozen=True)
class Inputs:
    """The cluster's inputs; None where the value cannot be used."""

    hosts: Mapping[str, HostInputs]
    version: Version | None
    vip: ipaddress.IPv4Address | None
    vip_interface: str
    api_port: int
    bind_port: int
    pod_cidr: ipaddress.IPv4Network | ipaddress.IPv6Network | None
    service_cidr: ipaddress.IPv4Network | ipaddress.IPv6Network | None
    cni: str
    api_via: str
    rules: Rules
    inventory: str = ""
    limit: str = ""
    ca_pem: str = ""
    api_version: str = ""
    source: Source = Source()

    @property
    def etcd_remove(self) -> list[str]:
        """Machines to take out of an external etcd."""
        return self.rules.etcd_remove

    def members(self, group: str) -> list[HostInputs]:
        """The hosts of a group, in the inventory's order."""
        return [host for host in self.hosts.values() if group in host.groups]

    def names(self, group: str) -> list[str]:
        """The names of a group's hosts, in the inventory's order."""
        return [host.name for host in self.members(group)]


# name -> reader, value that later checks use when this one cannot be read
CLUSTER: dict[str, tuple[read.Reader, Any]] = {
    "kube_version": (read.release, None),
    "kube_vip": (read.ipv4, None),
    "kube_vip_interface": (read.optional(read.text(read.INTERFACE, "an interface's name, at most 15 characters")), ""),
    "kube_api_port": (read.port, 6443),
    "kube_api_bind_port": (read.port, 6443),
    "kube_pod_cidr": (read.network, None),
    "kube_service_cidr": (read.network, None),
    "kube_dns_domain": (read.text(read.DNS, "a domain name of lower-case letters, digits, - and ."), ""),
    "kube_cluster_name": (read.text(read.CLUSTER_NAME, "at most 63 letters, digits and ._-"), ""),
    "kube_image_repository": (read.text(read.REPOSITORY, "an image repository like registry.k8s.io"), ""),
    "kube_cni": (read.choice("flannel", "manifest"), "flannel"),
    "kube_kubeconfig": (read.local_path, ""),
    "kube_source": (read.choice("public", "mirror", "bundle"), "public"),
    "kube_source_repository": (read.optional(read.url), ""),
    "kube_source_files": (read.optional(read.url), ""),
    "kube_source_checksums": (read.checksums, {}),
    "kube_bundle_dir": (read.host_path, ""),
    "kube_api_via": (read.text(read.DNS, "localhost or a host of the inventory"), "localhost"),
    "kube_ignore_preflight_errors": (read.names, []),
}
HOST: dict[str, tuple[read.Reader, Any]] = {
    "kube_node_labels": (read.labels, {}),
    "kube_node_taints": (read.taints, []),
    "kube_lb_vrid": (read.optional(read.whole(0, 255), None), None),
    "kube_lb_health_port": (read.port, LB_HEALTH_PORT),
}


def _refused(host: str, name: str, value: Any, allowed: object) -> Finding:
    return fatal(host, "input", f"{name} is {read.show(value)}", f"set {name} to {allowed}")


def _read_all(
    host: str, values: Mapping[str, Any], table: Mapping[str, tuple[read.Reader, Any]], findings: list[Finding]
) -> dict[str, Any]:
    parsed = {}
    for name, (reader, otherwise) in table.items():
        try:
            parsed[name] = reader(values[name]) if name in values else otherwise
        except ValueError as exc:
            parsed[name] = otherwise
            findings.append(_refused(host, name, values[name], exc))
    return parsed


def _rules(values: Mapping[str, Any], findings: list[Finding]) -> Rules:
    defaults = Rules()
    table = {name: (reader, getattr(defaults, name)) for name, reader in RULES.items()}
    return Rules(**_read_all("", values, table, findings))


def _groups(name: str, values: Any, findings: list[Finding]) -> frozenset[str]:
    groups = frozenset(str(group) for group in values or [])
    if {CONTROL_PLANE, WORKER} <= groups:
        findings.append(
            fatal(
                name,
                "groups",
                "the host is in kube_control_plane and in kube_node",
                "keep it in one of them; for a control plane that runs workloads set kube_node_taints to []",
            )
        )
    return groups


def _node_ip(name: str, raw: Mapping[str, Any], findings: list[Finding]) -> str:
    """The address inside the cluster, from the inventory alone: a host that does not answer must have one too."""
    value = raw.get("kube_node_ip") or raw.get("ansible_host") or name
    try:
        return read.address(value)
    except ValueError as exc:
        findings.append(_refused(name, "kube_node_ip", value, exc))
        return ""


def _host(name: str, raw: Mapping[str, Any], findings: list[Finding]) -> HostInputs:
    if not read.DNS.fullmatch(name):
        findings.append(
            fatal(
                read.show(name).strip("'"),
                "input",
                f"the host's name is {read.show(name)}",
                "use lower-case letters, digits, - and . (RFC 1123): it becomes the node's and the etcd member's name",
            )
        )
    parsed = _read_all(name, raw, HOST, findings)
    return HostInputs(
        name=name,
        groups=_groups(name, raw.get("groups"), findings),
        node_ip=_node_ip(name, raw, findings),
        in_play=bool(raw.get("in_play", True)),
        unreachable=bool(raw.get("unreachable", False)),
        problem=str(raw.get("problem") or ""),
        sent=raw.get("sent"),
        received=raw.get("received"),
        vrid=parsed["kube_lb_vrid"],
        lb_health_port=parsed["kube_lb_health_port"],
        inputs=str(raw.get("inputs") or ""),
    )


def _unreadable(hosts: Mapping[str, Any]) -> Iterable[Finding]:
    """Variables whose template failed: the caller passes the reason on instead of a value."""
    for name, raw in hosts.items():
        for key, reason in (raw.get("unreadable") or {}).items():
            yield fatal(name, "input", f"{key} cannot be used: {reason}", f"correct {key} in the inventory")


def _unknown(hosts: Mapping[str, Any]) -> Iterable[Finding]:
    """Variables that begin like a role's and that no role has."""
    for name, raw in hosts.items():
        for key in raw.get("unknown") or []:
            yield warning(name, "input", f"no role knows the variable {key}", "correct its name, or take it out")


def _disagreements(hosts: Mapping[str, Any], cluster: Mapping[str, Any]) -> Iterable[Finding]:
    """A variable of the whole cluster that one host sees with another value."""
    for name, raw in hosts.items():
        for key, value in (raw.get("overrides") or {}).items():
            if key in CLUSTER and key in cluster and value != cluster[key]:
                found = f"{key} is {read.show(value)} for this host and {read.show(cluster[key])} for the others"
                yield fatal(name, "input", found, f"set {key} once, for all hosts")


def parse_inputs(raw: Mapping[str, Any]) -> tuple[Inputs, list[Finding]]:
    """cluster, hosts, rules, inventory, limit, ca_pem and api_version to Inputs, with what is wrong with them.

    ca_pem and api_version: what the controller's kubeconfig tells where no control plane is in the play.
    """
    findings: list[Finding] = []
    given, hosts = raw.get("cluster") or {}, raw.get("hosts") or {}
    for name in ("kube_version", "kube_vip", "kube_pod_cidr", "kube_service_cidr"):
        if name not in given:
            findings.append(fatal("", "input", f"{name} is not set", f"set {name} in the inventory, for all hosts"))
    cluster = _read_all("", given, CLUSTER, findings)
    findings += _disagreements(hosts, given)
    findings += _unreadable(hosts)
    findings += _unknown(hosts)
    inputs = Inputs(
        hosts={str(name): _host(str(name), values, findings) for name, values in hosts.items()},
        version=cluster["kube_version"],
        vip=cluster["kube_vip"],
        vip_interface=cluster["kube_vip_interface"],
        api_port=cluster["kube_api_port"],
        bind_port=cluster["kube_api_bind_port"],
        pod_cidr=cluster["kube_pod_cidr"],
        service_cidr=cluster["kube_service_cidr"],
        cni=cluster["kube_cni"],
        api_via=cluster["kube_api_via"],
        rules=_rules(raw.get("rules") or {}, findings),
        inventory=str(raw.get("inventory") or ""),
        limit=str(raw.get("limit") or ""),
        ca_pem=str(raw.get("ca_pem") or ""),
        api_version=str(raw.get("api_version") or ""),
        source=Source(
            kind=cluster["kube_source"],
            repository=cluster["kube_source_repository"],
            files=cluster["kube_source_files"],
            checksums=cluster["kube_source_checksums"],
        ),
    )
    return inputs, findings
