# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml against baseline.sh in interleaved pairs; the second run; the topology that others were measured with."""

from __future__ import annotations

from typing import Any

from bench.cluster import Cluster
from bench.stats import changed_tasks, most_calls, restarted
from bench.store import Results
from lab.settings import Settings, topology

FULL = "lb=2,cp=3,w=2"
SMALL = "lb=2,cp=3,w=1"


def first_run(cluster: Cluster) -> dict[str, Any]:
    """site.yml from blank machines."""
    cluster.recreate()
    measured, report = cluster.site()
    return {"kind": "site", **measured.result(), **budget(report, cluster)}


def second_run(cluster: Cluster) -> dict[str, Any]:
    """site.yml again: what it changed, and which processes are not the ones they were."""
    before = cluster.processes()
    measured, report = cluster.site()
    changed = restarted(before, cluster.processes())
    return {"kind": "second", **measured.result(), **budget(report, cluster), "restarted": changed}


def baseline_run(cluster: Cluster) -> dict[str, Any]:
    """baseline.sh from blank machines."""
    cluster.recreate()
    measured, phases = cluster.baseline()
    return {"kind": "baseline", **measured.result(), "phases": phases}


def budget(report: dict[str, Any], cluster: Cluster) -> dict[str, Any]:
    """What is kept of the callback's report."""
    if not report:
        return {}
    roles = {name: {"wall": row["wall"], "calls": row["remote_calls"]} for name, row in report["roles"].items()}
    return {
        "calls": most_calls(report, cluster.groups),
        "skip_share": report["skip_share"],
        "totals": report["totals"],
        "roles": roles,
        "changed_tasks": changed_tasks(report),
    }


def compare(settings: Settings, machines: str, results: Results, count: int) -> None:
    """Interleaved pairs: the one that goes first changes from pair to pair."""
    for pair in range(count):
        cluster = Cluster(settings, topology(machines), f"{results.data['name']}{pair + 1}")
        for what in ("site", "baseline") if pair % 2 == 0 else ("baseline", "site"):
            if what == "baseline":
                results.add({"pair": pair, **baseline_run(cluster)})
                continue
            run = first_run(cluster)
            results.add({"pair": pair, **run})
            if not run["failed"]:
                results.add({"pair": pair, **second_run(cluster)})


def pairs(settings: Settings, count: int) -> None:
    """3 control planes and 2 workers behind 2 load balancers."""
    compare(settings, FULL, Results("site", f"python3 -m bench site --pairs {count}"), count)


def small(settings: Settings, count: int) -> None:
    """3 control planes and 1 worker behind 2 load balancers."""
    compare(settings, SMALL, Results("small", f"python3 -m bench small --small-pairs {count}"), count)
