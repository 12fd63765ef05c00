# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot as a file: what is wrong with it, what it is called, which ones go, how much room it takes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import snapshot_file as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.snapshot_store import SnapshotStore

PAGES = 6


def meta(transaction: int, page_size: int) -> bytes:
    body = subject.META.pack(subject.MAGIC, subject.VERSION, page_size, 0, 3, 0, 2, PAGES, transaction, 0)[:-8]
    return b"\0" * subject.PAGE_HEADER + body + subject._fnv(body).to_bytes(8, "little")


def database(page_size: int = 4096) -> bytes:
    pages = [meta(4, page_size), meta(3, page_size), *(bytes([number]) * page_size for number in range(2, PAGES))]
    return b"".join(page.ljust(page_size, b"\0") for page in pages)


def sealed(data: bytes) -> bytes:
    return data + hashlib.sha256(data).digest()


def judged(content: bytes, directory: Path) -> str:
    file = directory / "judged"
    file.write_bytes(content)
    return subject.defect(SnapshotStore(str(directory)).read(str(file)))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("judged")


@pytest.mark.parametrize("page_size", subject.PAGE_SIZES)
def test_a_whole_one_is_good_whatever_its_pages(page_size: int, place: Path) -> None:
    assert judged(sealed(database(page_size)), place) == ""


@settings(max_examples=200, deadline=None)
@given(bit=st.integers(0, (PAGES * 4096 + 32) * 8 - 1))
def test_no_flipped_bit_passes(bit: int, place: Path) -> None:
    content = bytearray(sealed(database()))
    content[bit // 8] ^= 1 << bit % 8
    assert "damaged" in judged(bytes(content), place)


@settings(max_examples=200, deadline=None)
@given(size=st.integers(0, PAGES * 4096 + 31))
def test_no_truncated_one_passes(size: int, place: Path) -> None:
    assert judged(sealed(database())[:size], place)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"x" * 9000, "no database of etcd"),
        (sealed(database())[:9000], "truncated: 9000 bytes of 24608"),
        (sealed(database())[: 512 * 10 + 32], "truncated"),
        (database(), "raw copy"),
        (database() + b"\0" * 8192, "raw copy"),
        (sealed(database()) + b"x", "length is wrong"),
        (sealed(database() + b"\0" * 512), "length is wrong"),
        (b"\0" * 4096 + sealed(database())[4096:], "damaged"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, words: str, place: Path) -> None:
    assert words in judged(content, place)


def test_the_store_tells_the_checksum_of_the_whole_file(tmp_path: Path) -> None:
    for size in (0, 1, 31, 32, 33, 1 << 20, (1 << 20) + 5, (1 << 21) + 32):
        content = b"a" * size
        (tmp_path / "x").write_bytes(content)
        seen = SnapshotStore(str(tmp_path)).read(str(tmp_path / "x"))
        assert (seen.size, seen.sha256) == (size, hashlib.sha256(content).hexdigest())
        assert seen.head == content[: subject.HEAD]
        assert not seen.sealed
    (tmp_path / "x").write_bytes(sealed(b"b" * ((1 << 20) - 16)))
    assert SnapshotStore(str(tmp_path)).read(str(tmp_path / "x")).sealed


def test_names_tell_cluster_revision_and_time() -> None:
    name = subject.file_name("prod", 42, 1_795_000_000.5)
    assert name == "etcd-prod-r42-20261118T110640Z.db"
    assert subject.ours([name, "etcd-prod-r42-20261118T110640Z.db.bak", f"x{name}"], "prod") == [name]
    assert subject.ours([name], "pro") == subject.ours([name], "prod-r42") == subject.ours([name], "pr.d") == []


@pytest.mark.parametrize("name", ["a/b", "../x", "", "a b", "a\n", "-a", "a" * 64, "a\0"])
def test_a_cluster_that_cannot_be_in_a_file_name(name: str) -> None:
    with pytest.raises(InputError):
        subject.check_cluster(name)


@given(days=st.lists(st.integers(1, 28), unique=True), keep=st.integers(0, 40))
def test_what_remains_is_the_newest(days: list[int], keep: int) -> None:
    names = [f"etcd-c-r{100 - day}-202601{day:02}T000000Z.db" for day in days]
    gone = subject.surplus(names, "c", keep)
    left = sorted(set(names) - set(gone))
    assert len(left) == (len(names) if not keep else min(len(names), keep - 1))
    by_time = sorted(names, key=lambda name: name.rpartition("-")[2])
    assert gone == by_time[: len(gone)]


def test_room() -> None:
    mib = 1 << 20
    assert subject.needed(100 * mib, "status", saves=True) == subject.needed(100 * mib, "none", saves=True)
    assert subject.needed(100 * mib, "status", saves=True) == int(110 * mib)
    assert subject.needed(100 * mib, "restore", saves=True) == 250 * mib + 64 * mib
    assert subject.needed(100 * mib, "restore", saves=False) == 150 * mib + 64 * mib
    assert subject.needed(100 * mib, "status", saves=False) == 0
