# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of an etcd member, whole, torn and damaged. Real ones are in tests/integration/test_etcd_restore.py."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_wal import (
    CHECKSUM,
    ENTRY,
    METADATA,
    RECORDS,
    SNAPSHOT,
    STATE,
    committed,
    frame,
    framed,
    read_beginning,
    read_log,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.protobuf import encode, parse

FIRST = "0000000000000000-0000000000000000.wal"
SECOND = "0000000000000001-0000000000000008.wal"
ROOM = 4096
Record = tuple[int, bytes]


def metadata(member: int = 0xA1, cluster: int = 0xC1) -> Record:
    return METADATA, encode({1: member, 2: cluster})


def entry(index: int, term: int = 2, data: bytes = b"value") -> Record:
    return ENTRY, encode({1: 0, 2: term, 3: index, 4: data})


def state(commit: int, term: int = 2, vote: int = 0xA1) -> Record:
    return STATE, encode({1: term, 2: vote, 3: commit})


def snapshot(index: int, term: int = 2) -> Record:
    return SNAPSHOT, encode({1: index, 2: term})


def written(records: Sequence[Record], checksum: int = 0) -> tuple[bytes, int]:
    """A file as etcd writes it, and its checksum; without the room that etcd reserves at its end."""
    content = framed(encode({1: CHECKSUM, 2: checksum}))
    for kind, data in records:
        one = frame(kind, data, checksum)
        checksum = read_checksum(one)
        content += one
    return content, checksum


def read_checksum(one: bytes) -> int:
    size = int.from_bytes(one[:7], "little")
    found = parse(one[8 : 8 + size])
    assert found is not None
    return found.number(2)


def file(records: Sequence[Record], room: int = ROOM) -> bytes:
    content, _checksum = written(records)
    return content + bytes(room)


USUAL = (metadata(), snapshot(0, 0), state(0, 1), *(entry(n) for n in range(1, 6)), state(4), entry(6), entry(7))


def test_how_far_a_log_goes() -> None:
    log = read_log([(FIRST, file(USUAL))])
    assert (log.last_index, log.last_term, log.term, log.vote, log.commit) == (7, 2, 2, 0xA1, 4)
    assert (log.member_id, log.cluster_id, log.uncommitted, log.torn, log.name) == ("a1", "c1", 3, 0, FIRST)


def test_the_copy_says_that_everything_is_committed_and_nothing_else() -> None:
    content = file(USUAL)
    before = read_log([(FIRST, content)])
    marked = committed(content, before)
    after = read_log([(FIRST, marked)])
    assert len(marked) == len(content)
    assert marked[: before.end] == content[: before.end]
    assert (after.commit, after.uncommitted) == (7, 0)
    assert (after.last_index, after.last_term, after.term, after.vote) == (7, 2, 2, 0xA1)


def test_a_new_leader_replaces_entries_that_were_never_committed() -> None:
    log = read_log([(FIRST, file([*USUAL, state(4, 3), entry(5, 3), entry(6, 3)]))])
    assert (log.last_index, log.last_term, log.commit) == (6, 3, 4)


def test_a_member_that_was_sent_everything_as_a_snapshot_goes_on_behind_it() -> None:
    log = read_log([(FIRST, file([metadata(), snapshot(0, 0), snapshot(900, 3), state(900, 3), entry(901, 3)]))])
    assert (log.last_index, log.last_term, log.commit) == (901, 3, 900)
    assert read_log([(FIRST, file([metadata(), snapshot(900, 3)]))]).last_index == 900


def two_files(second: Sequence[Record], name: str = SECOND) -> list[tuple[str, bytes]]:
    first, checksum = written(USUAL)
    return [(FIRST, first), (name, written(second, checksum)[0] + bytes(ROOM))]


def test_several_files_are_one_log() -> None:
    files = two_files([metadata(), state(4), entry(8), state(7)])
    log = read_log(files)
    assert (log.last_index, log.commit, log.name) == (8, 7, SECOND)
    after = read_log([files[0], (log.name, committed(files[1][1], log))])
    assert after.uncommitted == 0


def test_older_files_may_be_gone() -> None:
    second = two_files([metadata(), state(4), snapshot(4), entry(8)])[1]
    assert read_log([second]).last_index == 8


def test_the_beginning_of_a_log_that_was_just_made_is_all_of_it() -> None:
    files = [(FIRST, file(USUAL))]
    assert read_beginning(files) == read_log(files)


def test_of_a_long_log_the_beginning_tells_only_whose_it_is() -> None:
    many = [entry(number) for number in range(8, 8 + 2 * RECORDS)]
    long, large = (FIRST, file([*USUAL, *many])), (FIRST, file([*USUAL, entry(8, data=bytes(2 << 20)), entry(9)]))
    for one in (long, large):
        begun = read_beginning([one])
        assert (begun.cluster_id, begun.member_id) == ("c1", "a1")
        assert begun.last_index < read_log([one]).last_index
    assert read_beginning(two_files([metadata(), entry(8)])).last_index == 7
    (later,) = two_files([metadata(), state(4), snapshot(4), entry(8)])[1:]
    assert read_beginning([later]).cluster_id == "c1", "older files may be gone"


def test_a_beginning_that_is_damaged_or_missing_is_refused() -> None:
    content = bytearray(file(USUAL))
    content[30] ^= 4
    for files in ([(FIRST, bytes(content))], [(FIRST, bytes(ROOM))], [("0.wal", file(USUAL))], []):
        with pytest.raises(RefusedError):
            read_beginning(files)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (two_files([metadata()], "0000000000000002-0000000000000008.wal"), "does not follow"),
        ([(FIRST, written(USUAL)[0]), (SECOND, written([metadata()], 0x1234)[0])], "does not go on"),
        ([(FIRST, file(USUAL)[:-ROOM][:-8]), two_files([metadata()])[1]], "does not end"),
        (two_files([metadata(member=0xB1)]), "two members"),
        (two_files([metadata(), entry(10)]), "entry 10 cannot follow entry 7"),
        (two_files([metadata(), entry(3)]), "entry 3 cannot follow"),
        (two_files([metadata(), state(3)]), "goes back"),
        (two_files([metadata(), state(4, 1)]), "goes back"),
        (two_files([(9, b"")]), "no record"),
        ([("0.wal", file(USUAL))], "does not follow"),
        ([(FIRST, bytes(ROOM))], "no log"),
        ([], "no log"),
    ],
)
def test_what_is_missing_or_cannot_be_is_refused(files: list[tuple[str, bytes]], found: str) -> None:
    with pytest.raises(RefusedError, match=found):
        read_log(files)


def test_a_write_that_reached_the_disk_in_part_is_not_counted() -> None:
    content, checksum = written(USUAL)
    one = frame(*entry(8, data=b"v" * 3000), checksum)
    for kept in (8, 100, 600, 1500):
        torn = content + one[:kept] + bytes(ROOM)
        log = read_log([(FIRST, torn)])
        assert (log.last_index, log.end) == (7, len(content))
        again = read_log([(FIRST, committed(torn, log))])
        assert (again.last_index, again.commit, again.torn) == (7, 7, 0), "what was torn is gone from the copy"
    assert read_log([(FIRST, content + one[:600])]).torn > 0


def test_sectors_that_were_written_in_another_order_are_not_counted() -> None:
    content, checksum = written(USUAL)
    one = frame(*entry(8, data=b"v" * 3000), checksum)
    gap = bytes(-len(content) % 512 + 512)
    log = read_log([(FIRST, content + gap + one[len(gap) :] + bytes(ROOM))])
    assert (log.last_index, log.end) == (7, len(content))


LONG = (metadata(), snapshot(1, 1), state(1, 1), *(entry(n, data=b"\xa5" * (n * 37)) for n in range(2, 20)), state(18))
WHOLE, _CHECKSUM = written(LONG)


@settings(max_examples=600)
@given(st.integers(0, len(WHOLE) * 8 - 1))
def test_no_flipped_bit_passes_unseen(bit: int) -> None:
    content = bytearray(WHOLE + bytes(ROOM))
    expected = read_log([(FIRST, bytes(content))])
    content[bit // 8] ^= 1 << bit % 8
    try:
        found = read_log([(FIRST, bytes(content))])
    except RefusedError:
        return
    # Bytes that only fill up are under no checksum, and mean nothing.
    assert (found.last_index, found.last_term, found.commit, found.end) == (
        expected.last_index,
        expected.last_term,
        expected.commit,
        expected.end,
    )


@given(st.integers(0, len(WHOLE)))
def test_a_file_that_is_cut_anywhere_ends_before_the_cut_or_is_refused(cut: int) -> None:
    try:
        log = read_log([(FIRST, WHOLE[:cut])])
    except RefusedError:
        return
    assert log.end <= cut
    assert read_log([(FIRST, committed(WHOLE[:cut], log))]).uncommitted == 0


ENTRIES = st.lists(st.binary(max_size=700), min_size=1, max_size=12)


@given(ENTRIES, st.integers(0, 12))
def test_any_log_keeps_every_entry_in_its_copy(values: list[bytes], mark: int) -> None:
    records = [metadata(), state(0, 1), *(entry(n + 1, data=value) for n, value in enumerate(values))]
    content = file([*records, state(min(mark, len(values)))])
    log = read_log([(FIRST, content)])
    after = read_log([(FIRST, committed(content, log))])
    assert (log.last_index, after.last_index, after.commit) == (len(values),) * 3
