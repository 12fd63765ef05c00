# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The snapshot through the JSON gateway: written as it comes, refused when it ends too early or with an error."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_stream as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, CommandError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.snapshot_store import SnapshotStore

URL = "https://192.0.2.11:2379"


def line(blob: bytes, left: int) -> bytes:
    told: dict[str, str] = {"blob": base64.b64encode(blob).decode()}
    if left:
        told["remaining_bytes"] = str(left)
    return json.dumps({"result": told}).encode() + b"\n"


class Body:
    """Gives a text in blocks of any size, and counts how much has been taken."""

    def __init__(self, content: bytes, size: int) -> None:
        self.content = content
        self.size = size
        self.taken = 0

    def read1(self, size: int) -> bytes:
        block = self.content[self.taken : self.taken + min(size, self.size)]
        self.taken += len(block)
        return block


def read(content: bytes, size: int = 7) -> bytes:
    return b"".join(subject.pieces(subject.lines(Body(content, size), lambda: False), URL))


@pytest.mark.parametrize("size", [1, 7, 64, 1 << 20])
def test_the_pieces_whatever_the_blocks(size: int) -> None:
    assert read(line(b"abc", 5) + line(b"de", 3) + line(b"fgh", 0), size) == b"abcdefgh"
    assert read((line(b"abc", 5) + line(b"defgh", 0)).rstrip(b"\n"), size) == b"abcdefgh"


def test_it_is_never_held_in_memory() -> None:
    body = Body(line(b"abc", 5) + line(b"de", 3) + line(b"fgh", 0), 40)
    pieces = subject.pieces(subject.lines(body, lambda: False), URL)
    assert next(pieces) == b"abc"
    assert body.taken < len(body.content)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "nothing"),
        (line(b"abc", 5), "5 bytes have not come"),
        (line(b"abc", 5) + line(b"de", 3)[:20], "result"),
        (line(b"abc", 5) + b'{"error": {"code": 8, "message": "etcdserver: mvcc: storage is closed"}}\n', "is closed"),
        (b'{"error": "etcdserver: permission denied"}', "permission denied"),
        (b"<html>", "<html>"),
        (b"[1]", "[1]"),
    ],
)
def test_what_is_not_whole_is_refused(content: bytes, found: str) -> None:
    with pytest.raises((ApiError, UnreachableError)) as caught:
        read(content)
    assert found in caught.value.found


def test_a_line_without_an_end_and_a_time_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "LONGEST_LINE", 1000)
    with pytest.raises(OSError, match="a line of more than"):
        list(subject.lines(Body(b"x" * 2000, 100), lambda: False))
    with pytest.raises(OSError, match="wait_seconds"):
        list(subject.lines(Body(b"x\n" * 50, 2), lambda: True))


def test_the_file_is_private_from_its_creation_and_a_full_disk_has_words(tmp_path: Path) -> None:
    store, file = SnapshotStore(str(tmp_path)), tmp_path / "db"

    def blocks() -> Iterator[bytes]:
        assert file.stat().st_mode & 0o777 == 0o600, "before the first byte"
        yield b"abc"

    store.write(str(file), blocks())
    assert file.read_bytes() == b"abc"

    def full() -> Iterator[bytes]:
        yield b"abc"
        raise OSError(28, "No space left on device")

    with pytest.raises(CommandError, match="No space left"):
        store.write(str(tmp_path / "other"), full())
    with pytest.raises(CommandError, match="File exists"):
        store.write(str(file), iter([b"x"]))
