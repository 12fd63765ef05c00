# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A member's snapshot through etcd's JSON gateway: one JSON object a line, each with a piece of the database."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from .errors import ApiError, UnreachableError
from .etcd_api import number, posted, tls_context

PATH = "/v3/maintenance/snapshot"
BLOCK = 1 << 18
# etcd sends 32 KiB a line; much more is no snapshot, and is not to be held in memory.
LONGEST_LINE = 1 << 24


class Readable(Protocol):
    """The body of an answer."""

    def read1(self, size: int) -> bytes:
        """What has come by now, at most so much; nothing at the end."""


def lines(body: Readable, expired: Callable[[], bool]) -> Iterator[bytes]:
    """Line by line, as it comes. Raises OSError when it takes too long."""
    rest = b""
    while block := body.read1(BLOCK):
        if expired():
            raise OSError("it took longer than wait_seconds")
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
        if len(rest) > LONGEST_LINE:
            raise OSError(f"a line of more than {LONGEST_LINE} bytes")
    if rest:
        yield rest


def pieces(body: Iterator[bytes], where: str) -> Iterator[bytes]:
    """The database's pieces. Raises when etcd tells an error, or ends before it has sent what it announced."""
    left = -1
    for line in body:
        answer = _object(line)
        told = answer.get("result")
        if not isinstance(told, dict):
            error = answer.get("error")
            found = error.get("message") if isinstance(error, dict) else error or line[:200].decode("utf-8", "replace")
            raise ApiError("etcd broke a snapshot off", where=where, found=str(found))
        left = number(told.get("remaining_bytes"))
        yield base64.b64decode(told.get("blob") or "")
    if left:
        found = "nothing" if left < 0 else f"{left} bytes have not come"
        raise UnreachableError(
            "a snapshot came in part only", where=where, found=found, next_step="look at that etcd, then run again"
        )


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def snapshot(url: str, files: tuple[str, str, str], stall: float, seconds: float) -> Iterator[bytes]:
    """Ask a member. files: CA, certificate, key. stall: seconds without a byte; seconds: for all of it."""
    context, deadline = tls_context(*files), time.monotonic() + seconds
    try:
        with posted(context, url.rstrip("/") + PATH, b"{}", stall) as answer:
            if answer.status != 200:
                said = answer.read(2000).decode("utf-8", "replace")
                raise ApiError("etcd refused a snapshot", status=answer.status, where=url, found=said)
            yield from pieces(lines(answer, lambda: time.monotonic() > deadline), url)
    except OSError as exc:
        raise UnreachableError(
            "etcd stopped to send its snapshot",
            where=url,
            found=str(exc) or type(exc).__name__,
            next_step="look at that etcd: crictl or ctr, journalctl -u kubelet or -u etcd",
        ) from exc
