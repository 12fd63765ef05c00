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
  - Makes the cluster's CA, starts the first control plane, uploads the CAs for others, or joins a node.
  - Tells a running cluster which members an external etcd has.
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
      - V(api_server) writes this node's API server anew when it names other etcd members than the configuration, and
        waits until it is ready with them.
    type: str
    required: true
    choices: [ca, init, upload_certs, join, upload_config, api_server]
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
"""

import secrets as random
import time
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.api_server import wait_until_used
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_lock import operation
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_host import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_run import Plan, Secrets, apply_plan, make_plan

ACTIONS = ["ca", "init", "upload_certs", "join", "upload_config", "api_server"]
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
    params = module.params
    plan = make_plan(host, params["action"], params["config"])
    effective: Plan = replace(plan, steps=()) if module.check_mode else plan
    token = params["token"] or (throw_away_token() if params["action"] == "init" else "")
    began = time.monotonic()
    output = apply_plan(
        host, effective, params["config"], Secrets(token, params["certificate_key"] or ""), params["timeout"]
    )
    if params["action"] == "api_server" and not module.check_mode:
        wait_until_used(host, params["config"], params["timeout"])
    steps = [step.does for step in plan.steps]
    return {
        "changed": bool(steps),
        "steps": steps,
        "resumed": plan.resume,
        "seconds": round(time.monotonic() - began, 2),
        "output": output,
        "ca_pem": host.read(CA_FILE) if host.exists(CA_FILE) else None,
        "diff": {"before": "", "after": "".join(f"kubeadm {' '.join(step.words)}\n" for step in plan.steps)},
    }


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "action": {"type": "str", "required": True, "choices": ACTIONS},
            "config": {"type": "list", "elements": "dict", "required": True},
            "token": {"type": "str", "no_log": True},
            "certificate_key": {"type": "str", "no_log": True},
            "timeout": {"type": "int", "default": 300},
        },
        required_if=[("action", "join", ["token"]), ("action", "upload_certs", ["certificate_key"])],
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
