# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle as one file: a plain tar whose first member is the manifest, which has the checksum of everything else.

Plain, because what is in it is compressed where that helps, and because any part of it can be read without the rest.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle import Bundle, parse_bundle
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
SBOM = "sbom.spdx.json"
MANIFEST_LIMIT = 16 << 20
BLOCK = 1 << 20
# The same content makes the same file: no times and no owners of the machine that made it.
EPOCH = 0


@dataclass(frozen=True)
class Part:
    """Where a member's content lies in the file."""

    offset: int
    size: int


@dataclass(frozen=True)
class Archive:
    """An opened bundle: its manifest as text and as types, its signature, and where its parts lie."""

    path: str
    text: str
    bundle: Bundle
    signature: bytes
    parts: Mapping[str, Part]

    def sums(self) -> dict[str, str]:
        """Path -> SHA-256 of every part that the manifest names."""
        return {one.path: one.sha256 for one in self.bundle.parts()}


def open_archive(path: str) -> Archive:
    """Read the manifest and the index; the parts themselves are read when they are taken."""
    try:
        with tarfile.open(path, "r:") as tar, open(path, "rb") as stream:
            parts: dict[str, Part] = {}
            small: dict[str, bytes] = {}
            for entry in tar:
                if not entry.isreg():
                    raise _unusable(path, f"{entry.name} is no regular file")
                parts[entry.name] = Part(entry.offset_data, entry.size)
                if entry.name in (MANIFEST, SIGNATURE) and entry.size <= MANIFEST_LIMIT:
                    stream.seek(entry.offset_data)
                    small[entry.name] = stream.read(entry.size)
            size = os.fstat(stream.fileno()).st_size
    except (OSError, tarfile.TarError) as exc:
        raise _unusable(path, str(exc)) from exc
    if MANIFEST not in small:
        raise _unusable(path, f"it has no {MANIFEST}")
    text = small[MANIFEST].decode("utf-8", "replace")
    archive = Archive(path, text, parse_bundle(text, path), small.get(SIGNATURE, b""), parts)
    missing = [name for name in archive.sums() if name not in parts or parts[name].offset + parts[name].size > size]
    if missing:
        raise _unusable(path, f"it ends before {', '.join(missing[:5])}: the copy was cut short")
    return archive


def take(archive: Archive, name: str, target: str) -> None:
    """Copy a part out, checked; nothing is left at the target when it is not what the manifest says."""
    part, expected = archive.parts[name], archive.sums()[name]
    temporary, digest, left = f"{target}.part", hashlib.sha256(), part.size
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    with open(archive.path, "rb") as stream, open(temporary, "wb") as out:
        stream.seek(part.offset)
        while left and (block := stream.read(min(BLOCK, left))):
            digest.update(block)
            out.write(block)
            left -= len(block)
    if digest.hexdigest() != expected:
        os.unlink(temporary)
        found = f"{name}: expected sha256 {expected}, actual {digest.hexdigest()}"
        raise _unusable(archive.path, found)
    os.rename(temporary, target)


def pack(files: Mapping[str, str], target: str) -> None:
    """Make the one file: name in it -> path on disk, in this order. The manifest comes first."""
    temporary = f"{target}.part"
    with tarfile.open(temporary, "w:", format=tarfile.PAX_FORMAT) as tar:
        for name, path in files.items():
            tar.add(path, name, recursive=False, filter=plain)
    os.rename(temporary, target)


def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """A member without what differs from machine to machine."""
    entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname, entry.mode = EPOCH, 0, 0, "", "", 0o644
    return entry


def _unusable(path: str, found: str) -> InputError:
    return InputError(
        "the bundle cannot be used; no host was touched", where=path, found=found, next_step="copy or make it again"
    )


def sbom(manifest: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """What is in a bundle as an SPDX 2.3 document: one package for each program, archive and image."""
    packages = []
    for number, row in enumerate(manifest["files"]):
        packages.append(
            _package(f"File-{number}", row["path"], row.get("version", ""), row["sha256"], row.get("source", ""))
        )
    for number, row in enumerate(manifest["images"]):
        for image in row["refs"]:
            name, _colon, tag = image["ref"].rpartition(":")
            spdx = f"Image-{number}-{len(packages)}"
            packages.append(_package(spdx, name, tag, image["id"].removeprefix("sha256:"), f"docker://{image['ref']}"))
    root = "SPDXRef-Bundle"
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"kubernetes-{manifest['kube_version']}-{manifest['arch']}",
        "documentNamespace": namespace,
        "creationInfo": {"created": "1970-01-01T00:00:00Z", "creators": ["Tool: quorum.kubeadm"]},
        "packages": [
            {
                "SPDXID": root,
                "name": f"kubernetes-{manifest['kube_version']}-{manifest['arch']}",
                "versionInfo": manifest["kube_version"],
                "downloadLocation": "NOASSERTION",
                "filesAnalyzed": False,
            },
            *packages,
        ],
        "relationships": [
            {"spdxElementId": root, "relationshipType": "CONTAINS", "relatedSpdxElement": one["SPDXID"]}
            for one in packages
        ],
    }


def _package(spdx: str, name: str, version: str, sha256: str, source: str) -> dict[str, Any]:
    return {
        "SPDXID": f"SPDXRef-{spdx}",
        "name": name,
        "versionInfo": version or "NOASSERTION",
        "downloadLocation": source or "NOASSERTION",
        "filesAnalyzed": False,
        "checksums": [{"algorithm": "SHA256", "checksumValue": sha256}],
    }
