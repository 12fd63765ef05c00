# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge everything that verify.yml saw, print it once, and fail when anything failed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.quorum.kubeadm.plugins.module_utils import backup_status
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_judge import Limits
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_judge import judge as judge_seen
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify import (
    Hosts,
    Row,
    failed,
    judge_etcd,
    judge_hosts,
    judge_units,
    judge_vip,
    names,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify_orphans import judge_backends, strict
from ansible_collections.quorum.kubeadm.plugins.plugin_utils import certificate_table, verify_table
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.report_file import certificates_of, why, write_document

Result = Mapping[str, Any]


def hosts_seen(
    play_hosts: list[str], hostvars: Mapping[str, Any], register: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """What node_info told about each host of the play, None where it failed, and why it failed."""
    seen: dict[str, Any] = {}
    errors = {}
    for name in play_hosts:
        result = hostvars[name].get(register) or {}
        seen[name] = result.get("node")
        if seen[name] is None:
            errors[name] = why(result)
    return seen, errors


def judge(args: Mapping[str, Any], hosts: Hosts) -> tuple[list[dict[str, str]], list[str]]:
    """All rows, and notes on what was not looked at."""
    cluster, etcd = args["cluster"], args["etcd"]
    rows = judge_hosts(hosts) + judge_units(hosts) + judge_vip(hosts, args["vip"])
    rows += judge_backends(args.get("backends") or {}, args["control_planes"])
    if etcd.get("etcd"):
        rows += strict(judge_etcd(etcd["etcd"], args["etcd_members"]), args.get("absent") or ())
    else:
        rows.append(_lost("etcd", etcd, "Look at the etcd members' logs"))
    if "rows" not in cluster:
        rows.append(_lost("api", cluster, "Look at the API servers and at the load balancers"))
    rows += backup_status.judge(args.get("backups") or {}, time.time())
    listed = [row.result() for row in rows]
    listed += [{key: str(value) for key, value in row.items()} for row in cluster.get("rows") or []]
    every = dict.fromkeys((*hosts.nodes, *hosts.balancers, *hosts.etcd))
    unseen = [name for name in every if name not in hosts.seen]
    notes = [str(note) for note in cluster.get("notes") or []]
    if unseen:
        notes.append(f"hosts not looked at, this run was limited: {names(unseen)}")
    return listed, notes


def judge_certificates(
    args: Mapping[str, Any], play_hosts: list[str], hostvars: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Those of the hosts that were asked for them."""
    register = args["certificate_register"]
    asked = [name for name in play_hosts if "certificates" in (hostvars[name].get(register) or {})]
    found, _lost_hosts = certificates_of(asked, hostvars, register)
    if not found:
        return []
    limits = Limits(datetime.now(timezone.utc), args["certificate_warn_days"], args["certificate_fail_days"])
    rows = judge_seen(found, limits)
    if failed(rows):
        return certificate_table.for_verify(rows)
    fine = Row("certificates", names(asked), "ok", certificate_table.first_end(found, limits.now))
    return [fine.result(), *certificate_table.for_verify(rows)]


def registered(names: Iterable[str], hostvars: Mapping[str, Any], register: str) -> dict[str, Any]:
    """What those of the hosts have registered that were asked."""
    told = {name: hostvars[name].get(register) for name in names if name in hostvars}
    return {name: result for name, result in told.items() if result}


def _lost(check: str, result: Result, step: str) -> Row:
    return Row(check, "cluster", "fail", why(result), str((result.get("error") or {}).get("next") or step))


class ActionModule(ActionBase):
    """Runs on the controller and connects to nothing."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result = super().run(tmp, task_vars)
        values = task_vars or {}
        _spec, args = self.validate_argument_spec(
            argument_spec={
                "control_planes": {"type": "list", "elements": "str", "required": True},
                "workers": {"type": "list", "elements": "str", "default": []},
                "balancers": {"type": "list", "elements": "str", "default": []},
                "absent": {"type": "list", "elements": "str", "default": []},
                "balancer_register": {"type": "str", "default": "__kube_verify_balancer"},
                "backup_register": {"type": "str", "default": "__etcd_backup_seen"},
                "etcd_machines": {"type": "list", "elements": "str", "default": []},
                "etcd_members": {"type": "list", "elements": "str", "required": True},
                "vip": {"type": "str", "required": True},
                "cluster": {"type": "dict", "required": True},
                "etcd": {"type": "dict", "required": True},
                "node_register": {"type": "str", "default": "__kube_verify_node"},
                "certificate_register": {"type": "str", "default": "__kube_verify_certificates"},
                "certificate_warn_days": {"type": "float", "default": 30.0},
                "certificate_fail_days": {"type": "float", "default": 7.0},
                "output": {"type": "str", "choices": ["table", "json"], "default": "table"},
                "output_file": {"type": "path", "default": ""},
            }
        )
        seen, errors = hosts_seen(values["ansible_play_hosts_all"], values["hostvars"], args["node_register"])
        nodes = tuple(dict.fromkeys((*args["control_planes"], *args["workers"])))
        machines = tuple(args["etcd_machines"])
        args["backends"] = registered(args["balancers"], values["hostvars"], args["balancer_register"])
        asked = dict.fromkeys((*args["etcd_members"], *args["control_planes"]))
        args["backups"] = registered(asked, values["hostvars"], args["backup_register"])
        rows, notes = judge(args, Hosts(seen, nodes, tuple(args["balancers"]), errors, machines))
        rows += judge_certificates(args, values["ansible_play_hosts_all"], values["hostvars"])
        document = verify_table.document(rows, notes, args["cluster"].get("seconds") or {})
        as_json = args["output"] == "json"
        Display().display(verify_table.one_line(document) if as_json else verify_table.table(rows, notes))
        if args["output_file"]:
            write_document(args["output_file"], document, "verify's result")
        # Everything has been printed: the result does not repeat it.
        result.update(changed=False, counts=document["verify"]["counts"], msg=verify_table.verdict(rows))
        if not document["verify"]["ok"]:
            result.update(failed=True, msg=f"{result['msg']}: {verify_table.failing(rows)}")
        return result
