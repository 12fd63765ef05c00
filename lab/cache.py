# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that are made once: a directory per content key, safe against interruption and against a second builder."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.shell import say, step

KEY_LENGTH = 12
CHUNK = 1 << 20


def content_key(*parts: object) -> str:
    """Hash a recipe: strings, numbers, lists, dicts, and the contents of files and directories given as paths."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            for path in sorted(part.rglob("*")) if part.is_dir() else [part]:
                if path.is_file():
                    digest.update(f"{path.relative_to(part.parent)}\0{file_sha256(path)}\0".encode())
        else:
            digest.update(json.dumps(part, sort_keys=True).encode() + b"\0")
    return digest.hexdigest()[:KEY_LENGTH]


def file_sha256(path: Path) -> str:
    """Hash a file without reading all of it into memory."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def lock(path: Path, waiting_for: str) -> Iterator[None]:
    """Hold an exclusive lock on a file; the kernel frees it when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{waiting_for}: another process is at it, waiting for it ...")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def cached(cache: Path, kind: str, name: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the directory `<cache>/<kind>/<name>-<key>`; `make` fills it when it is not there yet."""
    target = cache / kind / f"{name}-{key}"
    if target.is_dir():
        return target
    with lock(cache / "locks" / f"{kind}-{name}-{key}.lock", f"{kind} {name}"):
        if target.is_dir():
            return target
        _sweep(target)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=_made(target.parent)))
        with step(f"{kind} {name}"):
            make(work)
        work.chmod(0o755)
        work.rename(target)
    return target


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _sweep(target: Path) -> None:
    # Only the lock's holder gets here, so what lies there was left by a builder that died.
    for leftover in target.parent.glob(f".{target.name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)


def point(link: Path, target: Path) -> None:
    """Make `link` a relative symlink to `target`, with no moment without a link."""
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(os.path.relpath(target, link.parent))
    fresh.replace(link)
