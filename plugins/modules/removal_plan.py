#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin removal_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: removal_plan
short_description: Judge whether machines may leave a cluster or be replaced, and how
version_added: 0.1.0
description:
  - Reads what M(quorum.kubeadm.node_info) registered as C(__kube_preflight_node) on the load balancers, the control
    planes, the machines of an external etcd and the machines that are named, and what M(quorum.kubeadm.lb_backend)
    registered as C(__kube_lb_seen) on the load balancers.
  - Finds out of each machine that is named what it is to the cluster and whether it is alive, dead, or lost, which
    means that a blank machine answers under its name. A machine that nobody can log in to while its kubelet, its etcd,
    its API server or the VIP on it still answers is refused.
  - Walks etcd's steps through the gates of their quorum, in their order, against the members that are healthy now.
  - Prints every finding as one table, then the plan, step by step, and what may fail before, during and after.
  - Fails when any finding is fatal. Nothing is changed on any host, in check mode or out of it.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  names:
    description: Exact names of the machines that go, separated by commas. One that is not in the inventory is found by
      its Node or its etcd member.
    type: str
    required: true
  replacement:
    description: Name of the machine that takes the place of the one in O(names), which may be the same name. Empty when
      it is a removal.
    type: str
    default: ""
  groups:
    description: Lists of the inventory's names under C(control_plane), C(worker), C(lb) and C(etcd).
    type: dict
    required: true
  vip:
    description: The virtual address.
    type: str
    required: true
  vip_url:
    description: The API's URL at the virtual address, as M(quorum.kubeadm.cluster_info) asked it.
    type: str
    required: true
  api_port:
    description: The port of the API servers at their own addresses.
    type: int
    default: 6443
  api_via:
    description: The host on which the modules that talk to the API run.
    type: str
    default: localhost
  cluster:
    description: The result of M(quorum.kubeadm.cluster_info) with O(quorum.kubeadm.cluster_info#module:leases).
    type: dict
    default: {}
  drains:
    description: What RV(quorum.kubeadm.kube_drain#module:blocked) tells of the machines.
    type: list
    elements: dict
    default: []
  policy:
    description: The policy of the drains. Only with V(fail) a pod that is held now is a reason to stop.
    type: str
    choices: [fail, wait, force]
    default: fail
  confirm_even:
    description: Whether an even number of etcd's voters may be left.
    type: bool
    default: false
  confirm_no_tolerance:
    description: Whether a healthy voter may be removed although none may fail afterwards.
    type: bool
    default: false
attributes:
  check_mode:
    description: Changes nothing on any host in either mode.
    support: full
  action:
    description: Runs on the controller; the play gives it C(run_once).
    support: full
"""

EXAMPLES = r"""
- name: Plan | Decide
  quorum.kubeadm.removal_plan:
    names: cp2
    groups:
      control_plane: [cp1, cp2, cp3]
      worker: [w1]
      lb: [lb1, lb2]
    vip: 192.0.2.10
    vip_url: https://192.0.2.10:6443
    cluster: "{{ seen }}"
  register: decided
  run_once: true
"""

RETURN = r"""
plan:
  description: What is done.
  returned: when the cluster could be read
  type: dict
  contains:
    machines:
      description: "Each with C(name), C(roles), C(state) (alive, dead, lost, gone or unclear), C(why), C(node) and
        C(member_id)."
      type: list
      elements: dict
      returned: always
    turn:
      description: When they go, V(first), V(middle) (after the replacement was prepared) or V(last) (after it joined).
      type: str
      returned: always
    members:
      description: Members of etcd to remove, as M(quorum.kubeadm.etcd_member) takes them, in this order.
      type: list
      elements: dict
      returned: always
    forget:
      description: Nodes to delete, as M(quorum.kubeadm.kube_node_absent) takes them.
      type: list
      elements: dict
      returned: always
    groups:
      description: Hosts to the groups of the plays that touch them, in their order.
      type: list
      elements: dict
      returned: always
    reader:
      description: The host that stays and through which etcd's members are removed, empty when none is needed.
      type: str
      returned: always
    confirmed:
      description: Whether a healthy voter may be removed although none may fail afterwards.
      type: bool
      returned: always
    drained_balancers:
      description: Load balancers that stop sending requests to a control plane before it goes.
      type: list
      elements: str
      returned: always
    joined:
      description: O(replacement).
      type: str
      returned: always
    ca_pem:
      description: The cluster's CA certificate (public), as a control plane that stays has it; null when none was seen.
      type: str
      returned: always
    steps:
      description: "Each with C(node), C(does) and C(left), which is what is left of the cluster then."
      type: list
      elements: dict
      returned: always
    tolerance:
      description: What there is and what may fail, in words, C(before), C(during) and C(after).
      type: dict
      returned: always
      sample: {before: "etcd 3 of 3 voters, 1 may fail, 3 API servers"}
findings:
  description: Everything that was found; each has host, check, level (fatal or warning), found and next_step.
  returned: when the cluster could be read
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

SPEC: dict[str, Any] = {
    "names": {"type": "str", "required": True},
    "replacement": {"type": "str", "default": ""},
    "groups": {"type": "dict", "required": True},
    "vip": {"type": "str", "required": True},
    "vip_url": {"type": "str", "required": True},
    "api_port": {"type": "int", "default": 6443},
    "api_via": {"type": "str", "default": "localhost"},
    "cluster": {"type": "dict", "default": {}},
    "drains": {"type": "list", "elements": "dict", "default": []},
    "policy": {"type": "str", "choices": ["fail", "wait", "force"], "default": "fail"},
    "confirm_even": {"type": "bool", "default": False},
    "confirm_no_tolerance": {"type": "bool", "default": False},
}


def main() -> None:
    """An action plugin of the same name does the work; Ansible never sends this file to a host."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    module.fail_json(msg="removal_plan runs on the controller only, as an action of a playbook's task")


if __name__ == "__main__":
    main()
