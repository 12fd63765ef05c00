#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a control plane's static pods away from the kubelet, or give them back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: static_pods_hold
short_description: Take a control plane's static pods away from the kubelet, or give them back
version_added: 0.1.0
description:
  - Held, a component's manifest is kept in C(/var/lib/quorum-kubeadm/manifests), where the kubelet does not see it, and
    no process of the component is left. It stays so when the host is rebooted.
  - Released, the same manifest is back in its place and the component is healthy, etcd first, then the API server.
  - Asks no gate. It is for C(recover_quorum.yml) and C(restore_etcd.yml), where nothing is left that a gate could
    protect, or everything is given up.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  state:
    description: What shall be. V(seen) changes nothing.
    type: str
    choices: [seen, held, released]
    required: true
  components:
    description: Which components. One that has no manifest is passed over when it is to be held.
    type: list
    elements: str
    choices: [etcd, kube-apiserver, kube-controller-manager, kube-scheduler]
    default: [etcd, kube-apiserver, kube-controller-manager, kube-scheduler]
  wait:
    description:
      - Whether V(state=released) waits until the components are healthy. A member of etcd is when a majority is, so
        where several start at once none is waited for before all have started.
    type: bool
    default: true
  timeout:
    description: Seconds for each wait, until the components have ended and until each is healthy.
    type: int
    default: 120
attributes:
  check_mode:
    description: Looks and says the steps.
    support: full
"""

EXAMPLES = r"""
- name: Stop everything that talks to etcd, and etcd
  quorum.kubeadm.static_pods_hold:
    state: held

- name: Start it again
  quorum.kubeadm.static_pods_hold:
    state: released
"""

RETURN = r"""
steps:
  description: What was done, or would be, in order; empty when there was nothing to do.
  returned: success
  type: list
  elements: str
known:
  description: Components whose manifest is on this host, in its place or taken away.
  returned: success
  type: list
  elements: str
held:
  description: Components that are taken away from the kubelet.
  returned: success
  type: list
  elements: str
runs:
  description: Components of which a process runs.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_lock import operation
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pod_host import MANIFESTS, PodHost
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pods import COMPONENTS, Change
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pods_hold import (
    hold,
    hold_steps,
    look,
    release,
    release_steps,
    require_known,
)


def carry_out(params: dict[str, Any], *, effects: bool) -> dict[str, Any]:
    """Look, say the steps, do them."""
    pods, names = PodHost(), params["components"]
    found = look(pods)
    steps: list[str] = []
    if params["state"] == "held":
        steps = hold_steps(found, names)
        if effects and steps:
            hold(Change(pods, params["timeout"]), names)
    elif params["state"] == "released":
        external = "etcd" not in {**found.manifests, **found.kept}
        names = [name for name in names if not (external and name == "etcd")]
        require_known(found, names, MANIFESTS)
        steps = release_steps(found, names)
        if effects and found.kept:
            release(Change(pods, params["timeout"]), names, wait=params["wait"])
    after = look(pods) if effects else found
    return {
        "changed": bool(steps),
        "steps": steps,
        "held": after.held,
        "known": [name for name in COMPONENTS if name in {**after.manifests, **after.kept}],
        "runs": list(after.runs),
    }


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["seen", "held", "released"], "required": True},
            "components": {
                "type": "list",
                "elements": "str",
                "choices": list(COMPONENTS),
                "default": list(COMPONENTS),
            },
            "wait": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        if module.check_mode or params["state"] == "seen":
            module.exit_json(**carry_out(params, effects=False))
        with operation(params["timeout"]):
            told = carry_out(params, effects=True)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**told)


if __name__ == "__main__":
    main()
