# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the keeper of a run's lock writes, and what every task reads before it changes something. No remote call.

It is in the temporary directory that Ansible makes for each run, which all its worker processes inherit: where there is
such a state, this run has a lock. Nothing here imports Ansible, because the keeper does not.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils import run_lock

STATE, CLAIMS = "held.json", "claims"
# How long a task waits for a lock that could not be confirmed lately: a single control plane restarts meanwhile.
PATIENCE, PAUSE = 60.0, 0.2
# It goes on while the controller sleeps. Where a system lacks it (macOS), CLOCK_MONOTONIC does.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Seconds on a clock that all processes of this machine share, and that nobody sets."""
    return time.clock_gettime(CLOCK)


def within(local_tmp: str) -> str:
    """The directory of the state, below the run's own temporary one."""
    return os.path.join(local_tmp, "quorum-kubeadm")


def write(directory: str, held: Mapping[str, Any]) -> None:
    """Replace the state at once. A run that has ended has taken its directory away: nothing is to be told then."""
    path = os.path.join(directory, STATE)
    try:
        descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(held, stream)
        os.replace(f"{path}.new", path)
    except FileNotFoundError:
        return


def read(directory: str) -> dict[str, Any] | None:
    """The state; None when this run has no lock."""
    try:
        with open(os.path.join(directory, STATE), encoding="utf-8") as stream:
            held: dict[str, Any] = json.load(stream)
    except FileNotFoundError:
        return None
    return held


def note_claims(directory: str) -> None:
    """Tell the keeper that hosts are claimed: the lock then does without the API, which this run begins or stops."""
    with open(os.path.join(directory, CLAIMS), "w", encoding="utf-8"):
        return


def has_claims(directory: str) -> bool:
    """Whether that was told."""
    return os.path.exists(os.path.join(directory, CLAIMS))


def forget_claims(directory: str) -> None:
    """The Lease has taken their place."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, CLAIMS))


def started(pid: int) -> str:
    """When a process began, which tells it from a later one; "" when it has ended or the system does not tell."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            words = stream.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] in "ZX" else words[19]


def is_alive(pid: int, began: str = "") -> bool:
    """Whether there is such a process, and it is the one that began then."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    tells = bool(started(os.getpid()))
    return not tells or (started(pid) == began if began else bool(started(pid)))


def has_ended(run: str) -> bool:
    """Whether the process of this run (its id: who@controller:process:random) was here, and is gone."""
    who, _colon, process = run.rpartition(":")[0].partition(":")
    here = who.rpartition("@")[2] == socket.gethostname()
    return here and process.isdigit() and not is_alive(int(process))


def require(
    directory: str, *, clock: Callable[[], float] = now, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any] | None:
    """The state of a lock that this run holds, None when it uses none. RefusedError when it has lost it."""
    until = clock() + PATIENCE
    while True:
        held = read(directory)
        if held is None:
            return None
        if held["lost"]:
            raise run_lock.lost(held["cluster"], held["lost"])
        if not run_lock.is_stale(held, clock()):
            return held
        seconds = f"it was confirmed {clock() - held['confirmed']:.0f} s ago"
        if not is_alive(held["keeper"]):
            raise run_lock.lost(held["cluster"], f"{seconds}, and the process that renews it is gone")
        if clock() >= until:
            raise run_lock.lost(held["cluster"], f"{seconds}; no API answers, or it does not let it be renewed")
        sleep(PAUSE)
