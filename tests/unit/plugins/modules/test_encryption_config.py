# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""encryption_config as Ansible runs it: a key is made once, is never shown and never replaced."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.plugins.modules.support import run_module


def key_of(path: Path) -> str:
    document = json.loads(path.read_text())
    return str(document["resources"][0]["providers"][0]["secretbox"]["keys"][0]["secret"])


def test_a_key_is_made_private_and_is_in_no_result(tmp_path: Path) -> None:
    path = tmp_path / "encryption" / "config.yaml"
    result = run_module("encryption_config", {"path": str(path)})
    assert result["changed"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert key_of(path) not in json.dumps(result)
    assert "secret" in result["diff"]["after"], "the diff tells that a key is made"
    assert [one.name for one in path.parent.iterdir()] == ["config.yaml"]


def test_a_key_that_is_there_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    run_module("encryption_config", {"path": str(path)})
    before = path.read_bytes()
    result = run_module("encryption_config", {"path": str(path)})
    assert not result["changed"]
    assert result["diff"] == {"before": "", "after": ""}
    assert path.read_bytes() == before


def test_check_mode_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "encryption" / "config.yaml"
    checked = run_module("encryption_config", {"path": str(path)}, check=True)
    assert list(tmp_path.iterdir()) == []
    real = run_module("encryption_config", {"path": str(path)})
    assert (checked["changed"], checked["diff"]) == (real["changed"], real["diff"])
    assert not run_module("encryption_config", {"path": str(path)}, check=True)["changed"]


def test_a_file_that_encrypts_nothing_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("kind: EncryptionConfiguration\nresources: []\n")
    result = run_module("encryption_config", {"path": str(path)})
    assert result["failed"]
    assert result["error"]["where"] == str(path)
    assert "backup" in result["error"]["next"]
    assert path.read_text() == "kind: EncryptionConfiguration\nresources: []\n"


def test_two_clusters_have_two_keys(tmp_path: Path) -> None:
    paths = [tmp_path / name / "config.yaml" for name in ("one", "two")]
    for path in paths:
        run_module("encryption_config", {"path": str(path)})
    assert key_of(paths[0]) != key_of(paths[1])
