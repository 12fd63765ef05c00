# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container images, written straight to archives: one layer per program, over nothing or over a few Debian packages."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.cache import cached, content_key, file_sha256
from lab.debian import debootstrap, slim
from lab.settings import LAB_DIR

SUITE = "trixie"
BASE_PACKAGES = ("base-files", "coreutils", "dash", "libc-bin", "iptables", "nftables", "conntrack", "iproute2")
NFT = "xtables-nft-multi"
NFT_COMMANDS = tuple(f"{family}tables{suffix}" for family in ("ip", "ip6") for suffix in ("", "-save", "-restore"))
BASE_SYMLINKS = {f"usr/sbin/{command}": NFT for command in NFT_COMMANDS} | {"usr/bin/sh": "dash"}
SKELETON = {
    "etc/passwd": b"root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
    "etc/group": b"root:x:0:\nnonroot:x:65532:\n",
}


@dataclass(frozen=True)
class Layer:
    """A tar archive and its digest."""

    path: Path
    digest: str


@dataclass(frozen=True)
class Image:
    """An image under its full reference; `files` maps paths in the image to programs."""

    ref: str
    files: dict[str, Path]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    on_debian: bool = False


def base_layer(cache: Path) -> Layer:
    """Return what kube-proxy and flannel stand on: iptables, nftables, conntrack and cp, all from Debian."""

    def make(work: Path) -> None:
        debootstrap(SUITE, "extract", BASE_PACKAGES, work / "full.tar")
        slim(work / "full.tar", work / "layer.tar", BASE_SYMLINKS)
        (work / "full.tar").unlink()

    key = content_key(SUITE, BASE_PACKAGES, BASE_SYMLINKS, LAB_DIR / "debian.py")
    path = cached(cache, "layers", "base", key, make) / "layer.tar"
    return Layer(path, file_sha256(path))


def program_layer(image: Image, target: Path) -> Layer:
    """Pack an image's programs, and for an image over nothing the few files that every program expects."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        files: dict[str, bytes | Path] = dict(image.files) if image.on_debian else {**SKELETON, **image.files}
        for directory in sorted(_parents(files) if not image.on_debian else ()):
            archive.addfile(_entry(directory, tarfile.DIRTYPE, 0o755))
        archive.addfile(_entry("tmp", tarfile.DIRTYPE, 0o1777))
        for name, content in sorted(files.items()):
            if isinstance(content, bytes):
                archive.addfile(_entry(name, tarfile.REGTYPE, 0o644, len(content)), io.BytesIO(content))
                continue
            with content.open("rb") as stream:
                archive.addfile(_entry(name, tarfile.REGTYPE, 0o755, content.stat().st_size), stream)
    return Layer(target, file_sha256(target))


def _parents(names: Iterable[str]) -> set[str]:
    return {str(parent) for name in names for parent in Path(name).parents if str(parent) != "."}


def _entry(name: str, kind: bytes, mode: int, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size = kind, mode, size
    return entry


def config(image: Image, layers: Sequence[Layer]) -> bytes:
    """Return the image's configuration; its digest is the image's identity."""
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Entrypoint": list(image.entrypoint) or None,
                "Cmd": list(image.command) or None,
                "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]},
        },
        sort_keys=True,
    ).encode()


def write_archive(images: Sequence[Image], base: Layer, target: Path) -> list[dict[str, str]]:
    """Write one archive with all images, shared layers once; returns each reference and its image id."""
    manifest: list[dict[str, object]] = []
    refs: list[dict[str, str]] = []
    written: set[str] = set()
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for image in images:
            scratch = target.with_suffix(".layer")
            top = program_layer(image, scratch)
            layers = [base, top] if image.on_debian else [top]
            for layer in layers:
                if layer.digest not in written:
                    _add(archive, f"{layer.digest}.tar", layer.path)
                    written.add(layer.digest)
            scratch.unlink()
            settings = config(image, layers)
            digest = hashlib.sha256(settings).hexdigest()
            archive.addfile(_entry(f"{digest}.json", tarfile.REGTYPE, 0o644, len(settings)), io.BytesIO(settings))
            manifest.append(
                {
                    "Config": f"{digest}.json",
                    "RepoTags": [image.ref],
                    "Layers": [f"{layer.digest}.tar" for layer in layers],
                }
            )
            refs.append({"ref": image.ref, "id": f"sha256:{digest}"})
        content = json.dumps(manifest).encode()
        archive.addfile(_entry("manifest.json", tarfile.REGTYPE, 0o644, len(content)), io.BytesIO(content))
    return refs


def _add(archive: tarfile.TarFile, name: str, path: Path) -> None:
    with path.open("rb") as stream:
        archive.addfile(_entry(name, tarfile.REGTYPE, 0o644, path.stat().st_size), stream)
