# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane is taken down only while another one does all of its work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.control_plane_gate import ControlPlane, take_down_gate

ONE, TWO, THREE = (ControlPlane(name, True, True, True, True) for name in ("cp1", "cp2", "cp3"))
PARTS = {"api": "API server", "controller_manager": "controller manager", "scheduler": "scheduler", "etcd": "etcd"}


def test_another_one_that_does_all_the_work_is_enough() -> None:
    assert take_down_gate("cp1", [ONE, TWO], 2).allowed
    assert take_down_gate("cp1", [ONE, replace(TWO, api=False), THREE], 2).allowed
    assert take_down_gate("cp1", [ControlPlane("cp1"), TWO], 2).allowed, "the sick one itself may go"


@pytest.mark.parametrize("part", PARTS)
def test_each_part_has_to_answer_on_one_node(part: str) -> None:
    gate = take_down_gate("cp1", [ONE, replace(TWO, **{part: False})], 2)
    assert not gate.allowed
    assert f'"cp2": {PARTS[part]} silent' in gate.reasons[0]
    # Parts on different nodes are not one control plane.
    split = [ONE, replace(TWO, api=False), replace(THREE, scheduler=False)]
    assert not take_down_gate("cp1", split, 3).allowed


@pytest.mark.parametrize(("backends", "allowed"), [(0, False), (1, False), (2, True), (3, True)])
def test_backends_in_service(backends: int, allowed: bool) -> None:
    gate = take_down_gate("cp1", [ONE, TWO], backends)
    assert gate.allowed is allowed
    assert allowed or f"{backends} API servers in service, 2 are needed" in gate.reasons[0]


def test_the_only_one_goes_down_when_a_gap_is_wanted() -> None:
    assert "there is no other one" in take_down_gate("cp1", [ONE], 2).reasons[0]
    gate = take_down_gate("cp1", [ONE], 1, allow_downtime=True)
    assert gate.allowed
    assert "no API" in gate.aloud[0]
    assert not take_down_gate("cp1", [ONE, ControlPlane("cp2")], 2, allow_downtime=True).allowed


@pytest.mark.parametrize("name", ["cp", "cp11", ""])
def test_a_name_is_exact(name: str) -> None:
    assert "is not among the control planes" in take_down_gate(name, [ONE, TWO], 2).reasons[0]
    assert "none" in take_down_gate(name, [], 2).reasons[0]
