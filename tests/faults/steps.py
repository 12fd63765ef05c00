# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A campaign that is a walk: one step after another on the same machines, and the first that fails is the last."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from lab.errors import LabError
from tests.e2e.support import Run

Work = Callable[[], str]


@dataclass(frozen=True)
class Step:
    """One step, how long it took, and what was wrong with it."""

    name: str
    seconds: float
    problem: str


def timed(name: str, work: Work) -> Step:
    """Do it. A look at a machine that fails is a problem of the step, not the end of the campaign's report."""
    began = time.monotonic()
    try:
        problem = work()
    except LabError as exc:
        problem = str(exc)
    return Step(name, time.monotonic() - began, problem)


def walk(parts: Iterable[tuple[str, Work]]) -> Iterator[Step]:
    """Every step; the first that fails is the last."""
    for name, work in parts:
        step = timed(name, work)
        yield step
        if step.problem:
            return


def problem_of(run: Run, *, unchanged: bool = False) -> str:
    """What is wrong with a run that ends with verify, "" when nothing is."""
    if run.status:
        return run.problem()
    if not run.verify.get("ok"):
        return f"verify: {run.verify.get('counts')}"
    return f"changed: {run.changed()}" if unchanged and run.changed() else ""


def refused(run: Run, *words: str) -> str:
    """What is wrong with a run that must change nothing and say these words."""
    told = re.sub(r"\s+", " ", run.text)
    missing = [word for word in words if word not in told]
    if not run.status or run.changed():
        return f"not refused: status {run.status}, changed {run.changed()}"
    return f"not said: {'; '.join(missing)}" if missing else ""
