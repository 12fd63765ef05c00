# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a renewal of certificates does, from what all hosts told, and print it. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.renewal_order import Host, Outcome, decide
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.hosts_read import problem_of
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain

LOOK, PLANE, ETCD, CLUSTER = "__renewal_look", "__renewal_plane", "__renewal_etcd", "__renewal_cluster"
BALANCER = "__kube_lb_seen"
LOOKS = (LOOK, "__kube_control_plane_renewal", "__etcd_renewal")
SPEC: dict[str, Any] = {
    "hosts": {"type": "dict", "required": True},
    "balancers": {"type": "list", "elements": "str", "default": []},
}


def host_of(name: str, roles: list[str], seen: Mapping[str, Any], drained: tuple[str, ...] = ()) -> Host:
    """A host's registers as one value."""
    # Of the looks that were skipped on this host there is a register, too.
    looks = [told for key in LOOKS if (told := plain(seen.get(key) or {})) and not told.get("skipped")]
    told = looks[0] if looks else {}
    if "plan" not in told:
        return Host(name, tuple(roles), why=problem_of(told)[1])
    plane = plain(seen.get(PLANE) or {}).get("control_plane") or {}
    return Host(name, tuple(roles), told["plan"], tuple(told["steps"]), api=bool(plane.get("api")), drained=drained)


def drained_on(name: str, seen: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The load balancers that send a control plane nothing new, as they told it."""
    told = {balancer: (one.get("servers") or {}).get(name) or {} for balancer, one in seen.items()}
    return tuple(sorted(balancer for balancer, server in told.items() if server.get("admin", "ready") != "ready"))


def leader_of(told: Mapping[str, Any]) -> str:
    """The name of etcd's leader, "" when nobody told it."""
    members = (told.get("etcd") or {}).get("members") or []
    return next((str(one["name"]) for one in members if one.get("leader")), "")


def api_error(told: Mapping[str, Any]) -> str:
    """Why the API does not answer; "" when it does."""
    return "" if told.get("cluster") else problem_of(told)[1]


def text_of(outcome: Outcome, *, effects: bool) -> str:
    """What a person reads."""
    title = "IS DONE NOW" if outcome.works and effects else "WOULD BE DONE" if outcome.works else "FOUND"
    lines = ["", f"CERTIFICATES: {title}", *(f"  {line}" for line in outcome.told)]
    if outcome.refusals:
        lines += ["REFUSED, NOTHING WAS CHANGED", *(f"  {line}" for line in outcome.refusals)]
    return "\n".join([*lines, ""])


class ActionModule(ActionBase):
    """Prints what was found and what is done; fails when it may not be done."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(SPEC)
        hostvars = (task_vars or {})["hostvars"]
        hosts = {name: plain(roles) for name, roles in plain(given["hosts"]).items()}
        # What was asked once is in the variables of every host that was asked with it.
        shared = {key: self._first(hostvars, hosts, key) for key in (ETCD, CLUSTER)}
        seen = {name: plain(hostvars[name].get(BALANCER) or {}) for name in given["balancers"]}
        outcome = decide(
            [host_of(name, roles, hostvars[name], drained_on(name, seen)) for name, roles in hosts.items()],
            leader_of(shared[ETCD]),
            api_error(shared[CLUSTER]),
        )
        color = constants.COLOR_ERROR if outcome.refusals else constants.COLOR_OK
        self._display.display(text_of(outcome, effects=not self._task.check_mode), color=color)
        result.update(changed=False, plan=outcome.as_dict())
        if outcome.refusals:
            refusal = RefusedError(
                "no certificate is renewed",
                where="; ".join(sorted(hosts)),
                found="; ".join(outcome.refusals),
                next_step="see docs/certificates.md",
            )
            result.update(failed=True, **refusal.result())
        return result

    @staticmethod
    def _first(hostvars: Mapping[str, Any], hosts: Mapping[str, Any], key: str) -> dict[str, Any]:
        found = (plain(hostvars[name].get(key)) for name in hosts)
        return next((one for one in found if isinstance(one, dict) and one), {})
