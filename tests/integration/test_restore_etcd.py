# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook restore_etcd on a control plane with a real etcd and a real kube-apiserver, in namespaces of its own.

Several members at once are restored in test_etcd_restore.py, and by whole playbooks in the lab.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.integration.etcd_cluster import Make
from tests.integration.survivor import ETCDCTL, Survivor, needs_namespaces

pytestmark = needs_namespaces
SNAPSHOT = "/mnt/one.db"
FIRST = {"argv": ["sh", "-c", f"until {shlex.join(ETCDCTL)} put /first 1; do sleep 0.5; done"]}
SAVE = {"argv": [*ETCDCTL, "snapshot", "save", SNAPSHOT]}
LATER = {"argv": [*ETCDCTL, "put", "/later", "1"]}
LOST = "restore_lost=cp2,cp3"
TAKE_WORDS = "sed -n 's/.*restore_acknowledge=//p' /mnt/look > /mnt/words"


@pytest.fixture
def alone(make: Make, tmp_path: Path) -> Survivor:
    cluster = make("cp1")
    cluster.put("cp1", "/before", 1000)
    cluster.stop()
    return Survivor(tmp_path / "survivor", cluster)


def look(survivor: Survivor, *more: str) -> dict[str, Any]:
    """Say what would be done, and remember the words."""
    argv = shlex.join(survivor.argv("restore_etcd", f"snapshot={SNAPSHOT}", LOST, *more))
    return {"argv": ["bash", "-c", f"set -o pipefail; {argv} | tee /mnt/look && {TAKE_WORDS}"]}


def restore(survivor: Survivor, kill_at: str = "") -> dict[str, Any]:
    """With the words that were remembered."""
    argv = shlex.join(survivor.argv("restore_etcd", f"snapshot={SNAPSHOT}", LOST))
    return {"argv": ["bash", "-c", f"{argv} -e restore_acknowledge=$(cat /mnt/words)"], "kill_at": kill_at}


def keys(answer: dict[str, Any]) -> set[str]:
    """What etcd has, by the last command but two that every run ends with."""
    return set(re.findall(r"^/\w+$", answer["said"], re.MULTILINE))


KEYS = {"argv": [*ETCDCTL, "get", "--prefix", "/", "--keys-only"]}


def require_restored(found: dict[str, Any], members: dict[str, Any], files: dict[str, Any]) -> None:
    assert {"/before", "/first"} <= keys(found)
    assert "/later" not in keys(found), "it was written after the snapshot"
    assert [one["name"] for one in json.loads(members["said"])["members"]] == ["cp1"]
    assert files["said"].count("member-removed-") == 1
    assert files["said"].count(".yaml") == 4, "all are back, and none is kept"


def test_nothing_without_the_words_everything_with_them_and_nothing_again(alone: Survivor) -> None:
    first, saved, later, looked, done, again, found, _ledger, members, files = alone.run(
        FIRST, SAVE, LATER, look(alone), restore(alone), restore(alone), KEYS
    )
    assert (first["code"], saved["code"], later["code"]) == (0, 0, 0), saved["said"]
    assert looked["code"] == 0, looked["said"]
    assert "NOTHING WAS CHANGED" in looked["said"]
    assert re.search(r"cp1 .*changed=0 ", looked["said"])
    assert done["code"] == 0, (done["said"], alone.logs)
    assert "ansible-playbook quorum.kubeadm.replace_node -e node=cp2" in done["said"]
    assert again["code"] == 0, again["said"]
    assert "There is nothing to do" in again["said"]
    assert re.search(r"cp1 .*changed=0 ", again["said"])
    require_restored(found, members, files)
    assert "restart kubelet" in alone.logs["systemctl"]


def test_killed_again_and_again_it_goes_on(alone: Survivor) -> None:
    points = (
        "restore | Restore the snapshot", "hold | Take", "restored | Put", "release | Give", "Kubelets | Restart",
    )  # fmt: skip
    _first, _saved, _later, looked, *killed, done, found, _ledger, members, files = alone.run(
        FIRST, SAVE, LATER, look(alone), *(restore(alone, point) for point in points), restore(alone), KEYS
    )
    assert looked["code"] == 0, looked["said"]
    assert [one["code"] for one in killed] == [-9] * len(points), [one["said"][-2000:] for one in killed]
    assert done["code"] == 0, (done["said"], alone.logs)
    require_restored(found, members, files)


def test_a_file_that_is_no_snapshot_stops_nothing(alone: Survivor) -> None:
    cut = {"argv": ["truncate", "-s", "-4096", SNAPSHOT]}
    _first, _saved, _later, looked, _cut, refused, _found, _ledger, members, files = alone.run(
        FIRST, SAVE, LATER, look(alone), cut, restore(alone), KEYS
    )
    assert looked["code"] == 0, looked["said"]
    assert refused["code"] != 0
    assert "it is truncated" in " ".join(refused["said"].split())
    assert re.search(r"cp1 .*changed=0 ", refused["said"])
    assert members["code"] == 0
    assert "member-removed-" not in files["said"]
    assert files["said"].count(".yaml") == 4
