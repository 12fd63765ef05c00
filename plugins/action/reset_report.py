# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a reset went on every host, printed as one table; fails when a host is not blank."""

from __future__ import annotations

from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.module_utils.reset_hosts import Outcome, outcome, report, verdict
from ansible_collections.quorum.kubeadm.plugins.modules.reset_report import SPEC
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain

WIDTH = (100, 180)


class ActionModule(ActionBase):
    """Runs on the controller and connects to nothing."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(SPEC)
        hostvars = (task_vars or {})["hostvars"]
        results = {name: self._result(hostvars[name], given["registers"]) for name in given["hosts"]}
        planned = given["before"]
        outcomes = [outcome(name, told, planned=planned) for name, told in results.items()]
        # One that does not answer keeps the others from nothing. In check mode this is the last word on it.
        stops = [item for item in outcomes if not item.is_good and not (planned and item.state == "unreachable")]
        failed = bool(stops) or (self._task.check_mode and not all(item.is_good for item in outcomes))
        if failed or self._task.check_mode or not planned:
            self._show(outcomes, {name: told.get("steps") or [] for name, told in results.items() if planned}, failed)
        states = {item.host: item.state for item in outcomes}
        return result | {"changed": False, "failed": failed, "states": states, "msg": verdict(outcomes)}

    def _show(self, outcomes: list[Outcome], steps: dict[str, list[str]], failed: bool) -> None:
        width = min(max(self._display.columns, WIDTH[0]), WIDTH[1])
        color = constants.COLOR_ERROR if failed else constants.COLOR_OK
        self._display.display(report(outcomes, steps, width), color=color)

    def _result(self, variables: Any, registers: list[str]) -> dict[str, Any]:
        """The last of these results that is one: a task that was skipped has told nothing."""
        told = [plain(variables.get(register) or {}) for register in registers]
        spoken = [result for result in told if result and not result.get("skipped")]
        return spoken[-1] if spoken else {}
