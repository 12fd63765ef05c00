# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot of etcd as a file: what it should be made of, what it is called, and how much room it takes. Pure.

etcd sends its database, pages of bbolt, and after it their SHA-256. A copy of a member's own file has no such end.
"""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import InputError

TRAILER = 32
SECTOR = 512
# A meta page: the page's header, then magic, version, page size, flags, root, sequence, freelist, pages, transaction
# and the FNV-1a of what is before it. The second one is a page after the first.
PAGE_HEADER = 16
META = struct.Struct("<IIIIQQQQQQ")
MAGIC, VERSION = 0xED0CDAED, 2
PAGE_SIZES = (4096, 8192, 16384, 32768, 65536)
HEAD = PAGE_SIZES[-1] + PAGE_HEADER + META.size
CLUSTER = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
STAMP = "%Y%m%dT%H%M%SZ"
# What one restore needs beside the database's copy: etcd reserves a segment of its log, and one that runs the next one.
LOG_SEGMENT = 64 << 20
SEGMENTS = {"restore": 1, "drill": 2}
# Times the database's size: a snapshot, and how much etcd grows meanwhile; with its restored copy.
SAVED, RESTORED = 1.1, 2.5


@dataclass(frozen=True)
class Contents:
    """What reading a file once told. sha256: of the whole file; sealed: its end is the checksum of what is before."""

    size: int
    head: bytes
    sha256: str
    sealed: bool


def _fnv(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def database_size(head: bytes) -> int | None:
    """The bytes that the newer meta page says; None when no meta page is whole."""
    found = []
    for offset in (0, *PAGE_SIZES):
        raw = head[offset + PAGE_HEADER : offset + PAGE_HEADER + META.size]
        if len(raw) == META.size:
            magic, version, page_size, _flags, _root, _sequence, _free, pages, transaction, checksum = META.unpack(raw)
            if (magic, version, checksum) == (MAGIC, VERSION, _fnv(raw[:-8])):
                found.append((transaction, pages * page_size))
    return max(found)[1] if found else None


def defect(file: Contents) -> str:
    """What is wrong with a file that should be a snapshot; empty for a whole one."""
    if not file.size:
        return "it is empty"
    expected = database_size(file.head)
    if expected is None:
        return "it is no database of etcd, or its beginning is damaged: neither of its two meta pages is whole"
    if file.size < expected:
        return f"it is truncated: {file.size} bytes of {expected + TRAILER}"
    if file.size % SECTOR == 0:
        return (
            "it has no checksum at its end: it is a raw copy of a member's database, which etcd may have written to "
            f"meanwhile, or a snapshot without its last {TRAILER} bytes"
        )
    if file.size != expected + TRAILER:
        return f"its length is wrong, it was cut or something was added: {file.size} bytes, not {expected + TRAILER}"
    return "" if file.sealed else "it is damaged: its SHA-256 is not the one that etcd put at its end"


def check_cluster(name: str) -> str:
    """The part of a file name that says whose snapshot it is."""
    if not CLUSTER.fullmatch(name):
        raise InputError(
            "this name of a cluster cannot be part of a file name",
            where="cluster",
            found=repr(name[:80]),
            next_step="use letters, digits, dots, dashes and underscores, 63 at most",
        )
    return name


def file_name(cluster: str, revision: int, now: float) -> str:
    """Cluster, revision and UTC time."""
    return f"etcd-{cluster}-r{revision}-{time.strftime(STAMP, time.gmtime(now))}.db"


def ours(names: Sequence[str], cluster: str) -> list[str]:
    """Snapshots of exactly this cluster, the oldest first."""
    pattern = re.compile(rf"etcd-{re.escape(cluster)}-r(\d+)-(\d{{8}}T\d{{6}}Z)\.db", re.ASCII)
    found = [(match.group(2), int(match.group(1)), match.group(0)) for match in map(pattern.fullmatch, names) if match]
    return [name for _stamp, _revision, name in sorted(found)]


def surplus(names: Sequence[str], cluster: str, keep: int) -> list[str]:
    """What goes when one more has been written and `keep` shall remain; 0 keeps all."""
    return ours(names, cluster)[: -(keep - 1) or None] if keep else []


def needed(size: int, verify: str, *, saves: bool) -> int:
    """Bytes that have to be free for a database of this size."""
    restores = verify in SEGMENTS
    factor = RESTORED if restores else SAVED
    own = factor if saves else factor - 1 if restores else 0
    return int(own * size) + LOG_SEGMENT * SEGMENTS.get(verify, 0)
