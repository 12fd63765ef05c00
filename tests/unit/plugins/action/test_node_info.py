"""node_info on the controller: the module's own result, and the controller's clock around it."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.action.node_info import ActionModule


@pytest.fixture(name="action")
def action_with_a_slow_module(monkeypatch: pytest.MonkeyPatch) -> tuple[ActionModule, list[dict[str, Any]]]:
    called: list[dict[str, Any]] = []

    def execute(_self: ActionBase, **arguments: Any) -> dict[str, Any]:
        called.append(arguments)
        time.sleep(0.02)
        return {"changed": False, "node": {"time": {"epoch": time.time()}}}

    monkeypatch.setattr(ActionBase, "run", lambda _self, _tmp=None, _vars=None: {})
    monkeypatch.setattr(ActionBase, "_execute_module", execute)
    action = object.__new__(ActionModule)
    action._task = SimpleNamespace(args={"packages": ["haproxy"]})
    return action, called


def test_the_hosts_clock_is_read_between_the_two_of_the_controller(
    action: tuple[ActionModule, list[dict[str, Any]]],
) -> None:
    subject, called = action
    result = subject.run(task_vars={"x": 1})
    assert result["clock"]["sent"] < result["node"]["time"]["epoch"] <= result["clock"]["received"]
    assert called == [
        {"module_name": "quorum.kubeadm.node_info", "module_args": {"packages": ["haproxy"]}, "task_vars": {"x": 1}}
    ]
