# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes files and directories on a host: compared first, validated all together, then written atomically."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import re
import shutil
import stat
import tempfile
from typing import Callable

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import Change, Entry, FilePlan, describe
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host, Labeller

TEMPORARY = ".{}.quorum-new"


def account_id(kind: str, name: str, path: str, *, may_be_missing: bool) -> int | None:
    """The id of a user or group; None where it may be missing still, because this call or a package brings it."""
    if name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid if kind == "user" else grp.getgrnam(name).gr_gid
    except KeyError:
        if may_be_missing:
            return None
    next_step = f"install the package that makes this {kind}, or name another one"
    raise InputError(f"there is no such {kind}", where=path, found=repr(name[:80]), next_step=next_step)


class Files:
    """Plans and writes files on one host. `label` copies the security context that `path` has or shall have.

    coming_accounts: users that are made, with groups of the same name, before anything is written.
    """

    def __init__(self, host: Host, *, check_mode: bool = False, label: Labeller = None) -> None:
        self.host = host
        self.check_mode = check_mode
        self.label = label
        self.coming_accounts: tuple[str, ...] = ()

    def plan(self, directories: list[Entry], files: list[Entry], absent: list[str]) -> FilePlan:
        plan = FilePlan()
        coming = {entry.path for entry in directories}
        for entry in directories + files:
            self._require_parent(entry.path, coming)
            change = self._compare(entry)
            if change:
                (plan.directories if entry.content is None else plan.files).append(change)
            leftover = self._temporary(entry.path)
            if entry.content is not None and os.path.lexists(leftover):
                plan.leftovers.append(leftover)
        for path in absent:
            if os.path.lexists(self.host.real(path)):
                self._require_removable(path)
                plan.absent.append(path)
        for path in plan.changed:
            self._require_writable(path)
        return plan

    def _require_parent(self, path: str, coming: set[str]) -> None:
        parent = os.path.dirname(path)
        if os.path.isdir(self.host.real(parent)) or parent in coming or parent == "/":
            return
        found = "it is not a directory" if self.host.exists(parent) else "it does not exist"
        next_step = f"list {parent} under `directories`"
        raise InputError(
            "the directory of a file is missing", where=path, found=f"{parent}: {found}", next_step=next_step
        )

    def _require_removable(self, path: str) -> None:
        real = self.host.real(path)
        if os.path.isdir(real) and not os.path.islink(real) and os.listdir(real):
            found = f"{len(os.listdir(real))} entries in it"
            next_step = "look at them and remove the directory by hand, or list the files under `absent`"
            raise RefusedError(
                "a directory that is not empty is never removed", where=path, found=found, next_step=next_step
            )

    def _require_writable(self, path: str) -> None:
        parent = os.path.dirname(os.path.realpath(self.host.real(path)))
        while not os.path.isdir(parent):
            parent = os.path.dirname(parent)
        if not os.access(parent, os.W_OK):
            read_only = os.statvfs(parent).f_flag & os.ST_RDONLY
            found = f"{parent} is on a read-only file system" if read_only else f"no permission to write in {parent}"
            next_step = "mount it read-write" if read_only else "run with become, as root"
            raise RefusedError(
                "a file cannot be written; nothing was changed", where=path, found=found, next_step=next_step
            )

    def _compare(self, entry: Entry) -> Change | None:
        target = os.path.realpath(self.host.real(entry.path))
        uid, gid = self._ids(entry)
        try:
            info = os.stat(target)
        except FileNotFoundError:
            return Change(entry, target, "create", None, f"create {describe(entry)}")
        except OSError as exc:
            raise RefusedError("a path cannot be looked at", where=entry.path, found=str(exc)) from exc
        if not (stat.S_ISDIR if entry.content is None else stat.S_ISREG)(info.st_mode):
            found = "a directory" if stat.S_ISDIR(info.st_mode) else "not a directory and not a plain file"
            found = "a file" if stat.S_ISREG(info.st_mode) else found
            raise RefusedError(
                "the path is taken by something else", where=entry.path, found=found, next_step="move it away"
            )
        old = None
        if entry.content is not None:
            with open(target, "rb") as stream:
                old = stream.read()
        before = f"{stat.S_IMODE(info.st_mode):04o} {info.st_uid}:{info.st_gid}"
        if old != entry.content:
            return Change(entry, target, "content", old, f"write {describe(entry)}", before)
        if (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (entry.mode, uid, gid):
            return None
        return Change(entry, target, "attributes", old, f"set {describe(entry)}, was {before}", before)

    def _ids(self, entry: Entry) -> tuple[int | None, int | None]:
        return self._id("user", entry.owner, entry.path), self._id("group", entry.group, entry.path)

    def _id(self, kind: str, name: str, path: str) -> int | None:
        return account_id(kind, name, path, may_be_missing=self.check_mode or name in self.coming_accounts)

    def validate(self, plan: FilePlan) -> list[str]:
        """Run the validators on copies in a private directory. Returns what could not be validated in check mode."""
        notes = []
        coming = [change.entry for change in plan.files if change.kind != "attributes"]
        for entry in coming:
            if not entry.validate:
                continue
            if self.check_mode and not self.host.which(entry.validate[0]):
                notes.append(f"{entry.path} was not validated: {entry.validate[0]} is not installed yet")
                continue
            self._validate(entry, coming)
        return notes

    def _validate(self, entry: Entry, coming: list[Entry]) -> None:
        memory = self.host.real("/run")
        folder = tempfile.mkdtemp(prefix="quorum-", dir=memory if os.access(memory, os.W_OK) else None)
        try:
            copies = _stage(folder, entry, coming)
            answer = self.host.run([word.replace("{}", copies[entry.path]) for word in entry.validate])
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if answer.code:
            said = answer.text
            for path, copy in copies.items():
                said = said.replace(copy, path)
            said = "(withheld: the file is secret)" if entry.secret else said[-2000:]
            what = f"{entry.validate[0]} does not accept the new file; nothing was changed"
            if answer.code == 127:
                what = f"{entry.validate[0]}, which validates the new file, is not installed; nothing was changed"
            found = f"exit status {answer.code}: {said}"
            raise CommandError(what, where=entry.path, found=found, next_step="correct the values it is made of")

    def apply(self, plan: FilePlan) -> None:
        for path in plan.leftovers:
            os.unlink(path)
        for change in plan.directories:
            if change.kind == "create":
                os.mkdir(change.target, 0o700)
            self._finish(change.target, change.entry)
            self._relabel(change.target, change.entry.path)
        for change in plan.files:
            if change.kind == "attributes":
                self._finish(change.target, change.entry)
            else:
                self._write(change)
        for path in plan.absent:
            real = self.host.real(path)
            (os.rmdir if os.path.isdir(real) and not os.path.islink(real) else os.unlink)(real)

    def _temporary(self, path: str) -> str:
        folder, name = os.path.split(os.path.realpath(self.host.real(path)))
        return os.path.join(folder, TEMPORARY.format(name))

    def _write(self, change: Change) -> None:
        """Beside the target, complete with mode, owner and context, then renamed over it."""
        temporary = self._temporary(change.entry.path)
        content = change.entry.content or b""
        try:
            _create(temporary, content, 0o600, lambda path: self._finish(path, change.entry))
            self._relabel(temporary, change.entry.path)
            os.rename(temporary, change.target)
        except OSError as exc:
            if os.path.lexists(temporary):
                os.unlink(temporary)
            if exc.errno != errno.EBUSY:
                raise RefusedError("a file could not be written", where=change.entry.path, found=str(exc)) from exc
            # A mount point (a container's /etc/hosts) cannot be renamed over; all that is left is to write into it.
            with open(change.target, "wb") as stream:
                stream.write(content)
            self._finish(change.target, change.entry)
        _sync_directory(os.path.dirname(change.target))

    def _relabel(self, written: str, path: str) -> None:
        if self.label:
            self.label(written, path)

    def _finish(self, path: str, entry: Entry) -> None:
        uid, gid = self._ids(entry)
        info = os.stat(path)
        if (info.st_uid, info.st_gid) != (uid, gid):
            os.chown(path, -1 if uid is None else uid, -1 if gid is None else gid)
        os.chmod(path, entry.mode)


def _stage(folder: str, entry: Entry, coming: list[Entry]) -> dict[str, str]:
    """A copy of the file, and of the coming files that it names: a configuration may refer to a file of this call."""
    content = entry.content or b""
    copies = {}
    for number, other in enumerate(coming):
        mention = re.compile(re.escape(other.path.encode()) + rb"(?![\w./-])")
        if other is not entry and not mention.search(content):
            continue
        copies[other.path] = os.path.join(folder, str(number), os.path.basename(other.path))
        os.mkdir(os.path.dirname(copies[other.path]), 0o700)
        if other is not entry:
            _create(copies[other.path], other.content or b"", 0o600)
            content = mention.sub(copies[other.path].encode().replace(b"\\", rb"\\"), content)
    _create(copies[entry.path], content, 0o600)
    return copies


def _create(path: str, content: bytes, mode: int, finish: Callable[[str], None] | None = None) -> None:
    """A new file with this mode from its first moment on, on disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        if finish:
            finish(path)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
