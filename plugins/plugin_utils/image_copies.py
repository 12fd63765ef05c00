# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images copied from registries by skopeo, many into one archive, as containerd imports them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_archive import plain
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError

NAME = "io.containerd.image.name"
REF = "org.opencontainers.image.ref.name"
COPY_SECONDS = 1800.0


class Skopeo:
    """The official tool for copying images, one architecture of each."""

    def __init__(self, arch: str, options: Sequence[str] = ()) -> None:
        self.base = ["skopeo", "--insecure-policy", f"--override-arch={arch}", "--override-os=linux"]
        self.options = list(options)
        self.arch = arch

    def look(self, ref: str) -> tuple[int, str]:
        """Bytes that a copy would fetch, and the digest of the image's manifest. Nothing else is fetched."""
        text = self._run(["inspect", "--raw", *self.options, f"docker://{ref}"])
        for entry in json.loads(text).get("manifests", []):
            platform = entry.get("platform") or {}
            if (platform.get("os"), platform.get("architecture")) == ("linux", self.arch):
                name = ref.rpartition(":")[0]
                text = self._run(["inspect", "--raw", *self.options, f"docker://{name}@{entry['digest']}"])
                break
        manifest = json.loads(text)
        parts = [manifest.get("config") or {}, *(manifest.get("layers") or [])]
        return sum(int(part.get("size") or 0) for part in parts), hashlib.sha256(text.encode()).hexdigest()

    def copy(self, ref: str, layout: str) -> None:
        """Add one image to an OCI layout; layers that are there already are not fetched again."""
        flags = [option.replace("--tls-verify", "--src-tls-verify") for option in self.options]
        self._run(["copy", "--quiet", *flags, f"docker://{ref}", f"oci:{layout}:{ref}"])

    def _run(self, words: list[str]) -> str:
        try:
            done = subprocess.run(
                [*self.base, *words], capture_output=True, text=True, timeout=COPY_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise CommandError(
                "skopeo cannot be run", where="the controller", found=str(exc), next_step="install skopeo"
            ) from exc
        if done.returncode:
            raise CommandError(
                "an image cannot be copied",
                where=words[-2] if words[0] == "copy" else words[-1],
                found=done.stderr.strip()[-600:],
                next_step="correct its name, or look at the registry; what was copied is kept",
            )
        return done.stdout


def name_images(layout: str) -> dict[str, str]:
    """Give every image of a layout the name that containerd takes. Returns reference -> digest of its configuration."""
    path = os.path.join(layout, "index.json")
    with open(path, encoding="utf-8") as stream:
        index: dict[str, Any] = json.load(stream)
    ids = {}
    for entry in index["manifests"]:
        ref = entry["annotations"][REF]
        entry["annotations"][NAME] = ref
        with open(_blob(layout, entry["digest"]), encoding="utf-8") as stream:
            ids[ref] = str(json.load(stream)["config"]["digest"])
    index["manifests"].sort(key=lambda entry: str(entry["annotations"][REF]))
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(index, stream, sort_keys=True)
    return ids


def pack_layout(layout: str, target: str) -> None:
    """One archive of a layout; the same images make the same archive."""
    with tarfile.open(f"{target}.part", "w:", format=tarfile.PAX_FORMAT) as tar:
        for folder, folders, names in os.walk(layout):
            folders.sort()
            for name in sorted(names):
                full = os.path.join(folder, name)
                tar.add(full, os.path.relpath(full, layout), recursive=False, filter=plain)
    os.rename(f"{target}.part", target)
    shutil.rmtree(layout)


def _blob(layout: str, digest: str) -> str:
    kind, _colon, value = digest.partition(":")
    return os.path.join(layout, "blobs", kind, value)
