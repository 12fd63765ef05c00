# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install packages by Ansible's own package modules, and ask the host only when one is missing."""

from __future__ import annotations

from typing import Any

from ansible_collections.quorum.kubeadm.plugins.modules.host_packages import SPEC
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.fenced_action import FencedAction
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain


class ActionModule(FencedAction):
    """See the module's documentation."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(SPEC)
        missing = [name for name in plain(given["names"]) if name not in given["installed"]]
        if not missing:
            return result | {"changed": False, "missing": []}
        executed = self._execute_module(
            module_name=f"ansible.builtin.{given['manager']}",
            module_args={"name": missing, "state": "present"},
            task_vars=task_vars,
        )
        return result | executed | {"missing": missing}
