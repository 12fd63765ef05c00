# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads that are what they should be: by checksum, resumed where they broke off, and renamed only when right."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Optional
from urllib.error import HTTPError, URLError

from ansible_collections.quorum.kubeadm.plugins.module_utils.downloads import (
    Download,
    UnusableError,
    checksum_in,
    expect,
    judge,
    temporary,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch_http import Opener
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_memory import file_sha256

BLOCK = 256 * 1024
# A server that breaks off, or is being restarted, gets this many chances; each goes on where the last one ended.
ATTEMPTS = 3
PAUSE = 1.0
PARALLEL = 4
SUMS_LIMIT = 1 << 20
# How much more than the downloads themselves a file system must have free.
SPARE = 64 * 1024 * 1024

Progress = Optional[Callable[[Download, int], None]]


@dataclass(frozen=True)
class Fetched:
    """A file that is there now. url "": it was there before. received: bytes that came over the network."""

    path: str
    url: str = ""
    received: int = 0
    seconds: float = 0.0


class Fetcher:
    """Brings files to one directory. `opener` opens a URL from an offset."""

    def __init__(
        self, opener: Opener, directory: str, *, known: Mapping[str, str] | None = None, progress: Progress = None
    ) -> None:
        self.opener = opener
        self.directory = directory
        self.known = known or {}
        self.progress = progress

    def missing(self, downloads: Iterable[Download]) -> list[Download]:
        """Those that are not there with the right content; of unknown content nobody can say so."""
        return [item for item in downloads if not item.sha256 or self._present(item) != item.sha256]

    def fetch(self, downloads: list[Download], parallel: int = PARALLEL) -> list[Fetched]:
        """Bring all of them; when some cannot be had, one error tells all of those and the others are kept."""
        missing = self.missing(downloads)
        self._require_space(missing)
        with ThreadPoolExecutor(max_workers=parallel) as pool:
            outcomes = list(pool.map(self._outcome, missing))
        wrong = [outcome for outcome in outcomes if isinstance(outcome, str)]
        if wrong:
            raise UnreachableError(
                f"{len(wrong)} of {len(downloads)} files could not be had; no service was touched",
                where=self.directory,
                found="; ".join(wrong),
                next_step="correct what is named, then run the same playbook again: what has arrived is kept",
            )
        fetched = {item.path: found for item, found in zip(missing, outcomes) if isinstance(found, Fetched)}
        return [fetched.get(item.path) or Fetched(item.path) for item in downloads]

    def _path(self, relative: str) -> str:
        return os.path.join(self.directory, relative)

    def _present(self, item: Download) -> str:
        """The checksum of what is there, "" for nothing."""
        path = self._path(item.path)
        if path in self.known:
            return self.known[path]
        try:
            return file_sha256(path)
        except OSError:
            return ""

    def _require_space(self, missing: list[Download]) -> None:
        if not missing:
            return
        os.makedirs(self.directory, mode=0o755, exist_ok=True)
        info = os.statvfs(self.directory)
        free, wanted = info.f_bavail * info.f_frsize, sum(item.size for item in missing) + SPARE
        if free < wanted:
            raise RefusedError(
                "there is no room for the downloads",
                where=self.directory,
                found=f"{free >> 20} MiB free, {wanted >> 20} MiB needed",
                next_step="free some, or choose another directory",
            )

    def _outcome(self, item: Download) -> Fetched | str:
        """One file from the first of its URLs that has it; else what every URL did instead."""
        began, problems = time.monotonic(), []
        os.makedirs(os.path.dirname(self._path(item.path)), mode=0o755, exist_ok=True)
        try:
            known = item if item.sha256 else replace(item, sha256=published_sum(self.opener, item))
            for url in item.urls:
                try:
                    received = self._from(known, url)
                    return Fetched(item.path, url, received, round(time.monotonic() - began, 2))
                except UnusableError as exc:
                    problems.append(f"{url} {exc}")
        except UnusableError as exc:
            problems.append(str(exc))
        return f"{item.path}: {' | '.join(problems)}"

    def _from(self, item: Download, url: str) -> int:
        """Try one URL, again while that can help. Returns the bytes received."""
        received, part = [0], self._path(temporary(item.path))
        for attempt in range(ATTEMPTS):
            time.sleep(PAUSE * attempt)
            try:
                self._once(item, url, part, received)
                break
            except UnusableError as exc:
                if not exc.keep and os.path.exists(part):
                    os.unlink(part)
                if not exc.again or attempt == ATTEMPTS - 1:
                    raise
            except (OSError, http.client.HTTPException) as exc:
                if attempt == ATTEMPTS - 1:
                    raise UnusableError(_words(exc)) from exc
        return received[0]

    def _once(self, item: Download, url: str, part: str, received: list[int]) -> None:
        offset, digest = _begun(part)
        with self.opener.open(url, offset) as answer:
            span = judge(item, answer, offset)
            if not span.begins:
                offset, digest = 0, hashlib.sha256()
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_APPEND if offset else os.O_TRUNC)
            with os.fdopen(os.open(part, flags, 0o600), "ab" if offset else "wb") as target:
                for block in iter(lambda: answer.read(BLOCK), b""):
                    target.write(block)
                    digest.update(block)
                    offset += len(block)
                    received[0] += len(block)
                    # A server that sends more than it should is stopped before it fills the disk.
                    if span.total and offset > span.total:
                        raise UnusableError(f"sends more than {span.total} bytes", keep=False)
                    if self.progress:
                        self.progress(item, offset)
        expect(item, span, offset, digest.hexdigest())
        os.chmod(part, 0o644)
        os.rename(part, self._path(item.path))


def published_sum(opener: Opener, item: Download) -> str:
    """The checksum as its publisher tells it, where the collection's table has none."""
    problems, name = [], os.path.basename(item.path)
    for url in item.sums_urls:
        try:
            with opener.open(url, 0) as answer:
                judge(replace(item, size=0), answer, 0)
                found = checksum_in(answer.read(SUMS_LIMIT).decode("utf-8", "replace"), name)
            if found:
                return found
            problems.append(f"{url} has no checksum of {name}")
        except UnusableError as exc:
            problems.append(f"{url} {exc}")
        except (OSError, http.client.HTTPException) as exc:
            problems.append(f"{url} {_words(exc)}")
    raise UnusableError(" | ".join(problems))


def size_of(opener: Opener, item: Download) -> int:
    """What the first server that has it says of its size, 0 when nobody does. Nothing is downloaded."""
    for url in item.urls:
        try:
            with opener.open(url, 0) as answer:
                return judge(item, answer, 0).total
        except (UnusableError, OSError, http.client.HTTPException):
            continue
    return 0


def _begun(part: str) -> tuple[int, hashlib._Hash]:
    """What an earlier attempt left: its size, and the checksum so far."""
    digest, size = hashlib.sha256(), 0
    try:
        with open(part, "rb", buffering=0) as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
                size += len(block)
    except OSError:
        pass
    return size, digest


def _words(exc: Exception) -> str:
    if isinstance(exc, HTTPError):
        return f"answers {exc.code} {exc.reason}"
    reason = exc.reason if isinstance(exc, URLError) else exc
    return f"does not answer: {getattr(reason, 'strerror', None) or reason}"
