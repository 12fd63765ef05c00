# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's side of a bundle's delivery: what is missing, what has come, and the manifest last of all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle import Bundle, parse_bundle, require
from ansible_collections.quorum.kubeadm.plugins.module_utils.downloads import Download
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch import SPARE, Fetcher
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch_http import HttpOpener
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import check_path
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_kubernetes import BUNDLE_STATE
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_memory import Memory, file_sha256

MANIFEST = "manifest.json"


class Receiver:
    """A bundle's directory on the host. It holds what the host's roles need, and the whole manifest."""

    def __init__(self, host: Host, dest: str, manifest: str) -> None:
        self.host = host
        self.dest = check_path(dest)
        self.text = manifest
        self.bundle: Bundle = parse_bundle(manifest, "the manifest that was sent")
        self.memory = Memory(host, BUNDLE_STATE)

    def wanted(self, roles: list[str]) -> dict[str, tuple[str, int]]:
        """Path -> checksum and size of what these roles need."""
        return {one.path: (one.sha256, one.size) for one in self.bundle.parts() if one.roles & set(roles)}

    def missing(self, roles: list[str]) -> list[str]:
        """What is not there with the right content."""
        return [path for path, (sha256, _size) in self.wanted(roles).items() if self._sha256(path) != sha256]

    def is_listed(self) -> bool:
        """Whether the host has this very manifest."""
        return self.host.read_text(f"{self.dest}/{MANIFEST}") == self.text

    def require_space(self, missing: Sequence[str], roles: list[str]) -> None:
        """Refuse before anything is sent."""
        wanted = self.wanted(roles)
        needed = sum(wanted[path][1] for path in missing) + SPARE
        folder = self.host.real(self.dest)
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        info = os.statvfs(folder)
        free = info.f_bavail * info.f_frsize
        if missing and free < needed:
            found = f"{free >> 20} MiB free, {needed >> 20} MiB needed"
            raise RefusedError("there is no room for the bundle", where=self.dest, found=found, next_step="free some")

    def take(self, incoming: dict[str, str]) -> None:
        """Move what was sent into its place, each checked before it gets its name."""
        sums = {path: sha256 for path, (sha256, _size) in self.wanted(["control_plane", "worker", "etcd"]).items()}
        for path, source in incoming.items():
            target = self.host.real(f"{self.dest}/{path}")
            os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
            temporary = os.path.join(os.path.dirname(target), f".{os.path.basename(target)}.part")
            shutil.move(source, temporary)
            actual = file_sha256(temporary)
            if actual != sums[path]:
                os.unlink(temporary)
                raise InputError(
                    "a part of the bundle did not arrive as it was sent; no service was touched",
                    where=path,
                    found=f"expected sha256 {sums[path]}, actual {actual}",
                    next_step="run the same playbook again",
                )
            os.chmod(temporary, 0o644)
            os.chown(temporary, os.geteuid(), os.getegid())
            os.rename(temporary, target)
            self.memory.learn(f"{self.dest}/{path}", sha256=actual)

    def fetch(self, urls: Sequence[str], missing: Sequence[str], roles: list[str]) -> int:
        """Get the missing parts from another host that has them. Returns the bytes received."""
        wanted = self.wanted(roles)
        downloads = [
            Download(path, tuple(f"{url.rstrip('/')}/{path}" for url in urls), *wanted[path]) for path in missing
        ]
        fetched = Fetcher(HttpOpener(), self.host.real(self.dest)).fetch(downloads)
        for item in downloads:
            self.memory.learn(f"{self.dest}/{item.path}", sha256=item.sha256)
        return sum(one.received for one in fetched)

    def list(self) -> None:
        """The manifest, last of all."""
        real = self.host.real(f"{self.dest}/{MANIFEST}")
        os.makedirs(os.path.dirname(real), mode=0o755, exist_ok=True)
        with open(f"{real}.new", "w", encoding="utf-8") as stream:
            stream.write(self.text)
        os.rename(f"{real}.new", real)
        self.memory.save()

    def _sha256(self, path: str) -> str:
        try:
            return self.memory.sha256(f"{self.dest}/{path}")
        except OSError:
            return ""


def receive(host: Host, params: dict[str, Any], *, effects: bool) -> dict[str, Any]:
    """Compare; take what was sent, or fetch what is missing; list it. Tells what is missing still."""
    receiver = Receiver(host, params["dest"], params["manifest"])
    require(receiver.bundle, params["dest"], params["kube_version"], os.uname().machine)
    roles, received = params["roles"], 0
    if effects and params["incoming"]:
        receiver.take(params["incoming"])
    missing = receiver.missing(roles)
    steps = [f"receive {path}" for path in missing]
    receiver.require_space(missing, roles)
    if effects and missing and params["urls"]:
        received = receiver.fetch(params["urls"], missing, roles)
        missing = receiver.missing(roles)
    changed = bool(steps or params["incoming"]) or not receiver.is_listed()
    if effects and not missing and not receiver.is_listed():
        receiver.list()
    return {"changed": changed, "missing": missing, "steps": steps, "bytes": received}
