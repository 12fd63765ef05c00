# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of an etcd member: how far it goes, and a copy of it in which everything counts as committed. Pure.

A write that the majority has acknowledged is in a survivor's log, but the mark that it was committed may not be: the
leader tells it with the next message. etcd forgets what has no mark when it starts alone, so the mark is added before.

A record is 8 bytes of length (the top byte says how many bytes fill it up to a multiple of 8) and a message of type,
checksum and data. The checksum goes on from record to record and from file to file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from .crc32c import update
from .errors import RefusedError
from .protobuf import Message, encode, parse

NAME = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.wal", re.ASCII)
METADATA, ENTRY, STATE, CHECKSUM, SNAPSHOT = 1, 2, 3, 4, 5
HEADER, SECTOR = 8, 512
# So much is read of the beginning of a log. One that was just made has a record for each member, and four more.
RECORDS, BYTES = 64, 1 << 20
NEXT = "recover from another survivor, or from a snapshot: -e snapshot=PATH"


@dataclass(frozen=True)
class Log:
    """What a log tells. term: the highest that its member has seen; last_term: that of the last entry.

    end: where the last whole record of the last file ends; torn: bytes behind it that were never written to the end.
    """

    name: str = ""
    cluster_id: str = ""
    member_id: str = ""
    last_index: int = 0
    last_term: int = 0
    term: int = 0
    vote: int = 0
    commit: int = 0
    end: int = 0
    checksum: int = 0
    torn: int = 0

    @property
    def uncommitted(self) -> int:
        """Entries that are there and do not count as committed."""
        return self.last_index - self.commit


class _DamagedError(Exception):
    """What is wrong at a place."""


class _TornError(Exception):
    """The last write before a power cut reached the disk in part; nobody was told that it was written."""


@dataclass(frozen=True)
class _Record:
    kind: int
    data: bytes
    checksum: int
    end: int


def frame(kind: int, data: bytes, checksum: int) -> bytes:
    """One record as it stands in a file; the checksum of everything before it."""
    return framed(encode({1: kind, 2: update(checksum, data), 3: data}))


def framed(body: bytes) -> bytes:
    """A message with its length, filled up."""
    fill = -len(body) % HEADER
    length = len(body) | ((0x80 | fill) << 56 if fill else 0)
    return length.to_bytes(HEADER, "little") + body + bytes(fill)


def _size(field: int) -> tuple[int, int]:
    """Bytes of a record, and bytes that fill it up."""
    size, top = field & ~(0xFF << 56), field >> 56
    fill = top & 7 if top & 0x80 else 0
    if top != (0x80 | fill if fill else 0) or fill != -size % HEADER:
        raise _DamagedError("a length is wrong")
    return size, fill


def _read(content: bytes, offset: int, field: int, checksum: int) -> _Record:
    """The record at this place."""
    if not field:
        # Nothing where a record should begin, and something behind it: these sectors were not written.
        raise _TornError
    size, fill = _size(field)
    start, end = offset + HEADER, offset + HEADER + size + fill
    if end > len(content):
        raise _TornError
    found = parse(content[start : start + size])
    kind, said, data = (found or Message()).number(1), (found or Message()).number(2), (found or Message()).data(3)
    known = METADATA <= kind <= SNAPSHOT
    good = kind == CHECKSUM or update(checksum, data) == said
    if found is None or not known or not good:
        if _has_gap(content, start, end):
            raise _TornError
        raise _DamagedError("a checksum is wrong" if found is not None and known else "it is no record")
    return _Record(kind, data, said, end)


def _has_gap(content: bytes, start: int, end: int) -> bool:
    """Whether a sector of it was never written. As etcd decides it."""
    while start < end:
        stop = min(end, start - start % SECTOR + SECTOR)
        if not any(content[start:stop]):
            return True
        start = stop
    return False


def _is_flipped(content: bytes, offset: int, field: int, checksum: int) -> bool:
    """Whether a record begins here of whose length one bit has changed: then what follows was written, and is lost."""
    for bit in range(64):
        try:
            if (other := field ^ 1 << bit) and _read(content, offset, other, checksum):
                return True
        except (_DamagedError, _TornError):
            continue
    return False


def _records(content: bytes, checksum: int, last: bool) -> Iterator[_Record]:
    """All of a file."""
    offset = 0
    while offset < len(content):
        field = int.from_bytes(content[offset : offset + HEADER], "little")
        try:
            if not field and not content[offset:].strip(b"\0"):
                return
            record = _read(content, offset, field, checksum)
        except _TornError:
            if not last or _is_flipped(content, offset, field, checksum):
                raise _DamagedError("a record does not end" if field else "a length is wrong") from None
            return
        if record.kind == CHECKSUM and checksum and record.checksum != checksum:
            raise _DamagedError("it does not go on where the file before it ends")
        checksum, offset = record.checksum, record.end
        yield record


def _advance(log: Log, record: _Record) -> Log:
    """What a record adds."""
    log = replace(log, checksum=record.checksum, end=record.end)
    found = parse(record.data)
    if found is None:
        raise _DamagedError("it is no record")
    if record.kind == METADATA:
        member, cluster = format(found.number(1), "x"), format(found.number(2), "x")
        if log.member_id not in ("", member):
            raise _DamagedError("it is of two members")
        return replace(log, member_id=member, cluster_id=cluster)
    if record.kind == ENTRY:
        return _entry(log, found)
    if record.kind == STATE:
        return _state(log, found)
    if record.kind == SNAPSHOT and found.number(1) > log.last_index:
        # What a member was sent as a whole, because it was far behind.
        return replace(log, last_index=found.number(1), last_term=found.number(2))
    return log


def _entry(log: Log, found: Message) -> Log:
    """An entry follows the last one, or replaces those of a leader that was deposed."""
    term, index = found.number(2), found.number(3)
    if not log.commit < index <= log.last_index + 1:
        raise _DamagedError(f"entry {index} cannot follow entry {log.last_index}")
    return replace(log, last_index=index, last_term=term)


def _state(log: Log, found: Message) -> Log:
    term, vote, commit = found.number(1), found.number(2), found.number(3)
    if term < log.term or commit < log.commit:
        raise _DamagedError(f"term {term} or commit {commit} goes back")
    return replace(log, term=term, vote=vote, commit=commit)


def read_log(files: Iterable[tuple[str, bytes]]) -> Log:
    """Read all files of a log, in their order. Raises RefusedError where one of them is damaged or missing."""
    log, before = Log(), ""
    waiting = iter(files)
    file = next(waiting, None)
    while file is not None:
        name, content = file
        file = next(waiting, None)
        try:
            begins = _follows(before, name)
            log = replace(log, name=name, end=0, last_index=log.last_index if before else begins)
            for record in _records(content, log.checksum, last=file is None):
                log = _advance(log, record)
        except _DamagedError as exc:
            raise _refusal(name, f"{exc}, near byte {log.end}") from None
        before = name
        rest = content[log.end :]
        log = replace(log, torn=len(rest.rstrip(b"\0")))
    if not log.member_id or not log.last_index:
        raise _refusal(before or "member/wal", "there is no log of a member in it")
    return log


def read_beginning(files: Iterable[tuple[str, bytes]]) -> Log:
    """Whose log it is, from its first records: every byte of hundreds of megabytes is under a checksum.

    A log that nobody has been started on since it was made is read as a whole, and is what read_log says of it.
    """
    name, content = next(iter(files), ("", b""))
    log = Log(name=name)
    try:
        log = replace(log, last_index=_follows("", name))
        for record in islice(_records(content, 0, last=True), RECORDS):
            log = _advance(log, record)
            if log.end > BYTES:
                break
    except _DamagedError as exc:
        raise _refusal(name or "member/wal", f"{exc}, near byte {log.end}") from None
    if not log.member_id:
        raise _refusal(name, "there is no log of a member in it")
    return log


def _follows(before: str, name: str) -> int:
    """The index before the first one in a file, from its name."""
    found, earlier = NAME.fullmatch(name), NAME.fullmatch(before)
    if not found or (earlier and int(found.group(1), 16) != int(earlier.group(1), 16) + 1):
        raise _DamagedError(f"it does not follow {before or 'anything'}")
    return max(int(found.group(2), 16) - 1, 0)


def _refusal(where: str, found: str) -> RefusedError:
    return RefusedError("this member's log is damaged: it is not built on", where=where, found=found, next_step=NEXT)


def committed(content: bytes, log: Log) -> bytes:
    """The log's last file with the mark that everything in it is committed; what was torn goes, as etcd lets it go."""
    state = encode({1: log.term, 2: log.vote, 3: log.last_index})
    marked = content[: log.end] + frame(STATE, state, log.checksum)
    return marked + bytes(max(0, len(content) - len(marked)))
