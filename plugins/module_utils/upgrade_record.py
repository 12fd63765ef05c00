# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The written record of an upgrade: what was planned, what was done when, how it ended. Pure: events in, texts out.

Events are kept one to a line, so that a run which is killed leaves all that it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

Event = Mapping[str, Any]


def moment(epoch: float) -> str:
    """In UTC, to the second."""
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def record(events: Sequence[Event]) -> dict[str, Any]:
    """The record so far. seconds of a step: since the step before it on the same node."""
    begun = next((event for event in events if event["event"] == "begun"), {})
    ended = next((event for event in reversed(events) if event["event"] in ("done", "failed")), None)
    plan = begun.get("plan") or {}
    began = float(begun.get("at") or 0.0)
    return {
        "cluster": begun.get("cluster", ""),
        "from": plan.get("running", []),
        "to": plan.get("target", ""),
        "began": moment(began),
        "ended": moment(float(ended["at"])) if ended else None,
        "seconds": round(float(ended["at"]) - began, 1) if ended else None,
        "result": str(ended["event"]) if ended else "unfinished",
        "problem": ended.get("problem", "") if ended else "",
        "left": list(ended.get("left") or []) if ended else [],
        "before": plan.get("before", {}),
        "after": ended.get("after", {}) if ended else {},
        "done_before": plan.get("done", []),
        "findings": begun.get("findings", []),
        "snapshot": next((step["told"] for step in events if _is_snapshot(step)), ""),
        "steps": _steps(events, began),
        "availability": ended.get("availability") if ended else None,
    }


def _is_snapshot(event: Event) -> bool:
    return bool(event["event"] == "step" and event["step"] == "snapshot")


def running(after: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """node_info's `kubernetes` of each node, as the versions that run there."""
    return {
        node: {"kubelet": str(told.get("kubelet_version") or ""), **(told.get("manifests") or {})}
        for node, told in after.items()
    }


def _steps(events: Sequence[Event], began: float) -> list[dict[str, Any]]:
    last: dict[str, float] = {}
    steps = []
    for event in events:
        if event["event"] == "node":
            last[event["node"]] = float(event["at"])
        if event["event"] == "step":
            node, at = str(event["node"]), float(event["at"])
            seconds = round(at - last.get(node, began), 1)
            steps.append(
                {"at": moment(at), "node": node, "step": event["step"], "told": event["told"], "seconds": seconds}
            )
            last[node] = at
    return steps


def left(events: Sequence[Event]) -> list[str]:
    """The nodes that the run planned to touch and has not finished, in its order."""
    begun = next((event for event in events if event["event"] == "begun"), {})
    plan = begun.get("plan") or {}
    finished = {event["node"] for event in events if event["event"] == "step" and event["step"] == "finished"}
    planned = [*plan.get("finishing", []), *plan.get("control_planes", []), *plan.get("workers", [])]
    return [name for name in planned if name not in finished]


def markdown(document: Mapping[str, Any]) -> str:
    """The record for a person."""
    lines = [
        f"# Upgrade of {document['cluster']}: {', '.join(document['from']) or 'unknown'} to {document['to']}",
        "",
        f"- Result: {document['result']}" + (f": {document['problem']}" if document["problem"] else ""),
        f"- Began {document['began']}, ended {document['ended'] or '-'}, {document['seconds']} s",
        f"- Done before this run: {', '.join(document['done_before']) or 'none'}",
        f"- Left: {', '.join(document['left']) or 'none'}",
        f"- Snapshot: {document['snapshot'] or 'none'}",
        *_availability(document["availability"]),
        "",
        "## Steps",
        "",
        *_table(
            ["At", "Node", "Step", "Seconds", "Told"],
            [[s["at"], s["node"], s["step"], str(s["seconds"]), s["told"]] for s in document["steps"]],
        ),
        "",
        "## Versions",
        "",
        *_table(["Node", "Part", "Before", "After"], _versions(document["before"], document["after"])),
        "",
        "## Findings",
        "",
        *_table(
            ["Level", "Host", "Found", "What to do"],
            [[f["level"], f["host"], f["found"], f["next_step"]] for f in document["findings"]],
        ),
    ]
    return "\n".join(lines) + "\n"


def _availability(told: Any) -> list[str]:
    if not isinstance(told, Mapping):
        return ["- Availability: no prober ran"]
    return [f"- Availability: {', '.join(f'{name} {value}' for name, value in told.items())}"]


def _versions(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for node in sorted({*before, *after}):
        old, new = before.get(node) or {}, after.get(node) or {}
        rows += [[node, part, str(old.get(part, "-")), str(new.get(part, "-"))] for part in sorted({*old, *new})]
    return rows


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(" ".join(str(cell).replace("|", "\\|").split()) for cell in cells) + " |"

    return [line(header), line(["---"] * len(header)), *map(line, rows)] if rows else ["None."]
