#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin upgrade_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: upgrade_plan
short_description: Judge whether a cluster may be upgraded, and in which order
version_added: 0.1.0
description:
  - Reads what M(quorum.kubeadm.node_info) registered as C(__kube_preflight_node) on the hosts of the play, and what
    M(quorum.kubeadm.lb_backend) registered as C(__kube_lb_seen) on the load balancers.
  - Prints every finding of every host as one table, then the plan, step by step, with the versions before and after and
    what is left of the cluster meanwhile.
  - Fails when any finding is fatal. Nothing is changed on any host, in check mode or out of it.
  - What is done is told by what runs, never by what an earlier run has written down.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  version:
    description: The Kubernetes version to go to, without C(v).
    type: str
    required: true
  control_planes:
    description: Names of the control planes.
    type: list
    elements: str
    required: true
  workers:
    description: Names of the workers.
    type: list
    elements: str
    default: []
  balancers:
    description: Names of the load balancers.
    type: list
    elements: str
    default: []
  addresses:
    description: Control planes to the URLs of their own API servers, as M(quorum.kubeadm.cluster_info) asked them.
    type: dict
    required: true
  cluster:
    description: The result of M(quorum.kubeadm.cluster_info) with O(quorum.kubeadm.cluster_info#module:upgrade).
    type: dict
    default: {}
  etcd:
    description: The result of M(quorum.kubeadm.etcd_info).
    type: dict
    default: {}
  drains:
    description: What RV(quorum.kubeadm.kube_drain#module:blocked) tells of the nodes.
    type: list
    elements: dict
    default: []
  external_etcd:
    description: Whether etcd runs on machines of its own, which this upgrade does not touch.
    type: bool
    default: false
  etcd_tag:
    description: Tag of etcd's image, where it is not the one that belongs to the version.
    type: str
    default: ""
  policy:
    description: The policy of the drains. Only with V(fail) a pod that is held now stops the upgrade.
    type: str
    choices: [fail, wait, force]
    default: fail
  last:
    description: The last node of this run. Empty means all.
    type: str
    default: ""
  allow_downtime:
    description: Whether a gap is wanted, with fewer than three control planes.
    type: bool
    default: false
  allow_deprecated:
    description: Whether the upgrade goes on although clients ask for APIs that the version removed.
    type: bool
    default: false
  settings_only:
    description: Whether no version changes in this run. Then O(version) has to be what runs everywhere.
    type: bool
    default: false
  restart:
    description: With O(settings_only), the nodes to take, although they are at the version.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Changes nothing on any host in either mode.
    support: full
  action:
    description: Runs on the controller.
    support: full
"""

EXAMPLES = r"""
- name: Plan | Decide
  quorum.kubeadm.upgrade_plan:
    version: 1.36.3
    control_planes: [cp1, cp2, cp3]
    workers: [w1]
    addresses: {cp1: "https://192.0.2.11:6443"}
    cluster: "{{ seen }}"
    etcd: "{{ etcd }}"
  register: decided
  run_once: true
"""

RETURN = r"""
plan:
  description:
    - C(control_planes), C(workers) and C(finishing), names in their order; C(done), C(later), C(first), C(todo).
    - C(steps) (node, does, before, after, left), C(running), C(target), C(before) (versions by node).
    - C(members) (the plays' groups by node), C(addons) (CoreDNS and kube-proxy, where they are not at the target).
  returned: when the cluster could be read
  type: dict
findings:
  description: Everything that was found; each has host, check, level (fatal or warning), found and next_step.
  returned: when the cluster could be read
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """An action plugin of the same name does the work; Ansible never sends this file to a host."""
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str", "required": True},
            "control_planes": {"type": "list", "elements": "str", "required": True},
            "workers": {"type": "list", "elements": "str", "default": []},
            "balancers": {"type": "list", "elements": "str", "default": []},
            "addresses": {"type": "dict", "required": True},
            "cluster": {"type": "dict", "default": {}},
            "etcd": {"type": "dict", "default": {}},
            "drains": {"type": "list", "elements": "dict", "default": []},
            "external_etcd": {"type": "bool", "default": False},
            "etcd_tag": {"type": "str", "default": ""},
            "policy": {"type": "str", "choices": ["fail", "wait", "force"], "default": "fail"},
            "last": {"type": "str", "default": ""},
            "allow_downtime": {"type": "bool", "default": False},
            "allow_deprecated": {"type": "bool", "default": False},
            "settings_only": {"type": "bool", "default": False},
            "restart": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    module.fail_json(msg="upgrade_plan runs on the controller only, as an action of a playbook's task")


if __name__ == "__main__":
    main()
