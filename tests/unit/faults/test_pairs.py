# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaks against a pair of runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.pairs import LOSER, REFUSED, Runner, judge, label

PID = 4242
SAYS = f"fatal: [lb1]: {REFUSED}\n  alice@here (process {PID}), playbook site.yml, since today"


@pytest.fixture(name="runner")
def _runner(tmp_path: Path) -> Callable[..., Runner]:
    def make(name: str, text: str = "", hosts: dict[str, Any] | None = None, seconds: float = 1.0) -> Runner:
        log, budget = tmp_path / f"{name}.log", tmp_path / f"{name}.json"
        log.write_text(text)
        budget.write_text(json.dumps({"hosts": hosts or {}}))
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        process.pid = PID
        return Runner(name, tmp_path, log, budget, process, 10.0, 10.0 + seconds)

    return make


def test_one_acted_and_the_other_one_ended_at_once(runner: Callable[..., Runner]) -> None:
    asked = {"localhost": {"remote_calls": 0, "changed": 0}}
    assert judge(runner("b", SAYS, asked), runner("a"), (2, 0), "a") == ""


@pytest.mark.parametrize(
    ("loser", "statuses", "value", "words"),
    [
        ({"text": SAYS}, (0, 0), "a", "b ended well"),
        ({"text": SAYS}, (2, 2), "a", "a failed: "),
        ({"text": f"(process {PID}), playbook site.yml"}, (2, 0), "a", "the loser does not say why"),
        ({"text": f"{REFUSED} (process 42)"}, (2, 0), "a", "the loser does not name the holder"),
        ({"text": SAYS, "hosts": {"w1": {"remote_calls": 1, "changed": 0}}}, (2, 0), "a", "the loser was on w1"),
        ({"text": SAYS, "hosts": {"w1": {"remote_calls": 0, "changed": 1}}}, (2, 0), "a", "the loser was on w1"),
        ({"text": SAYS, "seconds": LOSER + 1}, (2, 0), "a", "the loser ended after 6.0 s"),
        ({"text": SAYS}, (2, 0), "b", "the label says b, not a"),
    ],
)
def test_what_speaks_against_a_pair(
    runner: Callable[..., Runner], loser: dict[str, Any], statuses: tuple[int, int], value: str, words: str
) -> None:
    assert judge(runner("b", **loser), runner("a"), statuses, value).startswith(words)


def test_the_label_is_set_beside_those_that_the_node_has() -> None:
    children: dict[str, Any] = {"kube_node": {"hosts": {"w1": {"kube_node_labels": {"zone": "a"}}}}}
    label(children, "first-1")
    assert children["kube_node"]["hosts"]["w1"]["kube_node_labels"] == {"zone": "a", "quorum.test/by": "first-1"}
