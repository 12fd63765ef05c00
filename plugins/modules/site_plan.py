#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin site_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_plan
short_description: Judge the facts of all hosts and decide what each of them becomes
version_added: 0.1.0
description:
  - Reads what M(quorum.kubeadm.node_info) registered as C(__kube_preflight_node) on the hosts of the play, and the
    inventory's variables of every host in O(members).
  - Prints every finding of every host as one table, then what will happen to each host.
  - Fails when any finding is fatal. Nothing is changed on any host, in check mode or out of it.
  - Whether there is a cluster is decided from evidence (API servers that answer, CAs, etcd data, kubeconfigs of nodes),
    never from a host's position in the inventory.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  cluster:
    description: The variables of the role C(kube) by their names, for example C(kube_version) and C(kube_vip).
    type: dict
    required: true
  members:
    description: Lists of host names under C(control_plane), C(worker), C(lb) and C(etcd). Hosts outside of a limit too.
    type: dict
    required: true
  rules:
    description: Thresholds and permissions; what is missing has the default of the role C(kube_preflight).
    type: dict
    default: {}
attributes:
  check_mode:
    description: Changes nothing in either mode.
    support: full
  action:
    description: Runs on the controller; the play gives it C(run_once).
    support: full
"""

EXAMPLES = r"""
- name: Plan | Decide
  quorum.kubeadm.site_plan:
    cluster:
      kube_version: "{{ kube_version }}"
      kube_vip: "{{ kube_vip }}"
      kube_pod_cidr: "{{ kube_pod_cidr }}"
      kube_service_cidr: "{{ kube_service_cidr }}"
    members:
      control_plane: [cp1, cp2, cp3]
      worker: [w1]
      lb: [lb1, lb2]
  register: __kube_preflight_plan
  run_once: true
"""

RETURN = r"""
plan:
  description: What this run does.
  returned: when nothing is fatal
  type: dict
  contains:
    state:
      description: V(new) when a cluster begins, V(existing) when there is one.
      type: str
      returned: always
    seed:
      description: The control plane that others join through.
      type: str
      returned: always
    hosts:
      description: Every host of the play to init, join_control_plane, join_worker, keep, lb, etcd or unreachable.
      type: dict
      returned: always
    ca_pem:
      description: The cluster's CA certificate (public), null when it is not known or not made yet.
      type: str
      returned: always
    live:
      description: Control planes whose own address answers.
      type: list
      elements: str
      returned: always
    vip_live:
      description: Whether the API answers at the VIP.
      type: bool
      returned: always
    vrid:
      description: The VRRP router id that belongs to the VIP.
      type: int
      returned: always
    node_ips:
      description: Every host of O(members) to its address.
      type: dict
      returned: always
    extra:
      description: Hosts that are nodes by what is on them, but not by the inventory.
      type: list
      elements: str
      returned: always
    prepared:
      description: Hosts on which everything is proven to be in place that C(site) prepares there, with today's inputs.
      type: list
      elements: str
      returned: always
    resumes:
      description: Control planes whose join was interrupted after etcd had begun there, and goes on.
      type: list
      elements: str
      returned: always
    topology:
      description: V(stacked), or V(external) when the group etcd has machines of its own.
      type: str
      returned: always
    etcd:
      description: Machines of an external etcd to bootstrap, join, keep, leave, gone or unreachable.
      type: dict
      returned: always
    etcd_ca_host:
      description: The machine that has etcd's CA, or makes it.
      type: str
      returned: always
    etcd_reader:
      description: A machine of an external etcd that stays, and through which etcd answers; empty when there is none.
      type: str
      returned: always
    etcd_unfinished:
      description: Members of etcd that never started, and learners, in either topology.
      type: list
      elements: str
      returned: always
    etcd_leave:
      description: Machines that leave an external etcd, in this order; those that do not work first, the leader last.
      type: list
      elements: str
      returned: always
    etcd_lost:
      description: Machines to take out that do not answer, to their peer URLs.
      type: dict
      returned: always
    etcd_order:
      description: Machines that stay and answer, in the order in which they are restarted, the leader last.
      type: list
      elements: str
      returned: always
    etcd_initial:
      description: The members of an external etcd that begins, name to peer URL; empty when none begins.
      type: dict
      returned: always
    etcd_members:
      description: Client URLs of the members of an external etcd that stay, or begin it, without those that join.
      type: list
      elements: str
      returned: always
    etcd_endpoints:
      description: Client URLs of an external etcd when the run has ended.
      type: list
      elements: str
      returned: always
    etcd_outdated:
      description: Control planes whose API server names other members than these.
      type: list
      elements: str
      returned: always
    etcd_joining:
      description: Hosts on which an operation of ours runs, or goes on where etcd has begun already.
      type: list
      elements: str
      returned: always
    etcd_groups:
      description: Hosts to the groups of the plays on etcd that they belong to in this run.
      type: dict
      returned: always
inputs:
  description:
    - Every host of the play to the digest of what its tasks are made from (the roles' variables, the groups, the
      addresses, the collection itself), for the option C(receipt) of the modules that configure a host.
    - Empty for a host with a secret among these variables.
  returned: when nothing is fatal
  type: dict
findings:
  description: Everything that was found; each has host, check, level (fatal or warning), found and next_step.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """An action plugin of the same name does the work; Ansible never sends this file to a host."""
    module = AnsibleModule(
        argument_spec={
            "cluster": {"type": "dict", "required": True},
            "members": {"type": "dict", "required": True},
            "rules": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    module.fail_json(msg="site_plan runs on the controller only, as an action of a playbook's task")


if __name__ == "__main__":
    main()
