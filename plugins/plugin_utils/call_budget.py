# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook run cost: host-tasks, remote calls and bytes, added up per role, host and task.

Pure: it imports nothing from Ansible and does no I/O. The callback plugin call_budget feeds it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

NO_ROLE = "(no role)"
OUTCOMES = ("ok", "changed", "skipped", "failed", "ignored", "unreachable")


@dataclass(frozen=True)
class TaskRun:
    """One task on one host, as Ansible reported it. start and end are seconds on one clock."""

    host: str
    role: str
    task: str
    outcome: str
    start: float
    end: float
    handler: bool = False


@dataclass(frozen=True)
class Call:
    """One call of a connection plugin: a command or a file transfer. Never what was in it."""

    host: str
    role: str
    task: str
    kind: str
    remote: bool
    sent: int
    received: int
    seconds: float

    def line(self) -> bytes:
        """One line of JSON, well below PIPE_BUF, so that one append is one record."""
        row = [self.host[:256], self.role[:256], self.task[:128], self.kind, int(self.remote)]
        return (json.dumps([*row, self.sent, self.received, round(self.seconds, 4)]) + "\n").encode()


@dataclass
class Row:
    """The sums of one role, host or task. wall is the time in which at least one of its tasks was running."""

    tasks: int = 0
    ok: int = 0
    changed: int = 0
    skipped: int = 0
    failed: int = 0
    ignored: int = 0
    unreachable: int = 0
    restarts: int = 0
    remote_calls: int = 0
    controller_calls: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    call_seconds: float = 0.0
    wall: float = 0.0
    spans: list[tuple[float, float]] = field(default_factory=list, repr=False)

    def add_run(self, run: TaskRun) -> None:
        self.tasks += 1
        setattr(self, run.outcome, getattr(self, run.outcome) + 1)
        self.restarts += int(run.handler and run.outcome == "changed")
        self.spans.append((run.start, run.end))

    def add_call(self, call: Call) -> None:
        if call.remote:
            self.remote_calls += 1
            self.bytes_sent += call.sent
            self.bytes_received += call.received
            self.call_seconds += call.seconds
        else:
            self.controller_calls += 1

    def result(self) -> dict[str, float]:
        self.wall = covered(self.spans)
        values = asdict(self)
        del values["spans"]
        return {key: round(value, 3) if isinstance(value, float) else value for key, value in values.items()}


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """How much time the spans cover together; overlapping time counts once."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _alone(spans: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, float]:
    """By task, the time in which no other task was running: what the whole run would be shorter without it."""
    edges = [(at, ends, task) for task, pairs in spans.items() for pair in pairs for ends, at in enumerate(pair)]
    running: dict[str, int] = {}
    found, reached = dict.fromkeys(spans, 0.0), 0.0
    for at, ends, task in sorted(edges):
        if len(running) == 1:
            found[next(iter(running))] += at - reached
        running[task] = running.get(task, 0) + (-1 if ends else 1)
        if not running[task]:
            del running[task]
        reached = at
    return {task: round(seconds, 3) for task, seconds in found.items()}


def parse_calls(lines: Iterable[bytes]) -> list[Call]:
    """The records that the workers wrote. A line cut off by a killed worker is left out."""
    calls = []
    for line in lines:
        try:
            host, role, task, kind, remote, sent, received, seconds = json.loads(line)
        except ValueError:
            continue
        calls.append(Call(host, role, task, kind, bool(remote), sent, received, seconds))
    return calls


def aggregate(runs: Sequence[TaskRun], calls: Sequence[Call], names: Mapping[str, str], wall: float) -> dict[str, Any]:
    """The report as plain data. names: task id -> task name. wall: seconds of the whole run."""

    def rows(key: Callable[[TaskRun | Call], str]) -> dict[str, dict[str, float]]:
        return {name: row.result() for name, row in _grouped(runs, calls, key).items()}

    totals = rows(lambda _item: "all").get("all", Row().result())
    # By name: a file that is included for every host by itself makes a task for each of them.
    known = [item for item in (*runs, *calls) if item.task]
    called = {item.task: f"{item.role}\n{names.get(item.task, '')}" for item in known}
    by_task = _grouped(runs, calls, lambda item: called.get(item.task, ""))
    alone = _alone({task: row.spans for task, row in by_task.items()})
    return {
        "format": 1,
        "wall": round(wall, 3),
        "skip_share": round(totals["skipped"] / totals["tasks"], 4) if totals["tasks"] else 0.0,
        "totals": totals,
        "roles": rows(lambda item: item.role),
        "hosts": rows(lambda item: item.host),
        "roles_hosts": _nested(runs, calls),
        "tasks": [
            {**dict(zip(("role", "name"), task.split("\n", 1))), **row.result(), "alone": alone[task]}
            for task, row in by_task.items()
            if task
        ],
    }


def _grouped(runs: Iterable[TaskRun], calls: Iterable[Call], key: Callable[[TaskRun | Call], str]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for run in runs:
        rows.setdefault(key(run), Row()).add_run(run)
    for call in calls:
        rows.setdefault(key(call), Row()).add_call(call)
    return rows


def _nested(runs: Sequence[TaskRun], calls: Sequence[Call]) -> dict[str, dict[str, dict[str, float]]]:
    nested: dict[str, dict[str, dict[str, float]]] = {}
    items: list[TaskRun | Call] = [*runs, *calls]
    for role in dict.fromkeys(item.role for item in items):
        grouped = _grouped(
            (run for run in runs if run.role == role),
            (call for call in calls if call.role == role),
            lambda item: item.host,
        )
        nested[role] = {host: row.result() for host, row in grouped.items()}
    return nested


def human_bytes(count: float) -> str:
    """1536 -> "1.5k". Powers of 1024."""
    for unit in ("", "k", "M"):
        if count < 1024:
            return f"{count:.0f}" if not unit else f"{count:.1f}{unit}"
        count /= 1024
    return f"{count:.1f}G"


COLUMNS: tuple[tuple[str, str], ...] = (
    ("tasks", "tasks"),
    ("skipped", "skip"),
    ("changed", "chg"),
    ("failed", "fail"),
    ("restarts", "restart"),
    ("remote_calls", "calls"),
    ("controller_calls", "local"),
    ("bytes_sent", "sent"),
    ("bytes_received", "recv"),
    ("wall", "wall"),
)


def table(report: Mapping[str, Any], hosts_shown: int) -> list[str]:
    """The lines to print: every role, then the hosts with the most remote calls, then the sum."""
    roles, hosts, totals = report["roles"], report["hosts"], {**report["totals"], "wall": report["wall"]}
    busiest = sorted(hosts, key=lambda host: (-hosts[host]["remote_calls"], -hosts[host]["tasks"], host))
    heads = [head for key, head in COLUMNS]
    lines = [["role", *heads]]
    lines += [_cells(role, roles[role]) for role in roles]
    lines += [["host", *heads]]
    lines += [_cells(host, hosts[host]) for host in busiest[:hosts_shown]]
    lines += [_cells("all", totals)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return [
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]


def _cells(name: str, row: Mapping[str, float]) -> list[str]:
    def cell(key: str) -> str:
        if key.startswith("bytes_"):
            return human_bytes(row[key])
        return f"{row[key]:.1f}s" if key == "wall" else str(row[key])

    return [name, *(cell(key) for key, head in COLUMNS)]
