# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fence: a task of a run that has lost its lock changes nothing. Whoever uses no lock passes."""

from __future__ import annotations

from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.plugins.action.normal import ActionModule as ModuleAction

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError
from ansible_collections.quorum.kubeadm.plugins.plugin_utils import run_state


def state_directory() -> str:
    """Where this run's lock has its state: in the temporary directory that Ansible has made for this run alone."""
    return run_state.within(constants.DEFAULT_LOCAL_TMP)


class FencedAction(ActionBase):
    """Runs its module only while the lock is held. CHANGES: False for a module that only looks."""

    TRANSFERS_FILES = False
    CHANGES = True

    def refused(self) -> dict[str, Any]:
        """The result of a task that must not change anything, {} when it may."""
        if not self.CHANGES or self._task.check_mode:
            return {}
        try:
            run_state.require(state_directory())
        except RefusedError as exc:
            return {"failed": True, **exc.result()}
        return {}

    def _execute_module(self, *args: Any, **given: Any) -> dict[str, Any]:
        executed: dict[str, Any] = self.refused() or super()._execute_module(*args, **given)
        return executed


class FencedModule(FencedAction, ModuleAction):
    """Nothing but the fence, and the module of the task's name as Ansible runs it without an action."""
