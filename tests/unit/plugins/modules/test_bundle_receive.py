"""bundle_receive: only what the roles need and the host lacks; checked on arrival; the manifest last."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ansible_collections.quorum.kubeadm.plugins.module_utils import bundle_archive as archives
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_install import install_bundle
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_receive import receive
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, RefusedError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.receipt_provers import PROVERS
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.bundle_cache import BundleCache, sign, verify
from tests.unit.file_server import serving
from tests.unit.plugins.module_utils.bundle_fixture import FILES, IMAGES, SOURCE, write_bundle
from tests.unit.plugins.module_utils.fake_host import FakeHost, tree
from tests.unit.plugins.modules.support import run_module

DEST = "/srv/received"
WORKER = {"bin/kubelet", "bin/kubeadm", "cni/bridge", "images/node.tar"}
CONTENT = {path: content for path, (_install, _roles, content) in FILES.items()} | {
    path: content for path, (_roles, content, _refs) in IMAGES.items()
}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A bundle's file, made from the fixture's directory."""
    return make(tmp_path, tmp_path / "bundle.tar")


def make(tmp_path: Path, target: Path, signature: bytes = b"") -> Path:
    maker = FakeHost(tmp_path / "maker")
    write_bundle(maker)
    names = ["manifest.json", *CONTENT]
    files = {name: maker.real(f"{SOURCE}/{name}") for name in names}
    if signature:
        maker.write(f"{SOURCE}/manifest.json.sig", signature)
        files["manifest.json.sig"] = maker.real(f"{SOURCE}/manifest.json.sig")
    archives.pack(files, str(target))
    return target


def params(manifest: str, **given: Any) -> dict[str, Any]:
    shared = {"dest": DEST, "manifest": manifest, "kube_version": "1.36.3", "roles": ["worker"]}
    return {**shared, "incoming": {}, "urls": [], **given}


def send(host: FakeHost, archive: archives.Archive, tmp_path: Path, roles: list[str]) -> dict[str, Any]:
    """What the action does: ask, send what is missing, let it be taken."""
    told = receive(host, params(archive.text, roles=roles), effects=True)
    cache = BundleCache(archive, str(tmp_path / "cache"))
    incoming = {}
    for number, path in enumerate(told["missing"]):
        incoming[path] = str(tmp_path / f"sent-{number}")
        Path(incoming[path]).write_bytes(Path(cache.part(path)).read_bytes())
    return {
        **receive(host, params(archive.text, roles=roles, incoming=incoming), effects=True),
        "sent": told["missing"],
    }


def test_a_worker_gets_what_a_worker_needs_and_installs_it(made: Path, tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    archive = archives.open_archive(str(made))
    result = send(host, archive, tmp_path, ["worker"])
    assert set(result["sent"]) == WORKER
    assert result["missing"] == []
    left = {str(path.relative_to(host.real(DEST))) for path in Path(host.real(DEST)).rglob("*") if path.is_file()}
    assert left == {*WORKER, "manifest.json"}
    wanted = {"source": DEST, "kube_version": "1.36.3", "roles": ["worker"], "only": None}
    assert "/usr/bin/kubelet" in install_bundle(host, wanted, effects=True)["installed"]


def test_an_etcd_machine_gets_no_images_and_nothing_of_a_node(made: Path, tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    result = send(host, archives.open_archive(str(made)), tmp_path, ["etcd"])
    assert set(result["sent"]) == {"bin/kubeadm", "bin/etcdctl"}
    assert result["missing"] == []


def test_a_second_delivery_sends_nothing_and_proves_itself(made: Path, tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    archive = archives.open_archive(str(made))
    assert PROVERS["bundle_receive"](host, params(archive.text))
    send(host, archive, tmp_path, ["worker"])
    again = receive(host, params(archive.text), effects=True)
    assert again == {"changed": False, "missing": [], "steps": [], "bytes": 0}
    assert PROVERS["bundle_receive"](host, params(archive.text)) == []
    # It becomes a control plane: only the rest is sent.
    assert set(send(host, archive, tmp_path, ["control_plane"])["sent"]) == set(CONTENT) - WORKER


def test_check_mode_writes_nothing(made: Path, tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    before = tree(tmp_path / "host") if (tmp_path / "host").exists() else {}
    told = receive(host, params(archives.open_archive(str(made)).text), effects=False)
    assert set(told["missing"]) == WORKER
    assert tree(tmp_path / "host") == before


def test_fault_10_damaged_on_the_way(made: Path, tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    archive = archives.open_archive(str(made))
    (tmp_path / "sent").write_bytes(b"kubelet 1.36.X")
    with pytest.raises(InputError, match=r"expected sha256 [0-9a-f]{64}, actual [0-9a-f]{64}"):
        receive(host, params(archive.text, incoming={"bin/kubelet": str(tmp_path / "sent")}), effects=True)
    assert not [path for path in Path(host.real(DEST)).rglob("*") if path.is_file()]


def test_fault_10_damaged_on_the_controller(made: Path, tmp_path: Path) -> None:
    content = made.read_bytes()
    made.write_bytes(content.replace(b"kubelet 1.36.3", b"kubelet 1.36.X"))
    cache = BundleCache(archives.open_archive(str(made)), str(tmp_path / "cache"))
    with pytest.raises(InputError, match="bin/kubelet: expected sha256"):
        cache.part("bin/kubelet")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.name != ".lock" and path.is_file()]
    assert Path(cache.part("bin/kubeadm")).read_bytes() == b"kubeadm 1.36.3"


@pytest.mark.parametrize("keep", [0, 100, 3000, -1500])
def test_fault_10_cut_short(made: Path, keep: int) -> None:
    content = made.read_bytes()
    made.write_bytes(content[:keep] if keep >= 0 else content[: content.index(b"cp archive") + 3])
    with pytest.raises(InputError, match="no host was touched"):
        archives.open_archive(str(made))


def test_a_file_that_is_no_bundle(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w:") as tar:
        link = tarfile.TarInfo("manifest.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
        tar.addfile(link)
    with pytest.raises(InputError, match="no regular file"):
        archives.open_archive(str(path))
    with tarfile.open(path, "w:") as tar:
        tar.addfile(tarfile.TarInfo("other"), io.BytesIO(b""))
    with pytest.raises(InputError, match=r"it has no manifest\.json"):
        archives.open_archive(str(path))
    with pytest.raises(InputError):
        archives.open_archive(str(tmp_path / "none"))


def test_the_same_content_makes_the_same_file(tmp_path: Path) -> None:
    first = make(tmp_path, tmp_path / "a.tar").read_bytes()
    os.utime(tmp_path / "maker" / SOURCE.lstrip("/") / "bin/kubelet", (1, 1))
    assert make(tmp_path, tmp_path / "b.tar").read_bytes() == first


def keys() -> tuple[bytes, str]:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_a_signature_is_asked_for_when_there_is_a_key(made: Path, tmp_path: Path) -> None:
    private, public = keys()
    unsigned = archives.open_archive(str(made))
    verify(unsigned, "")
    with pytest.raises(InputError, match="no signature"):
        verify(unsigned, public)
    signed = archives.open_archive(str(make(tmp_path, tmp_path / "s.tar", sign(unsigned.text.encode(), private, "k"))))
    verify(signed, public)
    with pytest.raises(InputError, match="another signature"):
        verify(signed, keys()[1])
    for bad in ("nonsense", private.decode()):
        with pytest.raises(InputError, match="openssl genpkey"):
            verify(signed, bad)
    with pytest.raises(InputError, match="no private key"):
        sign(b"", b"nonsense", "k")


def test_from_another_host(made: Path, tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    archive = archives.open_archive(str(made))
    with serving() as server:
        server.files = {f"/{path}": content for path, content in CONTENT.items()}
        result = receive(host, params(archive.text, urls=[server.url("/")]), effects=True)
        assert result["missing"] == []
        assert result["bytes"] == sum(len(CONTENT[path]) for path in WORKER)
        server.files["/bin/etcdctl"] = b"something else"
        with pytest.raises(UnreachableError, match="expected"):
            receive(host, params(archive.text, urls=[server.url("/")], roles=["control_plane"]), effects=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"kube_version": "1.35.4"}, "another release"), ({"manifest": "{}"}, "damaged"), ({"dest": "x"}, "path")],
)
def test_what_is_refused(made: Path, tmp_path: Path, change: dict[str, str], words: str) -> None:
    text = archives.open_archive(str(made)).text
    with pytest.raises(InputError, match=words):
        receive(FakeHost(tmp_path / "host"), {**params(text), **change}, effects=True)


def test_no_room(made: Path, tmp_path: Path) -> None:
    manifest = json.loads(archives.open_archive(str(made)).text)
    manifest["files"][0]["size"] = 1 << 60
    with pytest.raises(RefusedError, match="no room"):
        receive(FakeHost(tmp_path), params(json.dumps(manifest)), effects=True)


def test_the_module_alone(made: Path, tmp_path: Path) -> None:
    archive = archives.open_archive(str(made))
    arguments = params(archive.text, dest=str(tmp_path / "received"), arch="amd64", bundle=str(made))
    result = run_module("bundle_receive", arguments, check=True)
    assert (result["changed"], set(result["missing"])) == (True, WORKER)
    result = run_module("bundle_receive", {**arguments, "manifest": "{"})
    assert result["failed"]
    assert "Traceback" not in str(result)
