#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin encryption_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: encryption_plan
short_description: Decide how the API servers get another key for what they store
version_added: 0.1.0
description:
  - Reads C(__encryption_seen), which all O(hosts) have registered from M(quorum.kubeadm.encryption_key) with
    V(state=seen).
  - With O(stage=begin) it prints the keys of all control planes and the steps of a new rotation, or those that are left
    of one that was interrupted. The other stages fail when the next step would not be safe.
  - Every API server has to read what any of them may write, at every moment. Fails when a control plane is away, when
    the configurations differ in more than their keys, or when a name has two secrets.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  stage:
    description:
      - What comes next. Before V(promote) all have to read O(new), before V(rewrite) all have to write under it, before
        V(drop) nothing in etcd may be under another key.
    type: str
    choices: [begin, promote, rewrite, drop]
    required: true
  hosts:
    description: Names of all control planes of the inventory.
    type: list
    elements: str
    required: true
  nodes:
    description: Names of all control planes that the cluster has. One that is not among O(hosts) is refused.
    type: list
    elements: str
    default: []
  new:
    description: The key's name, as RV(plan) of O(stage=begin) has told it.
    type: str
    default: ""
  stored:
    description: RV(quorum.kubeadm.encryption_stored#module:counts), for O(stage=drop).
    type: dict
    default: {}
  names:
    description: RV(quorum.kubeadm.encryption_stored#module:names), for O(stage=drop).
    type: dict
    default: {}
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
  quorum.kubeadm.encryption_plan:
    stage: begin
    hosts: [cp1, cp2, cp3]
  register: decided
  run_once: true
"""

RETURN = r"""
plan:
  description:
    - With O(stage=begin) C(new), the key's name; C(makes), whether it is to be made; C(old), names of the others;
      C(add), C(promote), C(drop), the hosts of each stage in order; C(keys), the names that each host has after C(add);
      C(donor), the host that has what others lack.
  returned: success
  type: dict
"""
