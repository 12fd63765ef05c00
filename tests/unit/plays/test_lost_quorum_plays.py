# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A majority of etcd is gone, or on the other side of a partition: no playbook changes anything but recover_quorum."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.plays.rehearsal import ROOT, Rehearsal
from tests.unit.preflight_world import MACHINES, PLANES, VIP, WORKERS, World

# With what it is called, and whether etcd has machines of its own.
MUTATING: dict[str, tuple[tuple[str, ...], bool]] = {
    "site": ((), False),
    "add_nodes": (("-e", "nodes=w3"), False),
    "remove_node": (("-e", "node=cp1"), False),
    "replace_node": (("-e", "node=cp1"), False),
    "upgrade": (("-e", "kube_version=1.36.3"), False),
    "upgrade_cni": ((), False),
    "upgrade_containerd": ((), False),
    "upgrade_etcd": ((), True),
    "rolling_restart": ((), False),
    "scale_etcd": (("-e", "etcd_remove=etcd3"), True),
}
# They look, are parts of others, touch a host by its name and its consent (test_node_reset), or are the way out.
OTHERS = {"bundle", "verify", "roll_nodes", "removal", "site_prepare", "reset", "recover_quorum"}
# These are for a cluster whose API is dead, or only read.
OTHERS |= {"backup_etcd", "renew_certificates", "restore_etcd"}
NOBODY = "no API server answers: etcd has no leader"


def lost(folder: Path, *, external: bool) -> Rehearsal:
    """Every machine can be reached; one member of etcd is left, so no API server is ready."""
    world = World()
    if external:
        world.with_etcd()
    for name in (*PLANES, *WORKERS):
        world.node_of(name)
    if external:
        world.external(*MACHINES)
    world.add("w3", "worker", "10.0.0.43")
    members = MACHINES if external else PLANES
    rows = [world.member(name, healthy=False, leader=False) for name in members]
    world.etcd_runs(members[-1], members=rows, linearizable=False, empty=None)
    world.answers(VIP, *(world.hosts[name]["ansible_host"] for name in PLANES), status=500)
    plays = Rehearsal(folder, world)
    plays.settle(*members)
    seen = {"members": rows, "voters": 3, "healthy_voters": 0, "tolerance": 1, "findings": []}
    plays.answers["etcd_info"] = {"*": {"etcd": seen}}
    plays.answers["cluster_info"] = {"*": {"failed": True, "msg": NOBODY}}
    return plays


@pytest.mark.parametrize("playbook", MUTATING)
def test_fault_15_and_19_nothing_is_changed_without_a_majority(tmp_path: Path, playbook: str) -> None:
    arguments, external = MUTATING[playbook]
    plays = lost(tmp_path / "rehearsal", external=external)
    assert plays.play(playbook, *arguments) != 0, plays.output
    assert plays.order() == [], plays.output
    words = " ".join(plays.output.split())
    # What leads to the cause, whoever says it.
    assert any(told in words for told in ("playbooks/recover_quorum.yml", NOBODY, "is not healthy")), words[-3000:]


def test_every_playbook_that_changes_a_cluster_is_tried() -> None:
    assert {path.stem for path in (ROOT / "playbooks").glob("*.yml")} - OTHERS == set(MUTATING)
