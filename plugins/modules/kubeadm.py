#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one kubeadm action on a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm
short_description: Run one kubeadm action on a node, once
version_added: 0.1.0
description:
  - Makes the cluster's CA, starts the first control plane, uploads the CAs for others, or joins a node. On a machine
    of an external etcd, makes etcd's CA and certificates; tells a running cluster which members that etcd has.
  - Does nothing when the action is done already. Goes on when an earlier run was interrupted.
  - The configuration reaches kubeadm in anonymous memory, so neither a command line nor a file ever holds
    the token or the certificate key, not even after the run was killed.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  action:
    description:
      - V(ca) makes C(/etc/kubernetes/pki/ca.crt) and its key.
      - V(init) starts the first control plane.
      - V(upload_certs) stores the CAs in the Secret C(kubeadm-certs), encrypted with O(certificate_key).
      - V(join) joins this node, as a control plane when the configuration has a C(controlPlane) part.
      - V(upload_config) stores the configuration in the cluster, where joins and upgrades read it.
      - V(upload_all) stores the configuration of the cluster and that of its kubelets.
      - V(upgrade_apply) and V(upgrade_node) run kubeadm's upgrade with an UpgradeConfiguration, on the first control
        plane and on every other node; V(upgrade_addons) the part of CoreDNS and kube-proxy.
      - V(api_server) writes this node's API server anew when it names other etcd members than the configuration, and
        waits until it is ready with them.
      - V(etcd_ca) makes C(/etc/kubernetes/pki/etcd/ca.crt) and its key, or writes those that are given.
      - V(etcd_certs) makes the certificates of etcd's server and peer and the clients' C(healthcheck-client) and
        C(apiserver-etcd-client), with the CA that is there or given. One that lacks a name is made again.
    type: str
    required: true
    choices:
      - ca
      - init
      - upload_certs
      - join
      - upload_config
      - upload_all
      - upgrade_apply
      - upgrade_node
      - upgrade_addons
      - api_server
      - etcd_ca
      - etcd_certs
  config:
    description: kubeadm configuration documents (kubeadm.k8s.io/v1beta4) without secrets.
    type: list
    elements: dict
    required: true
  token:
    description: Bootstrap token for V(join); with V(init), the only token that kubeadm then makes (15 minutes).
    type: str
  certificate_key:
    description: 64 hexadecimal digits, for V(upload_certs) and for the join of a control plane.
    type: str
  ca_cert:
    description: Certificate (PEM) of etcd's CA, for V(etcd_ca) and V(etcd_certs). Another one that is there is refused.
    type: str
  ca_key:
    description: Key (PEM) of O(ca_cert).
    type: str
  key_group:
    description: Group that may read the keys of etcd's server and peer, with V(etcd_certs). Empty lets root alone.
    type: str
    default: ""
  timeout:
    description: Seconds that kubeadm may take.
    type: int
    default: 300
attributes:
  check_mode:
    description: Says whether kubeadm would run, and runs nothing.
    support: full
  diff_mode:
    description: Shows the command that is run.
    support: full
"""

EXAMPLES = r"""
- name: Join | Join the cluster
  quorum.kubeadm.kubeadm:
    action: join
    config: "{{ documents }}"
    token: "{{ minted.token }}"
  no_log: true
"""

RETURN = r"""
steps:
  description: What was run, in plain words; empty when the action was done already.
  returned: always
  type: list
  elements: str
resumed:
  description: Whether an earlier, interrupted run of the same action was finished.
  returned: always
  type: bool
seconds:
  description: Wall time of kubeadm.
  returned: always
  type: float
output:
  description: The last lines that kubeadm printed, without secrets.
  returned: always
  type: list
  elements: str
ca_pem:
  description: The cluster's CA certificate (public), null when there is none on this host.
  returned: always
  type: str
etcd_ca_pem:
  description: The certificate of etcd's CA (public), null when there is none on this host.
  returned: always
  type: str
"""

import secrets as random
import time
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.api_server import wait_until_used
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_pki import (
    ACTIONS,
    CA,
    EtcdPlan,
    Pair,
    apply_etcd_plan,
    make_etcd_plan,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_lock import operation
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_host import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_run import (
    STEPS,
    Plan,
    Secrets,
    apply_plan,
    make_plan,
)

KUBERNETES_ACTIONS = tuple(STEPS)
CA_FILE = "/etc/kubernetes/pki/ca.crt"


def throw_away_token() -> str:
    """A token that nobody uses: kubeadm init insists on making one, and its own would live for a day."""
    return f"{random.token_hex(3)}.{random.token_hex(8)}"


def run(module: AnsibleModule) -> dict[str, object]:
    """Plan and apply while no other operation runs here; in check mode only plan."""
    if module.check_mode:
        return carry_out(module, Host())
    with operation(module.params["timeout"]) as lock:
        return carry_out(module, Host(lock))


def carry_out(module: AnsibleModule, host: Host) -> dict[str, object]:
    """Plan, then apply unless in check mode."""
    began = time.monotonic()
    done = etcd(module, host) if module.params["action"] in ACTIONS else kubernetes(module, host)
    plan, steps, output = done
    return {
        "changed": bool(steps),
        "steps": steps,
        "resumed": plan.resume,
        "seconds": round(time.monotonic() - began, 2),
        "output": output,
        "ca_pem": host.read(CA_FILE) if host.exists(CA_FILE) else None,
        "etcd_ca_pem": host.read(f"{CA}.crt") if host.exists(f"{CA}.crt") else None,
        "diff": {"before": "", "after": "".join(f"kubeadm {' '.join(step.words)}\n" for step in plan.steps)},
    }


def kubernetes(module: AnsibleModule, host: Host) -> tuple[Plan, list[str], list[str]]:
    """Actions on a node: what was planned, in words, and what kubeadm printed."""
    params = module.params
    plan = make_plan(host, params["action"], params["config"])
    effective: Plan = replace(plan, steps=()) if module.check_mode else plan
    token = params["token"] or (throw_away_token() if params["action"] == "init" else "")
    secrets = Secrets(token, params["certificate_key"] or "")
    output = apply_plan(host, effective, params["config"], secrets, params["timeout"])
    if params["action"] == "api_server" and not module.check_mode:
        wait_until_used(host, params["config"], params["timeout"])
    return plan, [step.does for step in plan.steps], output


def etcd(module: AnsibleModule, host: Host) -> tuple[Plan, list[str], list[str]]:
    """Actions on a machine of an external etcd."""
    params = module.params
    given = Pair(params["ca_cert"] or "", params["ca_key"] or "")
    plan = make_etcd_plan(host, params["action"], params["config"], given, params["key_group"])
    effective = EtcdPlan(Plan(params["action"], ())) if module.check_mode else plan
    return plan.kubeadm, plan.steps(), apply_etcd_plan(host, effective, params["config"], given, params["timeout"])


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "action": {"type": "str", "required": True, "choices": [*KUBERNETES_ACTIONS, *ACTIONS]},
            "config": {"type": "list", "elements": "dict", "required": True},
            "token": {"type": "str", "no_log": True},
            "certificate_key": {"type": "str", "no_log": True},
            "ca_cert": {"type": "str"},
            "ca_key": {"type": "str", "no_log": True},
            "key_group": {"type": "str", "default": "", "no_log": False},
            "timeout": {"type": "int", "default": 300},
        },
        required_if=[("action", "join", ["token"]), ("action", "upload_certs", ["certificate_key"])],
        required_together=[("ca_cert", "ca_key")],
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
