# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out the first start of a member of a new cluster: looks, decides, writes, starts, waits, cleans up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import ApiError, CommandError, UnreachableError
from .etcd_beginning import Begin, Beginning, Known, Seen, decide, members_of
from .etcd_probe import Connect

PAUSE = 0.25


class Machine(Protocol):
    """etcd's service and its files on this host."""

    def has_data(self) -> bool: ...

    def initial(self) -> str | None: ...

    def write(self, text: str) -> None: ...

    def start(self) -> None: ...

    def failure(self) -> str: ...

    def log(self) -> str: ...

    def finished(self) -> None: ...


@dataclass
class FirstStart:
    """One call: endpoints are this member's own, others those of the other members to be."""

    machine: Machine
    connect: Connect
    want: Begin
    endpoints: Sequence[str]
    others: Sequence[str] = ()
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def look(self) -> Seen:
        """Everything that decides. The others are asked only where this host has nothing of its own."""
        data, initial = self.machine.has_data(), self.machine.initial()
        own, settled = self._own()
        others: Mapping[str, tuple[Known, ...] | str] = {}
        if own is None and not data:
            with ThreadPoolExecutor(max_workers=max(len(self.others), 1)) as pool:
                others = dict(zip(self.others, pool.map(self._ask, self.others)))
        return Seen(data, initial, own, settled, others)

    def _own(self) -> tuple[tuple[Known, ...] | None, bool]:
        for linearizable in (True, False):
            for url in self.endpoints:
                try:
                    return members_of(self.connect(url).members(linearizable)), linearizable
                except (ApiError, UnreachableError):
                    continue
        return None, False

    def _ask(self, url: str) -> tuple[Known, ...] | str:
        try:
            return members_of(self.connect(url).members(linearizable=False))
        except (ApiError, UnreachableError) as exc:
            return exc.found or exc.what

    def run(self, wait_seconds: float, *, effects: bool) -> tuple[Beginning, bool]:
        """What was done, and whether the member is healthy. With 0 seconds it is started and not waited for."""
        plan = decide(self.want, self.look())
        if plan.waits and wait_seconds <= 0:
            plan = Beginning(plan.writes, plan.starts)
        if not effects:
            return plan, not plan.waits and not plan.starts
        if plan.writes:
            self.machine.write(self.want.text())
        if plan.starts:
            self.machine.start()
        if plan.waits:
            self._wait(wait_seconds)
        if plan.finishes:
            self.machine.finished()
        return plan, plan.waits or not plan.starts

    def _wait(self, seconds: float) -> None:
        deadline = self.clock() + seconds
        while True:
            listed, settled = self._own()
            mine = [known for known in listed or () if known.name == self.want.name]
            if settled and mine and mine[0].started:
                return
            failure = self.machine.failure()
            if failure or self.clock() >= deadline:
                raise CommandError(
                    f'the new etcd member "{self.want.name}" is not healthy',
                    where=", ".join(self.endpoints),
                    found=f"{self._missing(listed)}; {failure or 'the end of its log: ' + self.machine.log()}",
                    next_step="mend what the log names and run the same playbook again: it goes on from here",
                )
            self.sleep(PAUSE)

    def _missing(self, listed: tuple[Known, ...] | None) -> str:
        if listed is None:
            return f"it does not answer yet: a majority of {len(self.want.members)} members has to be up"
        return "it answers, and no majority stands behind it"


def result(begin: Beginning, healthy: bool, unit: str, initial_file: str) -> dict[str, Any]:
    """As etcd_bootstrap returns it."""
    steps = begin.steps(unit, initial_file)
    return {
        "changed": bool(steps),
        "steps": steps,
        "healthy": healthy,
        "diff": {"before": "", "after": "".join(f"{step}\n" for step in steps)},
    }
