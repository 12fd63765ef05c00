#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a host blank again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_reset
short_description: Make a host blank again that was a node, an etcd member or a load balancer
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Ends what this collection has started on a host and removes what it, kubeadm, the kubelet, kube-proxy and the pod
    network have written there. Packages, programs and images stay, swap stays off, and what the kernel was told at run
    time stays until the next start.
  - Looks again when it is done, by other means, and fails when anything has stayed.
  - Removes exact names only. What a host had before, and what others have beside ours, is left alone and named in
    RV(left_alone).
  - Takes no node out of a cluster and no member out of etcd, and refuses where that has not been done before, with
    M(quorum.kubeadm.kube_drain) and M(quorum.kubeadm.etcd_member).
  - A run that was interrupted anywhere is finished by the next one. On a blank host nothing is done.
options:
  name:
    description: Name of the host in the inventory, which is the node's and the etcd member's name.
    type: str
    required: true
  confirm:
    description: The same name, spelled out by whoever wants the host blank.
    type: str
    required: true
  force:
    description:
      - Reset a host that is still a node of a cluster whose API answers, or whose etcd is a member of a cluster that
        others keep alive or cannot be asked. Such a host is refused otherwise.
      - Only for a whole cluster that goes.
    type: bool
    default: false
  leaving:
    description:
      - The node was drained, and its Node is deleted when the kubelet has ended, which would make its Lease again.
        So the Node may still be there. Its etcd must not be a member any more.
    type: bool
    default: false
  delete_data:
    description:
      - Delete etcd's data, those of earlier resets and removals too. Otherwise they are renamed, to
        C(/var/lib/etcd-removed-TIME), or to C(/var/lib/etcd/member-removed-TIME) on a file system of their own.
    type: bool
    default: false
  vip:
    description: The address that keepalived moves. By default it is read from keepalived's configuration.
    type: str
    default: ""
  cni_files:
    description:
      - Names of files in C(/etc/cni/net.d) that the cluster's pod network has made, where it is not flannel, calico or
        cilium.
    type: list
    elements: str
    default: []
  etcd_endpoints:
    description: Client URLs of other etcd members, to be asked besides those that this host knows.
    type: list
    elements: str
    default: []
  api_endpoints:
    description: URLs of API servers, to be asked besides the kubelet's own whether the cluster still has this node.
    type: list
    elements: str
    default: []
  ports:
    description: Ports on which nothing may listen afterwards.
    type: list
    elements: int
    default: [6443, 10250, 2379, 2380]
  grace_seconds:
    description: How long pods have to end by themselves.
    type: float
    default: 10.0
  timeout:
    description: Seconds that one step may take, and that an operation of ours which still runs is waited for.
    type: float
    default: 120.0
attributes:
  check_mode:
    description: Looks, refuses what would be refused, and tells the steps.
    support: full
"""

EXAMPLES = r"""
- name: Reset | Make the host blank
  quorum.kubeadm.node_reset:
    name: "{{ inventory_hostname }}"
    confirm: "{{ reset_host }}"
"""

RETURN = r"""
steps:
  description: What was done, in plain words; empty on a blank host.
  returned: success, and when something has stayed
  type: list
  elements: str
leftovers:
  description: What has stayed. In check mode nothing is removed, and so nothing has stayed.
  returned: success, and when something has stayed
  type: list
  elements: str
left_alone:
  description: What is near and not ours, or kept on purpose, and why.
  returned: success, and when something has stayed
  type: list
  elements: str
etcd_data:
  description: Where the data of etcd members are that were set aside, by this and by earlier runs.
  returned: success, and when something has stayed
  type: list
  elements: str
"""

import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_leftovers import leftovers
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_lock import operation
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_reset import apply, plan
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_reset_facts import Facts
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_reset_guards import (
    check_membership,
    check_name,
    check_node,
    check_owner,
    place,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_reset_look import look, set_aside
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_reset_ours import PORTS
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_reset_run import Doer
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_reset_world import World


def judge(host: Host, params: Mapping[str, Any], world: World) -> Facts:
    """What is on the host, when nothing speaks against its reset."""
    name = params["name"]
    check_name(name, params["confirm"])
    facts = look(host, params["vip"], params["cni_files"])
    check_owner(name, facts)
    if not params["force"]:
        if not params["leaving"]:
            check_node(name, facts, lambda node: world.has_node(params["api_endpoints"], node))
        if facts.disk.etcd:
            check_membership(place(host, params["etcd_endpoints"]), name, world.observe)
    return facts


def reset(host: Host, params: Mapping[str, Any], *, effects: bool, world: World | None = None) -> dict[str, Any]:
    """Look, judge, do, look again. Nothing is done before everything was judged."""
    world = world or World()
    facts = judge(host, params, world)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    steps = plan(facts, stamp=stamp, delete_data=params["delete_data"])
    doer = Doer(host, facts.network.networks, grace=params["grace_seconds"], timeout=params["timeout"], kill=world.kill)
    told = apply(steps, doer.act, effects=effects)
    stayed = leftovers(host, facts, params["ports"]) if effects else []
    return {
        "changed": bool(told),
        "steps": told,
        "leftovers": stayed,
        "left_alone": list(facts.left_alone),
        "etcd_data": list(set_aside(host)),
    }


def run(params: Mapping[str, Any], *, check: bool) -> dict[str, Any]:
    """While no other operation of ours runs here; in check mode nothing is kept from running."""
    if check:
        return reset(Host(), params, effects=False)
    with operation(params["timeout"]):
        return reset(Host(), params, effects=True)


def failure(name: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """The error, and everything that was done."""
    error = CommandError(
        f"{len(result['leftovers'])} kinds of things have stayed on a host that was reset",
        where=name,
        found="; ".join(result["leftovers"]),
        next_step="run the same again; what still stays then, remove by hand, or restart the machine",
    )
    return {**result, **error.result()}


def main() -> None:
    """Entry point."""
    strings: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "confirm": {"type": "str", "required": True},
            "force": {"type": "bool", "default": False},
            "leaving": {"type": "bool", "default": False},
            "delete_data": {"type": "bool", "default": False},
            "vip": {"type": "str", "default": ""},
            "cni_files": strings,
            "etcd_endpoints": strings,
            "api_endpoints": strings,
            "ports": {"type": "list", "elements": "int", "default": list(PORTS)},
            "grace_seconds": {"type": "float", "default": 10.0},
            "timeout": {"type": "float", "default": 120.0},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module.params, check=module.check_mode)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    if result["leftovers"]:
        module.fail_json(**failure(module.params["name"], result))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
