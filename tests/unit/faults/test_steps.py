# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a walk ends, and when a run counts as well, or as refused."""

from __future__ import annotations

from typing import Any

import pytest

from lab.errors import LabError
from tests.e2e.support import Run
from tests.faults.steps import problem_of, refused, walk


def run(status: int = 0, text: str = "", changed: int = 0, ok: bool = True) -> Run:
    budget: dict[str, Any] = {"hosts": {"cp1": {"changed": changed, "remote_calls": 1}}}
    return Run(status, text, budget, {"ok": ok, "counts": {"fail": int(not ok)}})


def test_the_first_step_that_fails_is_the_last() -> None:
    def broken() -> str:
        raise LabError("w1 does not answer")

    steps = list(walk([("one", lambda: ""), ("two", broken), ("three", lambda: "")]))
    assert [(step.name, step.problem) for step in steps] == [("one", ""), ("two", "w1 does not answer")]


@pytest.mark.parametrize(
    ("seen", "unchanged", "words"),
    [
        (run(), False, ""),
        (run(2, "fatal: [cp1]: it is full"), False, "fatal: [cp1]: it is full"),
        (run(ok=False), False, "verify: {'fail': 1}"),
        (run(changed=1), False, ""),
        (run(changed=1), True, "changed: {'cp1': 1}"),
    ],
)
def test_what_is_wrong_with_a_run(seen: Run, unchanged: bool, words: str) -> None:
    assert problem_of(seen, unchanged=unchanged) == words


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (run(2, "w2 is a node:\n  run remove_node"), ""),
        (run(0, "w2 is a node: run remove_node"), "not refused: status 0, changed {}"),
        (run(2, "w2 is a node: run remove_node", changed=1), "not refused: status 2, changed {'cp1': 1}"),
        (run(2, "w2: no"), "not said: node: run remove_node"),
    ],
)
def test_a_refusal_changes_nothing_and_says_why(seen: Run, words: str) -> None:
    assert refused(seen, "w2", "node: run remove_node") == words
