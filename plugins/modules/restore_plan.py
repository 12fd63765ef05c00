#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin restore_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_plan
short_description: Decide whether etcd may go back to a snapshot, on whom, and what that gives up
version_added: 0.1.0
description:
  - Reads what the control planes and the hosts of etcd have registered. C(__recover_data) of
    M(quorum.kubeadm.etcd_restore) with V(state=examined), C(__recover_snapshot) of the same with O(snapshot),
    C(__recover_etcd) of M(quorum.kubeadm.etcd_info) and C(__recover_pods) of M(quorum.kubeadm.static_pods_hold) with
    V(state=seen).
  - Prints what every host has, how old the snapshot is and whose, what is given up, the steps, and the words that
    O(acknowledge) has to repeat.
  - The members of the new cluster are those of O(hosts) that are not in O(lost) and have an etcd that can be started.
  - Fails when the snapshot is damaged, missing or not the same everywhere; when an etcdutl cannot restore it or a disk
    has not enough room; when a host that cannot be reached is not named in O(lost), one that is named is reachable or
    still answers, or a member lives that is on no host of the inventory; and when O(acknowledge) are other words.
    Nothing is changed on any host, in check mode or out of it.
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
    description: Address by name of all of them.
    type: dict
    required: true
  snapshot:
    description: Path of the snapshot.
    type: str
    required: true
  snapshot_host:
    description: The host on which it is. Without it, the one that has it.
    type: str
    default: ""
  cluster:
    description: The cluster's name, compared with that in the snapshot's name.
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
  quorum.kubeadm.restore_plan:
    hosts: [cp1, cp2, cp3]
    control_planes: [cp1, cp2, cp3]
    addresses: {cp1: 192.0.2.11, cp2: 192.0.2.12, cp3: 192.0.2.13}
    snapshot: /var/backups/etcd/etcd-production-r4711-20261128T060000Z.db
  register: decided
  run_once: true
"""

RETURN = r"""
plan:
  description:
    - C(words) to acknowledge, C(told) and C(steps) (lines), C(refusals); C(source) (host), C(path) and C(sha256) of the
      snapshot; C(members), name to peer URL, and C(token) of the new cluster.
    - Who is brought the file (C(copies)), restores it (C(prepare)), is fenced (C(stop)), starts etcd (C(start)) and the
      API server (C(serve)); who joins C(later).
    - C(works), whether it was acknowledged and may be done; C(finishes), whether only what an interrupted run has held
      is started again.
  returned: always
  type: dict
"""
