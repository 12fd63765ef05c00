# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge of verify.yml: what was seen becomes rows that say ok, warn or fail. Pure.

What is in order becomes one row for each check, what is not becomes one row for each subject: a table stays readable
at 1,000 nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OUR_TOKENS = "quorum.kubeadm"
ZONE_LABEL = "topology.kubernetes.io/zone"
NODE_UNITS = ("containerd", "kubelet")
LB_UNITS = ("haproxy", "keepalived")
RUNNING = ("active", "reloading", "refreshing")
COLUMNS = ("check", "subject", "status", "found", "next_step")
NAMES_SHOWN = 8
# What starts by itself after a join may take as long as it is allowed to; what should be there already may not.
PATIENCE = 3600.0
SHORT_PATIENCE = 20.0


@dataclass(frozen=True)
class Row:
    """One line of the table. `patience`: for how many seconds waiting may still turn this failure into ok."""

    check: str
    subject: str
    status: str
    found: str
    next_step: str = ""
    patience: float = 0.0

    def result(self) -> dict[str, str]:
        """As it is returned by modules."""
        return {key: getattr(self, key) for key in COLUMNS}


@dataclass(frozen=True)
class Want:
    """What the inventory says the cluster is. absent: names that were removed.

    concerned: the nodes that a run has to do with, all of them when it is empty; the control planes always are.
    """

    version: str
    control_planes: tuple[str, ...]
    workers: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    concerned: tuple[str, ...] = ()

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node's name, once."""
        return tuple(dict.fromkeys((*self.control_planes, *self.workers)))

    @property
    def others(self) -> tuple[str, ...]:
        """Workers that the run has nothing to do with."""
        concerned = {*self.concerned, *self.control_planes}
        return tuple(name for name in self.nodes if name not in concerned) if self.concerned else ()


@dataclass(frozen=True)
class NodeSeen:
    """A Node object, as far as it matters here. `reason` says why it is not Ready."""

    name: str
    ready: bool
    version: str
    reason: str = ""
    zone: str = ""
    address: str = ""
    cordoned: bool = False


@dataclass(frozen=True)
class TokenSeen:
    """A bootstrap token without its secret. `expires` is in seconds since the epoch, None = never."""

    id: str
    description: str = ""
    expires: float | None = None


@dataclass(frozen=True)
class Answer:
    """What an API server's /readyz answered at one address. `status` 0: nothing."""

    subject: str
    url: str
    status: int
    found: str


@dataclass(frozen=True)
class Hosts:
    """What node_info told about every host of the inventory that was looked at; None = it did not answer."""

    seen: Mapping[str, Mapping[str, Any] | None]
    nodes: tuple[str, ...] = ()
    balancers: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    etcd: tuple[str, ...] = ()

    def units_of(self, name: str) -> tuple[str, ...]:
        """The services that this host needs."""
        every = ((self.nodes, NODE_UNITS), (self.balancers, LB_UNITS), (self.etcd, ("etcd",)))
        return tuple(unit for members, units in every if name in members for unit in units)


def names(items: Iterable[str]) -> str:
    """Names for a person: not 1,000 of them."""
    listed = list(items)
    rest = len(listed) - NAMES_SHOWN
    return ", ".join(listed[:NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def failed(rows: Iterable[Row]) -> bool:
    """Whether any row says fail."""
    return any(row.status == "fail" for row in rows)


def node_seen(raw: Mapping[str, Any]) -> NodeSeen:
    """Parse a Node object of the API."""
    meta, status = raw.get("metadata") or {}, raw.get("status") or {}
    conditions = {c.get("type"): c for c in status.get("conditions") or []}
    ready = conditions.get("Ready") or {}
    addresses = {a.get("type"): a.get("address", "") for a in reversed(status.get("addresses") or [])}
    return NodeSeen(
        name=str(meta.get("name", "")),
        ready=ready.get("status") == "True",
        version=str((status.get("nodeInfo") or {}).get("kubeletVersion", "")),
        reason=str(ready.get("message") or ready.get("reason") or "the kubelet has not reported"),
        zone=str((meta.get("labels") or {}).get(ZONE_LABEL, "")),
        address=str(addresses.get("InternalIP", "")),
        cordoned=bool((raw.get("spec") or {}).get("unschedulable")),
    )


def judge_tokens(tokens: Sequence[TokenSeen], now: float) -> list[Row]:
    """No bootstrap token of ours is left; others that still work are mentioned."""
    rows = []
    for token in tokens:
        ours = token.description == OUR_TOKENS
        if not ours and token.expires is not None and token.expires <= now:
            continue
        left = "never expires" if token.expires is None else f"expires in {max(token.expires - now, 0) / 60:.0f} min"
        whose = "left over from a run of this collection" if ours else f"not of this collection ({token.description})"
        found = f"bootstrap token {whose}, {left}" if ours or token.description else f"bootstrap token, {left}"
        step = f"kubectl -n kube-system delete secret bootstrap-token-{token.id}"
        rows.append(Row("tokens", token.id, "fail" if ours else "warn", found, step))
    return rows or [Row("tokens", "bootstrap tokens", "ok", "none left")]


def judge_certs_secret(exists: bool) -> list[Row]:
    """The CAs' private keys must not stay in the API after the last join, not even encrypted."""
    if not exists:
        return [Row("kubeadm-certs", "Secret", "ok", "none left")]
    step = "kubectl -n kube-system delete secret kubeadm-certs"
    return [Row("kubeadm-certs", "Secret", "fail", "kube-system/kubeadm-certs still exists", step)]


def judge_apis(servers: Sequence[Answer], vip: Answer | None) -> list[Row]:
    """Every API server answers at its own address, and one of them through the VIP."""
    rows = []
    for server in servers:
        step = f"Look at the kube-apiserver of {server.subject}: crictl or ctr, /var/log/pods"
        rows.append(_api_row(server, server.found, step))
    if vip is not None:
        fine = any(server.status == 200 for server in servers)
        found = f"VIP fault, the API servers are fine: {vip.found}" if fine and vip.status != 200 else vip.found
        step = "Look at haproxy and keepalived on the load balancers" if fine else "Look at the API servers first"
        rows.append(_api_row(vip, found, step))
    return rows


def _api_row(answer: Answer, found: str, step: str) -> Row:
    if answer.status == 200:
        return Row("api", answer.subject, "ok", f"{answer.url} {found}")
    return Row("api", answer.subject, "fail", f"{answer.url} {found}", step, SHORT_PATIENCE)


def judge_hosts(hosts: Hosts) -> list[Row]:
    """Every host answered."""
    lost = [name for name, node in hosts.seen.items() if node is None]
    rows = [
        Row("hosts", name, "fail", hosts.errors.get(name) or "unreachable", f"Look at {name}: power, network, sshd")
        for name in lost
    ]
    reached = [name for name, node in hosts.seen.items() if node is not None]
    return rows or [Row("hosts", names(reached), "ok", f"{len(reached)} answered")]


def judge_units(hosts: Hosts) -> list[Row]:
    """The services that a host needs are active."""
    rows, checked = [], 0
    for name, node in hosts.seen.items():
        units = (node or {}).get("units") or {}
        for unit in () if node is None else hosts.units_of(name):
            checked += 1
            state = str((units.get(unit) or {}).get("active") or "unknown").replace("unknown", "not installed")
            if state not in RUNNING:
                step = f"journalctl -u {unit} on {name}, then systemctl start {unit}"
                rows.append(Row("services", name, "fail", f"{unit} is {state}", step))
    return rows or [Row("services", "hosts", "ok", f"{checked} active")]


def judge_vip(hosts: Hosts, vip: str) -> list[Row]:
    """The VIP is on exactly one machine. Without a look at all load balancers, none is no answer."""
    holders = {
        name: str(address.get("interface", ""))
        for name, node in hosts.seen.items()
        for address in (node or {}).get("addresses") or []
        if address.get("address") == vip
    }
    found = " and ".join(f"{name} ({interface})" for name, interface in sorted(holders.items()))
    if len(holders) == 1:
        return [Row("vip", vip, "ok", f"on {found}")]
    if holders:
        step = "Two masters: look whether VRRP passes between them (protocol 112), and at keepalived's log"
        return [Row("vip", vip, "fail", f"on {found}", step)]
    if not hosts.balancers or not set(hosts.balancers) <= set(hosts.seen):
        return []
    lost = [name for name in hosts.balancers if hosts.seen[name] is None]
    unseen = f" ({names(lost)} was not seen)" if lost else ""
    return [Row("vip", vip, "fail", f"on no machine{unseen}", "Look at keepalived on the load balancers")]


def judge_etcd(etcd: Mapping[str, Any], want: Sequence[str]) -> list[Row]:
    """The members are those of the inventory, by exact names, and all of them are healthy voters."""
    rows: list[Row] = []
    members = etcd.get("members") or []
    present = {str(member.get("name", "")) for member in members}
    lost = "Run replace_node, or site when it never joined"
    rows += [Row("etcd", name, "fail", "not a member", lost) for name in want if name not in present]
    for member in members:
        rows += _member_rows(member, want)
    findings = [item for item in etcd.get("findings") or [] if not item.get("member")]
    for item in findings:
        status = "fail" if item.get("level") == "fatal" else "warn"
        rows.append(Row("etcd", "cluster", status, str(item.get("found")), str(item.get("next_step", ""))))
    if failed(rows):
        return rows
    text = f"{etcd.get('healthy_voters')} of {etcd.get('voters')} voters healthy, {etcd.get('tolerance')} may fail"
    return [Row("etcd", names(sorted(present)), "ok", text), *rows]


def _member_rows(member: Mapping[str, Any], want: Sequence[str]) -> list[Row]:
    name = str(member.get("name") or "")
    subject = name or str(member.get("id"))
    rows = []
    if not name:
        urls = names(member.get("peer_urls") or [])
        rows.append(Row("etcd", subject, "fail", f"never started (peer {urls})", "Start etcd there, or run site again"))
    elif not member.get("healthy"):
        alarms = names(member.get("alarms") or [])
        found = f"raises the alarm {alarms}" if alarms else f"unhealthy: {member.get('error') or 'lags behind'}"
        rows.append(Row("etcd", subject, "fail", found, f"Look at the etcd of {name}"))
    elif member.get("learner"):
        rows.append(Row("etcd", subject, "fail", "is a learner, it does not vote", "Wait, or run site again"))
    if name and name not in want:
        step = "Add it to the inventory, or run remove_node"
        rows.append(Row("etcd", subject, "warn", "extra: a member, not in the inventory", step))
    return rows
