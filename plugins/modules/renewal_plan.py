#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin renewal_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: renewal_plan
short_description: Decide what a renewal of certificates does on which host, in which order
version_added: 0.1.0
description:
  - Reads what the hosts have registered. C(__kube_control_plane_renewal), C(__etcd_renewal) or C(__renewal_look) of
    M(quorum.kubeadm.certificate_renewal) in check mode, C(__kube_lb_seen) of M(quorum.kubeadm.lb_backend),
    C(__renewal_plane) of M(quorum.kubeadm.control_plane_info), C(__renewal_cluster) of M(quorum.kubeadm.cluster_info),
    and C(__renewal_etcd) of M(quorum.kubeadm.etcd_info).
  - Prints every step of every host. Fails, with all reasons, when a CA cannot sign what is due, when no API server can
    be used and no certificate has expired, and when a majority of etcd's hosts cannot be reached then.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  hosts:
    description: Name of each host, and what it is, as C(roles) of M(quorum.kubeadm.certificate_renewal) has it.
    type: dict
    required: true
  balancers:
    description: Names of the load balancers.
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
  quorum.kubeadm.renewal_plan:
    hosts:
      cp1: [control_plane, etcd]
      w1: [worker]
  register: decided
  run_once: true
"""

RETURN = r"""
plan:
  description:
    - C(mode) is V(nothing), V(rolling), or V(expired), where all files are made anew before anything is restarted.
    - C(dead), whether no API server can be used; C(works), whether there is something to do that may be done; C(told)
      and C(refusals) (lines); C(groups), the hosts of each play in their order.
  returned: always
  type: dict
"""
