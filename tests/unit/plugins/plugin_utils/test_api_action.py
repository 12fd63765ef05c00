"""Calls to the API: in this process on the controller, as a module everywhere else."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.action.kube_apply import ActionModule as KubeApply
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError
from ansible_collections.quorum.kubeadm.plugins.modules import (
    bootstrap_token,
    certificate_key,
    cluster_info,
    cluster_verify,
    kube_apply,
    kube_drain,
    kube_node,
)
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.api_action import ApiAction

MODULES = (bootstrap_token, certificate_key, cluster_info, cluster_verify, kube_apply, kube_drain, kube_node)
ARGUMENTS = {"kubeconfig": "/etc/x", "manifest": "a: 1"}


class Task:
    async_val = 0
    diff = False

    def __init__(self, args: dict[str, Any], check_mode: bool, delegate_to: str | None) -> None:
        self.args = args
        self.check_mode = check_mode
        self.delegate_to = delegate_to


class Connection:
    def __init__(self, transport: str, become: object) -> None:
        self.transport = transport
        self.become = become


class Ran:
    """One run of kube_apply's action: what it returned, and how the work was done."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        args: dict[str, Any],
        *,
        transport: str = "local",
        become: object = None,
        check_mode: bool = False,
        delegate_to: str | None = None,
        error: Exception | None = None,
    ) -> None:
        self.here: list[tuple[dict[str, Any], bool]] = []
        self.sent: list[dict[str, Any]] = []
        self.error = error
        monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_a, **_k: {})
        monkeypatch.setattr(kube_apply, "call", self.call)
        action = KubeApply.__new__(KubeApply)
        action._task = Task(args, check_mode, delegate_to)
        action._connection = Connection(transport, become)
        monkeypatch.setattr(action, "_execute_module", self.execute)
        self.result = action.run(task_vars={})

    def call(self, params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
        self.here.append((params, check_mode))
        if self.error:
            raise self.error
        return {"changed": True}

    def execute(self, **given: Any) -> dict[str, Any]:
        self.sent.append(given)
        return {"changed": True}


def test_on_the_controller_no_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = Ran(monkeypatch, {**ARGUMENTS, "timeout": "5"}, check_mode=True)
    assert ran.sent == []
    ((params, check_mode),) = ran.here
    assert (params["timeout"], params["endpoints"], params["src"], check_mode) == (5, [], None, True)
    assert ran.result == {"changed": True}


def test_become_for_all_machines_is_not_meant_for_the_controller(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Ran(monkeypatch, ARGUMENTS, become=object(), delegate_to="localhost").sent == []
    assert Ran(monkeypatch, ARGUMENTS, become=object(), delegate_to="cp1").here == []


@pytest.mark.parametrize(("transport", "become"), [("ssh", None), ("local", object())])
def test_elsewhere_or_as_somebody_else_it_is_a_module(
    monkeypatch: pytest.MonkeyPatch, transport: str, become: object
) -> None:
    ran = Ran(monkeypatch, ARGUMENTS, transport=transport, become=become)
    assert ran.here == []
    assert ran.sent[0]["module_name"] == "quorum.kubeadm.kube_apply"
    assert ran.sent[0]["module_args"] == ARGUMENTS


def test_a_refusal_fails_the_task_with_its_four_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RefusedError("no", where="there", found="this", next_step="that")
    ran = Ran(monkeypatch, ARGUMENTS, error=error)
    assert ran.result["failed"]
    assert ran.result["error"] == {"what": "no", "where": "there", "found": "this", "next": "that"}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"manifest": "a: 1"}, "kubeconfig"),
        ({**ARGUMENTS, "src": "/etc/y"}, "mutually exclusive"),
        ({"kubeconfig": "/etc/x"}, "one of the following is required"),
        ({**ARGUMENTS, "timeout": "soon"}, "cannot be converted to an int"),
        ({**ARGUMENTS, "manfest": "x"}, "manfest"),
    ],
)
def test_wrong_arguments_are_refused_as_a_module_refuses_them(
    monkeypatch: pytest.MonkeyPatch, args: dict[str, Any], says: str
) -> None:
    ran = Ran(monkeypatch, args)
    assert ran.result["failed"]
    assert says in ran.result["msg"]
    assert ran.here == []


@pytest.mark.parametrize("module", MODULES)
def test_every_module_of_the_api_has_its_action(module: ModuleType) -> None:
    name = module.__name__.rpartition(".")[2]
    action = __import__(f"ansible_collections.quorum.kubeadm.plugins.action.{name}", fromlist=["ActionModule"])
    assert issubclass(action.ActionModule, ApiAction)
    assert action.ActionModule.MODULE is module
    assert callable(module.call)
    assert module.SPEC
