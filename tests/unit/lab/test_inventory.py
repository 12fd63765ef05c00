# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory carries what depends on this machine, in the groups that the playbooks know."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab import inventory, settings
from lab.errors import LabError


def test_hosts_are_grouped_and_carry_their_zone() -> None:
    lab = settings.load({"LAB_NAME": "unit", "LAB_SUBNET": "10.199.77", "XDG_CACHE_HOME": "/cache"})
    nodes = [lab.node(name) for name in ("lb1", "cp1", "cp2", "w1", "etcd1")]
    content = yaml.safe_load(inventory.render(inventory.inventory(lab, nodes, Path("/cache/key"))))
    groups = content["all"]["children"]
    assert {group: sorted(body["hosts"]) for group, body in groups.items()} == {
        "kube_lb": ["lb1"],
        "kube_control_plane": ["cp1", "cp2"],
        "kube_node": ["w1"],
        "etcd": ["etcd1"],
    }
    assert groups["kube_control_plane"]["hosts"]["cp2"] == {
        "ansible_host": "10.199.77.22",
        "kube_node_labels": {"topology.kubernetes.io/zone": "zone-b"},
    }
    assert "kube_node_labels" not in groups["kube_lb"]["hosts"]["lb1"]
    assert content["all"]["vars"]["kube_vip"] == "10.199.77.100"
    assert content["all"]["vars"]["ansible_ssh_private_key_file"] == "/cache/key"


def test_a_group_without_hosts_is_left_out() -> None:
    lab = settings.load({"XDG_CACHE_HOME": "/cache"})
    content = inventory.inventory(lab, [lab.node("cp1")], Path("/cache/key"))
    assert list(content["all"]["children"]) == ["kube_control_plane"]  # type: ignore[call-overload]  # - a nested mapping


def test_group_vars_of_somebody_else_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "group_vars").mkdir()
    with pytest.raises(LabError, match="not a link that this command made"):
        inventory.write(settings.load({"XDG_CACHE_HOME": str(tmp_path)}), tmp_path)
