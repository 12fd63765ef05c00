# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's side of the modules that talk to the Kubernetes API.

By default they are delegated to localhost. A process of its own for each call would cost more than everything that the
call does: the module is packed, started, and imports Ansible's library from a zip file. So there the module's function
is called in the worker process that Ansible has made for the task anyway.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.fenced_action import FencedAction
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain

CONTROLLER = ("localhost", "127.0.0.1", "::1")


class ApiAction(FencedAction):
    """Calls the module's `call(params, check_mode)` with parameters that its SPEC and RULES accept."""

    MODULE: ModuleType

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self.is_here():
            return result | (self.refused() or self.call())
        name = self.MODULE.__name__.rpartition(".")[2]
        executed = self._execute_module(
            module_name=f"quorum.kubeadm.{name}", module_args=dict(self._task.args), task_vars=task_vars
        )
        return result | executed

    def is_here(self) -> bool:
        """Whether the controller itself asks the API, as the user who runs Ansible: the kubeconfig there is theirs.

        `ansible_become` for all hosts is meant for the machines. A node that Ansible runs on is one of them.
        """
        asks = self._task.delegate_to in CONTROLLER or not self._connection.become
        return bool(self._connection.transport == "local" and asks)

    def call(self) -> dict[str, Any]:
        """The module's result, or its error as a result."""
        validator = ArgumentSpecValidator(self.MODULE.SPEC, **getattr(self.MODULE, "RULES", {}))
        validated = validator.validate(plain(self._task.args))
        if validated.error_messages:
            return {"failed": True, "msg": "; ".join(validated.error_messages)}
        try:
            done: dict[str, Any] = self.MODULE.call(validated.validated_parameters, check_mode=self._task.check_mode)
        except KubeadmError as exc:
            return {"failed": True, **exc.result()}
        return done
