"""release_packages: the key first, then this repository's index, then the packages; held in one version."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import package_store as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import (
    CommandError,
    InputError,
    UnreachableError,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch_http import HttpOpener
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_files import Files
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Result
from ansible_collections.quorum.kubeadm.plugins.module_utils.receipt_provers import PROVERS
from ansible_collections.quorum.kubeadm.plugins.module_utils.repository import parse_repository
from tests.unit.file_server import serving
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok, tree
from tests.unit.plugins.module_utils.test_openpgp import EXPIRED, RENEWED
from tests.unit.plugins.modules.support import run_module

FINGERPRINT = "638F856AA4B478E745415AADC8AAF5A60042851C"
PARAMS: dict[str, Any] = {
    "manager": "apt",
    "url": "https://pkgs.k8s.io/core:/stable:/v1.36/deb/",
    "key": RENEWED,
    "key_urls": [],
    "fingerprint": FINGERPRINT,
    "packages": ["kubeadm", "kubelet"],
    "version": "1.36.3",
    "ca_pem": "",
}
SOURCE = "/etc/apt/sources.list.d/quorum-kubernetes.sources"
UPDATE = "env DEBIAN_FRONTEND=noninteractive apt-get update"
INSTALL = "env DEBIAN_FRONTEND=noninteractive apt-get install"


def debian(tmp_path: Path, **packages: str) -> FakeHost:
    host = FakeHost(tmp_path, {UPDATE: ok(), INSTALL: ok()})
    for folder in ("sources.list.d", "preferences.d", "apt.conf.d"):
        Path(host.real(f"/etc/apt/{folder}")).mkdir(parents=True)
    status(host, **packages)
    return host


def status(host: FakeHost, **packages: str) -> None:
    rows = [f"Package: {name}\nStatus: hold ok installed\nVersion: {packages[name]}\n" for name in packages]
    host.write("/var/lib/dpkg/status", "\n".join(rows))


@pytest.fixture(autouse=True)
def own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in a test belong to whoever runs it."""
    monkeypatch.setattr(
        "ansible_collections.quorum.kubeadm.plugins.module_utils.host_files.account_id",
        lambda kind, name, path, may_be_missing: os.getuid() if kind == "user" else os.getgid(),
    )


def bring(host: FakeHost, *, install: bool = True, effects: bool = True, **given: Any) -> dict[str, Any]:
    params = {**PARAMS, **given}
    store = subject.PackageStore(host, Files(host, check_mode=not effects), "apt", sleep=lambda seconds: None)
    key = store.key(params["key"], params["key_urls"], params["fingerprint"], HttpOpener())
    return subject.bring(store, parse_repository(params, key, None), install=install, effects=effects)


def test_repository_then_index_then_packages(tmp_path: Path) -> None:
    host = debian(tmp_path)
    result = bring(host)
    assert result["changed"]
    commands = host.commands()
    assert [line.split()[3] for line in commands] == ["update", "install", "install"]
    assert "--download-only" in commands[1]
    assert "--download-only" not in commands[2]
    assert commands[2].endswith("kubeadm=1.36.3-* kubelet=1.36.3-*")
    assert "Signed-By" in (host.read_text(SOURCE) or "")


def test_downloaded_installs_nothing(tmp_path: Path) -> None:
    host = debian(tmp_path)
    assert bring(host, install=False)["changed"]
    assert all("--download-only" in line for line in host.commands() if " install " in line)


def test_a_second_run_runs_nothing(tmp_path: Path) -> None:
    host = debian(tmp_path)
    bring(host)
    status(host, kubeadm="1.36.3-1.1", kubelet="1.36.3-1.1")
    host.calls.clear()
    assert bring(host) == {"changed": False, "steps": []}
    assert host.calls == []
    assert PROVERS["release_packages"](host, PARAMS) == []
    status(host, kubeadm="1.36.3-1.1", kubelet="1.36.9-1.1")
    assert PROVERS["release_packages"](host, PARAMS) == ["install kubelet"]


def test_check_mode_predicts_and_writes_nothing(tmp_path: Path) -> None:
    host = debian(tmp_path)
    before = tree(tmp_path)
    predicted = bring(host, effects=False)
    assert tree(tmp_path) == before
    assert host.calls == []
    assert predicted == bring(host)


def test_fault_10_an_expired_key_is_found_before_anything_is_written(tmp_path: Path) -> None:
    host = debian(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(InputError, match="expired on 2024-01-02"):
        bring(host, key=EXPIRED, fingerprint="")
    assert tree(tmp_path) == before
    assert host.calls == []


def test_fault_10_another_key(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the expected one"):
        bring(debian(tmp_path), fingerprint="0" * 40)


def test_fault_10_the_index_cannot_be_read(tmp_path: Path) -> None:
    host = debian(tmp_path)
    words = "E: The repository 'https://pkgs.k8s.io InRelease' is not signed."
    host.programs[UPDATE] = Result(100, "", words)
    with pytest.raises(CommandError) as caught:
        bring(host)
    assert "is not signed" in caught.value.found
    assert "no service was touched" in caught.value.what
    assert not any(" install " in line for line in host.commands())


def test_a_version_that_the_repository_does_not_have(tmp_path: Path) -> None:
    host = debian(tmp_path)
    host.programs[INSTALL] = Result(100, "", "E: Version '1.36.3-*' for 'kubeadm' was not found")
    with pytest.raises(CommandError, match="was not found"):
        bring(host)


def busy(times: int) -> Callable[[list[str]], Result]:
    answers = [Result(100, "", "E: Could not get lock /var/lib/dpkg/lock-frontend")] * times

    def answer(_argv: list[str]) -> Result:
        return answers.pop() if answers else ok()

    return answer


def test_another_process_uses_the_package_manager(tmp_path: Path) -> None:
    host = debian(tmp_path)
    host.programs[INSTALL] = busy(3)
    bring(host)
    assert sum(" install " in line for line in host.commands()) == 5
    host = debian(tmp_path / "other")
    host.programs[INSTALL] = busy(10_000)
    with pytest.raises(CommandError, match="Could not get lock"):
        bring(host)


@contextmanager
def key_server(text: bytes) -> Any:
    with serving() as server:
        server.files["/Release.key"] = text
        server.pages.add("/page")
        yield server


def test_the_key_comes_from_the_repository_once(tmp_path: Path) -> None:
    host = debian(tmp_path)
    with key_server(RENEWED.encode()) as server:
        urls = [server.url("/page"), server.url("/gone"), server.url("/Release.key")]
        bring(host, key="", key_urls=urls)
        asked = len(server.requests)
        bring(host, key="", key_urls=urls)
        assert len(server.requests) == asked
        # An expired one on the host is renewed.
        host.write("/etc/apt/keyrings/quorum-kubernetes.asc", EXPIRED)
        bring(host, key="", key_urls=urls)
        assert len(server.requests) > asked
    assert (host.read_text("/etc/apt/keyrings/quorum-kubernetes.asc") or "").strip() == RENEWED.strip()


def test_no_server_has_the_key(tmp_path: Path) -> None:
    with key_server(b"x") as server, pytest.raises(UnreachableError) as caught:
        bring(debian(tmp_path), key="", key_urls=[server.url("/page"), server.url("/Release.key")])
    assert "/page answers 200 with no key: b'<html>" in caught.value.found
    with pytest.raises(UnreachableError, match="does not answer"):
        bring(debian(tmp_path / "b"), key="", key_urls=[server.url("/Release.key")])


@pytest.mark.parametrize("change", [{"key": EXPIRED}, {"url": "nothing"}, {"logins": {"h": {"username": "u"}}}])
def test_the_module_refuses_with_words(change: dict[str, Any]) -> None:
    result = run_module("release_packages", {**PARAMS, "state": "installed", **change}, check=True)
    assert result["failed"]
    assert "Traceback" not in str(result)
