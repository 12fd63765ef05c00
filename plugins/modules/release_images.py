#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pull a release's images on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_images
short_description: Pull a release's images from their registries or mirrors, and pin them
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Pulls the images that are missing, side by side, through containerd's own registry configuration, so with the
    mirrors, certificates and logins that the kubelet's pulls use.
  - Pins them, so that the kubelet's image garbage collection leaves them alone.
options:
  refs:
    description: The images' references.
    type: list
    elements: str
    required: true
  hosts_dir:
    description: The directory of containerd's registry configuration.
    type: str
    default: /etc/containerd/certs.d
  ctr:
    description: containerd's client.
    type: str
    default: /usr/bin/ctr
  timeout:
    description: How long one image may take, in seconds.
    type: float
    default: 600.0
extends_documentation_fragment: quorum.kubeadm.receipt
attributes:
  check_mode:
    description: Tells what would be pulled and asks no registry.
    support: full
"""

EXAMPLES = r"""
- name: Pull what a worker needs
  quorum.kubeadm.release_images:
    refs: "{{ '1.36.3' | quorum.kubeadm.release_images('worker') }}"
"""

RETURN = r"""
pulled:
  description: The images that were pulled.
  returned: success
  type: list
  elements: str
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
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.image_pulls import pull_images

SPEC: dict[str, Any] = {
    "refs": {"type": "list", "elements": "str", "required": True},
    "hosts_dir": {"type": "str", "default": "/etc/containerd/certs.d"},
    "ctr": {"type": "str", "default": "/usr/bin/ctr"},
    "timeout": {"type": "float", "default": 600.0},
    "receipt": receipts.OPTION,
}


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        host = Host()
        result = pull_images(host, module.params, effects=not module.check_mode)
        receipts.leave(host, "release_images", module.params, effects=not module.check_mode)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
