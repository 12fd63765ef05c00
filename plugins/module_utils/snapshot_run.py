# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot from its plan to its name: taken, read back, judged, restored once, and only then called a snapshot."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from . import etcd_stream, snapshot_drill
from .errors import KubeadmError, RefusedError
from .etcd_alone import RESTORED
from .etcd_api import EtcdApi
from .snapshot_drill import Served
from .snapshot_file import SEGMENTS, Contents, check_cluster, defect, file_name, needed, surplus
from .snapshot_origin import Origin, ask, require_new
from .snapshot_store import SnapshotStore
from .snapshot_tools import Told, Tools

# Seconds without a byte of a snapshot; the disk of a member may be slow to begin.
STALL = 30.0


@dataclass(frozen=True)
class Plan:
    """What a run does. path: the one that was asked for, or "". cluster, now: parts of a name in the directory."""

    origin: Origin
    directory: str
    path: str
    cluster: str
    now: float
    verify: str
    needed: int
    free: int
    leftovers: Sequence[str] = ()
    surplus: Sequence[str] = ()

    def place(self, revision: int) -> str:
        """Where a snapshot of this revision belongs."""
        return self.path or os.path.join(self.directory, file_name(self.cluster, revision, self.now))

    def steps(self, path: str) -> list[str]:
        """In words. path: where the snapshot is."""
        return [
            *(f"delete {name}, which an interrupted run left" for name in self.leftovers),
            f"save {self.origin.url} as {path}",
            *([] if self.verify == "none" else ["judge it with `etcdutl snapshot status`"]),
            *words(self.verify),
            *(f"delete {name}, of which there are newer ones" for name in self.surplus),
        ]


def words(verify: str) -> list[str]:
    """What is done beyond reading it."""
    steps = ["restore it once into a scratch directory", "start an etcd on that, and compare what it serves"]
    return steps[: SEGMENTS.get(verify, 0)]


@dataclass(frozen=True)
class Done:
    """A snapshot in its place. told: None when etcdutl was not asked; same: the restored keys are the member's."""

    path: str
    contents: Contents
    told: Told | None
    same: bool
    served: Served | None = None


@dataclass(frozen=True)
class Drilled:
    """What a restored snapshot turned out to be. own: compaction and hash of its keys; None: nobody can tell."""

    own: tuple[int, int] | None
    served: Served | None = None


# A folder to work in, a data directory -> an etcd that runs on it, alone.
Start = Callable[[str, str], "AbstractContextManager[EtcdApi]"]


@dataclass
class Io:
    """The world. save: takes a snapshot of the member at a URL into a file. start: None where nothing is drilled."""

    store: SnapshotStore
    tools: Tools
    connect: Callable[[str], EtcdApi]
    save: Callable[[str, str], None]
    clock: Callable[[], float] = time.time
    start: Start | None = None
    started: float = field(default_factory=time.monotonic)


def require_room(free: int, need: int, remain: int, where: str) -> None:
    """Refuse with the numbers."""
    if free < need + remain:
        raise RefusedError(
            "the disk has not enough room",
            where=where,
            found=f"{free} bytes are free; {need} are needed, and {remain} shall remain free",
            next_step="make room, name another directory, or set `minimum_free_bytes` or `verify` lower",
        )


def plan_save(io: Io, params: Mapping[str, Any]) -> Plan:
    """Everything that may be refused is refused here."""
    io.tools.require(params["verify"])
    origin = ask(params["endpoints"], io.connect)
    cluster = check_cluster(params["cluster"] or origin.cluster)
    io.store.require_private()
    if params["path"]:
        io.store.require_replaceable(params["path"])
    free, need = io.store.free(), needed(origin.size, params["verify"], saves=True)
    require_room(free, need, params["minimum_free_bytes"], io.store.directory)
    old = surplus(io.store.names(), cluster, params["keep"])
    return Plan(
        origin,
        io.store.directory,
        params["path"],
        cluster,
        io.clock(),
        params["verify"],
        need,
        free,
        io.store.leftovers(),
        old,
    )


def judge(io: Io, path: str, shown: str) -> Contents:
    """Read a file and refuse what is no whole snapshot."""
    contents = io.store.read(path)
    found = defect(contents)
    if found:
        raise RefusedError(
            "this is no whole snapshot of etcd",
            where=shown,
            found=found,
            next_step="use another snapshot, or take one with `state: saved`",
        )
    return contents


def drill(io: Io, path: str, told: Told, work: str, verify: str) -> Drilled:
    """Restore once, and compare; with `drill` an etcd runs on what was restored, too."""
    folder = os.path.join(work, "restored")
    restored = io.tools.restore(path, folder, *(RESTORED if verify == "drill" else ()))
    again = io.tools.status(restored)
    if (again.revision, again.total_keys) != (told.revision, told.total_keys):
        raise RefusedError(
            "the restored snapshot does not hold what the snapshot says",
            where=path,
            found=f"revision {again.revision} with {again.total_keys} keys, not {told.revision} with {told.total_keys}",
            next_step="take another snapshot; look at this host's memory and disk",
        )
    own = io.tools.key_hash(restored)
    if verify != "drill" or io.start is None:
        return Drilled(own)
    with io.start(work, folder) as api:
        served = snapshot_drill.ask(api, told.revision, io.tools.seconds)
    snapshot_drill.judge(served, told.revision, own, path)
    return Drilled(own, served)


def compare(io: Io, origin: Origin, told: Told, drilled: Drilled, seconds: float) -> bool:
    """Whether the restored keys are those that the member has at that revision; False when that cannot be known."""
    if told.revision < origin.revision:
        return False
    if drilled.served:
        return snapshot_drill.same(drilled.served, io.connect(origin.url), seconds)
    try:
        live = io.connect(origin.url).hash_kv(told.revision, seconds)
    except KubeadmError:
        # It was compacted beyond that revision, or is too busy: nothing is known, and nothing is wrong.
        return False
    own = drilled.own
    if own is None or own[0] != live[0]:
        return False
    if own[1] != live[1]:
        raise RefusedError(
            "the restored snapshot does not hold the member's data",
            where=origin.url,
            found=f"hash {own[1]:x} at revision {told.revision}, the member's is {live[1]:x}",
            next_step="run etcd_info, which compares all members",
        )
    return True


def apply(io: Io, plan: Plan, seconds: float) -> Done:
    """Do it. Only what has passed everything gets its name."""
    told, same, drilled = None, False, Drilled(None)
    with io.store.workshop() as work:
        file = os.path.join(work, "db")
        io.save(plan.origin.url, file)
        contents = judge(io, file, plan.origin.url)
        if plan.verify != "none":
            told = io.tools.status(file)
            require_new(plan.origin, told.revision, io.connect)
        if plan.verify in SEGMENTS and told:
            drilled = drill(io, file, told, work, plan.verify)
            same = compare(io, plan.origin, told, drilled, seconds)
        path = plan.place(told.revision if told else plan.origin.revision)
        io.store.place(file, path)
    # Two of one revision in one second have one name.
    io.store.remove([name for name in plan.surplus if name != os.path.basename(path)])
    return Done(path, contents, told, same, drilled.served)


def outcome(io: Io, plan: Plan, done: Done | None) -> dict[str, Any]:
    """The result; None is check mode."""
    told = done.told if done else None
    path = done.path if done else plan.place(plan.origin.revision)
    return {
        "changed": True,
        "path": path,
        "endpoint": plan.origin.url,
        "revision": told.revision if told else plan.origin.revision,
        "total_keys": told.total_keys if told else None,
        "size_bytes": done.contents.size if done else plan.origin.size,
        "sha256": done.contents.sha256 if done else None,
        "etcdutl_hash": told.hash if told else None,
        "same_as_member": bool(done and done.same),
        "drill": done.served.result() if done and done.served else None,
        "needed_bytes": plan.needed,
        "free_bytes": plan.free,
        "deleted": list(plan.surplus),
        "seconds": round(time.monotonic() - io.started, 2),
        "steps": plan.steps(path),
    }


def saved(io: Io, params: Mapping[str, Any], *, effects: bool) -> dict[str, Any]:
    """Take a snapshot, or say where it would be and what it needs."""
    plan = plan_save(io, params)
    return outcome(io, plan, apply(io, plan, params["wait_seconds"]) if effects else None)


def verified(io: Io, params: Mapping[str, Any], *, effects: bool) -> dict[str, Any]:
    """Judge a file. Without effects nothing is restored."""
    path, verify = params["path"], params["verify"]
    io.tools.require(verify)
    contents = judge(io, path, path)
    told = io.tools.status(path) if verify != "none" else None
    steps = ["compare its checksum", *(["judge it with `etcdutl snapshot status`"] if told else [])]
    served = None
    if verify in SEGMENTS and told:
        steps += words(verify)
        need = needed(contents.size, verify, saves=False)
        require_room(io.store.free(), need, params["minimum_free_bytes"], io.store.directory)
        if effects:
            with io.store.workshop() as work:
                served = drill(io, path, told, work, verify).served
    return {
        "changed": False,
        "path": path,
        "revision": told.revision if told else None,
        "total_keys": told.total_keys if told else None,
        "etcdutl_hash": told.hash if told else None,
        "drill": served.result() if served else None,
        "size_bytes": contents.size,
        "sha256": contents.sha256,
        "seconds": round(time.monotonic() - io.started, 2),
        "steps": steps,
    }


def saver(tools: Tools, store: SnapshotStore, params: Mapping[str, Any]) -> Callable[[str, str], None]:
    """etcdctl where it is there: the gateway takes many times longer, and etcd's own processor with it."""
    if tools.saves:
        return lambda url, path: tools.save(url, params, path)
    files = (params["ca"], params["cert"], params["key"])
    return lambda url, path: store.write(path, etcd_stream.snapshot(url, files, STALL, params["wait_seconds"]))
