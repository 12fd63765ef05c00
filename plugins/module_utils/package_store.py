# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes' packages on a host: their repository written and read, then downloaded, then installed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, KubeadmError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch_http import Opener
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import Entry, FilePlan
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_facts import read_packages
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_files import Files
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.openpgp import require_key
from ansible_collections.quorum.kubeadm.plugins.module_utils.repository import (
    MANAGERS,
    Repository,
    installed_version,
)

KEY_LIMIT = 1 << 20
INSTALL_SECONDS = 900.0
REFRESH_SECONDS = 180.0
# What the lock of dpkg says while somebody else, as unattended-upgrades after a boot, installs.
BUSY = ("Could not get lock", "is another process using it", "Waiting for process")
BUSY_TRIES, BUSY_PAUSE = 30, 5.0
LINES = 12


@dataclass(frozen=True)
class PackagePlan:
    """Files that differ, and packages that are missing or of another version."""

    files: FilePlan
    packages: tuple[str, ...]

    def steps(self) -> list[str]:
        return [*self.files.steps(), *(f"install {name}" for name in self.packages)]


class PackageStore:
    """Plans and applies, for one package manager."""

    def __init__(self, host: Host, files: Files, manager: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.host = host
        self.files = files
        self.manager = MANAGERS[manager]
        self.sleep = sleep

    def key(self, given: str, urls: list[str], fingerprint: str, opener: Opener) -> str:
        """The repository's key: given, or on the host already, or from the repository. Checked in any case."""
        where = "kube_source_key"
        text = given
        if not text:
            text, where = self.host.read_text(self.manager.key_path, KEY_LIMIT) or "", self.manager.key_path
            if not text or not _good(text, fingerprint):
                text, where = download_key(urls, opener), ", ".join(urls)
        require_key(text, where, fingerprint, time.time())
        return text

    def plan(self, repository: Repository) -> PackagePlan:
        """What differs on the host."""
        directories = [Entry(path, None, 0o755) for path in self.manager.directories if not self.host.exists(path)]
        files = self.files.plan(directories, self.manager.files(repository), [])
        have = read_packages(self.host, list(repository.packages))
        wanted = [name for name in repository.packages if installed_version(have[name]) != repository.version]
        return PackagePlan(files, tuple(wanted))

    def write(self, plan: PackagePlan) -> None:
        """Write the repository's files."""
        self.files.apply(plan.files)

    def download(self, repository: Repository) -> None:
        """Read the index and bring the packages to the host's cache. No service is touched."""
        self._run(self.manager.refresh(), REFRESH_SECONDS, repository, "the package repository cannot be used")
        command = self.manager.install(repository, download_only=True)
        self._run(command, INSTALL_SECONDS, repository, "the packages cannot be had")

    def install(self, repository: Repository) -> None:
        """Install what was downloaded."""
        command = self.manager.install(repository, download_only=False)
        self._run(command, INSTALL_SECONDS, repository, "the packages cannot be installed")

    def _run(self, command: list[str], seconds: float, repository: Repository, what: str) -> None:
        argv = ["env", "DEBIAN_FRONTEND=noninteractive", *command]
        answer = self.host.run(argv, timeout=seconds)
        for _try in range(BUSY_TRIES):
            if not answer.code or not any(words in answer.text for words in BUSY):
                break
            self.sleep(BUSY_PAUSE)
            answer = self.host.run(argv, timeout=seconds)
        if answer.code:
            lines = [line.strip() for line in answer.text.splitlines() if line.strip()]
            raise CommandError(
                f"{what}; no service was touched" if "installed" not in what else what,
                where=repository.url,
                found=f"`{command[0]} {command[1]}` ended with {answer.code}: " + " / ".join(lines[-LINES:])[-1500:],
                next_step="correct the repository or its key (kube_source_*), then run the same playbook again",
            )


def _good(text: str, fingerprint: str) -> bool:
    try:
        require_key(text, "", fingerprint, time.time())
    except KubeadmError:
        # A fresh one is fetched, and judged.
        return False
    return True


def download_key(urls: list[str], opener: Opener) -> str:
    """The key from the first URL that has it."""
    problems = []
    for url in urls:
        try:
            with opener.open(url, 0) as answer:
                text: bytes = answer.read(KEY_LIMIT)
                if answer.status == 200 and b"BEGIN PGP PUBLIC KEY" in text:
                    return text.decode("ascii", "replace")
                problems.append(f"{url} answers {answer.status} with no key: {text[:60]!r}")
        except OSError as exc:
            problems.append(f"{url} does not answer: {getattr(exc, 'reason', None) or exc}")
    raise UnreachableError(
        "the repository's key cannot be had; no service was touched",
        where=os.path.dirname(urls[0]) if urls else "",
        found=" | ".join(problems),
        next_step="correct kube_source_repository, or set kube_source_key to the key's text",
    )


def bring(store: PackageStore, repository: Repository, *, install: bool, effects: bool) -> dict[str, Any]:
    """Compare, write the repository, download, and install when asked to."""
    plan = store.plan(repository)
    if effects:
        store.write(plan)
        if plan.packages:
            store.download(repository)
            if install:
                store.install(repository)
    return {"changed": bool(plan.steps()), "steps": plan.steps()}
