#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell under which keys the values in etcd are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: encryption_stored
short_description: Tell under which keys the values in etcd are
version_added: 0.1.0
description:
  - Reads every value below C(/registry/) in etcd itself, at one revision, and counts them by the provider and the key
    in the prefix that the API servers write, like C(k8s:enc:secretbox:v1:key2:). What is encrypted stays so.
  - A key may be dropped when it is not among RV(counts).
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  resources:
    description: Resources of which values without encryption are counted, too, as C(identity).
    type: list
    elements: str
    default: [secrets]
  timeout:
    description: Seconds that one request may take.
    type: float
    default: 30.0
attributes:
  check_mode:
    description: Changes nothing in either mode.
    support: full
extends_documentation_fragment:
  - quorum.kubeadm.etcd_api
"""

EXAMPLES = r"""
- name: See whether anything is still under the old key
  quorum.kubeadm.encryption_stored:
  register: stored
"""

RETURN = r"""
counts:
  description: How many values are under each provider and key.
  returned: success
  type: dict
  sample: {"secretbox:key2": 120}
names:
  description: The keys in etcd of a few of them.
  returned: success
  type: dict
  sample: {"secretbox:key2": ["/registry/secrets/kube-system/example"]}
read:
  description: How many values were read.
  returned: success
  type: int
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.encryption_stored import Stored, census
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_options import OPTIONS, connector


def look(params: dict[str, Any]) -> Stored:
    """Ask the first member that answers."""
    connect, silent = connector(params), None
    for url in params["endpoints"]:
        try:
            return census(connect(url), params["resources"])
        except UnreachableError as exc:
            silent = exc
    raise silent or UnreachableError("no endpoint of etcd was given", next_step="name them with endpoints")


def main() -> None:
    """Read and return."""
    options = {
        **OPTIONS,
        "resources": {"type": "list", "elements": "str", "default": ["secrets"]},
        "timeout": {"type": "float", "default": 30.0},
    }
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    try:
        stored = look(module.params)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(changed=False, counts=dict(stored.counts), names=stored.names, read=stored.read)


if __name__ == "__main__":
    main()
