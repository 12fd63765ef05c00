# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""backup_etcd, and verify where a timer takes backups, as Ansible runs them, with doubles for the modules."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.backup_config import parse_config
from tests.unit.plays.rehearsal import Rehearsal
from tests.unit.preflight_world import PLANES, World

Make = Callable[..., Rehearsal]
CONFIG = "/etc/quorum-kubeadm/etcd-backup.json"
TAKEN: dict[str, Any] = {
    "name": "etcd-kubernetes-r7-20260131T060000Z", "at": time.time(), "revision": 7, "size": 9, "seconds": 1.0,
    "verified": "drill", "copies": [{"name": "host cp3", "error": "", "seconds": 1.0}],
}  # fmt: skip
STATUS = {"host": "cp2", "cluster": "kubernetes", "kind": "etcd", "at": time.time(), "result": "taken", "error": "",
          "newest": {"name": TAKEN["name"], "at": TAKEN["at"], "by": "cp2", "revision": 7}, "taken": TAKEN,
          "old_after": 46800.0, "since": 1.0}  # fmt: skip


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A cluster of the seven machines, or one with etcd on machines of its own; cp1, or e1, leads."""

    def create(*external: str, **variables: Any) -> Rehearsal:
        world = World()
        for number, name in enumerate(external):
            world.add(name, "etcd", f"192.0.2.{81 + number}")
        for name in world.hosts:
            world.node_of(name) if name in PLANES else None
        members = external or PLANES
        listed = [world.member(name, leader=name == members[0]) for name in members]
        world.etcd_runs(*members, members=listed)
        made = Rehearsal(tmp_path / "rehearsal", world, variables=variables)
        made.settle(*members)
        made.answers["etcd_info"]["*"]["etcd"]["members"] = listed
        made.answers["etcd_backup"] = {"*": {"status": STATUS, "steps": []}}
        return made

    return create


def told(plays: Rehearsal, host: str) -> Any:
    """The configuration that a host is given."""
    (call,) = plays.of("host_config", host)
    (secret,) = [entry["secret_b64"] for entry in call.arguments["files"] if entry["path"] == CONFIG]
    return parse_config(base64.b64decode(secret).decode())


def test_one_that_does_not_lead_takes_it_and_all_can_receive(make: Make) -> None:
    plays = make()
    assert plays.play("backup_etcd") == 0, plays.output
    taken = [call.host for call in plays.of("etcd_backup") if call.arguments["state"] == "taken"]
    assert taken == ["cp2"]
    met = [call.host for call in plays.of("etcd_backup") if call.arguments["state"] == "met"]
    assert sorted(met) == sorted([*PLANES, *PLANES])
    config = told(plays, "cp2")
    assert (config.host, config.snapshot, config.endpoints) == ("cp2", True, ("https://127.0.0.1:2379",))
    assert config.address == plays.world.hosts["cp2"]["ansible_host"]
    (timer, sshd) = plays.of("host_config", "cp2")[0].arguments["units"]
    assert (timer["enabled"], timer["state"], sshd["name"]) == (False, "stopped", "ssh.service")
    assert TAKEN["name"] in plays.output
    assert plays.calls[0].module == "run_lock"


def test_with_an_external_etcd_each_control_plane_keeps_its_pki(make: Make) -> None:
    plays = make("e1", "e2", "e3", etcd_backup_enabled=True)
    assert plays.play("backup_etcd") == 0, plays.output
    taken = [call.host for call in plays.of("etcd_backup") if call.arguments["state"] == "taken"]
    assert sorted(taken) == sorted(["e2", *PLANES])
    assert told(plays, "e1").snapshot
    plane = told(plays, "cp1")
    assert (plane.snapshot, len(plane.endpoints), plane.cert) == (
        False,
        3,
        "/etc/kubernetes/pki/apiserver-etcd-client.crt",
    )
    assert plays.of("host_config", "cp1")[0].arguments["units"][0]["enabled"] is True


def test_the_program_that_is_brought_is_the_collections_own(make: Make) -> None:
    plays = make()
    plays.play("backup_etcd")
    files = {entry["path"]: entry for entry in plays.of("host_config", "cp1")[0].arguments["files"]}
    program = base64.b64decode(files["/usr/local/lib/quorum-kubeadm/etcd-backup.pyz"]["content_b64"])
    assert program.startswith(b"PK")
    assert "ForceCommand internal-sftp" in files["/etc/ssh/sshd_config.d/60-quorum-kubeadm-etcd-backup.conf"]["content"]
    assert "OnCalendar=*-*-* 00/6:00:00 UTC" in json.dumps(files)


@pytest.mark.parametrize("enabled", [True, False])
def test_verify_looks_only_where_a_timer_is_wanted(make: Make, enabled: bool) -> None:
    plays = make(etcd_backup_enabled=enabled)
    plays.play("verify")
    seen = [call.host for call in plays.of("etcd_backup") if call.arguments["state"] == "seen"]
    assert sorted(seen) == (sorted(PLANES) if enabled else [])
    assert (f"{TAKEN['name']}, verified by drill, 1 copies elsewhere" in " ".join(plays.output.split())) is enabled
