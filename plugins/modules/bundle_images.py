#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a bundle's images into containerd and pin them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_images
short_description: Import the images of a bundle into containerd and pin them
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Imports the archives whose images are missing in containerd or differ from the bundle's.
  - Every image gets the label C(io.cri-containerd.pinned=pinned), by which the kubelet never collects it as garbage.
  - The checksum of an archive is verified before it is imported.
options:
  source:
    description: Absolute path of the bundle on the host, the directory with C(manifest.json).
    type: str
    required: true
  roles:
    description: What the host is.
    type: list
    elements: str
    choices: [control_plane, worker, etcd]
    required: true
  namespace:
    description: containerd's namespace; the kubelet uses V(k8s.io).
    type: str
    default: k8s.io
  ctr:
    description: Path of containerd's client.
    type: str
    default: /usr/bin/ctr
  unpack:
    description:
      - Unpack the layers now. With V(false) containerd does so when the first container of an image starts,
        which makes the import twice as fast and that start slower.
    type: bool
    default: true
  timeout:
    description: Seconds for one call of the client.
    type: float
    default: 600.0
extends_documentation_fragment: quorum.kubeadm.receipt
attributes:
  check_mode:
    description: Compares, imports nothing. Where containerd is not there yet, every image counts as missing.
    support: full
"""

EXAMPLES = r"""
- name: Import the images of a control plane
  quorum.kubeadm.bundle_images:
    source: /srv/bundles/1.36.3
    roles: [control_plane]
"""

RETURN = r"""
imported:
  description: Archives that were imported.
  returned: success
  type: list
  elements: str
refs:
  description: Images that the host now has, pinned.
  returned: when the host was asked
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
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle import ROLES
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_store import import_images
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host

SPEC: dict[str, Any] = {
    "source": {"type": "str", "required": True},
    "roles": {"type": "list", "elements": "str", "choices": list(ROLES), "required": True},
    "namespace": {"type": "str", "default": "k8s.io"},
    "ctr": {"type": "str", "default": "/usr/bin/ctr"},
    "unpack": {"type": "bool", "default": True},
    "timeout": {"type": "float", "default": 600.0},
    "receipt": receipts.OPTION,
}


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        host = Host()
        result = import_images(host, module.params, effects=not module.check_mode)
        receipts.leave(host, "bundle_images", module.params, effects=not module.check_mode)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
