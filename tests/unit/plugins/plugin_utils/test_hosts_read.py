# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a host gave no facts."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.plugin_utils.hosts_read import problem_of


@pytest.mark.parametrize(
    ("facts", "away", "words"),
    [
        ({}, True, "did not run"),
        ({"unreachable": True, "msg": "Failed to connect: no route to host"}, True, "no route"),
        ({"unreachable": True, "msg": "Incorrect sudo password"}, False, "Incorrect sudo"),
        ({"msg": "MODULE FAILURE", "module_stderr": "x\npython3: not found"}, False, "python3: not found"),
        ({"msg": "a\n  b"}, False, "a b"),
        # A password that is wrong is no machine that is away, whoever says so.
        ({"unreachable": True, "msg": "Task failed: Missing sudo password"}, False, "Missing sudo"),
        ({"msg": "boom", "module_stderr": "boom"}, False, "boom"),
        ({"failed": True}, False, "no reason given"),
    ],
)
def test_fault_38_who_is_away_and_who_is_misconfigured(facts: dict[str, Any], away: bool, words: str) -> None:
    unreachable, problem = problem_of(facts)
    assert unreachable is away
    assert words in problem


def test_a_reason_is_short_and_on_one_line() -> None:
    _away, problem = problem_of({"unreachable": True, "msg": "Task failed: " + "no route\n" * 100})
    assert problem.startswith("no route no route")
    assert len(problem) == 300
