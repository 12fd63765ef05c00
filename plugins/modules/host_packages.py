#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin host_packages."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_packages
short_description: Install packages that are missing
version_added: 0.1.0
description:
  - Calls M(ansible.builtin.apt) or M(ansible.builtin.dnf) with what is missing; when nothing is, the host is not asked.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  names:
    description: The packages that shall be installed, in any version.
    type: list
    elements: str
    required: true
  installed:
    description: Those that are known to be installed, from C(node.packages) of M(quorum.kubeadm.node_info).
    type: list
    elements: str
    default: []
  manager:
    description: The module that installs them.
    type: str
    required: true
    choices: [apt, dnf]
attributes:
  check_mode:
    description: As the module that installs.
    support: full
  action:
    description: Decides on the controller.
    support: full
"""

EXAMPLES = r"""
- name: Install the load balancer's programs
  quorum.kubeadm.host_packages:
    names: [haproxy, keepalived]
    installed: "{{ __node.node.packages | dict2items | selectattr('value') | map(attribute='key') }}"
    manager: apt
"""

RETURN = r"""
missing:
  description: The packages that were not installed.
  returned: always
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

SPEC: dict[str, Any] = {
    "names": {"type": "list", "elements": "str", "required": True},
    "installed": {"type": "list", "elements": "str", "default": []},
    "manager": {"type": "str", "required": True, "choices": ["apt", "dnf"]},
}


def main() -> None:
    """An action plugin of the same name does the work; Ansible never sends this file to a host."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    module.fail_json(msg="host_packages is decided on the controller, as an action of a playbook's task")


if __name__ == "__main__":
    main()
