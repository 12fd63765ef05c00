# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""encryption_key as Ansible runs it: keys in an order, no secret in any result, none lost."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.plugins.modules.support import run_module


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "encryption" / "config.yaml"
    run_module("encryption_config", {"path": str(path)})
    return path


def secrets(path: Path) -> dict[str, str]:
    (entry,) = json.loads(path.read_text())["resources"]
    return {one["name"]: one["secret"] for one in entry["providers"][0]["secretbox"]["keys"]}


def call(path: Path, *keys: str, check: bool = False, **more: Any) -> dict[str, Any]:
    state = "present" if keys else "seen"
    return run_module("encryption_key", {"path": str(path), "state": state, "keys": list(keys), **more}, check=check)


def names(result: dict[str, Any]) -> list[str]:
    return [key["name"] for key in result["keys"]]


def test_from_one_key_to_the_next(path: Path) -> None:
    (old,) = secrets(path).values()
    added = call(path, "key1", "key2", make="key2")
    assert (added["changed"], names(added)) == (True, ["key1", "key2"])
    new = secrets(path)["key2"]
    assert list(secrets(path).items()) == [("key1", old), ("key2", new)]
    assert len(base64.b64decode(new)) == 32
    promoted = call(path, "key2", "key1")
    assert list(secrets(path)) == ["key2", "key1"]
    dropped = call(path, "key2", unused=["key1"])
    assert secrets(path) == {"key2": new}
    kept = Path(dropped["kept"])
    assert secrets(kept) == {"key2": new, "key1": old}
    for result in (added, promoted, dropped):
        assert not [secret for secret in (old, new) if secret in json.dumps(result)]
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    assert sorted(file.name for file in path.parent.iterdir()) == ["config.yaml", kept.name]
    assert json.loads(path.read_text())["resources"][0]["providers"][1] == {"identity": {}}


def test_nothing_to_do_writes_nothing(path: Path) -> None:
    before = path.stat()
    result = call(path, "key1", make="key1")
    assert not result["changed"]
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_check_mode_says_the_same_and_writes_nothing(path: Path) -> None:
    before = path.read_bytes()
    checked = call(path, "key1", "key2", make="key2", check=True)
    assert (path.read_bytes(), [file.name for file in path.parent.iterdir()]) == (before, ["config.yaml"])
    real = call(path, "key1", "key2", make="key2")
    assert (checked["changed"], names(checked), checked["diff"]) == (real["changed"], names(real), real["diff"])


def test_another_control_plane_gets_the_same_key(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_bytes(path.read_bytes())
    call(path, "key1", "key2", make="key2")
    source = base64.b64encode(path.read_bytes()).decode()
    result = call(other, "key1", "key2", source_b64=source)
    assert secrets(other) == secrets(path)
    assert result["keys"] == call(path)["keys"], "the marks say that they are the same"


def test_a_key_that_is_not_told_to_be_unused_is_not_dropped(path: Path) -> None:
    call(path, "key1", "key2", make="key2")
    before = path.read_bytes()
    for unused in ([], ["key3"]):
        result = call(path, "key2", unused=unused)
        assert result["failed"]
        assert "key1" in result["error"]["found"]
    assert call(path, "key1", "key1", "key2")["failed"]
    assert path.read_bytes() == before


def test_a_key_that_nobody_has_is_refused(path: Path) -> None:
    before = path.read_bytes()
    result = call(path, "key1", "key7")
    assert result["failed"]
    assert "key7" in result["msg"]
    assert path.read_bytes() == before


def test_another_secret_of_the_same_name_is_refused(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "foreign" / "config.yaml"
    run_module("encryption_config", {"path": str(other)})
    call(other, "key1", "key2", make="key2")
    before = path.read_bytes()
    result = call(path, "key1", "key2", source_b64=base64.b64encode(other.read_bytes()).decode())
    assert result["failed"]
    assert "another key of the name key1" in result["msg"]
    assert not [secret for secret in secrets(other).values() if secret in json.dumps(result)]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "providers",
    [
        [{"aescbc": {"keys": [{"name": "key1", "secret": "c2VjcmV0"}]}}, {"identity": {}}],
        [{"identity": {}}, {"secretbox": {"keys": [{"name": "key1", "secret": "c2VjcmV0"}]}}],
        [{"secretbox": {"keys": []}}],
        [{"secretbox": {"keys": [{"name": "a", "secret": "c2VjcmV0"}, {"name": "a", "secret": "YW5vdGhlcg=="}]}}],
        [{"kms": {"name": "vault", "endpoint": "unix:///x"}}, {"identity": {}}],
    ],
)
def test_what_cannot_be_rotated_is_refused_without_a_secret(tmp_path: Path, providers: list[dict[str, Any]]) -> None:
    path = tmp_path / "config.yaml"
    document = {"kind": "EncryptionConfiguration", "resources": [{"resources": ["secrets"], "providers": providers}]}
    path.write_text(json.dumps(document))
    result = call(path)
    assert result["failed"]
    assert str(path) in result["msg"]
    assert "c2VjcmV0" not in json.dumps(result)


def test_a_damaged_file_is_told_without_quoting_it(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text('{"kind": "EncryptionConfiguration", "secret": "c2VjcmV0"')
    result = call(path)
    assert result["failed"]
    assert "c2VjcmV0" not in json.dumps(result)


def test_what_a_killed_call_has_left_is_removed(path: Path) -> None:
    left, theirs = path.parent / "config.yaml.4711", path.parent / "config.yaml.old"
    for file in (left, theirs):
        file.write_text("a key")
    call(path, "key1")
    assert (left.exists(), theirs.exists()) == (False, True)
