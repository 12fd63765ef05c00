# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one host's etcd told of its cluster, parsed once from etcd_info's shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .quorum import Cluster, Member

CLIENT_PORT, PEER_PORT = 2379, 2380


@dataclass(frozen=True)
class EtcdLook:
    """empty: no object of Kubernetes is stored, None when that is not known."""

    cluster_id: str
    linearizable: bool
    empty: bool | None
    members: tuple[Member, ...]

    def at(self, address: str) -> Member | None:
        """The member whose peer URL is at this address: what a member is, whatever its name."""
        url = peer_url(address)
        return next((member for member in self.members if url in member.peer_urls), None)

    def named(self, name: str) -> Member | None:
        """The member of this name."""
        return next((member for member in self.members if member.name == name), None)

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Members that never started, and learners, by name or by peer URL: the beginnings of joins."""
        cluster = Cluster(self.members)
        every = {member.id: member for member in (*cluster.unstarted, *cluster.learners)}
        return tuple(sorted(member.name or ", ".join(member.peer_urls) for member in every.values()))


def peer_url(address: str) -> str:
    """Where the member on a host is reached by the others."""
    return f"https://{address}:{PEER_PORT}"


def client_url(address: str) -> str:
    """Where the member on a host is reached by its clients."""
    return f"https://{address}:{CLIENT_PORT}"


def _member(raw: Mapping[str, Any]) -> Member:
    return Member(
        id=str(raw.get("id") or ""),
        name=str(raw.get("name") or ""),
        peer_urls=tuple(map(str, raw.get("peer_urls") or ())),
        client_urls=tuple(map(str, raw.get("client_urls") or ())),
        learner=bool(raw.get("learner")),
        healthy=bool(raw.get("healthy")),
        leader=bool(raw.get("leader")),
        version=str(raw.get("version") or ""),
    )


def parse_look(raw: Any) -> EtcdLook | None:
    """node_info's `etcd`: None where no etcd answered."""
    told = raw.get("etcd") if isinstance(raw, Mapping) else None
    if not isinstance(told, Mapping) or not told.get("members"):
        return None
    empty = told.get("empty")
    return EtcdLook(
        cluster_id=str(told.get("cluster_id") or ""),
        linearizable=bool(told.get("linearizable", True)),
        empty=empty if isinstance(empty, bool) else None,
        members=tuple(_member(member) for member in told["members"] if isinstance(member, Mapping)),
    )


def is_stopped(units: Any) -> bool:
    """Whether node_info's `units` say that the service is not running: not merely slow to answer."""
    unit = units.get("etcd") if isinstance(units, Mapping) else None
    return isinstance(unit, Mapping) and unit.get("active") in ("inactive", "failed")
