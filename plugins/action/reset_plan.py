# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a reset was asked for; a refusal where the names or the confirmation do not fit. Changes nothing."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.reset_hosts import choose
from ansible_collections.quorum.kubeadm.plugins.modules.reset_plan import SPEC


class ActionModule(ActionBase):
    """Runs on the controller and connects to nothing."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(SPEC)
        try:
            chosen = choose(given["wanted"], given["confirm"], given["cluster"], given["hosts"], given["balancers"])
        except KubeadmError as exc:
            return result | {"failed": True, **exc.result()}
        return result | {"changed": False, "hosts": list(chosen.hosts), "whole": chosen.whole}
