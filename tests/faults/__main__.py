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


def render(outcomes: Sequence[Outcome], head: str) -> str:
    """The report."""
    rows = []
    for outcome in outcomes:
        result = f"**{outcome.problem}**" if outcome.problem else "verified"
        rows.append(f"| {outcome.point} | {outcome.killed_after:.0f} s | {outcome.again:.0f} s | {result} |")
    good = sum(not outcome.problem for outcome in outcomes)
    return head + "\n".join(rows) + f"\n\n{good} of {len(outcomes)} ended with a verified cluster.\n"


def main() -> int:
    """Run the points that were asked for."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.faults", description=__doc__)
    parser.add_argument("--point", type=int, action="append", help=f"1 to {len(POINTS)}; default all")
    chosen = parser.parse_args().point or list(range(1, len(POINTS) + 1))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    today = datetime.datetime.now(tz=datetime.timezone.utc).date()
    head = HEAD.format(date=today, cores=os.cpu_count(), memory=memory, kernel=platform.release())
    settings = lab_settings.load({**os.environ, "LAB_NAME": LAB})
    outcomes: list[Outcome] = []
    try:
        with tempfile.TemporaryDirectory() as work:
            site = Site(settings, MACHINES, Path(work))
            for number in chosen:
                outcomes.append(try_point(site, POINTS[number - 1]))
                say(f"{number}: {outcomes[-1]}")
                if len(chosen) == len(POINTS):
                    RESULTS.write_text(render(outcomes, head), encoding="utf-8")
    finally:
        nodes.down(settings)
    return int(any(outcome.problem for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
