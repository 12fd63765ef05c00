# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots on a host's disk: room, a private place to work in, the checksum, and the last step, an atomic rename."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.snapshot_file import HEAD, SECTOR, TRAILER, Contents

BLOCK = 1 << 20
PREFIX = ".quorum-snapshot"


@contextmanager
def _disk(where: str, next_step: str = "look at the disk and at its file system") -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise CommandError(
            "the disk did not do what a snapshot needs", where=where, found=str(exc), next_step=next_step
        ) from exc


def _sync(path: str, flags: int = os.O_RDONLY) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class SnapshotStore:
    """One directory. Beside this class's own work the directory may hold anything."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        # Another host may share the directory; what that one works on is not a leftover.
        self._own = f"{PREFIX}.{os.uname().nodename}"

    def free(self) -> int:
        """Bytes that are free on the file system, which is that of the nearest directory that exists."""
        path = self.directory
        while not os.path.isdir(path) and os.path.dirname(path) != path:
            path = os.path.dirname(path)
        with _disk(path):
            seen = os.statvfs(path)
        return seen.f_bavail * seen.f_frsize

    def names(self) -> list[str]:
        """What is in the directory; nothing where there is none."""
        try:
            return sorted(os.listdir(self.directory))
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise RefusedError(
                "snapshots cannot be kept here",
                where=self.directory,
                found=str(exc),
                next_step="name a directory, and run this as root",
            ) from exc

    def leftovers(self) -> list[str]:
        """What runs of this host that were killed have left."""
        pattern = re.compile(re.escape(self._own) + r"\.[0-9a-f]{16}")
        return [name for name in self.names() if pattern.fullmatch(name)]

    def require_private(self) -> None:
        """Nobody but its owner may put anything into the directory."""
        try:
            seen = os.stat(self.directory)
        except FileNotFoundError:
            return
        if seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or seen.st_uid != os.geteuid():
            raise RefusedError(
                "others may write to the directory of the snapshots, which hold every Secret of the cluster",
                where=self.directory,
                found=f"mode {stat.S_IMODE(seen.st_mode):04o}, owner {seen.st_uid}",
                next_step="name another one, which is then made with mode 0700, or correct its mode and owner",
            )

    def require_replaceable(self, path: str) -> None:
        """Where a snapshot shall be, there is nothing, or an older snapshot."""
        try:
            seen = os.lstat(path)
        except OSError:
            return
        if not stat.S_ISREG(seen.st_mode) or seen.st_size % SECTOR != TRAILER:
            found = f"a file of {seen.st_size} bytes" if stat.S_ISREG(seen.st_mode) else "no plain file"
            raise RefusedError(
                "something that is no snapshot is in the way",
                where=path,
                found=found,
                next_step="move it away, or name another path",
            )

    @contextmanager
    def workshop(self) -> Iterator[str]:
        """A directory that nobody else reads, on the same file system, gone afterwards; and so is what is left over."""
        with _disk(self.directory):
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            for name in self.leftovers():
                shutil.rmtree(os.path.join(self.directory, name))
            place = os.path.join(self.directory, f"{self._own}.{os.urandom(8).hex()}")
            os.mkdir(place, 0o700)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def write(self, path: str, blocks: Iterator[bytes]) -> None:
        """Write what comes as it comes."""
        with _disk(path, "look at the disk's free space"):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                for block in blocks:
                    stream.write(block)

    def read(self, path: str) -> Contents:
        """Read a file once, from its first byte to its last."""
        whole, before, head, last, size = hashlib.sha256(), hashlib.sha256(), b"", b"", 0
        with _disk(path, "name a file that root can read"), open(path, "rb", buffering=0) as stream:
            while block := stream.read(BLOCK):
                head += block[: HEAD - len(head)]
                size += len(block)
                whole.update(block)
                last += block
                before.update(last[:-TRAILER])
                last = last[-TRAILER:]
        return Contents(size, head, whole.hexdigest(), before.digest() == last)

    def place(self, work: str, path: str) -> None:
        """Give a snapshot its name: from then on it is there, whole, whatever happens."""
        with _disk(path):
            os.chmod(work, 0o600)
            _sync(work, os.O_RDWR)
            os.rename(work, path)
            _sync(self.directory)

    def remove(self, names: Sequence[str]) -> None:
        """Delete snapshots that are not to be kept any longer."""
        for name in names:
            with _disk(f"{self.directory}/{name}"):
                os.unlink(os.path.join(self.directory, name))
