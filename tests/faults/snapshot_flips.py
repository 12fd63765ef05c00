# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots that are not what they were: one bit flipped, cut off, added to, or copied raw from a member's disk.

Each is judged by etcd_snapshot with `state: verified`, and by etcd_restore with `state: examined`, which recover_quorum
asks before it stops anything. Needs no lab: one real etcd on the loopback interface.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.etcd_cluster import EtcdCluster
from tests.integration.servers import program
from tests.integration.support import run_module

SEED = 20260131
FLIPS, CUTS = 200, 50
# As Kubernetes writes: many small objects, some of them again and again.
KEYS, WRITES = 300, 900


@dataclass
class Row:
    """One kind of damage. refused: by both; problem: what was not, and where it was damaged."""

    kind: str
    tried: int
    refused: int
    seconds: float
    size: int
    problem: str = ""


def judges(work: Path) -> dict[str, Callable[[Path], dict[str, Any]]]:
    """Who is asked about a file."""
    etcdutl = str(program("etcd", "etcdutl"))
    empty = work / "empty"
    empty.mkdir(mode=0o700)
    return {
        "etcd_snapshot": lambda path: run_module(
            "etcd_snapshot", {"state": "verified", "path": str(path), "etcdutl": etcdutl}
        ),
        "etcd_restore": lambda path: run_module(
            "etcd_restore", {"state": "examined", "snapshot": str(path), "etcdutl": etcdutl, "data_dir": str(empty)}
        ),
    }


def snapshot(work: Path) -> tuple[bytes, bytes, bytes]:
    """A whole snapshot, and the member's own file while it runs and after it was ended."""
    cluster = EtcdCluster.create(work / "etcd", ["cp1"])
    try:
        chance = random.Random(SEED)
        for number in range(WRITES):
            cluster.put("cp1", f"/registry/pods/default/pod-{number % KEYS}", chance.randrange(20, 2000))
        tools = {name: str(program("etcd", name)) for name in ("etcdctl", "etcdutl")}
        path = work / "whole.db"
        asked = {"path": str(path), "endpoints": [cluster.members["cp1"].url], **cluster.files(), **tools}
        done = run_module("etcd_snapshot", {**asked, "minimum_free_bytes": 0, "verify": "restore"})
        if done.get("failed"):
            raise RuntimeError(str(done["msg"]))
        raw = work / "etcd" / "cp1" / "member" / "snap" / "db"
        running = raw.read_bytes()
    finally:
        cluster.stop()
    return path.read_bytes(), running, raw.read_bytes()


def flipped(whole: bytes, chance: random.Random) -> tuple[str, bytes]:
    """One bit, anywhere."""
    bit = chance.randrange(len(whole) * 8)
    changed = bytearray(whole)
    changed[bit // 8] ^= 1 << bit % 8
    return f"bit {bit}", bytes(changed)


def cut(whole: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Only its beginning; half of the time at a page, where nothing looks torn."""
    length = chance.randrange(len(whole))
    length = length // 4096 * 4096 if chance.random() < 0.5 else length
    return f"{length} bytes", whole[:length]


def cases(whole: bytes, running: bytes, ended: bytes) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Every kind of damage, always the same ones."""
    chance = random.Random(SEED)
    yield "one bit flipped", [flipped(whole, chance) for _index in range(FLIPS)]
    yield "cut off", [cut(whole, chance) for _index in range(CUTS)]
    yield "without its checksum", [("32 bytes", whole[:-32])]
    yield "something added", [("1 byte", whole + b"x"), ("a page", whole + bytes(4096))]
    yield "a raw copy of the database", [("etcd ran", running), ("etcd was ended", ended)]


def judged(path: Path, ask: dict[str, Callable[[Path], dict[str, Any]]]) -> list[str]:
    """Who takes it for a snapshot."""
    return [name for name, judge in ask.items() if not judge(path).get("failed")]


def rows(work: Path) -> Iterator[Row]:
    """Ask about every file. What is not damaged is asked first and last: who refuses everything proves nothing."""
    whole, running, ended = snapshot(work)
    ask, path = judges(work), work / "judged.db"
    yield untouched(whole, path, ask)
    for kind, files in cases(whole, running, ended):
        began, passed = time.monotonic(), []
        for name, content in files:
            path.write_bytes(content)
            takers = judged(path, ask)
            passed += [f"{name}: taken by {' and '.join(takers)}"] if takers else []
        refused = len(files) - len(passed)
        yield Row(kind, len(files), refused, time.monotonic() - began, len(whole), "; ".join(passed))
    yield untouched(whole, path, ask)
    shutil.rmtree(work / "etcd")


def untouched(whole: bytes, path: Path, ask: dict[str, Callable[[Path], dict[str, Any]]]) -> Row:
    """The control."""
    began = time.monotonic()
    path.write_bytes(whole)
    missing = sorted(set(ask) - set(judged(path, ask)))
    problem = f"refused by {', '.join(missing)}" if missing else ""
    return Row("nothing changed", 1, len(missing), time.monotonic() - began, len(whole), problem)
