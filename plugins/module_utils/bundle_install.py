# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs a bundle's programs: everything is verified before the first file is replaced."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle import Bundle, BundleFile, parse_bundle, require
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import check_path
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host, Labeller
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_kubernetes import BUNDLE_STATE
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_memory import BLOCK, Memory

TEMPORARY = ".{}.quorum-new"


@dataclass(frozen=True)
class InstallPlan:
    """What differs: files to copy, and files that only have another mode."""

    copies: tuple[BundleFile, ...]
    modes: tuple[BundleFile, ...]

    @property
    def installed(self) -> list[str]:
        return [f.install for f in (*self.copies, *self.modes)]

    def steps(self) -> list[str]:
        copies = [f"install {f.install} from {f.path}" for f in self.copies]
        return copies + [f"set mode of {f.install} to {f.mode:04o}" for f in self.modes]


def plan_install(host: Host, memory: Memory, files: list[BundleFile]) -> InstallPlan:
    """Compare checksums and modes of what is installed with the manifest."""
    copies, modes = [], []
    for file in files:
        try:
            info = os.lstat(host.real(file.install))
        except OSError:
            info = None
        if info is not None and stat.S_ISDIR(info.st_mode):
            next_step = "move the directory away"
            raise RefusedError(
                "a program's path is a directory", where=file.install, found="directory", next_step=next_step
            )
        if info is None or not stat.S_ISREG(info.st_mode) or memory.sha256(file.install) != file.sha256:
            copies.append(file)
        elif stat.S_IMODE(info.st_mode) != file.mode or info.st_uid != os.geteuid():
            modes.append(file)
    return InstallPlan(tuple(copies), tuple(modes))


def verify_sources(memory: Memory, source: str, expected: dict[str, str]) -> None:
    """Checksums of the bundle's own files; all that are wrong in one error."""
    wrong = []
    for path, sha256 in expected.items():
        try:
            actual = memory.sha256(f"{source}/{path}")
        except OSError as exc:
            wrong.append(f"{path}: {exc.strerror or exc}")
            continue
        if actual != sha256:
            wrong.append(_mismatch(path, sha256, actual))
    _refuse(source, wrong)


class Installer:
    """Copies all programs beside their targets while checking them; only when every one is right, renames all."""

    def __init__(self, host: Host, memory: Memory, label: Labeller = None) -> None:
        self.host = host
        self.memory = memory
        self.label = label

    def install(self, bundle: Bundle, source: str, plan: InstallPlan) -> None:
        ready = {file: _temporary(self.host, file.install) for file in plan.copies}
        try:
            _refuse(source, [error for file, path in ready.items() for error in self._stage(source, file, path)])
            for file, path in ready.items():
                os.rename(path, self.host.real(file.install))
                self.memory.learn(file.install, sha256=file.sha256, version=bundle.version_of(file.install))
        finally:
            for path in ready.values():
                if os.path.lexists(path):
                    os.unlink(path)
        for file in plan.modes:
            os.chown(self.host.real(file.install), os.geteuid(), os.getegid())
            os.chmod(self.host.real(file.install), file.mode)

    def _stage(self, source: str, file: BundleFile, path: str) -> list[str]:
        """Errors, if any: the file that will be renamed is the one that was checked."""
        try:
            actual = _copy(self.host.real(f"{source}/{file.path}"), path, file.mode)
        except OSError as exc:
            return [f"{file.path} -> {file.install}: {exc.strerror or exc}"]
        if self.label:
            self.label(path, file.install)
        return [] if actual == file.sha256 else [_mismatch(file.path, file.sha256, actual)]


def learn_versions(memory: Memory, bundle: Bundle, files: list[BundleFile]) -> None:
    """The versions of what is installed already, so that nobody has to ask the programs."""
    for file in files:
        version = bundle.version_of(file.install)
        if version and memory.recall(file.install, "version") != version:
            memory.learn(file.install, version=version)


def _temporary(host: Host, install: str) -> str:
    folder, name = os.path.split(host.real(install))
    return os.path.join(folder, TEMPORARY.format(name))


def _copy(source: str, temporary: str, mode: int) -> str:
    """Copy and hash in one pass; what a killed run left behind is overwritten. Returns the checksum."""
    os.makedirs(os.path.dirname(temporary), mode=0o755, exist_ok=True)
    if os.path.lexists(temporary):
        os.unlink(temporary)
    digest = hashlib.sha256()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(source, "rb", buffering=0) as reader, os.fdopen(os.open(temporary, flags, 0o600), "wb", 0) as writer:
        while block := reader.read(BLOCK):
            digest.update(block)
            view = memoryview(block)
            while view:
                view = view[writer.write(view) :]
        # No fsync of some 400 MB: after a power cut a file that did not reach the disk has another size than
        # remembered, so the next run installs it again.
        os.fchmod(writer.fileno(), mode)
    return digest.hexdigest()


def _mismatch(path: str, expected: str, actual: str) -> str:
    return f"{path}: expected sha256 {expected}, actual {actual}"


def _refuse(source: str, wrong: list[str]) -> None:
    if wrong:
        what = "the bundle cannot be used; nothing was installed"
        raise InputError(what, where=source, found="; ".join(wrong), next_step="copy the bundle to the host again")


def install_bundle(host: Host, params: dict[str, Any], *, effects: bool, label: Labeller = None) -> dict[str, Any]:
    """Compare, verify everything, then install."""
    source = check_path(params["source"])
    bundle = parse_bundle(host.read_text(f"{source}/manifest.json"), source)
    require(bundle, source, params["kube_version"], os.uname().machine)
    memory = Memory(host, BUNDLE_STATE)
    files = bundle.files_for(params["roles"], params["only"])
    plan = plan_install(host, memory, files)
    archives = bundle.images_for(params["roles"]) if params["only"] is None else []
    expected = {archive.path: archive.sha256 for archive in archives}
    if not effects:
        # A real run verifies the programs while it copies them.
        expected.update({file.path: file.sha256 for file in plan.copies})
    verify_sources(memory, source, expected)
    if effects:
        Installer(host, memory, label).install(bundle, source, plan)
        learn_versions(memory, bundle, files)
        memory.save()
    return {
        "changed": bool(plan.steps()),
        "installed": plan.installed,
        "steps": plan.steps(),
        "versions": {"kubernetes": bundle.kube_version, **bundle.versions},
    }
