# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A data directory of etcd on the disk: read, copied, and replaced by renaming. What was there is never deleted."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from .errors import CommandError, RefusedError
from .etcd_restoring import MEMBER, RECORD, WORK, Found, parse_record
from .etcd_wal import NAME, Log, committed, read_beginning, read_log
from .host_io import Host
from .host_kubernetes import KEPT_DATA

# Of a log that grows a record may have been read by half.
TRIES, PAUSE = 3, 0.5
BLOCK = 1 << 20


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except OSError:
        return None


@contextmanager
def _disk(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise CommandError(
            "the disk did not do what a restore needs",
            where=where,
            found=str(exc),
            next_step="look at the disk, its free space and its file system, and run the same again: it goes on",
        ) from exc


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DataDir:
    """One directory, with a member's data in `member`, and what is restored in `member-restoring`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.member = f"{path}/{MEMBER}"
        self.work = f"{path}/{WORK}"
        self.copied = f"{self.work}/copy"
        self.snapshot = f"{self.work}/snapshot.db"
        self.restored = f"{self.work}/restored"
        self._fresh = f"{self.restored}/{MEMBER}"
        # What was read, and of which files: read once while they are the same.
        self._read: tuple[object, tuple[Log | None, str]] | None = None

    def look(self, *, old: bool = True, whole: bool = True) -> Found:
        """What is there. A damaged log is told, not raised. old: also the log of data that were not restored.

        whole: how far the log goes, too, not only whose it is. It may have hundreds of megabytes, every byte of them
        under a checksum.
        """
        record = parse_record(_text(f"{self.member}/{RECORD}"))
        log, damage = self._log(whole) if old or record else (None, "")
        return Found(
            member=os.path.isdir(self.member),
            fresh=os.path.isdir(self._fresh),
            prepared=parse_record(_text(f"{self._fresh}/{RECORD}")),
            record=record,
            log=log,
            damage=damage,
            written=self._written(),
            runs=self._runs(),
            leftovers=os.path.isdir(self.work),
        )

    def _names(self, member: str = "") -> list[str]:
        try:
            return sorted(name for name in os.listdir(f"{member or self.member}/wal") if NAME.fullmatch(name))
        except OSError:
            return []

    def _files(self, member: str = "") -> Iterator[tuple[str, bytes]]:
        for name in self._names(member):
            path = f"{member or self.member}/wal/{name}"
            with _disk(path), open(path, "rb") as stream:
                content = stream.read()
            yield name, content

    def _log(self, whole: bool) -> tuple[Log | None, str]:
        state = (whole, [(name, Host().identity(f"{self.member}/wal/{name}")) for name in self._names()])
        if self._read is None or self._read[0] != state:
            self._read = (state, self._read_log(read_log if whole else read_beginning))
        return self._read[1]

    def _read_log(self, read: Callable[[Iterator[tuple[str, bytes]]], Log]) -> tuple[Log | None, str]:
        found = ""
        for attempt in range(TRIES if os.path.isdir(self.member) else 0):
            if attempt:
                time.sleep(PAUSE)
            try:
                return read(self._files()), ""
            except RefusedError as exc:
                found = f"{exc.where}: {exc.found}"
                if not self._runs():
                    break
        return None, found

    def fresh_log(self) -> Log:
        """The log of what was restored."""
        return read_log(self._files(self._fresh))

    def _written(self) -> float:
        names = self._names()
        return self.changed(f"{self.member}/wal/{names[-1]}") if names else 0.0

    def changed(self, path: str) -> float:
        """When a file was last written to; 0.0 when that is not known."""
        with suppress(OSError):
            return os.path.getmtime(path)
        return 0.0

    def _runs(self) -> bool:
        try:
            with self.locked():
                return False
        except BlockingIOError:
            return True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep etcd from starting on the data, as etcd itself keeps a second one. Raises BlockingIOError."""
        try:
            descriptor = os.open(f"{self.member}/snap/db", os.O_RDWR)
        except FileNotFoundError:
            yield
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(descriptor)

    def size(self) -> int:
        """Bytes that a copy takes."""
        return sum(os.path.getsize(path) for path in self._content())

    def _content(self) -> list[str]:
        logs = [f"{self.member}/wal/{name}" for name in self._names()]
        return [*logs, *sorted(glob.glob(f"{self.member}/snap/*.snap*")), *glob.glob(f"{self.member}/snap/db")]

    def begin(self) -> None:
        """An empty place to work in, on the same file system, that nobody else reads."""
        with _disk(self.work):
            shutil.rmtree(self.work, ignore_errors=True)
            for path in (self.path, self.work):
                os.makedirs(path, mode=0o700, exist_ok=True)

    def copy(self, log: Log) -> None:
        """The data, with everything in the log marked as committed."""
        with _disk(self.copied):
            for folder in ("wal", "snap"):
                os.makedirs(f"{self.copied}/{MEMBER}/{folder}", mode=0o700)
            for source in self._content():
                target = f"{self.copied}/{MEMBER}/{os.path.relpath(source, self.member)}"
                shutil.copyfile(source, target)
            path = f"{self.copied}/{MEMBER}/wal/{log.name}"
            with open(path, "rb") as stream:
                marked = committed(stream.read(), log)
            with open(path, "wb") as stream:
                stream.write(marked)

    def copied_database(self) -> str:
        """The copy's database."""
        return f"{self.copied}/{MEMBER}/snap/db"

    def finish(self, record: str) -> None:
        """Everything on the disk, owned by whom etcd runs as; then the record, which says that it is whole."""
        with _disk(self._fresh):
            owner = os.stat(self.path)
            for folder, _folders, names in os.walk(self._fresh):
                for path in [*(f"{folder}/{name}" for name in names), folder]:
                    os.chown(path, owner.st_uid, owner.st_gid)
                    _sync(path)
            path = f"{self._fresh}/{RECORD}"
            with open(f"{path}.new", "w", encoding="utf-8") as stream:
                os.fchmod(stream.fileno(), 0o600)
                stream.write(record)
                stream.flush()
                os.fsync(stream.fileno())
            os.chown(f"{path}.new", owner.st_uid, owner.st_gid)
            os.rename(f"{path}.new", path)
            _sync(self._fresh)
            shutil.rmtree(self.copied, ignore_errors=True)
            with suppress(FileNotFoundError):
                os.unlink(self.snapshot)

    def kept(self, now: float) -> str:
        """The name under which the old data stay."""
        return f"{KEPT_DATA}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}"

    def activate(self, kept: str) -> None:
        """Two renames. Killed between them the directory has no data, and the next run makes the second one."""
        with _disk(self.path):
            if os.path.isdir(self._fresh):
                if os.path.isdir(self.member):
                    os.rename(self.member, f"{self.path}/{kept}")
                    _sync(self.path)
                os.rename(self._fresh, self.member)
                _sync(self.path)
            shutil.rmtree(self.work, ignore_errors=True)
