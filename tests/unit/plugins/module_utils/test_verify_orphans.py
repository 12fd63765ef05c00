# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What machines leave behind when they go is said: odd in general, wrong of one that was just removed."""

from __future__ import annotations

from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.verify import Row, Want, judge_etcd, node_seen
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify_nodes import judge_nodes
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify_orphans import judge_backends, judge_leases, strict

PLANES = ("cp1", "cp2")


def server(up: bool = True) -> dict[str, Any]:
    return {"up": up, "admin": "ready"}


def told(rows: list[Row]) -> list[tuple[str, str, str]]:
    return [(row.subject, row.status, row.found) for row in rows]


def test_a_lease_without_a_node() -> None:
    assert told(judge_leases(["cp1", "w1"], ["cp1", "w1", "w2"])) == [("node leases", "ok", "2, each of a node")]
    (row,) = judge_leases(["cp1", "w1", "w10"], ["cp1", "w10"])
    assert (row.subject, row.status) == ("w1", "warn")
    (wrong,) = strict([row], ["w1"])
    assert (wrong.status, wrong.patience > 0) == ("fail", True)
    assert strict([row], ["w10"]) == [row]


def test_a_node_and_a_member_that_were_removed() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1.36.3"}}
    seen = [node_seen({"metadata": {"name": name}, "status": ready}) for name in ("cp1", "cp2", "cp3")]
    rows = judge_nodes(seen, Want("1.36.3", ("cp1", "cp2")))
    assert [row.status for row in strict(rows, ["cp3"])] == ["ok", "fail"]
    assert [row.status for row in strict(rows, ["cp1"])] == ["ok", "warn"]
    members = [{"name": name, "healthy": True} for name in ("cp1", "cp2", "cp3")]
    rows = strict(judge_etcd({"members": members, "voters": 3, "healthy_voters": 3, "tolerance": 1}, PLANES), ["cp3"])
    assert ("cp3", "fail", "extra: a member, not in the inventory") in told(rows)


def test_backends_are_the_control_planes() -> None:
    good = {"servers": {"cp1": server(), "cp2": server()}}
    assert told(judge_backends({"lb1": good, "lb2": good}, PLANES)) == [("lb1, lb2", "ok", "each sends to cp1, cp2")]
    stale = {"servers": {**good["servers"], "cp3": server(False)}}
    lacking = {"servers": {"cp1": server()}}
    down = {"servers": {"cp1": server(), "cp2": server(False)}}
    assert told(judge_backends({"lb1": stale, "lb2": lacking, "lb3": down, "lb4": good}, PLANES)) == [
        ("lb1", "fail", "HAProxy still sends to cp3"),
        ("lb2", "fail", "HAProxy does not know cp2"),
        ("lb3", "warn", "HAProxy has cp2 out of service"),
    ]


def test_balancers_that_were_not_asked_or_are_silent_have_no_row() -> None:
    assert judge_backends({"lb1": {}, "lb2": {"answered": False, "servers": {}}}, PLANES) == []
