"""Actions that ask the host only when there is something to do: host_packages and stale_units."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.action.host_packages import ActionModule as HostPackages
from ansible_collections.quorum.kubeadm.plugins.action.stale_units import ActionModule as StaleUnits

PACKAGES = {"names": ["haproxy", "keepalived"], "manager": "apt"}
UNIT = {"name": "haproxy.service", "state": "reloaded"}


class Task:
    def __init__(self, args: dict[str, Any]) -> None:
        self.args = args


def run(
    monkeypatch: pytest.MonkeyPatch, kind: type[ActionBase], args: dict[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The result, and the remote calls that were made."""
    calls: list[dict[str, Any]] = []
    action: Any = object.__new__(kind)
    action._task = Task(args)

    def execute(**given: Any) -> dict[str, Any]:
        calls.append({"module": given["module_name"], **given["module_args"]})
        return {"changed": True}

    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_a, **_k: {})
    monkeypatch.setattr(action, "_execute_module", execute)
    return action.run(task_vars={}), calls


def test_only_missing_packages_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    result, calls = run(monkeypatch, HostPackages, {**PACKAGES, "installed": ["haproxy", "vim"]})
    assert calls == [{"module": "ansible.builtin.apt", "name": ["keepalived"], "state": "present"}]
    assert result == {"changed": True, "missing": ["keepalived"]}


def test_no_call_when_every_package_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    result, calls = run(monkeypatch, HostPackages, {**PACKAGES, "installed": ["keepalived", "haproxy"]})
    assert calls == []
    assert result == {"changed": False, "missing": []}


def test_a_stale_unit_is_reloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    result, calls = run(monkeypatch, StaleUnits, {**UNIT, "stale": ["keepalived.service", "haproxy.service"]})
    assert calls == [{"module": "ansible.builtin.systemd_service", "name": "haproxy.service", "state": "reloaded"}]
    assert result["changed"]


def test_a_current_unit_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    result, calls = run(monkeypatch, StaleUnits, {**UNIT, "stale": ["keepalived.service"]})
    assert (calls, result) == ([], {"changed": False})
