# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's data restored as a member of a new cluster: from a survivor's data, or from a snapshot; then put in place."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from .errors import RefusedError
from .etcd_data import DataDir
from .etcd_restoring import (
    ACTIVATED,
    BUMP,
    PREPARED,
    Found,
    Record,
    Wanted,
    activate_steps,
    facts,
    identity,
    is_prepared,
    prepare_steps,
    require_alone,
    require_stopped,
    snapshot_identity,
)
from .snapshot_file import LOG_SEGMENT, STAMP, needed
from .snapshot_run import Io as SnapshotIo
from .snapshot_run import judge, require_room
from .snapshot_tools import Told

NAMED = re.compile(r"-r\d+-(\d{8}T\d{6}Z)\.db$", re.ASCII)


@dataclass
class Io:
    """The world. program: etcd's path while it is needed; settle: runs it on a copy until everything is applied;
    sealed: a closed database as a snapshot."""

    data: DataDir
    snapshots: SnapshotIo
    program: Callable[[str], AbstractContextManager[str]]
    settle: Callable[[str, str], None]
    sealed: Callable[[str], Iterator[bytes]]
    token: Callable[[], str]
    # Fingerprints of the clusters' CAs that a snapshot speaks of.
    authorities: Callable[[str], list[str]]
    clock: Callable[[], float] = time.time


@dataclass(frozen=True)
class Snapshot:
    """A file that has been judged. taken: when, by its name, or else when it was last written.

    version: of etcd that has written it; authorities: fingerprints of the CAs of the cluster that it is of.
    """

    path: str
    sha256: str
    size: int
    revision: int
    total_keys: int
    taken: float
    version: str = ""
    authorities: Sequence[str] = ()


def look_at(io: Io, path: str) -> Snapshot:
    """Refuse what is no whole snapshot."""
    io.snapshots.tools.require("status")
    contents, told = judge(io.snapshots, path, path), io.snapshots.tools.status(path)
    named = NAMED.search(path)
    taken = float(calendar.timegm(time.strptime(named.group(1), STAMP))) if named else io.data.changed(path)
    whose = io.authorities(path)
    return Snapshot(
        path, contents.sha256, contents.size, told.revision, told.total_keys, taken, told.version, tuple(whose)
    )


def _judged(io: Io, params: Mapping[str, Any]) -> Snapshot | None:
    """The snapshot that was asked for, and no other; None where none was."""
    snapshot = look_at(io, params["snapshot"]) if params["snapshot"] else None
    if snapshot and params["sha256"] not in ("", snapshot.sha256):
        raise RefusedError(
            "this is not the snapshot that shall be restored",
            where=snapshot.path,
            found=f"SHA-256 {snapshot.sha256}, not {params['sha256']}",
            next_step="bring the file once more, and look at this host's disk and memory",
        )
    return snapshot


def _source(io: Io, found: Found, snapshot: Snapshot | None) -> str:
    """The identity of what is restored; "" where the survivor's data have been moved away already."""
    if snapshot:
        return snapshot_identity(snapshot.sha256)
    if found.phase == ACTIVATED or (found.phase == PREPARED and not found.member):
        return ""
    if found.log is None:
        raise RefusedError(
            "this member's data cannot be built on" if found.damage else "there are no data of a member on this host",
            where=io.data.path,
            found=found.damage or "no log",
            next_step="recover from another survivor, or from a snapshot: -e snapshot=PATH",
        )
    return identity(found.log)


def _need(io: Io, snapshot: Snapshot | None) -> int:
    if snapshot:
        return needed(snapshot.size, "restore", saves=False)
    size = io.data.size()
    # The copy, the segments of the log that etcd reserves on it, and what is made of its database.
    return size + 2 * LOG_SEGMENT + needed(size, "restore", saves=True)


def _snapshot_of_log(io: Io, found: Found) -> Told:
    """The survivor's data as a snapshot, with everything that it has been told."""
    if found.log is None:
        raise AssertionError("who has no log was refused before")
    data = io.data
    data.copy(found.log)
    with io.program(data.work) as program:
        io.settle(program, data.copied)
    io.snapshots.store.write(data.snapshot, io.sealed(data.copied_database()))
    judge(io.snapshots, data.snapshot, data.snapshot)
    return io.snapshots.tools.status(data.snapshot)


def _restore(io: Io, told: Told, path: str, wanted: Wanted, token: str) -> None:
    data, tools = io.data, io.snapshots.tools
    restored = tools.restore(
        path,
        data.restored,
        f"--name={wanted.name}",
        f"--initial-cluster={wanted.initial}",
        f"--initial-advertise-peer-urls={wanted.peer_url}",
        f"--initial-cluster-token={token}",
        f"--bump-revision={BUMP}",
        "--mark-compacted",
    )
    again = tools.status(restored)
    if again.revision < told.revision + BUMP:
        raise RefusedError(
            "the restored data do not hold what their source says",
            where=path,
            found=f"revision {again.revision}, not {told.revision} and {BUMP} more",
            next_step="look at this host's memory and disk, and at the version of etcdutl; then run the same again",
        )


def prepared(io: Io, params: Mapping[str, Any], *, effects: bool) -> dict[str, Any]:
    """Make the new data beside the old ones."""
    members = params["initial_members"] or {params["name"]: params["peer_url"]}
    wanted, whole = Wanted(params["name"], members, params["token"]), not params["snapshot"]
    found = io.data.look(whole=whole)
    if not params["snapshot"]:
        require_stopped(found, io.data.path)
        require_alone(wanted)
    snapshot = _judged(io, params)
    source = _source(io, found, snapshot)
    if is_prepared(found, wanted, source):
        return _told(found, snapshot, [])
    if not source:
        raise RefusedError(
            "what an earlier run has prepared is for another member, and the old data are away",
            where=io.data.path,
            found=f"prepared for {found.prepared.name if found.prepared else 'nobody'}, asked for {wanted.name}",
            next_step="give the same name and members again, or rename the kept data back to `member`",
        )
    io.snapshots.tools.require("status")
    require_room(io.snapshots.store.free(), _need(io, snapshot), params["minimum_free_bytes"], io.data.path)
    steps = prepare_steps(found, snapshot.path if snapshot else io.data.member, wanted, from_log=snapshot is None)
    if effects:
        # A snapshot is restored beside a member that may run: nothing is taken from its data.
        with nullcontext() if snapshot else io.data.locked():
            _prepare(io, found, snapshot, wanted, source)
    return _told(io.data.look(whole=whole) if effects else found, snapshot, steps)


def _prepare(io: Io, found: Found, snapshot: Snapshot | None, wanted: Wanted, source: str) -> None:
    io.data.begin()
    token = wanted.token or io.token()
    if snapshot:
        told, path, written = Told(snapshot.revision, snapshot.total_keys, ""), snapshot.path, snapshot.taken
    else:
        told, path, written = _snapshot_of_log(io, found), io.data.snapshot, found.written
    _restore(io, told, path, wanted, token)
    record = Record(
        source,
        wanted.name,
        wanted.initial,
        token,
        told.revision,
        told.total_keys,
        written,
        identity(io.data.fresh_log()),
    )
    io.data.finish(record.text())


def activated(io: Io, *, effects: bool) -> dict[str, Any]:
    """Put the new data into their place."""
    found = io.data.look(old=False, whole=False)
    require_stopped(found, io.data.path)
    kept = io.data.kept(io.clock())
    steps = activate_steps(found, kept)
    if effects and steps:
        with io.data.locked():
            io.data.activate(kept)
    return _told(io.data.look(old=False, whole=False) if effects else found, None, steps)


def examined(io: Io, params: Mapping[str, Any]) -> dict[str, Any]:
    """What there is to restore from."""
    told = _told(io.data.look(whole=params["log"] == "whole"), _judged(io, params), [])
    return {**told, "free_bytes": io.snapshots.store.free(), "etcdutl": io.snapshots.tools.version()}


def _told(found: Found, snapshot: Snapshot | None, steps: list[str]) -> dict[str, Any]:
    return {
        "changed": bool(steps),
        "steps": steps,
        "etcd": facts(found),
        "snapshot": asdict(snapshot) if snapshot else {},
    }
