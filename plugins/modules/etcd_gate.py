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
    description: The step.
    type: str
    required: true
    choices: [add_learner, restart, remove]
  name:
    description: Exact name of the member, which is the inventory's name of its host.
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
    description: Whether a gap is wanted, for the restart of one of one or two members.
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

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_gates import Question, arithmetic, wait_for_yes
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_health import Sample, observe
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_options import OPTIONS, connector


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "action": {"type": "str", "required": True, "choices": ["add_learner", "restart", "remove"]},
            "name": {"type": "str", "required": True},
            "peer_url": {"type": "str", "default": ""},
            "resumes": {"type": "bool", "default": False},
            "allow_downtime": {"type": "bool", "default": False},
            "wait_seconds": {"type": "float", "default": 0.0},
            **OPTIONS,
        },
        required_if=[("action", "add_learner", ["peer_url"])],
        supports_check_mode=True,
    )
    params = module.params
    question = Question(
        params["action"], params["name"], params["peer_url"], params["allow_downtime"], params["resumes"]
    )
    try:
        connect = connector(params)

        def look() -> Sample:
            return observe(params["endpoints"], connect)

        sample, gate = wait_for_yes(look, question, params["wait_seconds"])
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(changed=False, arithmetic=arithmetic(sample.cluster), aloud=list(gate.aloud))


if __name__ == "__main__":
    main()
