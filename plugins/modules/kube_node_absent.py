#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delete a node from the API, with what belongs to it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_node_absent
short_description: Delete a node from the API, with its Lease and the pods that nobody can end
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Deletes exactly the Node of this name, and the Lease of this name in C(kube-node-lease). Each is deleted only when
    it is still the very object that was looked at.
  - Of a machine that is dead also the pods that are bound to it, by force, because no kubelet is there to end them. So
    a StatefulSet starts them elsewhere.
  - Refuses a node that a kubelet serves, which means that it is Ready and its Lease was renewed within 40 seconds,
    unless it was drained and is cordoned.
  - Never touches etcd; M(quorum.kubeadm.etcd_member) does. Nothing is done on the machine.
options:
  node:
    description: Exact name of the node.
    type: str
    required: true
  drained:
    description: Whether M(quorum.kubeadm.kube_drain) took it out of service before.
    type: bool
    default: false
  dead:
    description: Whether the machine is dead, or was replaced by a blank one, so that nothing of its pods runs any more.
    type: bool
    default: false
attributes:
  check_mode:
    description: The API server answers from a dry run.
    support: full
  diff_mode:
    description: The objects that are deleted.
    support: full
extends_documentation_fragment:
  - quorum.kubeadm.kube_api
"""

EXAMPLES = r"""
- name: Node | Forget a machine that is dead for good
  quorum.kubeadm.kube_node_absent:
    kubeconfig: ./admin.conf
    node: w3
    dead: true
  delegate_to: localhost

- name: Node | Forget one that was drained
  quorum.kubeadm.kube_node_absent:
    kubeconfig: ./admin.conf
    node: w4
    drained: true
  delegate_to: localhost
"""

RETURN = r"""
steps:
  description: What was deleted, or what a real run would delete, in order.
  returned: success
  type: list
  elements: str
  sample: [delete the Node w3, delete the Lease w3, delete the pod shop/db-0 by force]
forced:
  description: Pods that were deleted by force, as namespace and name.
  returned: success
  type: list
  elements: str
left:
  description: Pods of a drained node that were left to the cluster, which deletes them within minutes.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import ARGUMENTS, open_api
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_departure import forget

SPEC: dict[str, Any] = dict(
    ARGUMENTS,
    node={"type": "str", "required": True},
    drained={"type": "bool", "default": False},
    dead={"type": "bool", "default": False},
)


def call(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Open the API and delete what there is."""
    api = open_api(params, dry_run=check_mode)
    return forget(api, params["node"], drained=params["drained"], dead=params["dead"])


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        module.exit_json(**call(module.params, check_mode=module.check_mode))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
