# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of an upgrade: events in, JSON and Markdown out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.upgrade_record import (
    left,
    markdown,
    moment,
    record,
    running,
)

# 2026-01-01T00:00:00Z
AT = 1767225600.0
PLAN = {
    "running": ["1.35.4"],
    "target": "1.36.3",
    "finishing": ["cp1"],
    "control_planes": ["cp2"],
    "workers": ["w1"],
    "done": ["w2"],
    "before": {"cp2": {"kubelet": "1.35.4", "etcd": "etcd:3.6.14"}, "w1": {"kubelet": "1.35.4"}},
}
FINDING = {"level": "warning", "host": "cp1", "check": "resume", "found": "half | done", "next_step": "nothing"}
BEGUN = {"event": "begun", "at": AT, "cluster": "prod", "plan": PLAN, "findings": [FINDING]}


def step(node: str, at: float, name: str, told: str = "") -> dict[str, Any]:
    return {"event": "step", "at": AT + at, "node": node, "step": name, "told": told}


STEPS = [
    step("cp2", 3.0, "snapshot", "cp2:/var/x.db, revision 7"),
    {"event": "node", "at": AT + 10, "node": "cp2"},
    step("cp2", 12.5, "drained", "2 pods evicted"),
    step("w1", 20.0, "drained"),
    step("cp2", 42.5, "finished", "back in service"),
]
AFTER = {"cp2": {"kubelet_version": "1.36.3", "manifests": {"etcd": "etcd:3.6.16"}, "marker": None}}
DONE = {
    "event": "done",
    "at": AT + 60.25,
    "after": running(AFTER),
    "availability": {"failed": 0, "longest_gap": 0.4},
    "left": [],
}


def test_times_are_utc() -> None:
    assert moment(AT) == "2026-01-01T00:00:00Z"


def test_a_run_that_ended_well() -> None:
    told = record([BEGUN, *STEPS, DONE])
    assert json.loads(json.dumps(told)) == told
    assert (told["cluster"], told["from"], told["to"]) == ("prod", ["1.35.4"], "1.36.3")
    assert (told["result"], told["problem"], told["seconds"]) == ("done", "", 60.2)
    assert (told["began"], told["ended"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z")
    assert told["snapshot"] == "cp2:/var/x.db, revision 7"
    assert told["after"] == {"cp2": {"kubelet": "1.36.3", "etcd": "etcd:3.6.16"}}
    assert (told["before"], told["done_before"], told["left"]) == (PLAN["before"], ["w2"], [])
    assert told["availability"] == {"failed": 0, "longest_gap": 0.4}
    seconds = [(one["node"], one["step"], one["seconds"]) for one in told["steps"]]
    assert seconds == [
        ("cp2", "snapshot", 3.0),
        # From where the node was begun, not from the snapshot.
        ("cp2", "drained", 2.5),
        ("w1", "drained", 20.0),
        ("cp2", "finished", 30.0),
    ]


def test_a_run_that_was_killed_tells_how_far_it_came() -> None:
    told = record([BEGUN, *STEPS[:3]])
    assert (told["result"], told["ended"], told["seconds"], told["after"]) == ("unfinished", None, None, {})
    assert len(told["steps"]) == 2


def test_a_run_that_failed() -> None:
    failed = {"event": "failed", "at": AT + 9, "node": "cp2", "step": "x", "problem": "no quorum", "left": ["w1"]}
    told = record([BEGUN, *STEPS[:2], failed])
    assert (told["result"], told["problem"], told["left"]) == ("failed", "no quorum", ["w1"])
    assert told["availability"] is None


def test_a_step_of_that_name_that_failed_is_no_snapshot() -> None:
    failed = {"event": "failed", "at": AT + 9, "node": "cp2", "step": "snapshot", "problem": "full", "left": []}
    assert record([BEGUN, failed])["snapshot"] == ""


@pytest.mark.parametrize(
    ("events", "names"),
    [
        ([BEGUN], ["cp1", "cp2", "w1"]),
        ([BEGUN, *STEPS], ["cp1", "w1"]),
        ([BEGUN, step("cp1", 1, "finished"), step("cp2", 2, "finished"), step("w1", 3, "finished")], []),
        ([], []),
    ],
)
def test_what_is_left(events: list[dict[str, Any]], names: list[str]) -> None:
    assert left(events) == names


def test_markdown() -> None:
    text = markdown(record([BEGUN, *STEPS, DONE]))
    lines = text.splitlines()
    assert lines[0] == "# Upgrade of prod: 1.35.4 to 1.36.3"
    assert "- Result: done" in lines
    assert "- Snapshot: cp2:/var/x.db, revision 7" in lines
    assert "- Availability: failed 0, longest_gap 0.4" in lines
    assert "| 2026-01-01T00:00:12Z | cp2 | drained | 2.5 | 2 pods evicted |" in lines
    assert "| cp2 | etcd | etcd:3.6.14 | etcd:3.6.16 |" in lines
    assert "| w1 | kubelet | 1.35.4 | - |" in lines
    assert "| warning | cp1 | half \\| done | nothing |" in lines
    assert text.endswith("|\n")


def test_markdown_of_nearly_nothing() -> None:
    text = markdown(record([]))
    assert "- Result: unfinished" in text
    assert "- Availability: no prober ran" in text
    assert text.count("None.") == 3


@given(st.text(max_size=60))
def test_no_text_breaks_a_table(told: str) -> None:
    text = markdown(record([BEGUN, step("cp2", 1, "drained", told)]))
    plain = markdown(record([BEGUN, step("cp2", 1, "drained", "x")]))
    assert len(text.split("\n")) == len(plain.split("\n"))
    row = next(line for line in text.split("\n") if "| drained |" in line)
    assert row.replace("\\|", "").count("|") == 6
