#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin upgrade_record."""

from __future__ import annotations

DOCUMENTATION = r"""
module: upgrade_record
short_description: Keep the record of an upgrade
version_added: 0.1.0
description:
  - Writes on the controller what an upgrade planned, did and found, as events while it runs, and as JSON and Markdown
    when it begins, fails or ends.
  - With V(step) and V(failed) it fails when one of O(results) failed or its host was unreachable, so that a node's
    steps end there and the record says why, and what is left.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  event:
    description: What happened.
    type: str
    choices: [begun, node, step, failed, done]
    required: true
  path:
    description: The record's file on the controller, without a suffix.
    type: path
    required: true
  cluster:
    description: The cluster's name, for V(begun).
    type: str
    default: ""
  plan:
    description: The plan of M(quorum.kubeadm.upgrade_plan), for V(begun).
    type: dict
    default: {}
  findings:
    description: Its findings, for V(begun).
    type: list
    elements: dict
    default: []
  node:
    description: The node, for V(node), V(step) and V(failed).
    type: str
    default: ""
  step:
    description: The step, for V(step) and V(failed).
    type: str
    default: ""
  told:
    description: What the step tells.
    type: str
    default: ""
  results:
    description: Results of the step's tasks.
    type: list
    elements: dict
    default: []
  after:
    description: Node to C(kubernetes) of M(quorum.kubeadm.node_info), for V(done).
    type: dict
    default: {}
  availability_file:
    description: JSON that a prober wrote, for V(done) and V(failed). One that is not there is no error.
    type: path
    default: ""
attributes:
  check_mode:
    description: Changes nothing on any host in either mode; in check mode it writes nothing either.
    support: full
  action:
    description: Runs on the controller.
    support: full
"""

EXAMPLES = r"""
- name: Node | Note the drain
  quorum.kubeadm.upgrade_record:
    event: step
    path: "{{ record }}"
    node: w1
    step: drained
    results: ["{{ drain }}"]
"""

RETURN = r"""
path:
  description: The record's file, without a suffix.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """An action plugin of the same name does the work; Ansible never sends this file to a host."""
    module = AnsibleModule(
        argument_spec={
            "event": {"type": "str", "choices": ["begun", "node", "step", "failed", "done"], "required": True},
            "path": {"type": "path", "required": True},
            "cluster": {"type": "str", "default": ""},
            "plan": {"type": "dict", "default": {}},
            "findings": {"type": "list", "elements": "dict", "default": []},
            "node": {"type": "str", "default": ""},
            "step": {"type": "str", "default": ""},
            "told": {"type": "str", "default": ""},
            "results": {"type": "list", "elements": "dict", "default": []},
            "after": {"type": "dict", "default": {}},
            "availability_file": {"type": "path", "default": ""},
        },
        supports_check_mode=True,
    )
    module.fail_json(msg="upgrade_record runs on the controller only, as an action of a playbook's task")


if __name__ == "__main__":
    main()
