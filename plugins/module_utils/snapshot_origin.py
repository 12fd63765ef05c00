# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The member that a snapshot is taken from: one that a majority stands behind, and that does not lag. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .errors import KubeadmError, RefusedError
from .etcd_api import EtcdApi, member_id, number

CORRUPT = "CORRUPT"


@dataclass(frozen=True)
class Origin:
    """The member that is asked. revision: what it had when a majority was asked; the snapshot is not older."""

    url: str
    cluster: str
    revision: int
    size: int


def ask(endpoints: Sequence[str], connect: Callable[[str], EtcdApi]) -> Origin:
    """The first endpoint for which a majority answers. Its data are good: no member has told that they differ."""
    told: list[str] = []
    for url in endpoints:
        api = connect(url)
        try:
            header = api.call("kv/range", {"key": "aGVhbHRo", "limit": "1", "keys_only": True})["header"]
            size, alarms = number(api.status().get("dbSize")), api.alarms()
        except KubeadmError as exc:
            told.append(f"{url}: {exc.found or exc.what}")
            continue
        if any(alarm == CORRUPT for _member, alarm in alarms):
            raise RefusedError(
                "a snapshot of a cluster whose members hold different data is worth nothing",
                where=url,
                found="the alarm CORRUPT is raised",
                next_step="run etcd_info to see which member differs, and replace that member",
            )
        return Origin(url, member_id(header.get("cluster_id")), number(header.get("revision")), size)
    raise RefusedError(
        "no member answers a read for which it asks the others, so nobody knows how old its data are",
        where=", ".join(endpoints),
        found="; ".join(told),
        next_step="bring etcd's majority back; run etcd_info to see its members",
    )


def require_new(origin: Origin, revision: int, connect: Callable[[str], EtcdApi]) -> None:
    """Not older than what was there when it was asked for.

    etcdutl tells the newest revision of which something is stored. Nothing is of a deletion that was compacted away, or
    in a store that was never written to, which is at revision 1.
    """
    if revision < origin.revision and not connect(origin.url).compacted(origin.revision):
        raise RefusedError(
            "the snapshot is older than the data that it should hold",
            where=origin.url,
            found=f"revision {revision}; a majority had {origin.revision} before",
            next_step="take it from another member, and look at this one with etcd_info",
        )
