# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of a bundle in containerd: compared with what is there, imported when different, pinned against the GC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle import Archive, parse_bundle
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_install import verify_sources
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import check_path
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host, Result
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_kubernetes import BUNDLE_STATE
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_memory import Memory, json_object, write_json

PIN = "io.cri-containerd.pinned"
STATE = "/var/lib/quorum-kubeadm/images.json"
REMEMBERED_ARCHIVES = 20
NAMESPACE = r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*"


@dataclass(frozen=True)
class Image:
    """A reference in containerd, the digest it points to, and whether the kubelet's garbage collection spares it."""

    digest: str
    pinned: bool


@dataclass(frozen=True)
class ImagePlan:
    """Archives to import, and references that are right but not pinned."""

    imports: tuple[Archive, ...]
    pins: tuple[str, ...]

    def steps(self) -> list[str]:
        return [f"import {a.path} ({', '.join(a.refs)})" for a in self.imports] + [f"pin {ref}" for ref in self.pins]


def parse_images(text: str) -> dict[str, Image]:
    """`ctr images ls`: reference, type, digest, size in two words, platforms, labels."""
    images = {}
    for line in text.splitlines()[1:]:
        words = line.split()
        digest = next((word for word in words[1:] if word.startswith("sha256:")), None)
        if digest:
            images[words[0]] = Image(digest, f"{PIN}=pinned" in words[-1].split(","))
    return images


def parse_config_digest(text: str) -> str | None:
    """The configuration's digest in an image manifest."""
    config = json_object(text).get("config")
    return str(config["digest"]) if isinstance(config, dict) and "digest" in config else None


class Containerd:
    """containerd through its own client, `ctr`. Where `absent_is_empty`, a missing containerd holds no images."""

    def __init__(self, host: Host, ctr: str, namespace: str, timeout: float, *, absent_is_empty: bool = False) -> None:
        self.host = host
        self.base = [ctr, "-n", namespace]
        self.timeout = timeout
        self.absent_is_empty = absent_is_empty

    def images(self) -> dict[str, Image]:
        answer = self._call(["images", "ls"])
        if answer.code and self.absent_is_empty:
            return {}
        self._require(answer, "containerd does not tell its images", "start containerd, then run again")
        return parse_images(answer.out)

    def config_digest(self, digest: str) -> str | None:
        answer = self._call(["content", "get", digest])
        return None if answer.code else parse_config_digest(answer.out)

    def load(self, path: str, *, unpack: bool) -> None:
        """Import and pin in one call. The local way takes half of the time of containerd's transfer service."""
        flags = ["--local"] + ([] if unpack else ["--no-unpack"])
        answer = self._call(["images", "import", *flags, "--label", f"{PIN}=pinned", path])
        if answer.code and "flag provided but not defined" in answer.text:
            answer = self._call(["images", "import", *([] if unpack else ["--no-unpack"]), path])
        self._require(
            answer, f"containerd could not import {path}", "look at the disk's free space and containerd's log"
        )

    def pull(self, ref: str, hosts_dir: str) -> None:
        """Pull through the registries' configuration that the kubelet's pulls use as well."""
        answer = self._call(["images", "pull", "--hosts-dir", hosts_dir, ref])
        self._require(answer, f"containerd could not pull {ref}", "look at the registry and at containerd's certs.d")

    def pin(self, ref: str) -> None:
        answer = self._call(["images", "label", ref, f"{PIN}=pinned"])
        self._require(answer, f"containerd could not pin {ref}", "look at `journalctl -u containerd`")

    def unpin(self, ref: str) -> None:
        """Leave an image to the kubelet's garbage collection: a label without a value is taken away."""
        answer = self._call(["images", "label", ref, f"{PIN}="])
        self._require(answer, f"containerd could not unpin {ref}", "look at `journalctl -u containerd`")

    def used(self) -> list[str]:
        """The images of this host's containers, running or ended: init containers run again with their pod."""
        answer = self._call(["containers", "ls"])
        self._require(answer, "containerd does not tell its containers", "start containerd, then run again")
        rows = [line.split() for line in answer.out.splitlines()[1:]]
        return sorted({row[1] for row in rows if len(row) > 2 and row[1] != "-"})

    def _call(self, words: list[str]) -> Result:
        return self.host.run([*self.base, *words], timeout=self.timeout)

    def _require(self, answer: Result, what: str, next_step: str) -> None:
        if answer.code:
            lines = [line for line in answer.text.splitlines() if "DEPRECATION" not in line]
            found = f"exit status {answer.code}: " + "\n".join(lines)[-1000:]
            raise CommandError(what, where="containerd", found=found, next_step=next_step)


class ImageStore:
    """Plans and applies. Remembers which digest each archive's references got, so that a second run asks once."""

    def __init__(self, host: Host, containerd: Containerd) -> None:
        self.host = host
        self.containerd = containerd
        archives = json_object(host.read_text(STATE)).get("archives")
        self.remembered: dict[str, Any] = archives if isinstance(archives, dict) else {}

    def plan(self, archives: list[Archive]) -> ImagePlan:
        have = self.containerd.images()
        imports = [a for a in archives if not all(self._is_current(a, ref, have.get(ref)) for ref in a.refs)]
        coming = {ref for archive in imports for ref in archive.refs}
        refs = [ref for archive in archives for ref in archive.refs if ref not in coming]
        return ImagePlan(tuple(imports), tuple(ref for ref in refs if not have[ref].pinned))

    def _is_current(self, archive: Archive, ref: str, image: Image | None) -> bool:
        if image is None:
            return False
        known = self.remembered.get(archive.sha256)
        if isinstance(known, dict) and ref in known:
            return bool(known[ref] == image.digest)
        return self.containerd.config_digest(image.digest) == archive.refs[ref]

    def apply(self, plan: ImagePlan, source: str, archives: list[Archive], *, unpack: bool) -> None:
        for archive in plan.imports:
            self.containerd.load(self.host.real(f"{source}/{archive.path}"), unpack=unpack)
        have = self.containerd.images() if plan.imports or self._is_news(archives) else {}
        for ref in [*plan.pins, *self._unpinned(plan.imports, have)]:
            self.containerd.pin(ref)
        if have:
            self._remember(archives, have)

    def _unpinned(self, archives: tuple[Archive, ...], have: dict[str, Image]) -> list[str]:
        refs = [ref for archive in archives for ref in archive.refs]
        missing = [ref for ref in refs if ref not in have]
        if missing:
            raise CommandError(
                "an archive does not hold what the bundle's manifest says",
                where=", ".join(archive.path for archive in archives),
                found=f"not in containerd after the import: {', '.join(missing)}",
                next_step="make the bundle again",
            )
        return [ref for ref in refs if not have[ref].pinned]

    def _is_news(self, archives: list[Archive]) -> bool:
        return any(set(self.remembered.get(archive.sha256, {})) != set(archive.refs) for archive in archives)

    def _remember(self, archives: list[Archive], have: dict[str, Image]) -> None:
        for archive in archives:
            self.remembered.pop(archive.sha256, None)
            self.remembered[archive.sha256] = {ref: have[ref].digest for ref in archive.refs}
        kept = dict(list(self.remembered.items())[-REMEMBERED_ARCHIVES:])
        write_json(self.host, STATE, {"archives": kept})


def import_images(host: Host, params: dict[str, Any], *, effects: bool) -> dict[str, Any]:
    """Compare, verify what will be imported, import, pin."""
    source = check_path(params["source"])
    if not re.fullmatch(NAMESPACE, params["namespace"]):
        found = repr(params["namespace"][:80])
        raise InputError("this is no namespace of containerd", found=found, next_step="correct `namespace`")
    archives = parse_bundle(host.read_text(f"{source}/manifest.json"), source).images_for(params["roles"])
    ctr = check_path(params["ctr"])
    store = ImageStore(host, Containerd(host, ctr, params["namespace"], params["timeout"], absent_is_empty=not effects))
    plan = store.plan(archives)
    memory = Memory(host, BUNDLE_STATE)
    verify_sources(memory, source, {archive.path: archive.sha256 for archive in plan.imports})
    if effects:
        memory.save()
        store.apply(plan, source, archives, unpack=params["unpack"])
    return {
        "changed": bool(plan.steps()),
        "imported": [archive.path for archive in plan.imports],
        "refs": sorted(ref for archive in archives for ref in archive.refs),
        "steps": plan.steps(),
    }
