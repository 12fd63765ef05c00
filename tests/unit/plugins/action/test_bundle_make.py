"""Making a bundle: from a file server that plays the publishers, with a skopeo that plays the registries."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ansible_collections.quorum.kubeadm.plugins.module_utils import publishers, versions
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_archive import open_archive
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch_http import HttpOpener
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.bundle_cache import BundleCache, verify
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.bundle_maker import Maker, show
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.image_copies import Skopeo
from tests.unit.file_server import FileServer, serving

VERSION = "1.36.3"
SKOPEO = """#!{python}
import hashlib, json, os, sys
words = [word for word in sys.argv[1:] if not word.startswith("--")]
with open({log!r}, "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if words[0] == "inspect":
    one = {{"config": {{"size": 24}}, "layers": [{{"size": 1000}}]}}
    platforms = [{{"os": "linux", "architecture": arch}} for arch in ("arm64", "amd64")]
    index = [{{"digest": "sha256:" + at["architecture"], "platform": at}} for at in platforms]
    print(json.dumps(one if words[1].endswith("@sha256:amd64") else {{"manifests": index}}), end="")
    sys.exit()
ref = words[1].removeprefix("docker://")
if ref in {refused!r}:
    sys.exit("reading manifest: unauthorized")
layout = words[2].removeprefix("oci:").removesuffix(":" + ref)
def blob(content):
    digest = hashlib.sha256(content).hexdigest()
    os.makedirs(layout + "/blobs/sha256", exist_ok=True)
    open(layout + "/blobs/sha256/" + digest, "wb").write(content)
    return "sha256:" + digest
manifest = blob(json.dumps({{"config": {{"digest": blob(b"config of " + ref.encode())}}}}).encode())
path = layout + "/index.json"
index = json.load(open(path)) if os.path.exists(path) else {{"manifests": []}}
index["manifests"].append({{"digest": manifest, "annotations": {{"org.opencontainers.image.ref.name": ref}}}})
json.dump(index, open(path, "w"))
"""


@pytest.fixture
def server() -> Iterator[FileServer]:
    """All files of the release below one mirror, with the checksums that the publishers give."""
    with serving() as running:
        for row in publishers.files_of(VERSION, "amd64", ("control_plane", "worker", "etcd")):
            content = f"{row['component']} {row['install']}".encode()
            if row["members"]:
                packed = io.BytesIO()
                with tarfile.open(fileobj=packed, mode="w") as tar:
                    for member in row["members"]:
                        entry = tarfile.TarInfo(member)
                        entry.size = len(member)
                        tar.addfile(entry, io.BytesIO(member.encode()))
                content = gzip.compress(packed.getvalue(), mtime=0)
            running.files["/" + row["urls"][0].split("://")[1]] = content
            sums = "/" + row["sums_urls"][0].split("://")[1]
            line = f"{hashlib.sha256(content).hexdigest()}  {row['urls'][0].rsplit('/', 1)[1]}\n".encode()
            running.files[sums] = running.files.get(sums, b"") + line
        yield running


def maker(server: FileServer, tmp_path: Path, refused: str = "", **given: Any) -> tuple[Maker, list[str]]:
    log = tmp_path / "skopeo.log"
    program = tmp_path / "skopeo"
    program.write_text(SKOPEO.format(python=sys.executable, log=str(log), refused=[refused]))
    program.chmod(0o755)
    skopeo = Skopeo("amd64")
    skopeo.base[0] = str(program)
    told: list[str] = []
    params: dict[str, Any] = {
        "kube_version": VERSION,
        "arch": "amd64",
        "work": str(tmp_path / "work"),
        "base": server.url(""),
    }
    params |= {"checksums": {}, "image_repository": "registry.k8s.io", **given}
    return Maker(HttpOpener(), skopeo, told.append, params), told


def test_the_list_downloads_nothing(server: FileServer, tmp_path: Path) -> None:
    one, _told = maker(server, tmp_path)
    items = one.items()
    names = {item.name for item in items}
    assert {"kubeadm", "runc.amd64", "containerd-2.4.2-linux-amd64.tar.gz"} <= names
    assert set(versions.images(VERSION, True)) <= names
    assert all(item.size for item in items)
    assert all(len(item.sha256) == 64 for item in items)
    assert {item.size for item in items if item.source.startswith("docker://")} == {1024}
    assert not (tmp_path / "work").exists()
    text = show(items)
    assert "together" in text
    assert items[0].sha256[:16] in text


def test_made_signed_and_usable(server: FileServer, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    one, told = maker(server, tmp_path)
    target = tmp_path / "bundle.tar"
    one.make(str(target), private, "bundle.key")
    archive = open_archive(str(target))
    verify(archive, public)
    assert (archive.bundle.kube_version, archive.bundle.arch) == (VERSION, "amd64")
    cache = BundleCache(archive, str(tmp_path / "cache"))
    for name in archive.sums():
        assert Path(cache.part(name)).stat().st_size == archive.parts[name].size
    worker = {one.install for one in archive.bundle.files_for(["worker"], None)}
    assert {"/usr/bin/kubelet", "/usr/bin/runc", "/opt/cni/bin/bridge", "/opt/cni/bin/flannel"} <= worker
    assert "/usr/bin/etcdctl" not in worker
    assert "/usr/bin/etcd" not in {one.install for one in archive.bundle.files_for(["control_plane"], None)}
    assert "/usr/bin/etcd" in {one.install for one in archive.bundle.files_for(["etcd"], None)}
    refs = {ref for one in archive.bundle.images_for(["control_plane"]) for ref in one.refs}
    assert refs == set(versions.images(VERSION, True))
    assert {ref for one in archive.bundle.images_for(["worker"]) for ref in one.refs} == set(
        versions.images(VERSION, False)
    )
    assert any("image 1 of" in line for line in told)


def test_images_have_the_names_that_containerd_takes(server: FileServer, tmp_path: Path) -> None:
    one, _told = maker(server, tmp_path)
    one.make(str(tmp_path / "bundle.tar"), None, "")
    archive = open_archive(str(tmp_path / "bundle.tar"))
    with tarfile.open(BundleCache(archive, str(tmp_path / "cache")).part("images/node.tar")) as tar:
        index = tar.extractfile("index.json")
        assert index is not None
        entries = json.load(index)["manifests"]
    assert [entry["annotations"]["io.containerd.image.name"] for entry in entries] == sorted(
        versions.images(VERSION, False)
    )


def test_the_sbom_names_everything(server: FileServer, tmp_path: Path) -> None:
    one, _told = maker(server, tmp_path)
    manifest = one.make(str(tmp_path / "bundle.tar"), None, "")
    with tarfile.open(tmp_path / "bundle.tar") as tar:
        assert tar.getnames()[0] == "manifest.json"
        stream = tar.extractfile("sbom.spdx.json")
        assert stream is not None
        content = stream.read()
    assert hashlib.sha256(content).hexdigest() == manifest["sbom"]["sha256"]
    document = json.loads(content)
    assert document["spdxVersion"] == "SPDX-2.3"
    ids = [package["SPDXID"] for package in document["packages"]]
    assert len(ids) == len(set(ids)) == 1 + len(manifest["files"]) + len(versions.images(VERSION, True))
    assert {one["relatedSpdxElement"] for one in document["relationships"]} == set(ids[1:])


def test_an_interrupted_run_goes_on_and_a_second_one_fetches_nothing(server: FileServer, tmp_path: Path) -> None:
    refused = f"registry.k8s.io/kube-apiserver:v{VERSION}"
    one, _told = maker(server, tmp_path, refused)
    with pytest.raises(CommandError, match="unauthorized"):
        one.make(str(tmp_path / "bundle.tar"), None, "")
    assert not (tmp_path / "bundle.tar").exists()
    server.requests.clear()
    log = tmp_path / "skopeo.log"
    log.unlink()
    one, _told = maker(server, tmp_path)
    one.make(str(tmp_path / "bundle.tar"), None, "")
    assert server.requests == []
    assert "kube-proxy" not in log.read_text(), "the archive that was whole is kept"
    first = (tmp_path / "bundle.tar").read_bytes()
    log.unlink()
    maker(server, tmp_path)[0].make(str(tmp_path / "again.tar"), None, "")
    assert not log.exists()
    assert (tmp_path / "again.tar").read_bytes() == first


def test_fault_10_a_publisher_without_the_checksum(server: FileServer, tmp_path: Path) -> None:
    del server.files["/github.com/opencontainers/runc/releases/download/v1.5.2/runc.sha256sum"]
    with pytest.raises(UnreachableError, match=r"runc.sha256sum answers 404"):
        maker(server, tmp_path)[0].items()


def test_no_skopeo(server: FileServer, tmp_path: Path) -> None:
    one, _told = maker(server, tmp_path)
    one.skopeo.base[0] = str(tmp_path / "none")
    with pytest.raises(CommandError, match="install skopeo"):
        one.items()


def test_the_manifest_lists_what_the_distribution_has_to_bring(server: FileServer, tmp_path: Path) -> None:
    one, _told = maker(server, tmp_path)
    manifest = one.make(str(tmp_path / "bundle.tar"), None, "")
    assert {"socat", "keepalived"} <= set(manifest["packages"]["Debian"])
    assert "container-selinux" in manifest["packages"]["RedHat"]
