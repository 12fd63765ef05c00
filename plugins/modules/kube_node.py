#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set labels and taints of nodes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_node
short_description: Labels and taints of the cluster's nodes
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Sets labels and taints on any number of nodes in one call. One request lists all nodes; one more for each node that
    has to change.
  - Remembers in the annotation C(quorum.kubeadm/managed) of each node what it set, so that a label or taint that leaves
    the inventory leaves the node too. Labels and taints that others set are never removed.
  - A label or taint that is there already with another value gets the value asked for.
  - All names and values are checked, and all nodes found, before the first node is changed.
options:
  nodes:
    description:
      - What each node shall have, by its exact name. Nodes that are not named are not touched.
      - C(labels) is a mapping of label to value. C(taints) is a list of mappings with C(key), C(effect)
        (C(NoSchedule), C(PreferNoSchedule) or C(NoExecute)) and, optionally, C(value). Key and effect together
        identify a taint.
    type: dict
    required: true
  missing:
    description: What to do when the cluster does not have some of the nodes.
    type: str
    choices: [fail, ignore]
    default: fail
  wait_seconds:
    description: Seconds to wait for nodes that are missing. A kubelet registers a moment after its join.
    type: int
    default: 0
attributes:
  check_mode:
    description: The API server answers from a dry run.
    support: full
  diff_mode:
    description: Labels and taints of the nodes that change.
    support: full
extends_documentation_fragment:
  - quorum.kubeadm.kube_api
"""

EXAMPLES = r"""
- name: Label and taint the nodes as the inventory says
  quorum.kubeadm.kube_node:
    kubeconfig: "{{ kube_kubeconfig }}"
    nodes:
      worker-1:
        labels:
          topology.kubernetes.io/zone: zone-a
        taints:
          - {key: dedicated, value: database, effect: NoSchedule}
      worker-2: {}
  delegate_to: localhost
"""

RETURN = r"""
changed_nodes:
  description: Names of the nodes that were changed.
  returned: success
  type: list
  elements: str
missing:
  description: Names of the nodes that the cluster does not have.
  returned: success
  type: list
  elements: str
"""

import time
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils import kube_nodes
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, KubeadmError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import ARGUMENTS, KubeApi, node_path, open_api

PAUSE = 0.5
TRIES = 5
Object = dict[str, Any]


def find(api: KubeApi, names: set[str], wait: float, clock: Callable[[], float] = time.monotonic) -> dict[str, Object]:
    """The nodes with these names, waiting for those that are missing."""
    until = clock() + wait
    while True:
        nodes = {node["metadata"]["name"]: node for node in api.list(node_path())}
        if names <= set(nodes) or clock() >= until:
            return {name: node for name, node in nodes.items() if name in names}
        time.sleep(PAUSE)


def bring(api: KubeApi, node: Object, wanted: kube_nodes.Want) -> tuple[Object, Object] | None:
    """Change one node; before and after, or None when there was nothing to do."""
    for attempt in range(1, TRIES + 1):
        patch = kube_nodes.plan(node, wanted)
        if patch is None:
            return None
        try:
            return node, api.patch(node_path(node["metadata"]["name"]), patch)
        except ApiError as exc:
            if exc.status != 409 or attempt == TRIES:
                raise
        # Somebody changed the node since it was read, as kubelets do every few seconds: plan again from what is there.
        node = api.get(node_path(node["metadata"]["name"]))
    return None


def ensure(api: KubeApi, params: dict[str, Any]) -> dict[str, Any]:
    """Bring all nodes to what is wanted."""
    wanted = {name: kube_nodes.want(name, raw) for name, raw in params["nodes"].items()}
    nodes = find(api, set(wanted), params["wait_seconds"])
    missing = sorted(set(wanted) - set(nodes))
    if missing and params["missing"] == "fail":
        raise RefusedError(
            "The cluster does not have these nodes; no node was changed",
            where=api.endpoint,
            found=", ".join(missing),
            next_step="Join them, correct their names, or set missing to ignore",
        )
    before, after = {}, {}
    for name in sorted(nodes):
        done = bring(api, nodes[name], wanted[name])
        if done:
            before[name], after[name] = map(kube_nodes.summary, done)
    diff = {"before": before, "after": after}
    return {"changed": bool(after), "changed_nodes": sorted(after), "missing": missing, "diff": diff}


SPEC: dict[str, Any] = dict(
    ARGUMENTS,
    nodes={"type": "dict", "required": True},
    missing={"type": "str", "choices": ["fail", "ignore"], "default": "fail"},
    wait_seconds={"type": "int", "default": 0},
)


def call(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Open the API and bring the nodes to what is wanted."""
    return ensure(open_api(params, dry_run=check_mode), params)


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        module.exit_json(**call(module.params, check_mode=module.check_mode))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
