# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image archives: the same input gives the same bytes, and the ids are the configurations' digests."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

from lab.cache import file_sha256
from lab.images import Image, Layer, write_archive


def archive(directory: Path, name: str) -> tuple[Path, list[dict[str, str]]]:
    program = directory / "program"
    program.write_bytes(b"\x7fELF")
    base = directory / "base.tar"
    with tarfile.open(base, "w"):
        pass
    images = [
        Image("registry.k8s.io/pause:1", {"pause": program}, ("/pause",)),
        Image("registry.k8s.io/kube-proxy:v1", {"usr/local/bin/kube-proxy": program}, on_debian=True),
        Image("ghcr.io/flannel-io/flannel:v1", {"opt/bin/flanneld": program}, ("/opt/bin/flanneld",), on_debian=True),
    ]
    target = directory / name
    return target, write_archive(images, Layer(base, file_sha256(base)), target)


def member(content: tarfile.TarFile, name: str) -> bytes:
    stream = content.extractfile(name)
    assert stream is not None
    return stream.read()


def test_every_reference_has_the_digest_of_its_configuration(tmp_path: Path) -> None:
    path, refs = archive(tmp_path, "a.tar")
    with tarfile.open(path) as content:
        manifest = json.loads(member(content, "manifest.json"))
        assert [entry["RepoTags"] for entry in manifest] == [[ref["ref"]] for ref in refs]
        for entry, ref in zip(manifest, refs):
            settings = member(content, entry["Config"])
            assert ref["id"] == f"sha256:{hashlib.sha256(settings).hexdigest()}"
            for layer, digest in zip(entry["Layers"], json.loads(settings)["rootfs"]["diff_ids"]):
                assert hashlib.sha256(member(content, layer)).hexdigest() == digest.removeprefix("sha256:")


def test_a_shared_layer_is_stored_once(tmp_path: Path) -> None:
    path, _refs = archive(tmp_path, "a.tar")
    with tarfile.open(path) as content:
        names = content.getnames()
    assert len(names) == len(set(names))
    # three images: three configurations, three own layers, one shared layer, one manifest
    assert len(names) == 8


def test_the_same_programs_make_the_same_archive(tmp_path: Path) -> None:
    one, refs = archive(tmp_path, "a.tar")
    two, again = archive(tmp_path, "b.tar")
    assert refs == again
    assert file_sha256(one) == file_sha256(two)


def test_a_program_is_executable_and_finds_a_temporary_directory(tmp_path: Path) -> None:
    path, _refs = archive(tmp_path, "a.tar")
    with tarfile.open(path) as content:
        manifest = json.loads(member(content, "manifest.json"))
        with tarfile.open(fileobj=content.extractfile(manifest[0]["Layers"][0])) as layer:
            assert layer.getmember("pause").mode == 0o755
            assert layer.getmember("tmp").mode == 0o1777
            assert layer.getmember("etc").isdir()
