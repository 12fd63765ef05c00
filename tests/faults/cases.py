# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something that happens to a cluster while somebody uses it, and what they saw of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.settings import CHECKOUT
from tests.e2e.support import Run, Site
from tests.e2e.upgrading import watched
from tests.e2e.workload import Workload
from tests.faults.killing import Killed

LOGS = Path(CHECKOUT, ".build", "logs")


@dataclass
class Case:
    """What became of one case. asked and failed: the workload's requests; gap and share: the API's.

    end: what an undisturbed upgrade ended with, which the others are compared with.
    """

    case: str
    problem: str = ""
    seconds: float = 0.0
    gap: float = 0.0
    share: float = 0.0
    acknowledged: int = 0
    asked: int = 0
    failed: int = 0
    told: str = ""
    end: dict[str, Any] = field(default_factory=dict)


def slug(name: str) -> str:
    """A case's name in the name of a file."""
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")


def keep(name: str, run: Run | Killed) -> None:
    """The run's output, for a person."""
    LOGS.mkdir(parents=True, exist_ok=True)
    (LOGS / f"{name}.log").write_text(run.text, encoding="utf-8")


def containers(site: Site) -> dict[str, list[object]]:
    """The containers of all pods on workers: when they were started, how often again."""
    listed = json.loads(site.kubectl("get", "pods", "-A", "-o", "json"))["items"]
    return {
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": [
            [one["name"], one["restartCount"], one["state"].get("running", {}).get("startedAt")]
            for one in pod["status"].get("containerStatuses", [])
        ]
        for pod in listed
        if pod["spec"].get("nodeName", "").startswith("w")
        # verify's own, which are about to go.
        and not pod["metadata"]["namespace"].startswith("quorum-verify-")
    }


def case_of(
    site: Site, workload: Workload, name: str, action: Callable[[Workload], str], *, limits: bool = True
) -> Case:
    """Act while somebody uses the cluster. action: returns the problem, if any.

    limits: what the API may miss counts as a problem; where runs or machines are killed it is only told.
    """
    began = time.monotonic()
    with watched(site, workload, slug(name)) as seen:
        problem = action(workload)
    seconds = round(time.monotonic() - began, 1)
    problems = seen.problems if limits else seen.lost
    return Case(
        name, "; ".join(filter(None, [problem, *problems])), seconds, seen.api["longest_gap"],
        seen.api["failed_share"], seen.api["ledger"]["acknowledged"], seen.shop["asked"], len(seen.shop["failed"]),
    )  # fmt: skip
