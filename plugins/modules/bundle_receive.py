#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's side of bringing a bundle to it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_receive
short_description: Bring a bundle to a host, and of it only what the host's roles need
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - On the controller, opens the bundle, checks its signature, and asks the host what it lacks. Only that is sent, over
    Ansible's own connection. Every part is checked on the controller when it is unpacked, and on the host when it has
    come.
  - The manifest is written last, so a bundle that is listed is whole. Nothing is installed and no service is touched.
options:
  bundle:
    description: The bundle's file on the controller.
    type: path
    required: true
  key:
    description: The Ed25519 public key (PEM) that must have signed the bundle. Empty asks for no signature.
    type: str
    default: ""
  dest:
    description: Absolute path of the directory on the host.
    type: str
    required: true
  kube_version:
    description: The Kubernetes release that the bundle must be of.
    type: str
    required: true
  arch:
    description: The architecture that the bundle must be for, as the publishers name it.
    type: str
    choices: [amd64, arm64]
    required: true
  roles:
    description: What the host is.
    type: list
    elements: str
    choices: [control_plane, worker, etcd]
    required: true
  urls:
    description: Other hosts that serve the bundle. What is missing is fetched from there, not sent from the controller.
    type: list
    elements: str
    default: []
  manifest:
    description: Set by the action.
    type: str
    default: ""
  incoming:
    description: Set by the action.
    type: dict
    default: {}
extends_documentation_fragment: quorum.kubeadm.receipt
attributes:
  check_mode:
    description: Tells what would be sent.
    support: full
"""

EXAMPLES = r"""
- name: Bring the bundle
  quorum.kubeadm.bundle_receive:
    bundle: /var/tmp/kubernetes-1.36.3-amd64.tar
    dest: /srv/bundles/1.36.3
    kube_version: 1.36.3
    arch: amd64
    roles: [worker]
"""

RETURN = r"""
sent:
  description: What was sent from the controller.
  returned: success
  type: list
  elements: str
bytes:
  description: Bytes that came from other hosts.
  returned: success
  type: int
steps:
  description: What was done, in words.
  returned: success
  type: list
  elements: str
proven:
  description: The host was not asked, because its receipt was proven earlier in this run.
  returned: when O(receipt) was proven
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils import receipts
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle import ROLES
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_receive import receive
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.publishers import ARCHITECTURES

SPEC: dict[str, Any] = {
    "bundle": {"type": "path", "required": True},
    "key": {"type": "str", "default": "", "no_log": False},
    "dest": {"type": "str", "required": True},
    "kube_version": {"type": "str", "required": True},
    "arch": {"type": "str", "choices": list(ARCHITECTURES), "required": True},
    "roles": {"type": "list", "elements": "str", "choices": list(ROLES), "required": True},
    "urls": {"type": "list", "elements": "str", "default": []},
    "manifest": {"type": "str", "default": ""},
    "incoming": {"type": "dict", "default": {}},
    "receipt": receipts.OPTION,
}


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        host = Host()
        result = receive(host, module.params, effects=not module.check_mode)
        if not result["missing"]:
            kept = {**module.params, "incoming": {}, "urls": []}
            receipts.leave(host, "bundle_receive", kept, effects=not module.check_mode)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
