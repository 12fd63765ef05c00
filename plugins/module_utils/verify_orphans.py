# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge of what machines leave behind when they go: Leases, backends, members, nodes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .verify import SHORT_PATIENCE, Row, names

EXTRA = "extra:"


def strict(rows: Iterable[Row], absent: Collection[str]) -> list[Row]:
    """What belongs to nobody is odd; what belongs to a machine that was just removed is wrong."""
    return [
        replace(row, status="fail", patience=SHORT_PATIENCE)
        if row.status == "warn" and row.subject in absent and row.found.startswith(EXTRA)
        else row
        for row in rows
    ]


def judge_leases(leases: Sequence[str], nodes: Collection[str]) -> list[Row]:
    """Every Lease in kube-node-lease has a node. A kubelet makes its own again when only the Node was deleted."""
    alone = sorted(set(leases) - set(nodes))
    rows = [
        Row(
            "leases",
            name,
            "warn",
            f"{EXTRA} a Lease in kube-node-lease without its node",
            f"Stop the kubelet that renews it, then kubectl -n kube-node-lease delete lease {name}",
        )
        for name in alone
    ]
    return rows or [Row("leases", "node leases", "ok", f"{len(leases)}, each of a node")]


def judge_backends(seen: Mapping[str, Mapping[str, Any]], planes: Sequence[str]) -> list[Row]:
    """Every load balancer sends to the control planes, all of them, and to nobody else. seen: lb_backend's results."""
    rows: list[Row] = []
    told = {name: result["servers"] for name, result in sorted(seen.items()) if result.get("servers")}
    for balancer, servers in told.items():
        extra, missing = sorted(set(servers) - set(planes)), sorted(set(planes) - set(servers))
        down = sorted(name for name, server in servers.items() if name in planes and not server.get("up"))
        rows += [
            Row("backends", balancer, status, found, step)
            for found_names, status, found, step in (
                (extra, "fail", f"HAProxy still sends to {names(extra)}", "Run site: it writes HAProxy's servers"),
                (missing, "fail", f"HAProxy does not know {names(missing)}", "Run site: it writes HAProxy's servers"),
                (down, "warn", f"HAProxy has {names(down)} out of service", "Look at what its health check says"),
            )
            if found_names
        ]
    if rows or not told:
        return rows
    return [Row("backends", names(told), "ok", f"each sends to {names(sorted(planes))}")]
