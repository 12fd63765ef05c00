"""The controller's half: when a task is answered without a call."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.action.host_config import ActionModule
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.receipts import digest_of, holds_secret

ARGUMENTS: dict[str, Any] = {"files": [{"path": "/etc/a", "content": "a"}]}


class Task:
    async_val = 0
    check_mode = False
    diff = False
    environment = None
    delegate_to = None

    def __init__(self, args: dict[str, Any]) -> None:
        self.args = args


@pytest.fixture
def action(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The action with a given receipt; `calls` are the arguments of remote calls."""

    def run(arguments: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        made = ActionModule.__new__(ActionModule)
        made._task = Task(arguments)
        calls: list[dict[str, Any]] = []

        def execute(**given: Any) -> dict[str, Any]:
            calls.append(given["module_args"])
            return {"changed": True}

        monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_a, **_k: {})
        monkeypatch.setattr(made, "_execute_module", execute)
        return made.run(task_vars={}), calls

    return run


def with_receipt(proven: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**ARGUMENTS, **more, "receipt": {"name": "example", "known": {"proven": proven, "inputs": "i1"}}}


def test_a_proven_call_is_not_made(action: Any) -> None:
    digest = digest_of("host_config", ARGUMENTS)
    assert digest
    result, calls = action(with_receipt({"example": {"digest": digest, "inputs": "i1"}}))
    assert calls == []
    assert (result["changed"], result["proven"], result["stale_units"], result["steps"]) == (False, True, [], [])


def test_any_difference_makes_the_call(action: Any) -> None:
    digest = digest_of("host_config", ARGUMENTS)
    assert digest
    right = {"digest": digest, "inputs": "i1"}
    for proven in ({}, {"other": right}, {"example": {**right, "digest": "x"}}, {"example": {**right, "inputs": "x"}}):
        result, calls = action(with_receipt(proven))
        assert result["changed"]
        assert calls[0]["receipt"] == {"name": "example", "digest": digest, "inputs": "i1"}
    _result, calls = action(with_receipt({"example": right}, swap="off"))
    assert calls[0]["receipt"]["digest"] != digest


def test_a_call_with_a_secret_is_always_made_and_leaves_no_digest(action: Any) -> None:
    secret = {"files": [{"path": "/etc/a", "secret_b64": "YQ=="}]}
    assert holds_secret(secret)
    assert digest_of("host_config", secret) is None
    _result, calls = action(with_receipt({"example": {"digest": "None", "inputs": "i1"}}, **secret))
    assert calls[0]["receipt"] == {"name": "example", "digest": None, "inputs": "i1"}


def test_without_a_receipt_the_module_simply_runs(action: Any) -> None:
    _result, calls = action(dict(ARGUMENTS))
    assert calls == [ARGUMENTS]
