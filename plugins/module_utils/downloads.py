# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a download is, and whether a server's answer is it. Pure: nothing is opened here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from .errors import InputError

SHA256 = re.compile(r"[0-9a-f]{64}")
RELATIVE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")
# Programs and archives never come as these: a proxy's login or a file server's error page does.
PAGES = ("text/html", "application/xhtml+xml")
PARTIAL = 206
AFTER_THE_END = 416


class Answer(Protocol):
    """An open answer of a server."""

    status: int
    headers: Mapping[str, str]

    def read(self, amount: int) -> bytes:
        """At most so many bytes; none at the end."""


class UnusableError(Exception):
    """A server's answer is not the file. again: another try may help. keep: what has arrived is a good beginning."""

    def __init__(self, reason: str, *, again: bool = False, keep: bool = True) -> None:
        super().__init__(reason)
        self.again = again
        self.keep = keep


@dataclass(frozen=True)
class Download:
    """A file: where it goes, below a directory; where it may be had; its checksum and size (0: unknown).

    sums_urls: where its checksum may be had, when sha256 is "". unpack: member of the archive -> path below the
    directory. Empty: the file itself is wanted.
    """

    path: str
    urls: tuple[str, ...]
    sha256: str
    size: int = 0
    sums_urls: tuple[str, ...] = ()
    unpack: Mapping[str, str] = field(default_factory=dict)


def parse_downloads(rows: Sequence[Mapping[str, Any]]) -> list[Download]:
    """Lists of dicts from a task's arguments. Anything unexpected is refused: it decides what root writes where."""
    parsed = [_parse(row) for row in rows]
    paths = [path for item in parsed for path in (item.path, *item.unpack.values())]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        raise InputError("two downloads go to the same path", found=", ".join(twice), next_step="correct `files`")
    return parsed


def _parse(row: Mapping[str, Any]) -> Download:
    path, sha256 = str(row.get("path") or ""), str(row.get("sha256") or "")
    urls, sums = ([str(url) for url in row.get(name) or []] for name in ("urls", "sums_urls"))
    unpack = {str(member): str(target) for member, target in (row.get("unpack") or {}).items()}
    for value in (path, *unpack.values()):
        if not RELATIVE.fullmatch(value):
            raise InputError("this is no path below the directory", found=repr(value[:120]), next_step="correct `path`")
    if not SHA256.fullmatch(sha256) and (sha256 or not sums):
        raise InputError(
            "nothing is fetched without a checksum",
            where=path,
            found=f"sha256 {sha256[:80]!r}",
            next_step="give the 64 hexadecimal digits that the publisher gives",
        )
    for url in (*urls, *sums):
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise InputError("this is no URL to fetch from", where=path, found=repr(url[:200]), next_step="use https")
    if not urls:
        raise InputError("a download needs a URL", where=path, next_step="name at least one in `urls`")
    return Download(path, tuple(urls), sha256, int(row.get("size") or 0), tuple(sums), unpack)


def checksum_in(text: str, name: str) -> str:
    """The SHA-256 of a file in what its publisher tells: a list of sums and names, or the one sum alone."""
    listed = re.findall(r"^([0-9a-f]{64})[ \t]+[*]?(?:\./)?(\S+)[ \t]*$", text, re.MULTILINE)
    for sha256, told in listed:
        if told.rsplit("/", 1)[-1] == name:
            return str(sha256)
    alone = re.fullmatch(r"\s*([0-9a-f]{64})\s*", text)
    return alone.group(1) if alone else ""


def temporary(path: str) -> str:
    """Where a download grows until it is whole: beside its place, so that the rename is atomic."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.part")


@dataclass(frozen=True)
class Span:
    """From which byte an answer goes on, and how long the whole file is (0: nobody says)."""

    begins: int
    total: int


def judge(item: Download, answer: Answer, offset: int) -> Span:
    """What part of the file the answer is; UnusableError when it is none."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if kind in PAGES:
        raise UnusableError(f"answers {answer.status} with a page ({kind}), not with the file")
    if answer.status == AFTER_THE_END:
        raise UnusableError(f"has fewer than {offset + 1} bytes", again=True, keep=False)
    if answer.status not in (200, PARTIAL):
        raise UnusableError(f"answers {answer.status}", again=answer.status >= 500)
    begins = 0
    if answer.status == PARTIAL:
        found = re.match(r"bytes (\d+)-", headers.get("content-range", ""))
        begins = int(found.group(1)) if found else -1
        if begins != offset:
            raise UnusableError(f"was asked to go on at byte {offset} and goes on elsewhere", again=True, keep=False)
    length = headers.get("content-length", "")
    total = begins + int(length) if length.isdigit() else 0
    if item.size and total and total != item.size:
        raise UnusableError(f"has {total} bytes, expected {item.size}")
    return Span(begins, item.size or total)


def expect(item: Download, span: Span, size: int, sha256: str) -> None:
    """Whether what has arrived is the file. A beginning is kept; anything else is thrown away."""
    if span.total and size < span.total:
        raise UnusableError(f"broke off after {size} of {span.total} bytes", again=True)
    if sha256 != item.sha256:
        # What an earlier run left may have been another file's beginning: one try from the start tells.
        found = f"expected sha256 {item.sha256}, actual {sha256} ({size} bytes)"
        raise UnusableError(found, again=span.begins > 0, keep=False)
