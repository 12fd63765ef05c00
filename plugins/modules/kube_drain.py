#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a node out of service, or back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_drain
short_description: Take a node out of service, or back
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Cordons a node and evicts its pods side by side through the eviction API, so that every PodDisruptionBudget (PDB) is
    kept, and waits until they have gone. The eviction of a pod that its PDB holds is tried again.
  - Pods of DaemonSets, mirror pods of static pods and finished pods stay. Data in C(emptyDir) volumes of pods that
    leave is lost.
  - Remembers in the annotation C(quorum.kubeadm/cordoned) of the node that it cordoned it. A node that somebody else
    cordoned stays cordoned.
  - When a drain is given up, the node is uncordoned again if this module cordoned it, now or in an earlier run.
options:
  state:
    description:
      - V(drained) cordons and evicts. V(cordoned) only cordons. V(uncordoned) takes the cordon away that this module
        set.
      - V(checked) tells which pods of O(nodes) could not be evicted now, by dry runs; it never changes anything. Dry
        runs do not use up a budget, so two pods of which only one may go at a time are both fine.
    type: str
    choices: [drained, cordoned, uncordoned, checked]
    default: drained
  node:
    description: Exact name of the node. Needed for all states but V(checked).
    type: str
  nodes:
    description: Exact names of the nodes for O(state=checked).
    type: list
    elements: str
    default: []
  policy:
    description:
      - What becomes of pods whose eviction is refused. V(fail) gives up after O(drain_seconds), V(wait) after
        O(drain_wait_seconds).
      - V(force) deletes them after O(drain_seconds), against their PDB, and says so in RV(forced).
    type: str
    choices: [fail, wait, force]
    default: fail
  drain_seconds:
    description:
      - Seconds that a refused eviction is tried again. A pod that is on its way out has this long too, or its grace
        period and a minute, if that is longer.
    type: int
    default: 300
  drain_wait_seconds:
    description: The same for O(policy=wait).
    type: int
    default: 3600
  grace_period:
    description: Seconds that the pods get to end, instead of their own grace period.
    type: int
  unmanaged:
    description:
      - What becomes of pods without a controller, which nothing brings back. V(fail) names them before anything
        changes. V(delete) evicts them like the others.
    type: str
    choices: [fail, delete]
    default: fail
attributes:
  check_mode:
    description:
      - The API server answers from a dry run. Evictions that are refused at the moment are in RV(blocked); whether they
        will be refused for longer than O(drain_seconds) is not known.
    support: full
  diff_mode:
    description: The steps say it.
    support: none
extends_documentation_fragment:
  - quorum.kubeadm.kube_api
"""

EXAMPLES = r"""
- name: Nodes | See what would hold a drain
  quorum.kubeadm.kube_drain:
    kubeconfig: ./admin.conf
    state: checked
    nodes: [cp1, w1, w2]
  delegate_to: localhost
  register: __drains

- name: Node | Take out of service
  quorum.kubeadm.kube_drain:
    kubeconfig: ./admin.conf
    node: w1
    policy: wait
  delegate_to: localhost

- name: Node | Take back into service
  quorum.kubeadm.kube_drain:
    kubeconfig: ./admin.conf
    node: w1
    state: uncordoned
  delegate_to: localhost
"""

RETURN = r"""
steps:
  description: What was done, or what a real run would do.
  returned: all states but V(checked), also when a drain was given up
  type: list
  elements: str
  sample: [cordon w1, evict shop/web-7d9f-x2k4q]
evicted:
  description: Pods that were evicted, as namespace and name.
  returned: O(state=drained)
  type: list
  elements: str
forced:
  description: Pods that were deleted against their PDB, in the form of RV(blocked).
  returned: O(state=drained)
  type: list
  elements: dict
blocked:
  description: Pods that cannot be evicted now, one row for each. Empty after a drain.
  returned: O(state=drained) and O(state=checked), also when a drain was given up
  type: list
  elements: dict
  contains:
    node:
      description: The node.
      type: str
    pod:
      description: Namespace and name of the pod.
      type: str
    pdb:
      description: Namespace and name of the PDB that holds it, several separated by commas, empty when none does.
      type: str
    found:
      description: Why, with the PDB's numbers.
      type: str
    next:
      description: What to do.
      type: str
  sample:
    - node: w1
      pod: shop/web-7d9f-x2k4q
      pdb: shop/web
      found: "PDB shop/web allows 0 disruptions: 2 of 3 pods healthy, 2 needed; 1 not ready now, with all ready it
        would allow 1"
      next: "Repair or wait for the app's other pods: kubectl -n shop get pods"
kept_cordoned:
  description: Whether the node is cordoned by somebody else, and therefore stays so.
  returned: all states but V(checked)
  type: bool
seconds:
  description: How long it took.
  returned: success
  type: float
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.drain_evict import Clock, Options
from ansible_collections.quorum.kubeadm.plugins.module_utils.drain_run import check, drained, marked
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import ARGUMENTS, KubeApi, open_api

SPEC: dict[str, Any] = dict(
    ARGUMENTS,
    state={"type": "str", "choices": ["drained", "cordoned", "uncordoned", "checked"], "default": "drained"},
    node={"type": "str"},
    nodes={"type": "list", "elements": "str", "default": []},
    policy={"type": "str", "choices": ["fail", "wait", "force"], "default": "fail"},
    drain_seconds={"type": "int", "default": 300},
    drain_wait_seconds={"type": "int", "default": 3600},
    grace_period={"type": "int"},
    unmanaged={"type": "str", "choices": ["fail", "delete"], "default": "fail"},
)
RULES: dict[str, Any] = {
    "required_if": [("state", state, ["node"]) for state in ("drained", "cordoned", "uncordoned")],
}


def options(params: dict[str, Any]) -> Options:
    """How the node is drained."""
    seconds = params["drain_wait_seconds"] if params["policy"] == "wait" else params["drain_seconds"]
    return Options(params["policy"], seconds, params["grace_period"], params["unmanaged"])


def run(api: KubeApi, params: dict[str, Any], clock: Clock) -> dict[str, Any]:
    """Bring the node into the state."""
    began = clock.now()
    if params["state"] == "checked":
        rows = check(api, params["nodes"], options(params))
        result: dict[str, Any] = {"changed": False, "blocked": [row.as_dict() for row in rows]}
    elif params["state"] == "drained":
        result = drained(api, params["node"], options(params), clock)
    else:
        result = marked(api, params["node"], params["state"])
    return {**result, "seconds": round(clock.now() - began, 1)}


def call(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Open the API and bring the node into the state."""
    api = open_api(params, dry_run=check_mode or params["state"] == "checked")
    return run(api, params, Clock(time.monotonic, time.sleep))


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True, **RULES)
    try:
        module.exit_json(**call(module.params, check_mode=module.check_mode))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
