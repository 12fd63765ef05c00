# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge of nodes: every kind of row, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import verify_nodes as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify import NodeSeen, Row, Want, failed

WANT = Want("1.36.3", ("cp1", "cp2"), ("w1",))
NODES = [NodeSeen(name, True, "v1.36.3", zone=zone) for name, zone in (("cp1", "a"), ("cp2", "b"), ("w1", "a"))]


def brief(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    return [(row.status, row.subject, row.found) for row in rows]


def with_node(which: str, **change: object) -> list[NodeSeen]:
    return [replace(node, **change) if node.name == which else node for node in NODES]


def test_nodes_in_order_are_one_row() -> None:
    assert brief(subject.judge_nodes(NODES, WANT)) == [("ok", "cp1, cp2, w1", "3 Ready at v1.36.3")]


@pytest.mark.parametrize(
    ("nodes", "row", "heals"),
    [
        (NODES[:2], ("fail", "w1", "not in the cluster"), True),
        (with_node("w1", ready=False, reason="cni"), ("fail", "w1", "not Ready: cni"), True),
        (with_node("w1", version="v1.35.4"), ("fail", "w1", "runs v1.35.4, expected v1.36.3"), False),
        (with_node("w1", version=""), ("fail", "w1", "runs an unknown version, expected v1.36.3"), False),
        (with_node("w1", name="w10"), ("fail", "w1", "not in the cluster"), True),
    ],
)
def test_a_node_that_is_not_in_order(nodes: list[NodeSeen], row: tuple[str, str, str], heals: bool) -> None:
    rows = subject.judge_nodes(nodes, WANT)
    bad = [one for one in rows if one.status == "fail"]
    assert brief(bad) == [row]
    assert (bad[0].patience > 0) is heals
    assert bad[0].next_step
    assert not [one for one in rows if one.status == "ok"]


@pytest.mark.parametrize(
    ("nodes", "row"),
    [
        (with_node("w1", cordoned=True), ("warn", "w1", "cordoned")),
        (
            [*NODES, NodeSeen("w10", True, "v1.36.3")],
            ("warn", "w10", "extra: in the cluster, not in the inventory"),
        ),
    ],
)
def test_what_is_only_worth_a_look(nodes: list[NodeSeen], row: tuple[str, str, str]) -> None:
    rows = subject.judge_nodes(nodes, WANT)
    assert row in brief(rows)
    assert not failed(rows)
    assert [one.status for one in rows].count("ok") == 1


MANY = tuple(f"w{number}" for number in range(1, 501))


def concerned(*names: str) -> Want:
    return replace(WANT, workers=MANY, concerned=names)


def test_workers_that_a_run_has_nothing_to_do_with_are_only_told_in_a_row_for_each_kind() -> None:
    seen = [*NODES, NodeSeen("w3", False, "v1.36.3"), NodeSeen("w4", True, "v1.35.4")]
    rows = subject.judge_nodes(seen, concerned("w1", "cp1"))
    shown = ", ".join(f"w{number}" for number in (2, 5, 6, 7, 8, 9, 10, 11))
    assert brief(rows) == [
        ("ok", "cp1, cp2, w1", "3 Ready at v1.36.3"),
        ("warn", f"{shown} and 489 more", "497 not in the cluster"),
        ("warn", "w3", "1 not Ready"),
        ("warn", "w4", "1 runs another version"),
    ]
    assert not any(row.patience for row in rows)


@pytest.mark.parametrize("name", ["cp2", "w2"])
def test_what_a_run_has_to_do_with_and_every_control_plane_have_to_be_in_order(name: str) -> None:
    seen = [node for node in [*NODES, NodeSeen("w2", True, "v1.36.3")] if node.name != name]
    assert ("fail", name, "not in the cluster") in brief(subject.judge_nodes(seen, concerned("w1", "w2")))


@pytest.mark.parametrize(
    ("zones", "rows"),
    [
        (("a", "b"), [("ok", "cp1, cp2", "spread over a, b")]),
        (("a", "a"), [("warn", "cp1, cp2", "all control planes are in a")]),
        (("a", ""), [("ok", "cp1, cp2", "spread over a")]),
        (("", ""), []),
    ],
)
def test_zones(zones: tuple[str, str], rows: list[tuple[str, str, str]]) -> None:
    nodes = [replace(node, zone=zone) for node, zone in zip(NODES, zones)]
    assert brief(subject.judge_zones([*nodes, NODES[2]], WANT)) == rows


def test_one_control_plane_has_no_zones_to_be_spread_over() -> None:
    assert subject.judge_zones(NODES, Want("1.36.3", ("cp1",), ("w1",))) == []
