#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask whether a step on etcd is safe now."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_gate
short_description: Ask whether a step on etcd is safe now
version_added: 0.1.0
description:
  - Simulates the quorum after the step against the members that are healthy now, and fails with the arithmetic when
    it would not hold. Changes nothing, whatever the answer.
  - Runs on a host with an etcd member, with the certificates that kubeadm made.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  action:
    description:
      - The step. A promotion needs a lag that is small in two samples; a defragmentation has to be worth it, and comes
        to the leader last.
      - V(take_down) is for a control plane and all that runs on it, with its etcd member where it has one.
    type: str
    required: true
    choices: [add_learner, restart, remove, promote, defragment, take_down]
  name:
    description: Exact name of the member or of the control plane, which is the inventory's name of its host.
    type: str
    required: true
  peer_url:
    description: Peer URL of a member to add.
    type: str
    default: ""
  resumes:
    description:
      - Whether the join of this member was interrupted and goes on, on a host that has its etcd data. The member may be
        there already then.
    type: bool
    default: false
  allow_downtime:
    description: Whether a gap is wanted, with one or two members, or with one control plane.
    type: bool
    default: false
  restarting:
    description: Names of members that are being restarted now.
    type: list
    elements: str
    default: []
  control_planes:
    description:
      - For V(take_down), what answers on each control plane, asked there. What is not known is false.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the control plane.
        type: str
        required: true
      api:
        description: Whether its API server answers.
        type: bool
        default: false
      controller_manager:
        description: Whether its controller manager answers.
        type: bool
        default: false
      scheduler:
        description: Whether its scheduler answers.
        type: bool
        default: false
      etcd:
        description: Whether the etcd that its API server uses answers.
        type: bool
        default: false
  backends_up:
    description: For V(take_down), how many API servers the load balancers have in service.
    type: int
    default: 0
  moves_leader:
    description: For V(take_down), whether the leadership is moved away before its member restarts.
    type: bool
    default: false
  wait_seconds:
    description: How long to wait for a yes, for example while a member that has just joined settles.
    type: float
    default: 0.0
extends_documentation_fragment:
  - quorum.kubeadm.etcd_api
attributes:
  check_mode:
    description: The same as a run, nothing changes in either.
    support: full
  diff_mode:
    description: Nothing changes.
    support: none
"""

EXAMPLES = r"""
- name: Gate | May cp3 join?
  quorum.kubeadm.etcd_gate:
    action: add_learner
    name: cp3
    peer_url: https://192.0.2.13:2380
  delegate_to: cp1
"""

RETURN = r"""
arithmetic:
  description: The numbers behind the yes.
  returned: success
  type: str
  sample: 3 of 3 voters healthy, quorum 2, tolerance 1
aloud:
  description: What a person has to be told although the step is allowed.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.control_plane_gate import ControlPlane
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_gates import ACTIONS, Question, wait_for_yes
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_health import Sample, observe
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_options import OPTIONS, connector
from ansible_collections.quorum.kubeadm.plugins.module_utils.membership import arithmetic

PARTS = ("api", "controller_manager", "scheduler", "etcd")
PLANE = {"name": {"type": "str", "required": True}, **{part: {"type": "bool", "default": False} for part in PARTS}}


def question(params: dict) -> Question:
    """The options as a value."""
    return Question(
        action=params["action"],
        name=params["name"],
        peer_url=params["peer_url"],
        allow_downtime=params["allow_downtime"],
        resumes=params["resumes"],
        restarting=tuple(params["restarting"]),
        planes=tuple(ControlPlane(**plane) for plane in params["control_planes"]),
        backends_up=params["backends_up"],
        moves_leader=params["moves_leader"],
    )


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "action": {"type": "str", "required": True, "choices": list(ACTIONS)},
            "name": {"type": "str", "required": True},
            "peer_url": {"type": "str", "default": ""},
            "resumes": {"type": "bool", "default": False},
            "allow_downtime": {"type": "bool", "default": False},
            "restarting": {"type": "list", "elements": "str", "default": []},
            "control_planes": {"type": "list", "elements": "dict", "default": [], "options": PLANE},
            "backends_up": {"type": "int", "default": 0},
            "moves_leader": {"type": "bool", "default": False},
            "wait_seconds": {"type": "float", "default": 0.0},
            **OPTIONS,
        },
        required_if=[("action", "add_learner", ["peer_url"])],
        supports_check_mode=True,
    )
    params = module.params
    try:
        connect = connector(params)

        def look() -> Sample:
            return observe(params["endpoints"], connect)

        sample, gate = wait_for_yes(look, question(params), params["wait_seconds"])
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(changed=False, arithmetic=arithmetic(sample.cluster), aloud=list(gate.aloud))


if __name__ == "__main__":
    main()
