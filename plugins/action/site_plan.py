# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the facts of all hosts of the play: one report, one plan, one refusal. Changes nothing."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.module_utils import report
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import open_api
from ansible_collections.quorum.kubeadm.plugins.module_utils.preflight import Review, review
from ansible_collections.quorum.kubeadm.plugins.plugin_utils import role_arguments, site_inputs
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.hosts_read import problem_of
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain

FACTS = "__kube_preflight_node"
HOST_VARIABLES = (
    "kube_node_ip",
    "ansible_host",
    "kube_node_labels",
    "kube_node_taints",
    "kube_lb_vrid",
    "kube_lb_health_port",
)
ADDRESS_VARIABLES = ("kube_node_ip", "ansible_host")
CLUSTER_VARIABLES = (
    "kube_version",
    "kube_vip",
    "kube_api_port",
    "kube_api_bind_port",
    "kube_pod_cidr",
    "kube_service_cidr",
    "kube_dns_domain",
    "kube_cluster_name",
)
WIDTH = (100, 180)


def authority_of(path: str) -> str:
    """The CA certificate (public) in the controller's kubeconfig; "" when there is none yet."""
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as handle:
            config = yaml.safe_load(handle)
        data = config["clusters"][0]["cluster"]["certificate-authority-data"]
        return base64.b64decode(data, validate=True).decode("ascii")
    except (OSError, ValueError, TypeError, KeyError, IndexError, yaml.YAMLError):
        return ""


def version_of(path: str, endpoints: list[str]) -> str:
    """The version of the API that the kubeconfig's CA vouches for; "" when none answers or it is another cluster's."""
    try:
        api = open_api({"kubeconfig": os.path.expanduser(path), "endpoints": endpoints, "timeout": 3}, dry_run=True)
        return str(api.get("/version").get("gitVersion") or "")
    except (KubeadmError, OSError):
        return ""


def ask_cluster(
    cluster: Mapping[str, Any], hosts: Mapping[str, Mapping[str, Any]], nodes: Mapping[str, Any]
) -> dict[str, str]:
    """What the controller's kubeconfig tells when no control plane is in the play, as in a run limited to a new worker.

    Where the API is asked from here, its CA counts only when the running API is vouched for by it: an older
    cluster's kubeconfig may still lie there.
    """
    planes = [name for name, host in hosts.items() if "control_plane" in host["groups"]]
    path = str(cluster.get("kube_kubeconfig") or "")
    ca_pem = authority_of(path)
    if not ca_pem or any(name in nodes for name in planes):
        return {}
    if cluster.get("kube_api_via", "localhost") != "localhost":
        return {"ca_pem": ca_pem}
    addresses = [address_of(name, hosts[name]) for name in planes]
    endpoints = [f"https://{cluster.get('kube_vip')}:{cluster.get('kube_api_port')}"]
    endpoints += [f"https://{address}:{cluster.get('kube_api_bind_port')}" for address in addresses]
    version = version_of(path, endpoints)
    return {"ca_pem": ca_pem, "api_version": version} if version else {}


def read_host(variables: Mapping[str, Any], groups: Iterable[str], in_play: bool) -> dict[str, Any]:
    """One host's part of the inputs.

    Of a worker outside of the play only the address, which no other host may have: there may be thousands of them.
    """
    host: dict[str, Any] = {"groups": sorted(groups), "in_play": in_play, "overrides": {}, "unreadable": {}}
    concerned = in_play or host["groups"] != ["worker"]
    for name in (*HOST_VARIABLES, *CLUSTER_VARIABLES) if concerned else ADDRESS_VARIABLES:
        try:
            if name in variables:
                (host["overrides"] if name in CLUSTER_VARIABLES else host)[name] = plain(variables[name])
        except AnsibleError as exc:
            host["unreadable"][name] = " ".join(str(exc).split())[:200]
    if in_play:
        host["values"], wrong = role_arguments.read(variables)
        host["unreadable"] = {**wrong, **host["unreadable"]}
        host["unknown"] = role_arguments.unknown(str(name) for name in variables)
    facts = variables.get(FACTS) or {}
    if in_play and "node" not in facts:
        host["unreachable"], host["problem"] = problem_of(facts)
    clock = facts.get("clock") or {}
    return {**host, "sent": clock.get("sent"), "received": clock.get("received")}


def read_hosts(
    task_vars: Mapping[str, Any], groups: Mapping[str, list[str]]
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """All hosts of the groups, and the facts of those that gave some."""
    found: dict[str, list[str]] = {}
    for group, names in groups.items():
        for name in names:
            found.setdefault(str(name), []).append(group)
    in_play, hostvars = set(task_vars["ansible_play_hosts_all"]), task_vars["hostvars"]
    hosts, nodes = {}, {}
    for name, of in found.items():
        variables = hostvars[name]
        hosts[name] = read_host(variables, of, name in in_play)
        facts = variables.get(FACTS) or {}
        if name in in_play and "node" in facts:
            nodes[name] = facts["node"]
    addresses = {name: address_of(name, host) for name, host in hosts.items()}
    for name, host in hosts.items():
        values = host.pop("values", {})
        if name in nodes:
            family = (nodes[name].get("os") or {}).get("family")
            shared = site_inputs.shared_inputs(groups, addresses, family)
            host["inputs"] = site_inputs.inputs_digest(name, values, shared)
    return hosts, nodes


def address_of(name: str, host: Mapping[str, Any]) -> str:
    """The host's address inside the cluster, by the inventory."""
    return str(host.get("kube_node_ip") or host.get("ansible_host") or name)


class ActionModule(ActionBase):
    """Prints the report and the plan; fails when any finding is fatal."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        mapping = {"type": "dict", "required": True}
        _validated, given = self.validate_argument_spec(
            {"cluster": mapping, "members": mapping, "rules": {"type": "dict", "default": {}}}
        )
        variables = task_vars or {}
        hosts, nodes = read_hosts(variables, given["members"])
        outcome = review(
            {
                "cluster": given["cluster"],
                "hosts": hosts,
                "rules": given["rules"],
                "inventory": ",".join(str(source) for source in variables.get("ansible_inventory_sources") or []),
                "limit": variables.get("ansible_limit") or "",
                **ask_cluster(given["cluster"], hosts, nodes),
            },
            nodes,
        )
        self._show(outcome)
        result.update(changed=False, findings=[finding.as_dict() for finding in outcome.findings])
        if outcome.fatal:
            result.update(failed=True, msg=report.failure_text(outcome.findings))
        else:
            result["plan"] = outcome.plan.as_dict()
            result["inputs"] = {name: host["inputs"] for name, host in hosts.items() if "inputs" in host}
        return result

    def _show(self, outcome: Review) -> None:
        width = min(max(self._display.columns, WIDTH[0]), WIDTH[1])
        color = (
            constants.COLOR_ERROR if outcome.fatal else constants.COLOR_WARN if outcome.findings else constants.COLOR_OK
        )
        self._display.display(report.findings_text(outcome.findings, len(outcome.plan.hosts), width), color=color)
        if not outcome.fatal:
            plan = outcome.plan
            self._display.display(report.plan_text(plan.state, plan.seed, plan.etcd.told(plan.hosts), width))
