# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three sources of software against one another: wall time, what each host fetches, images beside the rest."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

from bench.store import Results
from lab.debian import SUITES
from lab.settings import Settings
from tests.e2e.support import Site
from tests.faults.sources import MACHINES, Sources

ORDER = ("bundle", "public", "mirror")


def compare(settings: Settings, times: int) -> None:
    """Interleaved, from blank machines each time: the one that goes first changes from round to round."""
    results = Results("sources", f"python3 -m bench sources --source-times {times}")
    with tempfile.TemporaryDirectory() as work:
        things = Sources(Site(settings, MACHINES, Path(work)))
        bundle = things.make_bundle()
        for number in range(times):
            at = number % len(ORDER)
            for source in (*ORDER[at:], *ORDER[:at]):
                outcome = asdict(things.through(SUITES[0], source, bundle))
                error = {"error": outcome["problem"]} if outcome["problem"] else {}
                results.add({"kind": source, "number": number, **outcome, "failed": bool(error), **error})
