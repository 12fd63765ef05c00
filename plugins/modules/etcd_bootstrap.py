#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a member of a new external etcd cluster for the first time."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_bootstrap
short_description: Start a member of a new external etcd cluster for the first time
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Runs on each machine of a new cluster, on all of them at once. Writes the initial members into O(initial_file),
    starts O(unit), waits until the member is healthy, and removes the file.
  - Does nothing where the member is up already. Goes on where an earlier run was interrupted.
  - Refuses where another cluster answers, here or at one of O(others), where the host has data that no bootstrap of
    ours left, and where a member has lived before whose data is gone.
options:
  name:
    description: This member's name, which is the inventory's name of its host.
    type: str
    required: true
  initial_members:
    description: All members of the new cluster, name to peer URL, the same on every machine.
    type: dict
    required: true
  token:
    description: Name of the new cluster. Members of clusters with different tokens never take each other for their own.
    type: str
    required: true
  others:
    description: Client URLs of the other members to be, to see whether a cluster lives there already.
    type: list
    elements: str
    default: []
  unit:
    description: etcd's systemd unit. It reads O(initial_file) as its environment when the file is there.
    type: str
    default: etcd.service
  initial_file:
    description: File that is there from just before the first start until the member is healthy.
    type: path
    default: /etc/etcd/initial.env
  data_dir:
    description: etcd's data directory.
    type: path
    default: /var/lib/etcd
  wait_seconds:
    description: How long to wait until the member is healthy, which takes a majority. With V(0) it is only started.
    type: float
    default: 120.0
extends_documentation_fragment:
  - quorum.kubeadm.etcd_api
attributes:
  check_mode:
    description: Decides as a run does, writes and starts nothing.
    support: full
  diff_mode:
    description: Shows the steps.
    support: full
"""

EXAMPLES = r"""
- name: bootstrap | Start the new cluster
  quorum.kubeadm.etcd_bootstrap:
    name: etcd1
    initial_members:
      etcd1: https://192.0.2.31:2380
      etcd2: https://192.0.2.32:2380
      etcd3: https://192.0.2.33:2380
    token: production
    others: ["https://192.0.2.32:2379", "https://192.0.2.33:2379"]
"""

RETURN = r"""
steps:
  description: What was done, in plain words; empty when the member was up already.
  returned: success
  type: list
  elements: str
healthy:
  description: Whether the member was seen to be healthy.
  returned: success
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_beginning import Begin
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_first_start import FirstStart, result
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_options import OPTIONS, connector
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_unit import FirstUnit
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import check_path
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_lock import operation
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_units import unit_name

SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "initial_members": {"type": "dict", "required": True},
    "token": {"type": "str", "required": True, "no_log": False},
    "others": {"type": "list", "elements": "str", "default": []},
    "unit": {"type": "str", "default": "etcd.service"},
    "initial_file": {"type": "path", "default": "/etc/etcd/initial.env"},
    "data_dir": {"type": "path", "default": "/var/lib/etcd"},
    "wait_seconds": {"type": "float", "default": 120.0},
    **OPTIONS,
}


def run(params: dict[str, Any], *, effects: bool) -> dict[str, Any]:
    """Look, decide, do."""
    members = {str(name): str(url) for name, url in params["initial_members"].items()}
    want = Begin(params["name"], members, params["token"])
    unit, file = unit_name(params["unit"]), check_path(params["initial_file"])
    machine = FirstUnit(Host(), unit, file, check_path(params["data_dir"]))
    first = FirstStart(machine, connector(params), want, params["endpoints"], params["others"])
    plan, healthy = first.run(params["wait_seconds"], effects=effects)
    return result(plan, healthy, unit, file)


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params = module.params
    try:
        if module.check_mode:
            module.exit_json(**run(params, effects=False))
        with operation(max(params["wait_seconds"], 10)):
            told = run(params, effects=True)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**told)


if __name__ == "__main__":
    main()
