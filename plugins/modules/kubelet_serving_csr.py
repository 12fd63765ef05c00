#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approve the serving certificates that kubelets ask for, when the inventory says the same."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubelet_serving_csr
short_description: Serving certificates of kubelets, approved when they match the inventory
version_added: 0.1.0
description:
  - Judges every pending CertificateSigningRequest of the signer C(kubernetes.io/kubelet-serving), and approves those
    whose requester is the kubelet of a node of O(nodes) and which ask for names and addresses of that node alone.
  - What a node says of itself, its Node object's addresses among it, does not count. The requester, by the API
    server's word, is exactly C(system:node:NAME) with exactly a kubelet's groups; the subject is the requester;
    usages, key, signature and kinds of names are those of a kubelet; nothing else is in the request.
  - Others stay pending and are told, or are denied with O(others=denied).
  - Needs the Python package cryptography where it runs, as soon as a request is pending.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  nodes:
    description:
      - The names and addresses that each node may have in its certificate, by the node's exact name. That name itself
        need not be among them.
    type: dict
    required: true
  others:
    description: What becomes of requests that may not be approved.
    type: str
    choices: [pending, denied]
    default: pending
  expect:
    description: Nodes that have just joined. Each has to ask within O(wait_seconds).
    type: list
    elements: str
    default: []
  wait_seconds:
    description: Seconds to wait for them. A kubelet asks when its Node has addresses, moments after its join.
    type: int
    default: 60
attributes:
  check_mode:
    description: The API server answers from a dry run; nobody is waited for.
    support: full
extends_documentation_fragment:
  - quorum.kubeadm.kube_api
"""

EXAMPLES = r"""
- name: Approve what the kubelets ask for
  quorum.kubeadm.kubelet_serving_csr:
    kubeconfig: "{{ kube_kubeconfig }}"
    nodes:
      w1: [192.0.2.21]
      w2: [192.0.2.22, "2001:db8::22", w2.example.org]
  delegate_to: localhost
"""

RETURN = r"""
approved:
  description: Names of the nodes whose requests were approved, each once.
  returned: success
  type: list
  elements: str
refused:
  description: The requests that were not, each with C(name), C(user) and C(why).
  returned: success
  type: list
  elements: dict
missing:
  description: Nodes of O(expect) that have not asked for what they may have.
  returned: success
  type: list
  elements: str
"""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils import csr, kubelet_serving
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import ARGUMENTS, KubeApi, node_path, open_api
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubelet_serving import Machine

PAUSE = 1.0
BY = "quorum.kubeadm"
GONE, CONFLICT = 404, 409
Object = dict[str, Any]


def decide(api: KubeApi, found: Object, patch: Object) -> bool:
    """Whether the decision was made: not when somebody else has changed or deleted the request meanwhile."""
    try:
        api.patch(f"{kubelet_serving.PATH}/{quote(found['metadata']['name'], safe='')}/approval", patch)
    except ApiError as exc:
        if exc.status in (GONE, CONFLICT):
            return False
        raise
    return True


def look(api: KubeApi, known: dict[str, Machine], *, deny: bool) -> tuple[set[str], list[Object], bool]:
    """One look: nodes whose requests were approved; requests that were not; whether anything was decided."""
    selected = {"fieldSelector": f"spec.signerName={kubelet_serving.SIGNER}"}
    requests = [found for found in api.list(kubelet_serving.PATH, selected) if kubelet_serving.pending(found)]
    if not requests:
        return set(), [], False
    nodes = {node["metadata"]["name"] for node in api.list(node_path())}
    approved: set[str] = set()
    refused: list[Object] = []
    changed = False
    for found in requests:
        asked = csr.asked(found)
        why = kubelet_serving.reasons(asked, known, nodes)
        if not why and decide(api, found, kubelet_serving.approval(found, BY)):
            approved.add(asked.node)
            changed = True
        elif why:
            refused.append({"name": asked.name, "user": ascii(asked.user)[1:-1], "why": "; ".join(why)})
            changed |= deny and decide(api, found, kubelet_serving.denial(found, why, BY))
    return approved, refused, changed


def issued(api: KubeApi, names: set[str]) -> set[str]:
    """Those of these nodes that have a certificate already, by an earlier approval."""
    listed = api.list(kubelet_serving.PATH, {"fieldSelector": f"spec.signerName={kubelet_serving.SIGNER}"})
    having = [one["spec"].get("username") for one in listed if (one.get("status") or {}).get("certificate")]
    return {name for name in names if f"{kubelet_serving.USER}{name}" in having}


def ensure(
    api: KubeApi, params: dict[str, Any], clock: Callable[[], float] = time.monotonic, *, waits: bool = True
) -> dict[str, Any]:
    """Look until everybody who is expected has been approved."""
    known = kubelet_serving.machines(params["nodes"])
    until, missing = clock() + params["wait_seconds"], set(params["expect"])
    approved: set[str] = set()
    refused: dict[str, Object] = {}
    changed = False
    while True:
        now, others, decided = look(api, known, deny=params["others"] == "denied")
        approved |= now
        refused |= {one["name"]: one for one in others}
        changed |= decided
        missing -= approved
        if missing:
            missing -= issued(api, missing)
        if not missing or not waits or clock() >= until:
            break
        time.sleep(PAUSE)
    told = [refused[name] for name in sorted(refused)]
    return {"changed": changed, "approved": sorted(approved), "refused": told, "missing": sorted(missing)}


SPEC: dict[str, Any] = dict(
    ARGUMENTS,
    nodes={"type": "dict", "required": True},
    others={"type": "str", "choices": ["pending", "denied"], "default": "pending"},
    expect={"type": "list", "elements": "str", "default": []},
    wait_seconds={"type": "int", "default": 60},
)


def call(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Open the API and judge what is pending."""
    return ensure(open_api(params, dry_run=check_mode), params, waits=not check_mode)


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        module.exit_json(**call(module.params, check_mode=module.check_mode))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
