#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin recover_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recover_plan
short_description: Decide whether etcd has lost its majority for good, and what a recovery gives up
version_added: 0.1.0
description:
  - Reads what the hosts of etcd have registered. C(__recover_data) of M(quorum.kubeadm.etcd_restore) with
    V(state=examined), C(__recover_etcd) of M(quorum.kubeadm.etcd_info), C(__recover_pods) of
    M(quorum.kubeadm.static_pods_hold) with V(state=seen), and C(__recover_snapshot) of
    M(quorum.kubeadm.etcd_restore) with O(snapshot).
  - Prints what every host has and how old it is, what would be restored, what is given up, the steps, and the words
    that O(acknowledge) has to repeat.
  - Fails, with the arithmetic, when a majority answers or could be started again; when a host that cannot be reached is
    not named in O(lost), or one that is named is reachable or still answers; when another survivor has more; and when
    O(acknowledge) are other words. Nothing is changed on any host, in check mode or out of it.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  hosts:
    description: Names of all hosts of etcd.
    type: list
    elements: str
    required: true
  control_planes:
    description: Names of all control planes.
    type: list
    elements: str
    required: true
  addresses:
    description: Address by name of the hosts of etcd.
    type: dict
    required: true
  survivor:
    description: The host to build on. Without it the one that has most is told.
    type: str
    default: ""
  snapshot:
    description: Path of a snapshot on that host, to restore from that and not from the host's data.
    type: str
    default: ""
  lost:
    description: Hosts that cannot be reached and are confirmed to be gone for good.
    type: list
    elements: str
    default: []
  acknowledge:
    description: The words that the run without them has asked for.
    type: str
    default: ""
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
  quorum.kubeadm.recover_plan:
    hosts: [cp1, cp2, cp3]
    control_planes: [cp1, cp2, cp3]
    addresses: {cp1: 192.0.2.11, cp2: 192.0.2.12, cp3: 192.0.2.13}
    survivor: cp1
    lost: [cp2, cp3]
  register: decided
  run_once: true
"""

RETURN = r"""
plan:
  description:
    - C(survivor), C(words) to acknowledge, C(told) and C(steps) (lines), C(refusals), C(fence) (reachable hosts that
      are stopped), C(others) (all other members), C(dead_control_planes).
    - C(works), whether it was acknowledged and may be done; C(finishes), whether only what an interrupted run has held
      is started again.
  returned: always
  type: dict
"""
