#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin kubeconfig."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeconfig
short_description: Bring the administrator's kubeconfig to the controller
version_added: 0.1.0
description:
  - Reads a kubeconfig on a control plane and writes it on the controller with mode 0600 from the first byte on.
  - Use C(no_log=true) on the task, as the connection prints what modules return at C(-vvv).
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  src:
    description: Path on the host.
    type: path
    default: /etc/kubernetes/admin.conf
  dest:
    description: Path on the controller. A directory that is missing is made with mode 0700.
    type: path
    required: true
  ca_pem:
    description: The cluster's CA certificate (public).
    type: str
  endpoints:
    description:
      - API servers. With these and O(ca_pem) the host is not asked when the file on the controller is private, of this
        CA, and the API takes its bearer for an administrator, with a certificate that lives for two more months.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Says whether the file would change.
    support: full
  diff_mode:
    description: A kubeconfig is a secret and is not shown.
    support: none
  action:
    description: Runs on the controller; one remote call reads the file.
    support: full
"""

EXAMPLES = r"""
- name: Kubeconfig | Bring it here
  quorum.kubeadm.kubeconfig:
    dest: ~/.kube/lab.conf
  no_log: true
"""

RETURN = r"""
path:
  description: The file on the controller.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """The action plugin of the same name does the work; run as a plain module there is nothing to run."""
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path", "default": "/etc/kubernetes/admin.conf"},
            "ca_pem": {"type": "str"},
            "endpoints": {"type": "list", "elements": "str", "default": []},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    module.fail_json(msg="kubeconfig is an action: name it quorum.kubeadm.kubeconfig so that Ansible finds the plugin")


if __name__ == "__main__":
    main()
