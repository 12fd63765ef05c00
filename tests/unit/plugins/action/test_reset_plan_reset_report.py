# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""reset_plan and reset_report, which run on the controller; both were never meant for a host."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.action.reset_plan import ActionModule as ResetPlan
from ansible_collections.quorum.kubeadm.plugins.action.reset_report import ActionModule as ResetReport
from tests.unit.plugins.modules.support import run_module

PLAN = {"wanted": "w1", "confirm": "prod", "cluster": "prod", "hosts": ["cp1", "w1"]}
BLANK, STAYED = {"steps": [], "leftovers": []}, {"steps": ["a"], "leftovers": ["mount: /x"], "failed": True}
AWAY = {"unreachable": True, "msg": "away"}


class Screen:
    """What a person sees."""

    columns = 120

    def __init__(self) -> None:
        self.text = ""

    def display(self, text: str, color: str) -> None:
        self.text += f"{text}\n"


class Task:
    def __init__(self, args: dict[str, Any], check_mode: bool) -> None:
        self.args, self.check_mode = args, check_mode


def run(
    monkeypatch: pytest.MonkeyPatch,
    kind: type[ActionBase],
    args: dict[str, Any],
    hostvars: dict[str, Any] | None = None,
    *,
    check: bool = False,
) -> tuple[dict[str, Any], str]:
    """The result, and what was printed."""
    action: Any = object.__new__(kind)
    action._task, action._display = Task(args, check), Screen()
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_a, **_k: {})
    return action.run(task_vars={"hostvars": hostvars or {}}), action._display.text


def test_the_plan_names_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, ResetPlan, PLAN)[0] == {"changed": False, "hosts": ["w1"], "whole": False}
    assert run(monkeypatch, ResetPlan, {**PLAN, "wanted": "all"})[0]["whole"] is True


def test_a_refusal_has_its_four_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _printed = run(monkeypatch, ResetPlan, {**PLAN, "confirm": ""})
    assert result["failed"] is True
    assert result["error"]["next"].startswith("add -e reset_confirm=prod")


def told(
    monkeypatch: pytest.MonkeyPatch, results: dict[str, Any], *, before: bool = False, check: bool = False
) -> tuple[dict[str, Any], str]:
    args = {"hosts": list(results), "registers": ["look", "done"], "before": before}
    return run(monkeypatch, ResetReport, args, results, check=check)


def test_the_last_word_of_each_host_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = {
        "w1": {"look": STAYED, "done": BLANK},
        # It did not answer, so the second task was skipped.
        "w2": {"look": AWAY, "done": {"skipped": True}},
        "w3": {"look": BLANK, "done": STAYED},
        "w4": {},
    }
    result, printed = told(monkeypatch, hosts)
    assert result["states"] == {"w1": "blank", "w2": "unreachable", "w3": "leftovers", "w4": "failed"}
    assert result["failed"] is True
    assert printed.endswith("reset: 3 of 4 hosts are not blank: w2, w3, w4\n")


def test_when_all_are_blank_it_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    result, printed = told(monkeypatch, {"w1": {"done": BLANK}})
    assert (result["failed"], result["changed"]) == (False, False)
    assert "reset: 1 of 1 hosts blank" in printed


@pytest.mark.parametrize(
    ("look", "check", "failed", "prints"),
    [
        ({"steps": ["stop"]}, False, False, False),
        ({"steps": ["stop"]}, True, False, True),
        # One that is away stops nobody; in check mode it is told that it would not be blank.
        (AWAY, False, False, False),
        (AWAY, True, True, True),
        ({"failed": True, "msg": "refused"}, False, True, True),
    ],
)
def test_before_anything_is_changed_only_a_refusal_stops(
    monkeypatch: pytest.MonkeyPatch, look: dict[str, Any], check: bool, failed: bool, prints: bool
) -> None:
    hosts = {"w1": {"look": look}, "w2": {"look": {"steps": ["stop it"]}}}
    result, printed = told(monkeypatch, hosts, before=True, check=check)
    assert result["failed"] is failed
    assert bool(printed) is prints
    assert ("  - stop it\n" in printed) is prints


@pytest.mark.parametrize(
    ("name", "args"), [("reset_plan", PLAN), ("reset_report", {"hosts": ["w1"], "registers": ["done"]})]
)
def test_on_a_host_it_refuses(name: str, args: dict[str, Any]) -> None:
    result = run_module(name, args)
    assert result["failed"] is True
    assert "controller" in result["msg"]
