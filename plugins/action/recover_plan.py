# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a recovery of etcd would do, from what all hosts told, and say what it gives up. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.recovery import Outcome, decide
from ansible_collections.quorum.kubeadm.plugins.module_utils.recovery_seen import Asked, Machine
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.etcd_seen import PODS, machine, silent
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain

SPEC: dict[str, Any] = {
    "hosts": {"type": "list", "elements": "str", "required": True},
    "control_planes": {"type": "list", "elements": "str", "required": True},
    "addresses": {"type": "dict", "required": True},
    "survivor": {"type": "str", "default": ""},
    "snapshot": {"type": "str", "default": ""},
    "lost": {"type": "list", "elements": "str", "default": []},
    "acknowledge": {"type": "str", "default": ""},
}


def machines_of(given: Mapping[str, Any], hostvars: Mapping[str, Any]) -> list[Machine]:
    """All hosts of etcd."""
    away = silent(given["hosts"], given["addresses"], hostvars)
    return [machine(name, hostvars[name], away) for name in sorted(given["hosts"])]


def text_of(outcome: Outcome, asked: Asked, *, effects: bool = True) -> str:
    """What a person reads."""
    lines = ["", "ETCD, AS IT WAS FOUND", *(f"  {line}" for line in outcome.told)]
    if outcome.refusals:
        lines += ["REFUSED", *(f"  {line}" for line in outcome.refusals)]
    if outcome.steps:
        lines += [
            "IS DONE NOW" if outcome.works and effects else "WOULD BE DONE",
            *(f"  {line}" for line in outcome.steps),
        ]
    if outcome.words and not outcome.refusals and not outcome.works:
        source = f" -e snapshot={asked.snapshot}" if asked.snapshot else ""
        lost = f" -e recover_lost={','.join(asked.lost)}" if asked.lost else ""
        lines += [
            "NOTHING WAS CHANGED. To do it, give back what is given up:",
            f"  -e survivor={outcome.survivor}{source}{lost} -e recover_acknowledge={outcome.words}",
        ]
    return "\n".join([*lines, ""])


class ActionModule(ActionBase):
    """Prints what was found and what would be done; fails when it may not be done."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(SPEC)
        hostvars = (task_vars or {})["hostvars"]
        asked = Asked(given["survivor"], given["snapshot"], tuple(given["lost"]), given["acknowledge"])
        held = {name: plain(hostvars[name].get(PODS) or {}).get("held") or [] for name in given["control_planes"]}
        outcome = decide(machines_of(given, hostvars), asked, time.time(), held)
        color = constants.COLOR_ERROR if outcome.refusals else constants.COLOR_OK
        self._display.display(text_of(outcome, asked, effects=not self._task.check_mode), color=color)
        dead = [name for name in given["control_planes"] if name in outcome.others]
        result.update(changed=False, plan={**outcome.as_dict(), "dead_control_planes": dead})
        if outcome.refusals:
            refusal = RefusedError(
                "etcd is not recovered",
                where="etcd",
                found="; ".join(outcome.refusals),
                next_step="see docs/disaster-recovery.md",
            )
            result.update(failed=True, **refusal.result())
        return result
