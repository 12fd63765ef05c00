# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge what is known of machines that are to go: one report, one plan, one refusal. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.module_utils import report
from ansible_collections.quorum.kubeadm.plugins.module_utils.preflight_inputs import GROUP_NAMES
from ansible_collections.quorum.kubeadm.plugins.module_utils.removal import Inputs, Outcome, review
from ansible_collections.quorum.kubeadm.plugins.module_utils.removal_steps import plan_text
from ansible_collections.quorum.kubeadm.plugins.module_utils.scope import removal_scope, split_names
from ansible_collections.quorum.kubeadm.plugins.modules.removal_plan import SPEC
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.hosts_read import problem_of
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain

FACTS, BALANCER = "__kube_preflight_node", "__kube_lb_seen"
WIDTH = (100, 180)
UNREAD = "the cluster cannot be read, and nothing was changed"
MEND = "mend what is named; when etcd has lost its majority for good: playbooks/recover_quorum.yml"


def address_of(name: str, variables: Mapping[str, Any]) -> str:
    """The host's address inside the cluster, by the inventory."""
    return str(variables.get("kube_node_ip") or variables.get("ansible_host") or name)


def url_of(address: str, port: int) -> str:
    """Where the API server on a host answers."""
    return f"https://{f'[{address}]' if ':' in address else address}:{port}"


def inputs_of(given: Mapping[str, Any], hostvars: Mapping[str, Any]) -> Inputs:
    """What was read, as the pure part takes it."""
    names, replacement = split_names(given["names"]), given["replacement"].strip()
    groups = {role: [str(name) for name in given["groups"].get(role) or []] for role in GROUP_NAMES}
    scope = removal_scope({GROUP_NAMES[role]: of for role, of in groups.items()}, names, replacement)
    hosts, away, broken = {}, {}, {}
    for name in scope:
        facts = plain(hostvars[name].get(FACTS) or {})
        is_away, why = problem_of(facts)
        if "node" in facts:
            hosts[name] = facts["node"]
        else:
            (away if is_away else broken)[name] = why
    addresses = {name: address_of(name, hostvars[name]) for name in scope}
    cluster = plain(given["cluster"].get("cluster") or {})
    answers = {url: bool(told.get("version")) for url, told in (cluster.get("api_versions") or {}).items()}
    planes = [name for name in groups["control_plane"] if name in addresses]
    return Inputs(
        names=tuple(names),
        replacement=replacement,
        groups=groups,
        addresses=addresses,
        hosts=hosts,
        away=away,
        broken=broken,
        cluster=cluster,
        live=frozenset(name for name in planes if answers.get(url_of(addresses[name], given["api_port"]))),
        vip=given["vip"],
        vip_live=answers.get(given["vip_url"], False),
        balancers={name: plain(hostvars[name].get(BALANCER) or {}) for name in groups["lb"]},
        drains=plain(given["drains"]),
        policy=given["policy"],
        api_via=given["api_via"],
        confirm_even=given["confirm_even"],
        confirm_no_tolerance=given["confirm_no_tolerance"],
    )


class ActionModule(ActionBase):
    """Prints the report and the plan; fails when any finding is fatal."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(SPEC)
        if not split_names(given["names"]):
            return result | {"failed": True, "msg": "No machine is named. Next: -e node=NAME, its exact name"}
        if "cluster" not in given["cluster"]:
            return result | {"failed": True, "msg": f"{UNREAD}: {given['cluster'].get('msg')}. Next: {MEND}"}
        outcome = review(inputs_of(given, (task_vars or {})["hostvars"]))
        self._show(outcome)
        findings = [finding.as_dict() for finding in outcome.findings]
        result.update(changed=False, findings=findings, plan=outcome.as_dict())
        if outcome.is_fatal:
            result.update(failed=True, msg=report.failure_text(outcome.findings))
        return result

    def _show(self, outcome: Outcome) -> None:
        width = min(max(self._display.columns, WIDTH[0]), WIDTH[1])
        color = constants.COLOR_ERROR if outcome.is_fatal else constants.COLOR_OK
        looked = sum(host.facts is not None for host in outcome.case.world.hosts.values())
        self._display.display(report.findings_text(outcome.findings, looked, width), color=color)
        self._display.display(plan_text(outcome.steps, outcome.case.machines, outcome.tolerance, width))
