"""The kubeconfig on the controller."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.action import kubeconfig as subject


def test_it_is_private_from_the_start_and_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "admin.conf"
    subject.write_private(str(target), b"one")
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.parent.stat().st_mode & 0o777 == 0o700
    subject.write_private(str(target), b"two")
    assert target.read_bytes() == b"two"
    assert [path.name for path in target.parent.iterdir()] == ["admin.conf"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "admin.conf"
    subject.write_private(str(target), b"old")

    def no_space(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(subject.os, "fsync", no_space)
    with pytest.raises(OSError, match="no space"):
        subject.write_private(str(target), b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["admin.conf"]


def test_a_file_that_others_may_read_is_written_again(tmp_path: Path) -> None:
    target = tmp_path / "admin.conf"
    assert subject.current(str(target)) is None
    target.write_bytes(b"x")
    target.chmod(0o644)
    assert subject.current(str(target)) is None
    target.chmod(0o600)
    assert subject.current(str(target)) == b"x"
