# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run certificate_info on the host, and read on the controller what the certificates say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_places import places
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_seen import metrics
from ansible_collections.quorum.kubeadm.plugins.modules.certificate_info import SPEC
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.certificate_parse import Reader
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain


def read(given: Mapping[str, Any], told: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    """The result, of what the host has told."""
    reader = Reader(given["name"], (given["name"], given["address"]), given["api_names"], now)
    seen = reader.read(places(given["roles"], given["api_port"]), told)
    return {"certificates": [one.result() for one in seen], "metrics": metrics(seen)}


class ActionModule(ActionBase):
    """One remote call."""

    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, validated = self.validate_argument_spec(SPEC)
        given = plain(validated)
        result.update(
            self._execute_module(module_name="quorum.kubeadm.certificate_info", module_args=given, task_vars=task_vars)
        )
        if "certificates" in result:
            result.update(read(given, result["certificates"], datetime.now(timezone.utc)))
        return result
