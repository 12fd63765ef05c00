# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a bundle on a connected machine: programs and images from their publishers, manifest, SBOM, signature."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils import publishers, versions
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_archive import MANIFEST, SBOM, SIGNATURE, pack, sbom
from ansible_collections.quorum.kubeadm.plugins.module_utils.downloads import Download, UnusableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch import published_sum, size_of
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch_http import Opener
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_memory import file_sha256
from ansible_collections.quorum.kubeadm.plugins.module_utils.preflight_software import HOST_PACKAGES, LB_PACKAGES
from ansible_collections.quorum.kubeadm.plugins.module_utils.release_store import ReleaseStore, Wanted, parse_wanted
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.bundle_cache import sign
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.image_copies import Skopeo, name_images, pack_layout

ROLES = ("control_plane", "worker", "etcd")
NODES = ["control_plane", "worker"]
TELL_EVERY = 5.0
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Item:
    """Something that goes in: its name, where it is from, its size (0: unknown) and checksum ("": not known yet)."""

    name: str
    source: str
    size: int
    sha256: str


@dataclass
class Progress:
    """Tells now and then how far the downloads are."""

    tell: Tell
    total: int
    got: dict[str, int] = field(default_factory=dict)
    last: float = field(default_factory=time.monotonic)

    def __call__(self, item: Download, received: int) -> None:
        self.got[item.path] = received
        if time.monotonic() - self.last >= TELL_EVERY:
            self.last = time.monotonic()
            of = f" of {self.total >> 20}" if self.total else ""
            self.tell(f"bundle: fetched {sum(self.got.values()) >> 20}{of} MiB, {len(self.got)} files begun")


class Maker:
    """One release for one architecture. `work` keeps what has arrived, so an interrupted run goes on."""

    def __init__(self, opener: Opener, skopeo: Skopeo, tell: Tell, params: Mapping[str, Any]) -> None:
        self.opener = opener
        self.skopeo = skopeo
        self.tell = tell
        self.version, self.arch = str(params["kube_version"]), str(params["arch"])
        self.work = os.path.join(str(params["work"]), f"{self.version}-{self.arch}")
        rows = publishers.files_of(self.version, self.arch, ROLES, base=params["base"], checksums=params["checksums"])
        self.wanted: list[Wanted] = parse_wanted(rows)
        repository = str(params["image_repository"])
        node = versions.images(self.version, False, repository)
        plane = [ref for ref in versions.images(self.version, True, repository) if ref not in node]
        self.images = {"node": (node, NODES), "control-plane": (plane, ["control_plane"])}

    def items(self) -> list[Item]:
        """Everything that goes in, before anything of it is downloaded."""
        found = []
        for one in self.wanted:
            item = one.download
            sha256 = item.sha256 or self._published(item)
            found.append(Item(item.path.rsplit("/", 1)[1], item.urls[0], size_of(self.opener, item), sha256))
        for refs, _roles in self.images.values():
            found += [Item(ref, f"docker://{ref}", *self.skopeo.look(ref)) for ref in refs]
        return found

    def _published(self, item: Download) -> str:
        try:
            return published_sum(self.opener, item)
        except UnusableError as exc:
            raise UnreachableError(
                "a file's checksum cannot be had",
                where=item.path,
                found=str(exc),
                next_step="correct kube_source_files, or set kube_source_checksums",
            ) from exc

    def make(self, target: str, signing_key: bytes | None, key_path: str) -> dict[str, Any]:
        """Fetch, unpack, copy images, list, sign, pack. Returns the manifest."""
        store = ReleaseStore(Host(), os.path.abspath(self.work))
        os.makedirs(self.work, exist_ok=True)
        missing = store.missing(self.wanted, self.version)
        if missing:
            sizes = sum(size_of(self.opener, one.download) for one in missing)
            self.tell(f"bundle: {len(missing)} files to fetch, {sizes >> 20} MiB")
            store.fetch(self.opener, missing, Progress(self.tell, sizes))
        manifest = store.manifest(self.wanted, self.version, self.arch)
        store.write(manifest)
        manifest = {**manifest, "images": [self._archive(name) for name in self.images], "packages": packages()}
        text = json.dumps(manifest, indent=1).encode()
        self._write(
            SBOM,
            json.dumps(sbom(manifest, f"urn:quorum.kubeadm:{hashlib.sha256(text).hexdigest()}"), indent=1).encode(),
        )
        manifest["sbom"] = {"path": SBOM, "sha256": file_sha256(self._path(SBOM))}
        text = json.dumps(manifest, indent=1).encode()
        self._write(f"packed/{MANIFEST}", text)
        self._pack(manifest, text, target, signing_key, key_path)
        return manifest

    def _pack(
        self, manifest: Mapping[str, Any], text: bytes, target: str, signing_key: bytes | None, key_path: str
    ) -> None:
        names = {MANIFEST: self._path(f"packed/{MANIFEST}"), SBOM: self._path(SBOM)}
        if signing_key is not None:
            self._write(SIGNATURE, sign(text, signing_key, key_path))
            names[SIGNATURE] = self._path(SIGNATURE)
        for row in (*manifest["files"], *manifest["images"]):
            names[row["path"]] = self._path(row["path"])
        self.tell(f"bundle: packing {target}")
        pack(names, target)

    def _archive(self, name: str) -> dict[str, Any]:
        """One archive of images, copied again only when what it holds has changed."""
        refs, roles = self.images[name]
        path, note = f"images/{name}.tar", self._path(f"images/{name}.json")
        os.makedirs(self._path("images"), exist_ok=True)
        entry = _load(note)
        if [row["ref"] for row in entry.get("refs", [])] != sorted(refs) or not os.path.exists(self._path(path)):
            layout = self._path(f"images/{name}.layout")
            for number, ref in enumerate(refs, 1):
                self.tell(f"bundle: image {number} of {len(refs)} for {name}: {ref}")
                self.skopeo.copy(ref, layout)
            ids = name_images(layout)
            pack_layout(layout, self._path(path))
            entry = {
                "path": path,
                "sha256": file_sha256(self._path(path)),
                "size": os.stat(self._path(path)).st_size,
                "roles": roles,
                "refs": [{"ref": ref, "id": ids[ref]} for ref in sorted(refs)],
            }
            self._write(f"images/{name}.json", json.dumps(entry).encode())
        return entry

    def _path(self, name: str) -> str:
        return os.path.join(os.path.abspath(self.work), name)

    def _write(self, name: str, content: bytes) -> None:
        os.makedirs(os.path.dirname(self._path(name)), exist_ok=True)
        with open(self._path(name), "wb") as stream:
            stream.write(content)


def _load(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as stream:
            found: dict[str, Any] = json.load(stream)
            return found
    except (OSError, ValueError):
        return {}


def packages() -> dict[str, list[str]]:
    """What hosts must have from their distribution, by its family."""
    return {family: sorted([*names, *LB_PACKAGES]) for family, names in HOST_PACKAGES.items()}


def show(items: list[Item]) -> str:
    """What goes in, as a table."""
    lines = [f"{'MIB':>7}  {'SHA256':<16}  WHAT"]
    for item in items:
        size = f"{item.size / (1 << 20):7.1f}" if item.size else f"{'?':>7}"
        lines.append(f"{size}  {item.sha256[:16] or '-':<16}  {item.name}  {item.source}")
    lines.append(f"{sum(item.size for item in items) / (1 << 20):7.1f}  together")
    return "\n".join(lines)
