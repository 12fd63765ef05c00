#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin reset_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reset_plan
short_description: Which hosts a reset was asked for
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Refuses a name that the inventory does not have, a confirmation that is not the cluster's name, and a choice that
    would leave no load balancer.
  - Runs on the controller and connects to nothing. Use it with C(run_once).
options:
  wanted:
    description: Names with commas between them, or V(all).
    type: str
    required: true
  confirm:
    description: The cluster's name, as the person gave it.
    type: str
    required: true
  cluster:
    description: The cluster's name.
    type: str
    required: true
  hosts:
    description: All hosts of the cluster.
    type: list
    elements: str
    required: true
  balancers:
    description: Those of O(hosts) that carry HAProxy and keepalived.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Does the same in check mode.
    support: full
"""

EXAMPLES = r"""
- name: Plan | Decide who is reset
  quorum.kubeadm.reset_plan:
    wanted: w1,w2
    confirm: kubernetes
    cluster: kubernetes
    hosts: [cp1, cp2, cp3, w1, w2]
  register: chosen
  run_once: true
"""

RETURN = r"""
hosts:
  description: Those that are reset.
  returned: success
  type: list
  elements: str
whole:
  description: Whether these are all hosts of the cluster.
  returned: success
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

SPEC: dict[str, Any] = {
    "wanted": {"type": "str", "required": True},
    "confirm": {"type": "str", "required": True},
    "cluster": {"type": "str", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "balancers": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    """An action plugin of the same name does the work; Ansible never sends this file to a host."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    module.fail_json(msg="reset_plan runs on the controller only, as an action of a playbook's task")


if __name__ == "__main__":
    main()
