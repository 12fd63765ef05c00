# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook recover_quorum on a survivor with a real etcd and a real kube-apiserver, in namespaces of its own."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.faults.etcd_writer import Writer
from tests.integration.etcd_cluster import Make
from tests.integration.etcd_losses import lose_majority
from tests.integration.survivor import Survivor, needs_namespaces

pytestmark = needs_namespaces


def words_of(said: str) -> str:
    found = re.search(r"recover_acknowledge=(\S+)", said)
    assert found, said
    return found.group(1)


def require_everything(writer: Writer, ledger: dict[str, Any], members: dict[str, Any]) -> None:
    """Every acknowledged write is there, in a cluster of one."""
    there = {base64.b64decode(one["key"]).decode(): base64.b64decode(one["value"]).decode()
             for one in json.loads(ledger["said"])["kvs"]}  # fmt: skip
    assert len(writer.acknowledged) > 300
    assert {key: there.get(key) for key in writer.acknowledged} == writer.acknowledged
    assert [one["name"] for one in json.loads(members["said"])["members"]] == ["cp1"]


@pytest.fixture
def lost(make: Make, tmp_path: Path) -> tuple[Survivor, Writer]:
    cluster = make("cp1", "cp2", "cp3")
    writer = lose_majority(cluster)
    return Survivor(tmp_path / "survivor", cluster), writer


def test_nothing_without_the_words_everything_with_them_and_nothing_again(lost: tuple[Survivor, Writer]) -> None:
    survivor, writer = lost
    looked, *_rest = survivor.run(survivor.playbook())
    assert looked["code"] == 0, looked["said"]
    assert "NOTHING WAS CHANGED" in looked["said"]
    assert re.search(r"cp1 .*changed=0 ", looked["said"])
    words = f"recover_acknowledge={words_of(looked['said'])}"
    wrong, done, again, ledger, members, files = survivor.run(
        survivor.playbook("recover_acknowledge=yes"),
        survivor.playbook("survivor=cp1", words),
        survivor.playbook("survivor=cp1", words),
    )
    assert wrong["code"] != 0
    assert "which is not what is given up" in wrong["said"]
    assert done["code"] == 0, (done["said"], survivor.logs)
    assert "ansible-playbook quorum.kubeadm.replace_node -e node=cp2" in done["said"]
    assert again["code"] == 0, again["said"]
    assert "there is nothing to do" in again["said"]
    assert re.search(r"cp1 .*changed=0 ", again["said"])
    require_everything(writer, ledger, members)
    assert files["said"].count("member-removed-") == 1
    assert files["said"].count(".yaml") == 4, "all are back, and none is kept"
    assert "restart kubelet" in survivor.logs["systemctl"]


def test_killed_again_and_again_it_goes_on(lost: tuple[Survivor, Writer]) -> None:
    survivor, writer = lost
    looked, *_rest = survivor.run(survivor.playbook())
    words = ("survivor=cp1", f"recover_acknowledge={words_of(looked['said'])}")
    points = ("hold | Take", "recover | Restore beside", "recover | Put", "release | Give", "Kubelets | Restart")
    *killed, done, ledger, members, files = survivor.run(
        *(survivor.playbook(*words, kill_at=point) for point in points), survivor.playbook(*words)
    )
    assert [one["code"] for one in killed] == [-9] * len(points), [one["said"][-2000:] for one in killed]
    assert done["code"] == 0, (done["said"], survivor.logs)
    require_everything(writer, ledger, members)
    assert files["said"].count("member-removed-") == 1
    assert files["said"].count(".yaml") == 4
