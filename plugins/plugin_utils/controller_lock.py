# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's lock for one user and one cluster on the controller: it works without any API, and dies with its holder.

A directory holds a file for each cluster, and `place`, the directory's random name: who holds a lock there knows that
an earlier holder of the same place is gone.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.run_lock import Holder


@contextmanager
def _alone(directory: str) -> Iterator[None]:
    """For as long as it takes to lock a file and write who has: so a reader of a locked file finds its holder."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(directory: str, cluster: str) -> int:
    name = hashlib.sha256(cluster.encode()).hexdigest()[:16]
    return os.open(os.path.join(directory, f"{name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> Holder:
    told = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    return Holder(told.get("run", "unknown"), told.get("playbook", ""), told.get("since", "unknown"))


def take(directory: str, cluster: str, mine: Mapping[str, Any]) -> int | Holder:
    """Lock the cluster for as long as the descriptor that is returned stays open, or tell who has."""
    with _alone(directory):
        descriptor = _open(directory, cluster)
        if not _locked(descriptor):
            other = _holder(descriptor)
            os.close(descriptor)
            return other
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(mine).encode(), 0)
        return descriptor


def look(directory: str, cluster: str) -> Holder | None:
    """Who has it, changing nothing."""
    if not os.path.isdir(directory):
        return None
    with _alone(directory):
        descriptor = _open(directory, cluster)
        try:
            return None if _locked(descriptor) else _holder(descriptor)
        finally:
            os.close(descriptor)


def place(directory: str) -> str:
    """The directory's name, made when it is asked for first."""
    with _alone(directory):
        descriptor = os.open(os.path.join(directory, "place"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            known = os.pread(descriptor, 64, 0).decode()
            if not known:
                known = secrets.token_hex(8)
                os.pwrite(descriptor, known.encode(), 0)
            return known
        finally:
            os.close(descriptor)
