# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run node_info on the host, and note the controller's clock before and after.

Between the two readings the host read its own clock: so clocks are compared, as NTP does it,
without trusting that all hosts were asked at the same moment.
"""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """The module's result and `clock: {sent, received}`."""

    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        sent = time.time()
        result.update(
            self._execute_module(
                module_name="quorum.kubeadm.node_info", module_args=dict(self._task.args), task_vars=task_vars
            )
        )
        result["clock"] = {"sent": sent, "received": time.time()}
        return result
