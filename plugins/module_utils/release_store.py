# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published files as a bundle on the host: fetched, unpacked, and listed in a manifest like any other bundle's.

So there is one way in which programs are installed, wherever they came from.
"""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle import FORMAT
from ansible_collections.quorum.kubeadm.plugins.module_utils.downloads import Download, parse_downloads
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch import Fetched, Fetcher, Progress
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch_http import Opener
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import check_path
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_kubernetes import BUNDLE_STATE
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_memory import Memory, json_object

MANIFEST = "manifest.json"
MODE = 0o755


@dataclass(frozen=True)
class Wanted:
    """One published file, and the programs that it holds: path below the directory -> where it is installed."""

    download: Download
    component: str
    version: str
    roles: tuple[str, ...]
    programs: Mapping[str, str]
    narrow: Mapping[str, list[str]]


def parse_wanted(rows: Sequence[Mapping[str, Any]]) -> list[Wanted]:
    """Rows as `publishers.files_of` makes them."""
    wanted = []
    for row, download in zip(rows, parse_downloads([_as_download(row) for row in rows])):
        install = str(row.get("install") or "")
        members = {target: row["members"][member] for member, target in download.unpack.items()}
        programs = members or {download.path: install}
        narrow = row.get("narrow") or {}
        wanted.append(
            Wanted(download, str(row["component"]), str(row["version"]), tuple(row["roles"]), programs, narrow)
        )
    return wanted


def _as_download(row: Mapping[str, Any]) -> dict[str, Any]:
    folder = f"programs/{row['component']}-{row['version']}"
    unpack = {member: f"{folder}/{member.rsplit('/', 1)[-1]}" for member in row.get("members") or {}}
    return {**row, "unpack": unpack}


class ReleaseStore:
    """A directory on the host with a release's programs and their manifest."""

    def __init__(self, host: Host, directory: str) -> None:
        self.host = host
        self.directory = check_path(directory)
        self.memory = Memory(host, BUNDLE_STATE)

    def missing(self, wanted: Sequence[Wanted], kube_version: str) -> list[Wanted]:
        """What has to be fetched: nothing, when the manifest tells of just these files and all programs are there."""
        manifest = json_object(self.host.read_text(f"{self.directory}/{MANIFEST}"))
        told = {row["path"]: row["sha256"] for row in manifest.get("files", [])}
        sources = manifest.get("sources") or {}
        # Another list of files, from another role or source, makes another manifest; the programs may still be right.
        return [
            one
            for one in wanted
            if manifest.get("kube_version") != kube_version
            or not self._same_source(one.download, sources)
            or any(self._sha256(path) != told.get(path, "-") for path in one.programs)
        ]

    @staticmethod
    def _same_source(download: Download, sources: Mapping[str, str]) -> bool:
        # A published file never changes: where only its publisher knows its checksum, its name is enough.
        return download.path in sources and download.sha256 in ("", sources[download.path])

    def fetch(self, opener: Opener, missing: Sequence[Wanted], progress: Progress = None) -> list[Fetched]:
        """Download what is missing, then unpack it."""
        real = self.host.real(self.directory)
        fetched = Fetcher(opener, real, progress=progress).fetch([one.download for one in missing])
        for one in missing:
            if one.download.unpack:
                unpack(os.path.join(real, one.download.path), real, one.download.unpack)
                os.unlink(os.path.join(real, one.download.path))
            for path in one.programs:
                os.chmod(os.path.join(real, path), MODE)
        return fetched

    def manifest(self, wanted: Sequence[Wanted], kube_version: str, arch: str) -> dict[str, Any]:
        """The programs that are there, as a bundle's manifest."""
        return {
            "format": FORMAT,
            "kube_version": kube_version,
            "arch": arch,
            "versions": {one.component: one.version for one in wanted if one.component != "kubernetes"},
            "sources": {one.download.path: one.download.sha256 for one in wanted},
            "files": [self._entry(one, path, install) for one in wanted for path, install in one.programs.items()],
            "images": [],
        }

    def write(self, manifest: Mapping[str, Any]) -> None:
        """The manifest, last of all: what it names is there."""
        real = self.host.real(f"{self.directory}/{MANIFEST}")
        with open(f"{real}.new", "w", encoding="utf-8") as stream:
            json.dump(manifest, stream, indent=1)
        os.rename(f"{real}.new", real)
        self.memory.save()

    def _entry(self, one: Wanted, path: str, install: str) -> dict[str, Any]:
        size = os.stat(self.host.real(f"{self.directory}/{path}")).st_size
        return {
            "path": path,
            "sha256": self._sha256(path),
            "size": size,
            "mode": f"{MODE:04o}",
            "install": install,
            "roles": list(one.narrow.get(install, one.roles)),
            "version": one.version,
            "source": one.download.urls[0],
        }

    def _sha256(self, path: str) -> str:
        try:
            return self.memory.sha256(f"{self.directory}/{path}")
        except OSError:
            return ""


def unpack(archive: str, directory: str, members: Mapping[str, str]) -> None:
    """Take these members, regular files all of them, and nothing else out of an archive."""
    left = dict(members)
    try:
        with tarfile.open(archive) as tar:
            for entry in tar:
                target = left.get(entry.name.removeprefix("./"))
                # A link in an archive could point anywhere.
                stream = tar.extractfile(entry) if target and entry.isreg() else None
                if target and stream:
                    _write(stream, os.path.join(directory, target))
                    del left[entry.name.removeprefix("./")]
    except (tarfile.TarError, EOFError, OSError, ValueError) as exc:
        raise InputError(
            "an archive cannot be read", where=archive, found=str(exc), next_step="fetch it again"
        ) from exc
    if left:
        raise InputError(
            "an archive lacks what the release needs",
            where=archive,
            found=f"no {', '.join(sorted(left))}",
            next_step="tell the maintainers of the collection",
        )


def _write(stream: Any, path: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = f"{path}.new"
    with open(temporary, "wb") as target:
        shutil.copyfileobj(stream, target, 1 << 20)
    os.chmod(temporary, MODE)
    os.rename(temporary, path)


def bring(host: Host, params: Mapping[str, Any], opener: Opener | None, *, effects: bool) -> dict[str, Any]:
    """Compare, fetch, unpack, list. Without an opener, or without effects, only compare."""
    wanted = parse_wanted(params["files"])
    store = ReleaseStore(host, params["dest"])
    missing = store.missing(wanted, params["kube_version"])
    fetched = store.fetch(opener, missing) if effects and missing and opener else []
    if fetched:
        store.write(store.manifest(wanted, params["kube_version"], params["arch"]))
    return {
        "changed": bool(missing),
        "steps": [f"fetch {one.download.path}" for one in missing],
        "fetched": [
            {"path": one.path, "url": one.url, "bytes": one.received, "seconds": one.seconds} for one in fetched
        ],
        "bytes": sum(one.received for one in fetched),
    }
