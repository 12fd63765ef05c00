# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers behind a load balancer as HAProxy reports them, and taking one out of service or back. Pure."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .errors import KubeadmError, RefusedError

# The bits of srv_admin_state: forced, inherited, or because the name did not resolve.
MAINTENANCE, DRAIN = 0x01 | 0x02 | 0x20 | 0x40, 0x08 | 0x10
RUNNING = "2"
PAUSE = 0.2
# Sends one command to HAProxy and returns its answer.
Ask = Callable[[str], str]


@dataclass(frozen=True)
class Server:
    """One server. admin: ready, drain or maint. up: what its health check says, whatever its admin state."""

    name: str
    status: str
    admin: str
    up: bool
    sessions: int
    check: str

    @property
    def in_service(self) -> bool:
        """Whether it gets new connections."""
        return self.up and self.admin == "ready"

    def as_dict(self) -> dict[str, Any]:
        """For a result."""
        return {key: value for key, value in asdict(self).items() if key != "name"}


def read(ask: Ask, backend: str) -> dict[str, Server]:
    """All servers of this backend."""
    states = _states(ask(f"show servers state {backend}"), backend)
    found = {}
    for row in csv.DictReader(ask("show stat").removeprefix("# ").splitlines()):
        name = row["svname"]
        if row["pxname"] == backend and name in states:
            state = states[name]
            # A star stands before the result while the next check runs.
            words = (row["check_status"].lstrip("* "), row.get("last_chk") or row.get("check_desc") or "")
            found[name] = Server(
                name=name,
                status=row["status"],
                admin=_admin(int(state["srv_admin_state"])),
                up=state["srv_op_state"] == RUNNING,
                sessions=int(row["scur"] or 0),
                check=" ".join(word for word in words if word),
            )
    return found


def _states(answer: str, backend: str) -> dict[str, dict[str, str]]:
    lines = [line for line in answer.splitlines() if line]
    header = next((line[2:].split() for line in lines if line.startswith("# ")), None)
    if header is None:
        raise RefusedError(
            "HAProxy does not show the servers of this backend",
            where=f"backend {backend}",
            found=answer.strip() or "an empty answer",
            next_step="Correct the name of the backend, and give the socket the level admin in haproxy.cfg",
        )
    rows = [dict(zip(header, line.split())) for line in lines if len(line.split()) == len(header)]
    return {row["srv_name"]: row for row in rows}


def _admin(bits: int) -> str:
    return "maint" if bits & MAINTENANCE else "drain" if bits & DRAIN else "ready"


def backends_up(servers: Mapping[str, Server]) -> int:
    """How many servers get new connections."""
    return sum(server.in_service for server in servers.values())


def known(servers: Mapping[str, Server], name: str, backend: str) -> Server:
    """The server with exactly this name."""
    if name not in servers:
        names = ", ".join(sorted(servers)) or "none"
        step = "Use the name of the control plane; a new one is added by playbooks/site.yml"
        raise RefusedError(
            f"The load balancer has no server {name}",
            where=f"backend {backend}",
            found=f"servers: {names}",
            next_step=step,
        )
    return servers[name]


@dataclass(frozen=True)
class Want:
    """What shall become of a server: state is drained or ready."""

    server: str
    state: str
    backend: str = "kube_api"
    wait: float = 5.0

    @property
    def admin(self) -> str:
        """The admin state in HAProxy's word."""
        return "ready" if self.state == "ready" else "drain"

    def of(self, servers: Mapping[str, Server]) -> Server:
        """The server that is meant."""
        return known(servers, self.server, self.backend)

    def is_set(self, server: Server) -> bool:
        """Whether it has the admin state. One in maintenance is out of service, too."""
        return (server.admin == "ready") == (self.admin == "ready")

    def arrived(self, server: Server) -> bool:
        """Whether nothing has to be waited for any more."""
        return server.in_service if self.state == "ready" else not server.sessions


@dataclass(frozen=True)
class Clock:
    """The time, and how it passes."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


def bring(ask: Ask, want: Want, clock: Clock, effects: bool) -> dict[str, Any]:
    """Bring a server into the state and wait. Without effects: what it would be."""
    servers = read(ask, want.backend)
    server = want.of(servers)
    changes = not want.is_set(server)
    if not effects:
        servers[server.name] = replace(server, admin=want.admin) if changes else server
        return report(servers, server.name, changes)
    if changes:
        tell(ask, f"set server {want.backend}/{server.name} state {want.admin}", want.backend)
    return report(_waited(ask, want, clock), server.name, changes)


def tell(ask: Ask, order: str, backend: str) -> None:
    """HAProxy answers an order with words only when it does not follow it."""
    refusal = ask(order).strip()
    if refusal:
        step = "Give the socket the level admin in haproxy.cfg"
        raise KubeadmError(f"HAProxy refused: {order}", where=f"backend {backend}", found=refusal, next_step=step)


def _waited(ask: Ask, want: Want, clock: Clock) -> dict[str, Server]:
    until = clock.now() + want.wait
    while True:
        servers = read(ask, want.backend)
        server = want.of(servers)
        if want.arrived(server) or clock.now() >= until:
            break
        clock.sleep(PAUSE)
    if want.state == "ready" and want.wait and not server.in_service:
        raise KubeadmError(
            f"{server.name} is not back in service after {want.wait:g} s: its health check does not pass",
            where=f"backend {want.backend}",
            found=f"{server.status}, last check: {server.check or 'none yet'}",
            next_step=f"Ask {server.name} for /readyz?verbose, and look at its API server's log",
        )
    return servers


def report(servers: Mapping[str, Server], name: str = "", changed: bool = False) -> dict[str, Any]:
    """The result. sessions: those that the server still has."""
    found: dict[str, Any] = {
        "changed": changed,
        "answered": True,
        "servers": {server.name: server.as_dict() for server in servers.values()},
        "backends_up": backends_up(servers),
    }
    return {**found, "sessions": servers[name].sessions} if name else found
