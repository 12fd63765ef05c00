# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry point of `make faults`: every campaign; results go to RESULTS.md beside this file, failures included."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab import nodes
from lab import settings as lab_settings
from lab.shell import say
from tests.e2e.support import Site
from tests.faults import colocated
from tests.faults.interrupted import POINTS, Outcome, try_point

RESULTS = Path(__file__).parent / "RESULTS.md"
LAB = "qfaults"
MACHINES = ("lb1", "cp1", "cp2", "cp3", "w1")
HEAD = """# Faults

Written by `make faults` on {date}, {cores} cores, {memory} GiB, Linux {kernel}.
Faults of a running cluster, seen by clients, are in [bench/RESULTS.md](../../bench/RESULTS.md).

## `site` killed and run again

1 load balancer, 3 control planes, 1 worker, blank at the beginning of each row. `site` is killed with SIGKILL, with all
of its processes on the controller; what it had started on a host goes on there. Then `site` runs again at once.

| killed | after | second run | result |
|---|---|---|---|
"""


COLOCATED = """
## Load balancers on the control planes

3 control planes with HAProxy and keepalived on port {port}, 1 worker, no other load balancer.

| step | s | result |
|---|---|---|
"""


def render(outcomes: Sequence[Outcome], steps: Sequence[colocated.Step], head: str) -> str:
    """The report."""
    rows = []
    for outcome in outcomes:
        result = f"**{outcome.problem}**" if outcome.problem else "verified"
        rows.append(f"| {outcome.point} | {outcome.killed_after:.0f} s | {outcome.again:.0f} s | {result} |")
    good = sum(not outcome.problem for outcome in outcomes)
    text = head + "\n".join(rows) + f"\n\n{good} of {len(outcomes)} ended with a verified cluster.\n"
    if steps:
        text += COLOCATED.format(port=colocated.PORT)
        for step in steps:
            text += f"| {step.name} | {step.seconds:.0f} | {f'**{step.problem}**' if step.problem else 'well'} |\n"
    return text


def campaign(settings: lab_settings.Settings, points: Sequence[int], head: str, *, together: bool, whole: bool) -> bool:
    """Run these points and, when asked, the load balancers on control planes. Whether all went well.

    The results of a whole campaign are written after each step.
    """
    outcomes: list[Outcome] = []
    steps: list[colocated.Step] = []

    def keep() -> None:
        if whole:
            RESULTS.write_text(render(outcomes, steps, head), encoding="utf-8")

    with tempfile.TemporaryDirectory() as work:
        site = Site(settings, MACHINES, Path(work))
        for number in points:
            outcomes.append(try_point(site, POINTS[number - 1]))
            say(f"{number}: {outcomes[-1]}")
            keep()
        if together:
            for step in colocated.steps(Site(settings, colocated.MACHINES, Path(work))):
                steps.append(step)
                say(str(step))
                keep()
    return not any([*(one.problem for one in outcomes), *(one.problem for one in steps)])


def main() -> int:
    """Run the points that were asked for."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.faults", description=__doc__)
    parser.add_argument("--point", type=int, action="append", help=f"only this one, 1 to {len(POINTS)}; default all")
    parser.add_argument("--colocated", action="store_true", help="only the load balancers on the control planes")
    args = parser.parse_args()
    points = args.point or ([] if args.colocated else list(range(1, len(POINTS) + 1)))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    today = datetime.datetime.now(tz=datetime.timezone.utc).date()
    head = HEAD.format(date=today, cores=os.cpu_count(), memory=memory, kernel=platform.release().split("-")[0])
    settings = lab_settings.load({**os.environ, "LAB_NAME": LAB})
    try:
        whole = not args.point and not args.colocated
        good = campaign(settings, points, head, together=whole or args.colocated, whole=whole)
    finally:
        nodes.down(settings)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
