# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge of nodes: those of the inventory, those that a run has to do with, and where they stand. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .verify import PATIENCE, SHORT_PATIENCE, NodeSeen, Row, Want, failed, names


def judge_nodes(seen: Sequence[NodeSeen], want: Want) -> list[Row]:
    """Nodes are those of the inventory, Ready, at the expected version."""
    by_name = {node.name: node for node in seen}
    others = set(want.others)
    mine = [name for name in want.nodes if name not in others]
    rows = [row for name in mine for row in _judge(name, by_name.get(name), f"v{want.version}")]
    if not failed(rows):
        rows.insert(0, Row("nodes", names(mine), "ok", f"{len(mine)} Ready at v{want.version}"))
    extra = sorted(set(by_name) - set(want.nodes))
    step = "Add it to the inventory, or run remove_node"
    rows += [Row("nodes", name, "warn", "extra: in the cluster, not in the inventory", step) for name in extra]
    return rows + _judge_others(by_name, want)


def _judge(name: str, node: NodeSeen | None, expected: str) -> list[Row]:
    """What is not as it should be with one node."""
    if node is None:
        step = "Run site: it joins what is missing"
        return [Row("nodes", name, "fail", "not in the cluster", step, SHORT_PATIENCE)]
    rows = []
    if not node.ready:
        step = f"Look at the kubelet: journalctl -u kubelet on {name}"
        rows.append(Row("nodes", name, "fail", f"not Ready: {node.reason}", step, PATIENCE))
    if node.version != expected:
        found = f"runs {node.version or 'an unknown version'}, expected {expected}"
        rows.append(Row("nodes", name, "fail", found, "Run upgrade, or set kube_version to what runs"))
    if node.cordoned:
        rows.append(Row("nodes", name, "warn", "cordoned", f"kubectl uncordon {name}, when nobody works on it"))
    return rows


def _judge_others(by_name: Mapping[str, NodeSeen], want: Want) -> list[Row]:
    """In a cluster of many nodes one is always away: that is told, and neither waited for nor this run's failure."""
    known = [(name, by_name.get(name)) for name in want.others]
    kinds = (
        ("not in the cluster", [name for name, node in known if node is None]),
        ("not Ready", [name for name, node in known if node and not node.ready]),
        ("runs another version", [name for name, node in known if node and node.version != f"v{want.version}"]),
    )
    step = "This run has nothing to do with it: run verify"
    return [Row("nodes", names(found), "warn", f"{len(found)} {kind}", step) for kind, found in kinds if found]


def judge_zones(seen: Sequence[NodeSeen], want: Want) -> list[Row]:
    """Control planes should not all be in one zone."""
    zones = {node.name: node.zone for node in seen if node.name in want.control_planes}
    labelled = sorted({zone for zone in zones.values() if zone})
    if len(zones) < 2 or not labelled:
        return []
    if len(labelled) == 1 and all(zones.values()):
        step = "Spread the control planes over zones: one outage of that zone ends the cluster"
        return [Row("zones", names(sorted(zones)), "warn", f"all control planes are in {labelled[0]}", step)]
    return [Row("zones", names(sorted(zones)), "ok", f"spread over {names(labelled)}")]
