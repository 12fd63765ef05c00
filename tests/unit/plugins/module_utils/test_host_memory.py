"""What is remembered about files: only while they stay the same."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.host_memory import Memory
from tests.unit.plugins.module_utils.fake_host import FakeHost

STATE = "/var/lib/x/state.json"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_checksum_is_computed_once_while_the_file_stays(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    target = host.write("/bin/a", b"one")
    memory = Memory(host, STATE)
    assert memory.sha256("/bin/a") == sha(b"one")
    memory.save()
    target.chmod(0o000)
    again = Memory(host, STATE)
    os.rename(target, tmp_path / "bin/b")
    os.rename(tmp_path / "bin/b", target)
    assert again.sha256("/bin/a") == sha(b"one"), "same size, time and inode: not read again"
    target.unlink()
    host.write("/bin/a", b"two")
    assert again.sha256("/bin/a") == sha(b"two")


def test_learning_something_new_keeps_what_is_still_true(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/bin/a", b"one")
    memory = Memory(host, STATE)
    memory.learn("/bin/a", version="1")
    memory.sha256("/bin/a")
    assert (memory.recall("/bin/a", "version"), memory.recall("/bin/a", "sha256")) == ("1", sha(b"one"))
    host.write("/bin/a", b"longer")
    assert memory.recall("/bin/a", "version") is None
    memory.sha256("/bin/a")
    assert memory.recall("/bin/a", "version") is None, "what was known about the former file is forgotten"


def test_nothing_is_written_when_nothing_is_new(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/bin/a", b"one")
    Memory(host, STATE).save()
    assert not Path(host.real(STATE)).exists()
    memory = Memory(host, STATE)
    memory.sha256("/bin/a")
    memory.save()
    before = os.stat(host.real(STATE)).st_ino
    again = Memory(host, STATE)
    again.sha256("/bin/a")
    again.save()
    assert os.stat(host.real(STATE)).st_ino == before


def test_files_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    target = host.write("/bin/a", b"one")
    memory = Memory(host, STATE)
    memory.sha256("/bin/a")
    target.unlink()
    memory.save()
    assert Memory(host, STATE).files == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"files": 3}', '{"files": {"/bin/a": 1}}', '{"files": {"/bin/a": {}}}']
)
def test_a_damaged_memory_is_no_memory(tmp_path: Path, text: str) -> None:
    host = FakeHost(tmp_path)
    host.write("/bin/a", b"one")
    host.write(STATE, text)
    assert Memory(host, STATE).sha256("/bin/a") == sha(b"one")


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/bin/a", b"one")
    host.write("/var/lib/x", "a file where the directory should be")
    memory = Memory(host, STATE)
    memory.sha256("/bin/a")
    memory.save()
    assert memory.sha256("/bin/a") == sha(b"one")
