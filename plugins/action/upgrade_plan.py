# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge everything that an upgrade must know: one report, one plan, one refusal. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.module_utils import kube_upgrade, removals, report, upgrade_gates
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.findings import Finding
from ansible_collections.quorum.kubeadm.plugins.module_utils.upgrade_facts import parse_upgrade
from ansible_collections.quorum.kubeadm.plugins.module_utils.upgrade_plan import Inputs, Outcome, plan_text, review
from ansible_collections.quorum.kubeadm.plugins.module_utils.version import parse_version
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.hosts_read import problem_of
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain

FACTS, BALANCER = "__kube_preflight_node", "__kube_lb_seen"
WIDTH = (100, 180)
LIST = {"type": "list", "elements": "str", "default": []}
MAPPING = {"type": "dict", "default": {}}
SPEC: dict[str, Any] = {
    "version": {"type": "str", "required": True},
    "control_planes": {"type": "list", "elements": "str", "required": True},
    "workers": LIST,
    "balancers": LIST,
    "addresses": {"type": "dict", "required": True},
    "cluster": MAPPING,
    "etcd": MAPPING,
    "drains": {"type": "list", "elements": "dict", "default": []},
    "external_etcd": {"type": "bool", "default": False},
    "etcd_tag": {"type": "str", "default": ""},
    "policy": {"type": "str", "choices": ["fail", "wait", "force"], "default": "fail"},
    "last": {"type": "str", "default": ""},
    "allow_downtime": {"type": "bool", "default": False},
    "allow_deprecated": {"type": "bool", "default": False},
    "settings_only": {"type": "bool", "default": False},
    "restart": LIST,
}


def read_hosts(names: list[str], hostvars: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The facts of the hosts that gave some, and why the others did not."""
    hosts, away = {}, {}
    for name in names:
        facts = plain(hostvars[name].get(FACTS) or {})
        if "node" in facts:
            hosts[name] = facts["node"]
        else:
            away[name] = problem_of(facts)[1]
    return hosts, away


def inputs_of(given: Mapping[str, Any], task_vars: Mapping[str, Any]) -> Inputs:
    """What was read, as the pure part takes it."""
    hostvars = task_vars["hostvars"]
    names = [*given["control_planes"], *given["workers"], *given["balancers"]]
    hosts, away = read_hosts(list(dict.fromkeys(names)), hostvars)
    cluster = plain(given["cluster"].get("cluster") or {})
    versions = {
        name: (cluster.get("api_versions") or {}).get(url, {}).get("version", "")
        for name, url in given["addresses"].items()
    }
    return Inputs(
        version=str(parse_version(given["version"], "kube_version")),
        control_planes=tuple(given["control_planes"]),
        workers=tuple(given["workers"]),
        hosts=hosts,
        away=away,
        cluster={**cluster, "api_versions_by_node": versions},
        etcd=plain(given["etcd"]),
        balancers={name: plain(hostvars[name].get(BALANCER) or {}) for name in given["balancers"]},
        drains=plain(given["drains"]),
        external_etcd=given["external_etcd"],
        etcd_tag=given["etcd_tag"],
        policy=given["policy"],
        until=given["last"],
        inventory=",".join(str(source) for source in task_vars.get("ansible_inventory_sources") or []),
        allow_downtime=given["allow_downtime"],
        settings_only=given["settings_only"],
        restart=tuple(given["restart"]),
    )


def host_gates(inputs: Inputs, deprecated: list[Mapping[str, Any]], *, allow_deprecated: bool) -> list[Finding]:
    """What the hosts themselves speak against the upgrade: certificates, disks, what the target removed."""
    target = parse_version(inputs.version)
    findings = kube_upgrade.deprecated_findings(deprecated, target, allow_deprecated=allow_deprecated)
    findings += removals.find_in_configuration(inputs.cluster.get("cluster_configuration"), target)
    for name, node in inputs.hosts.items():
        facts = parse_upgrade(name, node)
        if facts is not None and name in (*inputs.control_planes, *inputs.workers):
            findings += removals.find(facts, target)
            findings += upgrade_gates.judge(facts, now=datetime.now(timezone.utc))
    return findings


class ActionModule(ActionBase):
    """Prints the report and the plan; fails when any finding is fatal."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(SPEC)
        if given["cluster"].get("failed"):
            return result | {"failed": True, "msg": f"the cluster cannot be read: {given['cluster'].get('msg')}"}
        try:
            inputs = inputs_of(given, task_vars or {})
            deprecated = inputs.cluster.get("deprecated_apis") or []
            outcome = review(inputs, host_gates(inputs, deprecated, allow_deprecated=given["allow_deprecated"]))
        except KubeadmError as exc:
            return result | {"failed": True, **exc.result()}
        self._show(outcome, len(inputs.hosts) + len(inputs.away))
        findings = [finding.as_dict() for finding in outcome.findings]
        result.update(changed=False, findings=findings, plan=outcome.as_dict())
        if outcome.is_fatal:
            result.update(failed=True, msg=report.failure_text(outcome.findings))
        return result

    def _show(self, outcome: Outcome, hosts: int) -> None:
        width = min(max(self._display.columns, WIDTH[0]), WIDTH[1])
        color = constants.COLOR_ERROR if outcome.is_fatal else constants.COLOR_OK
        self._display.display(report.findings_text(outcome.findings, hosts, width), color=color)
        self._display.display(plan_text(outcome, width))
