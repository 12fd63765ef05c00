#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: verify_report
short_description: Print what the verification of a cluster found, and fail when anything failed
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Puts together what M(quorum.kubeadm.node_info) told about every host, M(quorum.kubeadm.etcd_info) about etcd and
    M(quorum.kubeadm.cluster_verify) about the cluster, prints it as one table, and fails when a row says C(fail).
  - Adds the rows C(hosts), C(services), C(vip), C(backends), C(etcd), C(certificates) and C(backups) to those of
    M(quorum.kubeadm.cluster_verify).
  - Runs on the controller and connects to nothing. Use it with C(run_once).
options:
  control_planes:
    description: Names of the control-plane nodes.
    type: list
    elements: str
    required: true
  workers:
    description: Names of the other nodes.
    type: list
    elements: str
    default: []
  balancers:
    description: Names of the hosts with HAProxy and keepalived. Empty when somebody else's load balancer has the VIP.
    type: list
    elements: str
    default: []
  absent:
    description: Names of machines that were removed. What is left of them fails; what is left of others is only odd.
    type: list
    elements: str
    default: []
  balancer_register:
    description: The name under which load balancers registered M(quorum.kubeadm.lb_backend), as far as they were asked.
    type: str
    default: __kube_verify_balancer
  backup_register:
    description: The name under which hosts registered M(quorum.kubeadm.etcd_backup), as far as they have its timer.
    type: str
    default: __etcd_backup_seen
  etcd_members:
    description: Names that the etcd members should have.
    type: list
    elements: str
    required: true
  etcd_machines:
    description: Machines of an external etcd, where it is a service of its own. Empty when it is on the control planes.
    type: list
    elements: str
    default: []
  vip:
    description: The virtual address, which has to be on exactly one machine.
    type: str
    required: true
  cluster:
    description: The registered result of M(quorum.kubeadm.cluster_verify), also when it failed.
    type: dict
    required: true
  etcd:
    description: The registered result of M(quorum.kubeadm.etcd_info), also when it failed or was skipped.
    type: dict
    required: true
  node_register:
    description: The name under which every host of the play registered its M(quorum.kubeadm.node_info).
    type: str
    default: __kube_verify_node
  certificate_register:
    description:
      - The name under which hosts registered M(quorum.kubeadm.certificate_info), as far as they were asked.
      - What M(quorum.kubeadm.certificate_report) would fail fails here.
    type: str
    default: __kube_verify_certificates
  certificate_warn_days:
    description: From how many days before its end a certificate is told.
    type: float
    default: 30.0
  certificate_fail_days:
    description: From how many days before its end a certificate fails.
    type: float
    default: 7.0
  output:
    description:
      - V(table) for a person.
      - V(json) for a machine, one document on a line of its own that begins with C({"verify":).
    type: str
    choices: [table, json]
    default: table
  output_file:
    description: File on the controller to which the same JSON document is written, empty for none.
    type: path
    default: ""
attributes:
  check_mode:
    description: Does the same in check mode.
    support: full
  diff_mode:
    description: There is nothing that could differ.
    support: none
"""

EXAMPLES = r"""
- name: Print the result
  quorum.kubeadm.verify_report:
    control_planes: [cp1, cp2, cp3]
    workers: [w1, w2]
    balancers: [lb1, lb2]
    etcd_members: [cp1, cp2, cp3]
    vip: 192.0.2.10
    cluster: "{{ __cluster }}"
    etcd: "{{ __etcd }}"
  run_once: true
"""

RETURN = r"""
counts:
  description: How many rows have each status.
  returned: always
  type: dict
  sample: {ok: 12, warn: 0, fail: 0}
msg:
  description: The verdict, and what failed.
  returned: always
  type: str
  sample: "verify: in order (12 ok, 0 to look at, 0 failed)"
"""
