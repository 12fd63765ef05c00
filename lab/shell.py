# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs, printing progress, doing things in parallel."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from lab.errors import LabError

Item = TypeVar("Item")
Result = TypeVar("Result")
TAIL_LINES = 25


def say(text: str) -> None:
    """Progress goes to stderr, so that stdout stays a command's answer."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Print what is being done, and how long it took."""
    say(f"{text} ...")
    start = time.monotonic()
    yield
    say(f"{text}: done in {time.monotonic() - start:.1f} s")


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    check: bool = True,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; a failure carries the last lines that it printed."""
    words = [str(word) for word in argv]
    full_env = {**os.environ, **env} if env else None
    try:
        done = subprocess.run(
            words, cwd=cwd, env=full_env, input=stdin, capture_output=True, timeout=timeout, check=False
        )
    except FileNotFoundError as exc:
        raise LabError(f"{words[0]} is not installed.", "python3 -m lab deps") from exc
    except subprocess.TimeoutExpired as exc:
        raise LabError(f"{' '.join(words[:6])} did not end within {timeout:.0f} s.") from exc
    out = done.stdout.decode(errors="replace")
    err = done.stderr.decode(errors="replace")
    if check and done.returncode != 0:
        tail = "\n".join((err or out).strip().splitlines()[-TAIL_LINES:])
        raise LabError(f"{' '.join(words[:8])} ended with status {done.returncode}:\n{tail}")
    return subprocess.CompletedProcess(words, done.returncode, out, err)


def output(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> str:
    """Return the standard output of a program that succeeded, without the last newline."""
    return run(argv, env=env).stdout.strip()


def parallel(function: Callable[[Item], Result], items: Iterable[Item], workers: int = 8) -> list[Result]:
    """Apply `function` to all items at once; every one is finished before the first error is raised."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(function, item) for item in items]
    return [future.result() for future in futures]


def wait_for(what: str, ready: Callable[[], bool], timeout: float, pause: float = 0.1) -> None:
    """Poll until `ready` says yes."""
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            raise LabError(f"{what} was not ready within {timeout:.0f} s.")
        time.sleep(pause)
