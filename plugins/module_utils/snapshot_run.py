# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot from its plan to its name: taken, read back, judged, restored once, and only then called a snapshot."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import etcd_stream
from .errors import KubeadmError, RefusedError
from .etcd_api import EtcdApi, member_id, number
from .snapshot_file import Contents, check_cluster, defect, file_name, needed, surplus
from .snapshot_store import SnapshotStore
from .snapshot_tools import Told, Tools

CORRUPT = "CORRUPT"
# Seconds without a byte of a snapshot; the disk of a member may be slow to begin.
STALL = 30.0


@dataclass(frozen=True)
class Origin:
    """The member that is asked. revision: what it had when a majority was asked; the snapshot is not older."""

    url: str
    cluster: str
    revision: int
    size: int


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
            *(["restore it once into a scratch directory"] if self.verify == "restore" else []),
            *(f"delete {name}, of which there are newer ones" for name in self.surplus),
        ]


@dataclass(frozen=True)
class Done:
    """A snapshot in its place. told: None when etcdutl was not asked; same: the restored keys are the member's."""

    path: str
    contents: Contents
    told: Told | None
    same: bool


@dataclass
class Io:
    """The world. save: takes a snapshot of the member at a URL into a file."""

    store: SnapshotStore
    tools: Tools
    connect: Callable[[str], EtcdApi]
    save: Callable[[str, str], None]
    clock: Callable[[], float] = time.time
    started: float = field(default_factory=time.monotonic)


def ask(endpoints: Sequence[str], connect: Callable[[str], EtcdApi]) -> Origin:
    """The first endpoint for which a majority answers. Its data are good: no member has told that they differ."""
    told: list[str] = []
    for url in endpoints:
        api = connect(url)
        try:
            header = api.call("kv/range", {"key": "aGVhbHRo", "limit": "1", "keys_only": True})["header"]
            size, alarms = number(api.status().get("dbSize")), api.alarms()
        except KubeadmError as exc:
            told.append(f"{url}: {exc.found or exc.what}")
            continue
        if any(alarm == CORRUPT for _member, alarm in alarms):
            raise RefusedError(
                "a snapshot of a cluster whose members hold different data is worth nothing",
                where=url,
                found="the alarm CORRUPT is raised",
                next_step="run etcd_info to see which member differs, and replace that member",
            )
        return Origin(url, member_id(header.get("cluster_id")), number(header.get("revision")), size)
    raise RefusedError(
        "no member answers a read for which it asks the others, so nobody knows how old its data are",
        where=", ".join(endpoints),
        found="; ".join(told),
        next_step="bring etcd's majority back; run etcd_info to see its members",
    )


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


def drill(io: Io, path: str, told: Told, work: str) -> str:
    """Restore once, and compare; the restored database's path."""
    restored = io.tools.restore(path, os.path.join(work, "restored"))
    again = io.tools.status(restored)
    if (again.revision, again.total_keys) != (told.revision, told.total_keys):
        raise RefusedError(
            "the restored snapshot does not hold what the snapshot says",
            where=path,
            found=f"revision {again.revision} with {again.total_keys} keys, not {told.revision} with {told.total_keys}",
            next_step="take another snapshot; look at this host's memory and disk",
        )
    return restored


def compare(io: Io, origin: Origin, told: Told, restored: str, seconds: float) -> bool:
    """Whether the restored keys are those that the member has at that revision; False when that cannot be known."""
    if told.revision < origin.revision:
        return False
    own = io.tools.key_hash(restored)
    try:
        live = io.connect(origin.url).hash_kv(told.revision, seconds)
    except KubeadmError:
        # It was compacted beyond that revision, or is too busy: nothing is known, and nothing is wrong.
        return False
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
    told, same = None, False
    with io.store.workshop() as work:
        file = os.path.join(work, "db")
        io.save(plan.origin.url, file)
        contents = judge(io, file, plan.origin.url)
        if plan.verify != "none":
            told = io.tools.status(file)
            require_new(io, plan.origin, told)
        if plan.verify == "restore" and told:
            same = compare(io, plan.origin, told, drill(io, file, told, work), seconds)
        path = plan.place(told.revision if told else plan.origin.revision)
        io.store.place(file, path)
    # Two of one revision in one second have one name.
    io.store.remove([name for name in plan.surplus if name != os.path.basename(path)])
    return Done(path, contents, told, same)


def require_new(io: Io, origin: Origin, told: Told) -> None:
    """Not older than what was there when it was asked for.

    etcdutl tells the newest revision of which something is stored. Nothing is of a deletion that was compacted away, or
    in a store that was never written to, which is at revision 1.
    """
    if told.revision < origin.revision and not io.connect(origin.url).compacted(origin.revision):
        raise RefusedError(
            "the snapshot is older than the data that it should hold",
            where=origin.url,
            found=f"revision {told.revision}; a majority had {origin.revision} before",
            next_step="take it from another member, and look at this one with etcd_info",
        )


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
        "same_as_member": bool(done and done.same),
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
    if verify == "restore" and told:
        steps.append("restore it once into a scratch directory")
        need = needed(contents.size, verify, saves=False)
        require_room(io.store.free(), need, params["minimum_free_bytes"], io.store.directory)
        if effects:
            with io.store.workshop() as work:
                drill(io, path, told, work)
    return {
        "changed": False,
        "path": path,
        "revision": told.revision if told else None,
        "total_keys": told.total_keys if told else None,
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
