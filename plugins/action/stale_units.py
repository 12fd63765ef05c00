# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart or reload the units that run with an older configuration; ask the host only when there are any."""

from __future__ import annotations

from typing import Any

from ansible_collections.quorum.kubeadm.plugins.modules.stale_units import SPEC
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.fenced_action import FencedAction
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain


class ActionModule(FencedAction):
    """See the module's documentation."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(SPEC)
        if given["name"] not in plain(given["stale"]):
            return result | {"changed": False}
        return result | self._execute_module(
            module_name="ansible.builtin.systemd_service",
            module_args={"name": given["name"], "state": given["state"]},
            task_vars=task_vars,
        )
