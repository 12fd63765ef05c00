#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check a cluster through its API."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_verify
short_description: Check a whole cluster through its API, and wait until it has settled
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Looks at the nodes (those of the inventory, Ready, at the expected version), at every API server's C(/readyz) at
    its own address and through the virtual address, at leftover bootstrap tokens and the Secret C(kubeadm-certs), and
    at the zones of the control planes.
  - With O(probe_pods=true) it starts a few pods in a namespace of its own and lets them reach each other across nodes,
    a Service through kube-proxy, and that Service by its name in DNS. Nothing but the API has to be reachable from
    where the module runs.
  - Looks again until all is well, or until what fails cannot be healed by waiting, at most until O(timeout).
  - Never fails because of what it sees. It returns rows, and M(quorum.kubeadm.verify_report) judges them all.
options:
  kubeconfig:
    description: Path of the kubeconfig, on the host where the module runs, normally the controller.
    type: path
    required: true
  endpoints:
    description: API servers to try in this order, the one of O(vip_url) when empty.
    type: list
    elements: str
    default: []
  version:
    description: The Kubernetes version that every kubelet should have, without C(v).
    type: str
    required: true
  control_planes:
    description: Names of the control-plane nodes.
    type: list
    elements: str
    required: true
  workers:
    description: Names of the other nodes.
    type: list
    elements: str
    default: []
  absent:
    description: Names of machines that were removed. What is left of them fails; what is left of others is only odd.
    type: list
    elements: str
    default: []
  concerned:
    description: Nodes that the run has to do with, all when empty. What is wrong with other workers is only told.
    type: list
    elements: str
    default: []
  vip_url:
    description: The API server's URL at the virtual address.
    type: str
    required: true
  api_port:
    description: The port of the API servers at their own addresses, which are read from the Node objects.
    type: int
    default: 6443
  probe_pods:
    description: Whether to start probe pods. Not done in check mode, because it creates objects.
    type: bool
    default: true
  image:
    description: Image of the probe pods, Kubernetes' own C(agnhost). It is pulled only where it is missing.
    type: str
    default: registry.k8s.io/e2e-test-images/agnhost:2.63.0
  sample:
    description: At most so many nodes get a probe pod, chosen over roles and zones.
    type: int
    default: 6
  joined:
    description: Names of nodes that are new. Only they get probe pods then, and one of the others to talk to.
    type: list
    elements: str
    default: []
  pods_at_once:
    description: How many probe pods may be starting at the same time. Fewer for machines that share a processor.
    type: int
    default: 6
  dns_domain:
    description: The cluster's DNS domain.
    type: str
    default: cluster.local
  timeout:
    description: Seconds to wait for all to be well.
    type: float
    default: 120.0
attributes:
  check_mode:
    description: Looks at the same, but starts no probe pods.
    support: full
  diff_mode:
    description: There is nothing that could differ.
    support: none
notes:
  - Reports RV(ignore:changed=false) always. The namespace C(quorum-verify-*) of the probe pods is deleted before the
    module ends, however it ends; one of a run that was killed is deleted by the next run after 10 minutes.
"""

EXAMPLES = r"""
- name: Check the cluster
  quorum.kubeadm.cluster_verify:
    kubeconfig: ./admin.conf
    endpoints: [https://192.0.2.10:6443, https://192.0.2.11:6443]
    vip_url: https://192.0.2.10:6443
    version: 1.36.3
    control_planes: [cp1, cp2, cp3]
    workers: [w1, w2]
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
rows:
  description: A row for each check that is in order, and for each subject that is not.
  returned: success
  type: list
  elements: dict
  contains:
    check:
      description: What was looked at, one of C(nodes), C(zones), C(leases), C(api), C(probe pods), C(pod network),
        C(service), C(dns), C(tokens), C(kubeadm-certs).
      type: str
    subject:
      description: A node, an address, or all nodes that are in order.
      type: str
    status:
      description: V(ok), V(warn) or V(fail).
      type: str
    found:
      description: What was seen.
      type: str
    next_step:
      description: What to do, empty when nothing has to be done.
      type: str
nodes:
  description: The nodes as they were last seen.
  returned: success
  type: list
  elements: dict
seconds:
  description: After how many seconds each check was in order; checks that never were are missing.
  returned: success
  type: dict
notes:
  description: What was not looked at, and what was swept.
  returned: success
  type: list
  elements: str
"""

import contextlib
import secrets
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, KubeadmError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify import Want
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify_cluster import ClusterChecks, summary, watch
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify_connect import Connections, told_to_end
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify_pods import ProbePods, Spec, sweep


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Look until it is well; leave nothing behind."""
    connections = Connections(params["kubeconfig"], params["endpoints"] or [params["vip_url"]])
    notes, probe = [], None
    if params["probe_pods"] and check_mode:
        notes.append("probe pods: not started in check mode")
    elif params["probe_pods"]:
        namespace = f"quorum-verify-{secrets.token_hex(4)}"
        probe = ProbePods(
            connections.fresh, Spec(namespace, params["image"], params["dns_domain"], max(1, params["pods_at_once"]))
        )
        with contextlib.suppress(ApiError, UnreachableError):
            swept = sweep(connections.main(), connections.now())
            notes += [f"probe pods: swept {name}, which a killed run left behind" for name in swept]
    groups = (tuple(params[name]) for name in ("control_planes", "workers", "absent", "concerned"))
    checks = ClusterChecks(
        connections.main,
        connections.ask,
        Want(params["version"], *groups),
        params["vip_url"],
        params["api_port"],
        connections.now,
        probe,
        params["sample"],
        tuple(params["joined"]),
    )
    try:
        outcome = watch(checks.look, time.monotonic, time.sleep, params["timeout"])
    finally:
        if probe is not None:
            probe.close(connections.stubborn())
    return {
        "changed": False,
        "rows": [row.result() for row in outcome.rows],
        "nodes": summary(checks.nodes),
        "seconds": outcome.seconds,
        "notes": notes,
    }


SPEC: dict[str, Any] = {
    "kubeconfig": {"type": "path", "required": True},
    "endpoints": {"type": "list", "elements": "str", "default": []},
    "version": {"type": "str", "required": True},
    "control_planes": {"type": "list", "elements": "str", "required": True},
    "workers": {"type": "list", "elements": "str", "default": []},
    "absent": {"type": "list", "elements": "str", "default": []},
    "concerned": {"type": "list", "elements": "str", "default": []},
    "vip_url": {"type": "str", "required": True},
    "api_port": {"type": "int", "default": 6443},
    "probe_pods": {"type": "bool", "default": True},
    "image": {"type": "str", "default": "registry.k8s.io/e2e-test-images/agnhost:2.63.0"},
    "sample": {"type": "int", "default": 6},
    "joined": {"type": "list", "elements": "str", "default": []},
    "pods_at_once": {"type": "int", "default": 6},
    "dns_domain": {"type": "str", "default": "cluster.local"},
    "timeout": {"type": "float", "default": 120.0},
}


def call(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Look, and tidy up also when the process is told to end."""
    with told_to_end():
        return run(params, check_mode)


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        module.exit_json(**call(module.params, check_mode=module.check_mode))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
