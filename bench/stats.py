# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic of the measurements. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

# Process name -> its (pid, start time) pairs on one machine.
Processes = Mapping[str, Sequence[tuple[int, int]]]


def median(values: Sequence[float]) -> float | None:
    """The middle value, None when there is none."""
    return round(statistics.median(values), 3) if values else None


def ratio(pairs: Iterable[tuple[float, float]]) -> float | None:
    """The median of the pairs' ratios. A pair was measured side by side, so what slowed the machine slowed both."""
    return median([one / other for one, other in pairs if other > 0])


def restarted(before: Mapping[str, Processes], after: Mapping[str, Processes]) -> list[str]:
    """`host: process` for every process that is not the one it was."""
    changed = []
    for host in sorted({*before, *after}):
        old, new = before.get(host, {}), after.get(host, {})
        names = sorted({*old, *new})
        changed += [f"{host}: {name}" for name in names if _set(old.get(name)) != _set(new.get(name))]
    return changed


def _set(pairs: Sequence[Sequence[int]] | None) -> set[tuple[int, ...]]:
    return {tuple(pair) for pair in pairs or ()}


def parse_processes(text: str) -> dict[str, list[tuple[int, int]]]:
    """Lines of `name pid start`, as PROCESSES_SCRIPT prints them."""
    found: dict[str, list[tuple[int, int]]] = {}
    for line in text.splitlines():
        name, pid, start = line.split()
        found.setdefault(name, []).append((int(pid), int(start)))
    return {name: sorted(pairs) for name, pairs in sorted(found.items())}


def most_calls(report: Mapping[str, object], groups: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Group -> the remote calls of its host that got most of them, from a report of the callback call_budget."""
    hosts = report.get("hosts")
    rows = hosts if isinstance(hosts, dict) else {}
    return {
        group: max((rows[name]["remote_calls"] for name in names if name in rows), default=0)
        for group, names in groups.items()
    }


def changed_tasks(report: Mapping[str, object]) -> list[str]:
    """`role: task` of every task that said changed."""
    tasks = report.get("tasks")
    rows = tasks if isinstance(tasks, list) else []
    return [f"{row['role']}: {row['name']}" for row in rows if row["changed"]]
