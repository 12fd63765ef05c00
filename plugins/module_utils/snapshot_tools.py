# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's own programs: etcdctl takes a snapshot, etcdutl says what is in it and restores it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host, Result
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_memory import json_object

# What etcdutl says when it has no hashkv, and when it panics over a lease.
CANNOT = ("unknown command", "no lessor to attach lease")
# Variables of the environment would contradict our options, which etcdctl refuses, or lead through a proxy.
CLEAN = ("/usr/bin/env", "-i")
VERSION = re.compile(r"etcdutl version: (\d+\.\d+\.\d+)")


@dataclass(frozen=True)
class Told:
    """What etcdutl says of a database; hash: of its pages, as `etcdutl snapshot status` prints it.

    version: of etcd that has written it, "" where it is older than 3.6 and does not say.
    """

    revision: int
    total_keys: int
    hash: str
    version: str = ""


class Tools:
    """Programs of one host, each given so many seconds."""

    def __init__(self, host: Host, etcdctl: str, etcdutl: str, seconds: float) -> None:
        self.host = host
        self.etcdctl = etcdctl
        self.etcdutl = etcdutl
        self.seconds = seconds

    @property
    def saves(self) -> bool:
        """Whether etcdctl is there."""
        return self.host.which(self.etcdctl)

    def require(self, verify: str) -> None:
        """etcdutl is there, unless nothing is asked of it."""
        if verify != "none" and not self.host.which(self.etcdutl):
            raise InputError(
                f"a snapshot cannot be judged by `verify: {verify}` without etcdutl",
                where=self.etcdutl,
                found="no such program",
                next_step="run role kube_bundle, which brings etcdutl to control planes and etcd machines from every "
                "kube_source; or say where it is with `etcdutl`, or set `verify: none`",
            )

    def save(self, url: str, files: Mapping[str, str], path: str) -> None:
        """Take a snapshot of one member."""
        who = [f"--cacert={files['ca']}", f"--cert={files['cert']}", f"--key={files['key']}"]
        argv = [*CLEAN, self.etcdctl, f"--endpoints={url}", *who, "snapshot", "save", path]
        self._require(self.host.run(argv, self.seconds), "etcdctl could not take a snapshot", url)

    def status(self, path: str) -> Told:
        """Revision and keys; etcdutl reads the whole database for it."""
        answer = self._asked(["snapshot", "status", path, "-w", "json"], path)
        if "revision" not in answer or "totalKey" not in answer:
            raise CommandError(
                "etcdutl does not say what a snapshot holds",
                where=path,
                found=", ".join(sorted(answer)) or "no JSON",
                next_step=f"run `{self.etcdutl} snapshot status {path} -w json`",
            )
        checksum, version = format(int(answer.get("hash", 0)), "x"), str(answer.get("version") or "")
        return Told(int(answer["revision"]), int(answer["totalKey"]), checksum, version)

    def version(self) -> str:
        """etcdutl's own, "" where there is none."""
        if not self.host.which(self.etcdutl):
            return ""
        found = VERSION.search(self.host.run([self.etcdutl, "version"], self.seconds).out)
        return found.group(1) if found else ""

    def restore(self, path: str, data_dir: str, *more: str) -> str:
        """Restore into a directory that is not there yet; the path of the database in it. more: flags."""
        argv = [self.etcdutl, "snapshot", "restore", path, f"--data-dir={data_dir}", *more]
        self._require(self.host.run(argv, self.seconds), "etcdutl could not restore the snapshot", path)
        return f"{data_dir}/member/snap/db"

    def key_hash(self, path: str) -> tuple[int, int] | None:
        """Up to which revision a database was compacted, and the hash of its keys; None when etcdutl cannot tell.

        Before 3.6 it has no such command, and up to now the command ends in a panic where a key has a lease, as every
        event of Kubernetes has.

        Opens the file for writing: never ask it of a snapshot, only of a restored one.
        """
        answer = self.host.run([self.etcdutl, "hashkv", path, "-w", "json"], self.seconds)
        if answer.code and any(words in answer.text for words in CANNOT):
            return None
        self._require(answer, "etcdutl cannot read what it has restored", path)
        told = json_object(answer.out)
        return int(told.get("compactRevision", 0)), int(told.get("hash", 0))

    def _asked(self, words: list[str], path: str) -> dict[str, Any]:
        answer = self.host.run([self.etcdutl, *words], self.seconds)
        self._require(answer, "etcdutl refuses the snapshot", path)
        return json_object(answer.out)

    def _require(self, answer: Result, what: str, where: str) -> None:
        if answer.code:
            found = f"exit status {answer.code}: {answer.text[-1000:]}"
            raise CommandError(what, where=where, found=found, next_step="look at etcd and at the disk's free space")
