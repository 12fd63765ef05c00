# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restore_etcd on three control planes as Ansible runs it, with doubles for the modules that touch hosts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.plays.rehearsal import Rehearsal
from tests.unit.preflight_world import PLANES, World

SNAPSHOT = "/var/backups/etcd/one.db"
ALL = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
DATA = {"data": True, "runs": True, "phase": "none", "cluster_id": "abcdef0123", "record": {}, "restored": {}}
FILE = {"path": SNAPSHOT, "sha256": "5" * 64, "size": 1 << 20, "revision": 9, "total_keys": 8, "taken": 1.0,
        "version": "3.6.0", "authorities": ["a"]}  # fmt: skip
WORDS = "restore_acknowledge=give-up-abcdef01-after-revision-9"


@pytest.fixture
def plays(tmp_path: Path) -> Rehearsal:
    """Every member has the file already, so nothing is copied."""
    made = Rehearsal(tmp_path / "rehearsal", World().running(*PLANES))
    made.settle(*PLANES)
    seen = {"etcd": DATA, "answering": [], "ca": "a", "etcdutl": "3.6.16", "free_bytes": 1 << 40, "service": False}
    made.answers["etcd_restore"] = {"*": {**seen, "snapshot": FILE}}
    made.answers["static_pods_hold"] = {"*": {"held": [], "known": ALL, "runs": ALL}}
    members = [made.world.member(name, alarms=[]) for name in PLANES]
    made.answers["etcd_info"] = {"*": {"etcd": {"linearizable": True, "members": members, "voters": 3,
                                                "healthy_voters": 3, "cluster_id": "feedbeef"}}}  # fmt: skip
    return made


def done(plays: Rehearsal) -> list[tuple[str, str]]:
    """What changes something: module and state, and where."""
    looks = ("examined", "seen")
    found = [(f"{call.module} {call.arguments.get('state')}", call) for call in plays.calls]
    return [(words, call.host) for words, call in found
            if call.module in ("etcd_restore", "static_pods_hold") and words.split()[1] not in looks]  # fmt: skip


def test_without_the_words_and_in_check_mode_nothing_is_done(plays: Rehearsal) -> None:
    for words in ((), ("-e", WORDS, "--check")):
        assert plays.play("restore_etcd", "-e", f"snapshot={SNAPSHOT}", *words) == 0, plays.output
        assert done(plays) == []
        assert "WOULD BE DONE" in plays.output


@pytest.mark.parametrize("broken", [{"etcdutl": ""}, {"free_bytes": 5}, {"snapshot": {**FILE, "version": "3.7.0"}}])
def test_one_member_that_cannot_stops_all_before_anything_is_done(plays: Rehearsal, broken: dict[str, Any]) -> None:
    plays.answers["etcd_restore"]["cp2"] = {**plays.answers["etcd_restore"]["*"], **broken}
    for name in ("cp1", "cp3"):
        plays.answers["etcd_restore"][name] = {
            **plays.answers["etcd_restore"]["*"],
            "snapshot": broken.get("snapshot", FILE),
        }
    assert plays.play("restore_etcd", "-e", f"snapshot={SNAPSHOT}", "-e", WORDS) != 0
    assert done(plays) == []
    assert "REFUSED" in plays.output


def test_all_is_prepared_before_anything_stops_and_all_has_stopped_before_anything_is_put_in_place(
    plays: Rehearsal,
) -> None:
    plays.play("restore_etcd", "-e", f"snapshot={SNAPSHOT}", "-e", WORDS)
    steps = [words for words, _host in done(plays)]
    order = list(dict.fromkeys(steps))
    wanted = ["etcd_restore prepared", "static_pods_hold held", "etcd_restore activated", "static_pods_hold released"]
    assert order[:4] == wanted, plays.output
    assert steps[:12] == [step for step in wanted for _host in PLANES]
    prepared = [call for call in plays.of("etcd_restore") if call.arguments["state"] == "prepared"]
    shared = [{key: value for key, value in call.arguments.items() if key != "name"} for call in prepared]
    assert shared[0] == shared[1] == shared[2], "one list of members, one token, one file"
    assert [call.arguments["name"] for call in sorted(prepared, key=lambda call: call.host)] == list(PLANES)
    assert re.fullmatch("quorum-[0-9a-f]{16}", shared[0]["token"])
    assert shared[0]["sha256"] == FILE["sha256"]
    claims = [call.host for call in plays.of("run_lock") if call.arguments.get("state") == "claimed"]
    assert sorted(claims) == list(PLANES), "there is no API that could hold the lock"


def test_a_file_that_one_member_cannot_restore_has_stopped_nothing(plays: Rehearsal) -> None:
    plays.answers["etcd_restore"]["cp3"] = [plays.answers["etcd_restore"]["*"]] * 2 + [
        {"failed": True, "msg": "damaged"}
    ]
    assert plays.play("restore_etcd", "-e", f"snapshot={SNAPSHOT}", "-e", WORDS) != 0
    assert {words for words, _host in done(plays)} == {"etcd_restore prepared"}
