# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One operation at a time on a host: a controller that dies leaves running what it has started."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError

LOCK = "/run/quorum-kubeadm/operation.lock"
PAUSE = 0.2


def _taken(descriptor: int, seconds: float) -> bool:
    """Try to get the lock, for so long. The kernel frees it when the last process that holds it ends."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(PAUSE)
        else:
            return True


@contextmanager
def operation(seconds: float, path: str = LOCK) -> Iterator[int]:
    """Hold the host's lock, waiting for it so long. Yields its descriptor: a program that is given it holds it too."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _taken(descriptor, seconds):
            raise RefusedError(
                "another operation of ours still runs on this host",
                where=path,
                found=f"it has not ended within {seconds:.0f} s",
                next_step="look at it with `ps -ef | grep kubeadm`; run again when it has ended",
            )
        yield descriptor
    finally:
        os.close(descriptor)


def still_busy(seconds: float, path: str = LOCK) -> bool:
    """Wait until no operation runs, so long; whether one still does."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _taken(descriptor, seconds)
    finally:
        os.close(descriptor)
