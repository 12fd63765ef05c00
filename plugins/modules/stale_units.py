#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin stale_units."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stale_units
short_description: Restart or reload a unit that runs with an older configuration
version_added: 0.1.0
description:
  - Made for handlers. A unit that the same run has started is current, and the host is not asked.
  - Calls M(ansible.builtin.systemd_service) otherwise.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  name:
    description: The unit, with its suffix.
    type: str
    required: true
  stale:
    description: The C(stale_units) that M(quorum.kubeadm.host_config) has returned.
    type: list
    elements: str
    required: true
  state:
    description: V(reloaded) keeps what the unit is doing, for example a load balancer's connections.
    type: str
    required: true
    choices: [restarted, reloaded]
attributes:
  check_mode:
    description: As M(ansible.builtin.systemd_service).
    support: full
  action:
    description: Decides on the controller.
    support: full
"""

EXAMPLES = r"""
- name: Restart containerd
  quorum.kubeadm.stale_units:
    name: containerd.service
    stale: "{{ __containerd_config.stale_units }}"
    state: restarted
"""

RETURN = r"""
state:
  description: What was done, as M(ansible.builtin.systemd_service) says it.
  returned: when the unit was stale
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "stale": {"type": "list", "elements": "str", "required": True},
    "state": {"type": "str", "required": True, "choices": ["restarted", "reloaded"]},
}


def main() -> None:
    """An action plugin of the same name does the work; Ansible never sends this file to a host."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    module.fail_json(msg="stale_units is decided on the controller, as an action of a handler")


if __name__ == "__main__":
    main()
