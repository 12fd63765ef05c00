"""The kubeconfig on the controller."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.action import kubeconfig as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError
from tests.unit.plugins.module_utils.certificates import self_signed


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


class Api:
    """Stands in for the API: whether it takes the bearer for an administrator."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def find(self, path: str) -> object:
        assert "cluster-admin" in path
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def written(path: Path, days: int) -> str:
    """A private kubeconfig whose client certificate lives for so many days; returns its CA."""
    pem = self_signed(path.with_suffix(".pem"), days).read_text()
    certificate = pem[pem.index("-----BEGIN CERTIFICATE") :]
    data = {name: base64.b64encode(text.encode()).decode() for name, text in (("cert", certificate), ("all", pem))}
    user = {"client-certificate-data": data["cert"], "client-key-data": data["all"]}
    cluster = {"server": "https://192.0.2.1:6443", "certificate-authority-data": data["cert"]}
    tree = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    subject.write_private(str(path), json.dumps(tree).encode())
    return certificate


def proven(path: Path, ca_pem: str, monkeypatch: pytest.MonkeyPatch, answer: object) -> bool:
    monkeypatch.setattr(subject, "open_api", lambda *_a, **_k: Api(answer))
    return subject.is_proven(str(path), ca_pem, ["https://192.0.2.1:6443"])


def test_a_file_that_the_api_takes_for_an_administrators_is_proven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    ca_pem = written(path, 300)
    assert proven(path, ca_pem, monkeypatch, {"kind": "ClusterRole"})
    assert not proven(path, ca_pem, monkeypatch, None)
    assert not proven(path, ca_pem, monkeypatch, ApiError("forbidden", status=403))
    assert not subject.is_proven(str(path), ca_pem, [])


def test_another_clusters_or_a_public_or_an_ending_one_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    ca_pem = written(path, 300)
    other = written(tmp_path / "other", 300)
    assert not proven(path, other, monkeypatch, {"kind": "ClusterRole"})
    assert not proven(path, "", monkeypatch, {"kind": "ClusterRole"})
    path.chmod(0o644)
    assert not proven(path, ca_pem, monkeypatch, {"kind": "ClusterRole"})
    ending = written(path, 30)
    path.chmod(0o600)
    assert not proven(path, ending, monkeypatch, {"kind": "ClusterRole"})
    path.write_text("not a kubeconfig")
    assert not proven(path, ca_pem, monkeypatch, {"kind": "ClusterRole"})
