# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings and plan as text that a person can read, in a terminal of any width and for a thousand hosts."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from .findings import FATAL, Finding

WORDS = {
    "init": "starts the cluster: first control plane",
    "join_control_plane": "joins as a control plane, one after another",
    "join_worker": "joins as a worker",
    "keep": "is a node already: kept as it is",
    "lb": "load balancer",
    "etcd": "etcd member",
    "etcd_bootstrap": "etcd: starts the new cluster with the others",
    "etcd_join": "etcd: joins as a member, one after another",
    "etcd_keep": "etcd: is a member already, kept as it is",
    "etcd_leave": "etcd: is taken out, its data renamed",
    "etcd_gone": "etcd: was taken out",
    "unreachable": "does not answer: left out",
}
NAMES_SHOWN = 8
HOSTS_SHOWN = 30
LEAST_WIDTH = 60
NARROW = 30


def natural(name: str) -> list[tuple[int, int, str]]:
    """node2 before node10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def host_list(names: Iterable[str]) -> str:
    """Names in natural order, cut when there are many."""
    ordered = sorted(names, key=natural)
    shown = ", ".join(ordered[:NAMES_SHOWN])
    return shown if len(ordered) <= NAMES_SHOWN else f"{shown} and {len(ordered) - NAMES_SHOWN} more ({len(ordered)})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Columns as wide as their content; the last two share what is left and wrap."""
    narrow = len(header) - 2
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(narrow)]
    widths = [min(size, NARROW) for size in widths]
    left = max(width - sum(widths) - 2 * (narrow + 1), LEAST_WIDTH)
    widths += [left // 2, left - left // 2]
    lines: list[str] = []
    for row in [header, ["-" * size for size in widths], *rows]:
        cells = [textwrap.wrap(text, size, break_long_words=False) or [""] for text, size in zip(row, widths)]
        for number in range(max(len(cell) for cell in cells)):
            parts = [(cell[number] if number < len(cell) else "").ljust(size) for cell, size in zip(cells, widths)]
            lines.append("  ".join(parts).rstrip())
    return lines


def _rows(findings: Iterable[Finding]) -> list[list[str]]:
    """One row per thing found; the hosts on which exactly the same was found stand together."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for item in findings:
        groups.setdefault((item.level, item.check, item.found, item.next_step), []).append(item.host)
    return [
        [level.upper() if level == FATAL else level, host_list(hosts) or "cluster", found, step]
        for (level, _check, found, step), hosts in groups.items()
    ]


def findings_text(findings: Sequence[Finding], hosts: int, width: int = 120) -> str:
    """The report of all findings."""
    bad = sum(item.level == FATAL for item in findings)
    title = f"Preflight of {hosts} hosts: {bad} fatal, {len(findings) - bad} warnings"
    if not findings:
        return title
    return "\n".join([title, *table(["LEVEL", "HOST", "FOUND", "WHAT TO DO"], _rows(findings), width)])


def plan_text(state: str, seed: str, hosts: Mapping[str, str], width: int = 120) -> str:
    """What will happen on each host; with many hosts, by action."""
    title = (
        f"A new cluster begins on {seed}"
        if state == "new"
        else f"The cluster exists; {seed or 'nobody'} answers for it"
    )
    joins = sum(action in ("init", "join_control_plane", "join_worker") for action in hosts.values())
    lines = [f"{title}. {joins} of {len(hosts)} hosts join."]
    if len(hosts) <= HOSTS_SHOWN:
        size = max((len(name) for name in hosts), default=0)
        lines += [f"  {name.ljust(size)}  {WORDS.get(hosts[name], hosts[name])}" for name in sorted(hosts, key=natural)]
        return "\n".join(lines)
    for action, words in WORDS.items():
        names = [name for name, chosen in hosts.items() if chosen == action]
        if names:
            lines += textwrap.wrap(f"{words}: {host_list(names)}", width, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)


def failure_text(findings: Sequence[Finding]) -> str:
    """All fatal findings, for the error message."""
    bad = [item for item in findings if item.level == FATAL]
    lines = [f"{row[1]}: {row[2]}. Next: {row[3]}." for row in _rows(bad)]
    return "\n".join([f"Preflight found {len(bad)} reason(s) to stop; nothing was changed.", *lines])
