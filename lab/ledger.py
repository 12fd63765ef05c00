# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that no acknowledged write was lost.

Every write is a compare-and-swap on one object that carries the set of all writes that made it: the writer adds its
number to the set it last saw. Numbers only grow, and a write can only succeed on top of the one before, so the
object's set is its history. An acknowledged number that is missing from it, out of order, or newer than what a later
read shows, is a lost write.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ack:
    """A write that the server acknowledged."""

    stream: str
    seq: int
    version: int
    sent: float
    acked: float


@dataclass(frozen=True)
class Seen:
    """A read: the newest number in the object, and when the read began."""

    stream: str
    last: int
    version: int
    started: float


class Ledger:
    """A file with one line per acknowledged write; a line is on the disk before the next write begins."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def add(self, ack: Ack) -> None:
        """Write an acknowledgement down."""
        with self._lock:
            self._file.write(json.dumps(asdict(ack)) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_ledger(path: Path) -> list[Ack]:
    """Read a ledger; a last line that was cut off was never relied upon by anybody."""
    acks = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            acks.append(Ack(**json.loads(line)))
    return acks


def add_number(ranges: str, number: int) -> str:
    """Add a number that is larger than all others to a set such as `1-4,6`."""
    parts = [part for part in ranges.split(",") if part]
    if parts:
        first, _dash, last = parts[-1].partition("-")
        end = int(last or first)
        if number <= end:
            raise ValueError(f"{number} is not larger than {end}")
        if number == end + 1:
            parts[-1] = f"{first}-{number}"
            return ",".join(parts)
    return ",".join([*parts, str(number)])


def numbers(ranges: str) -> set[int]:
    """Return the numbers of a set such as `1-4,6`."""
    found: set[int] = set()
    for part in ranges.split(","):
        if part:
            first, _dash, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    return found


def last_number(ranges: str) -> int:
    """Return the largest number of a set, 0 for the empty one."""
    return int(ranges.rpartition(",")[2].rpartition("-")[2] or 0)


def check(acks: Iterable[Ack], reads: Iterable[Seen], final: dict[str, str]) -> list[str]:
    """Return every contradiction between what was acknowledged and what was seen; none means that nothing was lost.

    `final` maps each stream to its object's set of numbers at the end.
    """
    by_stream: dict[str, list[Ack]] = {}
    for ack in acks:
        by_stream.setdefault(ack.stream, []).append(ack)
    seen: dict[str, list[Seen]] = {}
    for one in reads:
        seen.setdefault(one.stream, []).append(one)
    problems: list[str] = []
    for stream, members in sorted(by_stream.items()):
        members.sort(key=lambda ack: ack.seq)
        if stream not in final:
            problems.append(f"{stream}: the object could not be read at the end, so nothing is proven")
        else:
            problems += _missing(stream, members, numbers(final[stream]))
        problems += _disorder(stream, members)
        problems += _stale_reads(stream, members, seen.get(stream, []))
    return problems


def _missing(stream: str, acks: Sequence[Ack], stored: set[int]) -> list[str]:
    lost = [ack.seq for ack in acks if ack.seq not in stored]
    return [f"{stream}: {len(lost)} acknowledged writes are lost: {_few(lost)}"] if lost else []


def _disorder(stream: str, acks: Sequence[Ack]) -> list[str]:
    problems = []
    for earlier, later in zip(acks, acks[1:]):
        if later.seq == earlier.seq:
            problems.append(f"{stream}: write {later.seq} was acknowledged twice")
        elif later.version <= earlier.version:
            problems.append(
                f"{stream}: write {later.seq} has resource version {later.version}, "
                f"not after {earlier.version} of write {earlier.seq}"
            )
    return problems


def _stale_reads(stream: str, acks: Sequence[Ack], reads: Sequence[Seen]) -> list[str]:
    problems = []
    in_time = sorted(acks, key=lambda ack: ack.acked)
    newest = position = 0
    for read in sorted(reads, key=lambda one: one.started):
        while position < len(in_time) and in_time[position].acked < read.started:
            newest = max(newest, in_time[position].seq)
            position += 1
        if read.last < newest:
            problems.append(f"{stream}: a read saw write {read.last} after write {newest} had been acknowledged")
    return problems


def _few(values: Sequence[int], most: int = 10) -> str:
    text = ", ".join(str(value) for value in values[:most])
    return text if len(values) <= most else f"{text}, ..."
