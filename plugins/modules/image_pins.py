#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep images from the kubelet's garbage collection, or give them back to it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_pins
short_description: Keep images from the kubelet's garbage collection, or give them back to it
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - An image with the label C(io.cri-containerd.pinned=pinned) is never collected. While a node is upgraded it is
    needed on the images of both versions, the one that the node leaves and the one that it goes to.
  - Everything is compared before the first label is changed.
  - An image that is asked to be unpinned and is also needed, by O(pinned) or O(running), is refused.
options:
  pinned:
    description: References to pin, as C(ctr images ls) prints them.
    type: list
    elements: str
    default: []
  missing:
    description: What to do when an image of O(pinned) is not there. With V(error) nothing is changed.
    type: str
    choices: [error, ignore]
    default: error
  unpinned:
    description: References that the garbage collection may have. One that is not there is fine.
    type: list
    elements: str
    default: []
  running:
    description:
      - Also pin what this host uses, the images of its containers, running or ended, and of its static pods. Those that
        are not there are told in RV(missing).
    type: bool
    default: false
  namespace:
    description: containerd's namespace; the kubelet uses V(k8s.io).
    type: str
    default: k8s.io
  ctr:
    description: Path of containerd's client.
    type: str
    default: /usr/bin/ctr
  timeout:
    description: Seconds for one call of the client.
    type: float
    default: 60.0
attributes:
  check_mode:
    description: Compares, labels nothing.
    support: full
"""

EXAMPLES = r"""
- name: Before an upgrade, what runs now stays on the disk
  quorum.kubeadm.image_pins:
    running: true

- name: After it, the images of the old version may go
  quorum.kubeadm.image_pins:
    pinned: [registry.k8s.io/kube-apiserver:v1.36.3]
    unpinned: [registry.k8s.io/kube-apiserver:v1.35.4]
"""

RETURN = r"""
pinned:
  description: All references of the host that are pinned afterwards.
  returned: success
  type: list
  elements: str
used:
  description: References that the host uses, with O(running).
  returned: success
  type: list
  elements: str
missing:
  description: References of O(pinned) and RV(used) that are not there.
  returned: success
  type: list
  elements: str
steps:
  description: What was done, or would be, in words.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.image_pins import pin_images

SPEC: dict[str, Any] = {
    "pinned": {"type": "list", "elements": "str", "default": []},
    "missing": {"type": "str", "choices": ["error", "ignore"], "default": "error"},
    "unpinned": {"type": "list", "elements": "str", "default": []},
    "running": {"type": "bool", "default": False},
    "namespace": {"type": "str", "default": "k8s.io"},
    "ctr": {"type": "str", "default": "/usr/bin/ctr"},
    "timeout": {"type": "float", "default": 60.0},
}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        result = pin_images(Host(), module.params, effects=not module.check_mode)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
