# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that holds a run's lock: it takes it, renews it, and gives it back when the run has ended, in any way.

Started by the action run_lock in a session of its own, so it survives a kill of Ansible's whole process group. It gets
its job on standard input and answers with one line; after that it is connected to nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils import run_lease, run_lock
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, KubeadmError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import KubeApi, open_api
from ansible_collections.quorum.kubeadm.plugins.module_utils.run_lock import CLAIMED, CONTROLLER, LEASE, Holder
from ansible_collections.quorum.kubeadm.plugins.plugin_utils import controller_lock, run_state

# Seconds between two tries while the Lease is not held, or could not be renewed.
RETRY = 2.0
# A wait goes on where it was when the process or the controller was stopped meanwhile: so it is cut into such parts.
PART = 1.0
# A process that cannot be waited for is looked at so often.
LOOK = 0.2
LONG = 3600.0
# How long a keeper goes on when its run has ended: where no API answers it would ask in vain, and the kernel's lock
# would keep the next run out.
PARTING = 5.0
# So often it is tried to give the Lease back.
GIVE_BACK = 5
PLUGINS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Imports this file where it lies: another package of Ansible collections may be installed for the interpreter.
START = """
import sys, types
name, *parts = "ansible_collections", "quorum", "kubeadm", "plugins"
for part in [None, *parts]:
    name = f"{name}.{part}" if part else name
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [sys.argv[1]] if part == "plugins" else []
from ansible_collections.quorum.kubeadm.plugins.plugin_utils import run_keeper
run_keeper.main()
"""
ENDED = "the run has ended"
WAIT = "wait until that run has ended. One that was killed loses the lock at the time told"


@dataclass(frozen=True)
class Job:
    """What a keeper is told. watched: the process id of ansible-playbook; `started` tells it from a later one."""

    run: str
    playbook: str
    since: str
    cluster: str
    kubeconfig: str
    endpoints: list[str]
    locks: str
    state: str
    watched: int
    started: str


class Keeper:
    """Holds the lock of one run. `opened` gives a client of the API, or raises KubeadmError."""

    def __init__(self, job: Job, opened: Callable[[], KubeApi], clock: Callable[[], float] = run_state.now) -> None:
        self._job = job
        self._me = run_lock.Run(job.run, job.playbook)
        self._opened = opened
        self._clock = clock
        self._place = ""
        self._level = CONTROLLER
        self._token = 0
        self._confirmed = clock()
        self._next = self._confirmed
        self._lost = ""
        self._writing = threading.Lock()

    def take(self) -> dict[str, Any]:
        """Take the lock or refuse, naming the holder; the state, with a warning when the API could not be asked."""
        job = self._job
        mine = {"run": job.run, "playbook": job.playbook, "since": job.since}
        other = controller_lock.take(job.locks, job.cluster, mine)
        until = time.monotonic() + PARTING + RETRY
        # Its run has ended, and its keeper is about to end too.
        while isinstance(other, Holder) and run_state.has_ended(other.run) and time.monotonic() < until:
            time.sleep(LOOK)
            other = controller_lock.take(job.locks, job.cluster, mine)
        if isinstance(other, Holder):
            raise run_lock.refusal(other, f"this controller, {job.cluster}", "wait until that run has ended")
        self._place = controller_lock.place(job.locks)
        warning = ""
        try:
            self._hold()
        except RefusedError:
            raise
        except KubeadmError as exc:
            warning = f"The lock holds on this controller only, until the API answers. {exc}"
        return {**self._write(), "warning": warning}

    def due(self) -> float:
        """Seconds until it is to be renewed."""
        return max(self._next - self._clock(), 0.0)

    def renew(self) -> None:
        """Renew it, or take the Lease as soon as there is one to take. RefusedError: it is lost."""
        try:
            self._hold()
        except RefusedError:
            raise
        except KubeadmError:
            claimed = run_state.has_claims(self._job.state)
            if self._level == LEASE and not claimed:
                return
            # The kernel's lock holds, and whoever finds no API either finds the claims.
            self._level, self._confirmed = CLAIMED if claimed else CONTROLLER, self._clock()
        self._write()

    def stop(self, why: str) -> None:
        """Whatever still runs of this run changes nothing more."""
        with self._writing:
            self._lost = self._lost or why
        self._write()

    def end(self, why: str, sleep: Callable[[float], None] = time.sleep) -> None:
        """Stop it; only then others may begin. A Lease that cannot be given back ends by itself."""
        self.stop(why)
        for _attempt in range(GIVE_BACK if self._token else 0):
            try:
                run_lease.give_back(self._opened(), self._me)
            except KubeadmError:
                sleep(LOOK)
            else:
                return

    def _hold(self) -> None:
        """Confirm it on the highest level there is. RefusedError: somebody else has it."""
        asked = self._clock()
        self._next = asked + RETRY
        if not self._job.kubeconfig or not os.path.exists(self._job.kubeconfig):
            self._confirmed = asked
            return
        # After a time on claims the Lease is taken anew: the API may have an older one, from a restored database.
        step = run_lease.hold(self._opened(), self._me, self._token if self._level == LEASE else 0)
        if step.body is None:
            found = f"it is held by {step.holder}" if step.holder else "its Lease was taken by another run, or removed"
            if step.holder and not self._token:
                raise run_lock.refusal(step.holder, f"{run_lease.SHOWN}, {self._job.cluster}", WAIT)
            raise run_lock.lost(self._job.cluster, found)
        if self._level != LEASE:
            run_state.forget_claims(self._job.state)
        self._level, self._token = LEASE, step.token
        self._confirmed, self._next = asked, asked + run_lock.RENEWAL

    def _write(self) -> dict[str, Any]:
        with self._writing:
            held = {
                "run": self._job.run,
                "playbook": self._job.playbook,
                "cluster": self._job.cluster,
                "place": self._place,
                "level": self._level,
                "token": self._token,
                "confirmed": self._confirmed,
                "keeper": os.getpid(),
                "lost": self._lost,
            }
            run_state.write(self._job.state, held)
        return held


class Watch:
    """Waits for the end of a process, or for SIGTERM."""

    def __init__(self, pid: int, began: str) -> None:
        self._pid, self._began = pid, began
        self.told = False
        self._wake, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        signal.signal(signal.SIGTERM, self._tell)
        try:
            self._process = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1
        except OSError:
            self._process = -1

    def over(self, seconds: float) -> bool:
        """Wait so long; whether there is nothing more to keep."""
        until = run_state.now() + seconds
        while not self._over() and run_state.now() < until:
            watched = [self._wake, *([self._process] if self._process >= 0 else [])]
            part = PART if self._process >= 0 else LOOK
            select.select(watched, [], [], max(min(until - run_state.now(), part), 0))
        return self._over()

    def _over(self) -> bool:
        return self.told or not run_state.is_alive(self._pid, self._began)

    def _tell(self, *_signal: object) -> None:
        self.told = True


def start(job: Mapping[str, Any]) -> dict[str, Any]:
    """Start a keeper and give its answer: the state, or the error of a lock that could not be taken."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, PLUGINS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both are pipes")
    with process.stdout:
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(json.dumps(job).encode())
        line = process.stdout.readline()
    if not line:
        process.wait()
        error = CommandError(
            "the process that keeps the run's lock has ended at its start",
            where=f"this controller, {sys.executable}",
            next_step="see that the disk of the home directory is not full and can be written to",
        )
        return error.result()
    answer: dict[str, Any] = json.loads(line)
    return answer


def _answer(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


def _part(keeper: Keeper, watch: Watch) -> None:
    """End this process a while after its run has ended, also in the middle of a question that nobody answers."""
    while not watch.over(LONG):
        pass
    keeper.stop(ENDED)
    signal.setitimer(signal.ITIMER_REAL, PARTING)


def keep(keeper: Keeper, watch: Watch) -> None:
    """Renew until the run has ended, or has lost its lock."""
    threading.Thread(target=_part, args=(keeper, watch), daemon=True).start()
    try:
        while not watch.over(keeper.due()):
            keeper.renew()
    except RefusedError as exc:
        keeper.end(exc.found)
        # The kernel's lock stays until the run has ended: what it has begun is not over.
        while not watch.over(LONG):
            pass
    keeper.end(ENDED)


def main() -> None:
    """The process."""
    os.umask(0o077)
    job = Job(**json.load(sys.stdin))
    watch = Watch(job.watched, job.started)
    params = {"kubeconfig": job.kubeconfig, "endpoints": job.endpoints, "timeout": 0}
    keeper = Keeper(job, lambda: open_api(params, dry_run=False))
    try:
        _answer(keeper.take())
    except KubeadmError as exc:
        _answer(exc.result())
        return
    keep(keeper, watch)
