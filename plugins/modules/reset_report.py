#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin reset_report."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reset_report
short_description: Print how a reset went on every host, and fail when one is not blank
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Puts together what M(quorum.kubeadm.node_reset) returned on each host.
  - Runs on the controller and connects to nothing. Use it with C(run_once).
options:
  hosts:
    description: The hosts of which it tells.
    type: list
    elements: str
    required: true
  registers:
    description: Names under which the hosts registered their results; the last one that a host has is told.
    type: list
    elements: str
    required: true
  before:
    description:
      - Whether nothing has been changed yet. Then only what was refused stops the play, and only that is printed.
      - In check mode the steps are printed as well.
    type: bool
    default: false
attributes:
  check_mode:
    description: Tells what would be done.
    support: full
"""

EXAMPLES = r"""
- name: Report | Tell how it went
  quorum.kubeadm.reset_report:
    hosts: [w1, w2]
    registers: [__reset_look, __reset_done]
  run_once: true
"""

RETURN = r"""
states:
  description: Host to V(blank), V(reset), V(planned), V(leftovers), V(failed) or V(unreachable).
  returned: always
  type: dict
msg:
  description: The verdict.
  returned: always
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

SPEC: dict[str, Any] = {
    "hosts": {"type": "list", "elements": "str", "required": True},
    "registers": {"type": "list", "elements": "str", "required": True},
    "before": {"type": "bool", "default": False},
}


def main() -> None:
    """An action plugin of the same name does the work; Ansible never sends this file to a host."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    module.fail_json(msg="reset_report runs on the controller only, as an action of a playbook's task")


if __name__ == "__main__":
    main()
