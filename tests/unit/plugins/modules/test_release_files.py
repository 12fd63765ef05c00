"""release_files: fetched, unpacked, and listed so that bundle_files installs them; a second run fetches nothing."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle import parse_bundle
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_install import install_bundle
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch_http import HttpOpener
from ansible_collections.quorum.kubeadm.plugins.module_utils.receipt_provers import PROVERS
from ansible_collections.quorum.kubeadm.plugins.module_utils.release_store import bring
from tests.unit.file_server import FileServer, serving
from tests.unit.plugins.module_utils.bundle_fixture import MACHINE
from tests.unit.plugins.module_utils.fake_host import FakeHost, tree
from tests.unit.plugins.modules.support import run_module

DEST = "/srv/bundles/1.36.3"


def archive(**members: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(f"./bin/{name}")
            entry.size, entry.mode = len(content), 0o4777
            tar.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("bin/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
        tar.addfile(link)
    return made.getvalue()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as running:
        running.files["/containerd.tar.gz"] = archive(containerd=b"containerd 2.4.2", ctr=b"ctr", other=b"not wanted")
        running.files["/runc"] = b"runc 1.5.2"
        yield running


def params(server: FileServer, **given: Any) -> dict[str, Any]:
    rows = [
        {
            "path": "downloads/containerd-2.4.2/containerd.tar.gz",
            "urls": [server.url("/containerd.tar.gz")],
            "sha256": hashlib.sha256(server.files["/containerd.tar.gz"]).hexdigest(),
            "component": "containerd",
            "version": "2.4.2",
            "members": {"bin/containerd": "/usr/bin/containerd", "bin/ctr": "/usr/bin/ctr"},
            "install": "",
            "roles": ["control_plane", "worker"],
        },
        {
            "path": "downloads/runc-1.5.2/runc",
            "urls": [server.url("/runc")],
            "sha256": hashlib.sha256(server.files["/runc"]).hexdigest(),
            "component": "runc",
            "version": "1.5.2",
            "members": {},
            "install": "/usr/bin/runc",
            "roles": ["control_plane", "worker"],
        },
    ]
    return {"dest": DEST, "kube_version": "1.36.3", "arch": MACHINE, "files": rows, **given}


def install(host: FakeHost) -> dict[str, Any]:
    return install_bundle(
        host, {"source": DEST, "kube_version": "1.36.3", "roles": ["worker"], "only": None}, effects=True
    )


def test_what_is_fetched_is_installed_like_a_bundle(server: FileServer, tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    result = bring(host, params(server), HttpOpener(), effects=True)
    assert result["changed"]
    assert result["bytes"] == len(server.files["/containerd.tar.gz"]) + len(server.files["/runc"])
    bundle = parse_bundle(host.read_text(f"{DEST}/manifest.json"), DEST)
    assert bundle.versions == {"containerd": "2.4.2", "runc": "1.5.2"}
    assert install(host)["installed"] == ["/usr/bin/containerd", "/usr/bin/ctr", "/usr/bin/runc"]
    for path, content in (("/usr/bin/containerd", b"containerd 2.4.2"), ("/usr/bin/runc", b"runc 1.5.2")):
        real = Path(host.real(path))
        assert (real.read_bytes(), stat.S_IMODE(real.stat().st_mode)) == (content, 0o755)
    left = {str(path.relative_to(host.real(DEST))) for path in Path(host.real(DEST)).rglob("*") if path.is_file()}
    assert left == {
        "manifest.json",
        "programs/containerd-2.4.2/containerd",
        "programs/containerd-2.4.2/ctr",
        "downloads/runc-1.5.2/runc",
    }


def test_a_second_run_asks_no_server_and_proves_itself(server: FileServer, tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    bring(host, params(server), HttpOpener(), effects=True)
    asked = len(server.requests)
    again = bring(host, params(server), HttpOpener(), effects=True)
    assert (again["changed"], again["steps"], again["bytes"]) == (False, [], 0)
    assert len(server.requests) == asked
    assert PROVERS["release_files"](host, params(server)) == []


@pytest.mark.parametrize("lost", ["programs/containerd-2.4.2/ctr", "downloads/runc-1.5.2/runc", "manifest.json"])
def test_what_is_lost_or_damaged_is_fetched_again(server: FileServer, tmp_path: Path, lost: str) -> None:
    host = FakeHost(tmp_path)
    bring(host, params(server), HttpOpener(), effects=True)
    for damage in (b"", None):
        path = Path(host.real(f"{DEST}/{lost}"))
        path.unlink() if damage is None else path.write_bytes(damage)
        assert PROVERS["release_files"](host, params(server))
        assert bring(host, params(server), HttpOpener(), effects=True)["changed"]
        assert PROVERS["release_files"](host, params(server)) == []
    install(host)


def test_check_mode_predicts_and_asks_nobody(server: FileServer, tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    before = tree(tmp_path)
    predicted = bring(host, params(server), HttpOpener(), effects=False)
    assert tree(tmp_path) == before
    assert server.requests == []
    real = bring(host, params(server), HttpOpener(), effects=True)
    assert (predicted["changed"], predicted["steps"]) == (real["changed"], real["steps"])


def test_another_version_fetches_what_is_new_alone(server: FileServer, tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    bring(host, params(server), HttpOpener(), effects=True)
    server.files["/runc"] = b"runc 1.5.3"
    newer = params(server)
    newer["files"][1] |= {"path": "downloads/runc-1.5.3/runc", "version": "1.5.3"}
    result = bring(host, newer, HttpOpener(), effects=True)
    assert result["steps"] == ["fetch downloads/runc-1.5.3/runc"]
    assert result["bytes"] == len(b"runc 1.5.3")


def test_fault_10_nothing_is_listed_when_one_file_is_wrong(server: FileServer, tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    wrong = params(server)
    wrong["files"][1]["sha256"] = "0" * 64
    with pytest.raises(UnreachableError, match=f"expected sha256 {'0' * 64}"):
        bring(host, wrong, HttpOpener(), effects=True)
    assert not host.exists(f"{DEST}/manifest.json")
    # What did arrive is not fetched again.
    server.requests.clear()
    bring(host, params(server), HttpOpener(), effects=True)
    assert [path for path, _range, _login in server.requests] == ["/runc"]


@pytest.mark.parametrize("member", ["bin/missing", "bin/link"])
def test_an_archive_without_the_program(server: FileServer, tmp_path: Path, member: str) -> None:
    wanted = params(server)
    wanted["files"][0]["members"] = {member: "/usr/bin/x"}
    with pytest.raises(InputError, match=f"no {member}"):
        bring(FakeHost(tmp_path), wanted, HttpOpener(), effects=True)


def test_an_archive_that_is_none(server: FileServer, tmp_path: Path) -> None:
    server.files["/containerd.tar.gz"] = b"no archive"
    with pytest.raises(InputError, match="cannot be read"):
        bring(FakeHost(tmp_path), params(server), HttpOpener(), effects=True)


def test_the_module_and_its_receipt(server: FileServer, tmp_path: Path) -> None:
    arguments = params(server, dest=str(tmp_path / "bundle"))
    predicted = run_module("release_files", arguments, check=True)
    assert (predicted["changed"], predicted["failed"]) == (True, False)
    result = run_module("release_files", arguments)
    assert [row["path"] for row in result["fetched"]] == [row["path"] for row in arguments["files"]]
    assert not run_module("release_files", arguments)["changed"]
    assert json.loads((tmp_path / "bundle" / "manifest.json").read_text())["kube_version"] == "1.36.3"


def test_the_module_never_shows_a_password(server: FileServer, tmp_path: Path) -> None:
    arguments = params(
        server, dest=str(tmp_path / "bundle"), logins={"h": {"username": "u", "secret_b64": "aHVudGVyMg=="}}
    )
    arguments["files"][0]["sha256"] = "0" * 64
    result = run_module("release_files", arguments)
    assert result["failed"]
    assert "aHVudGVyMg" not in str(result)
    assert "hunter2" not in str(result)
