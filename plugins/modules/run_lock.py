#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claim a host for a run; the action plugin run_lock does everything else."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_lock
short_description: Let one run at a time change a cluster
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - With V(held), takes the lock of the cluster for this run of C(ansible-playbook), or fails within seconds and names
    who has it. The task is needed once; a run that has the lock already keeps it.
  - The lock is the Lease C(kube-system/quorum-kubeadm), renewed every 10 seconds and over 30 seconds after its last
    renewal by the API server's clock, and a lock of the controller's kernel for the same user and cluster, which needs
    no API. While no API answers it is the latter alone; the Lease is taken as soon as one does.
  - A process of its own on the controller keeps it, and gives it back when the run has ended, however it did. When that
    process is killed too, the Lease ends by itself.
  - From then on, each of the collection's modules that change something sees first whether the lock was confirmed in
    the last 25 seconds. When it is not within another minute, or somebody else has it, the module fails and changes
    nothing. This costs no request. Without this module nothing of that happens.
options:
  state:
    description:
      - V(held) takes the lock.
      - V(claimed) claims the task's host for the run that holds the lock, for half an hour, and fails when another run
        claims it. It is for runs that begin, or stop, the API, and makes the lock do without it meanwhile. A claim that
        is left over from the same controller, user and cluster is replaced.
      - V(released) gives the lock back before the run has ended.
    type: str
    choices: [held, claimed, released]
    default: held
  endpoints:
    description:
      - API servers to try, as for the modules that talk to the API. The first is the cluster's name on the controller.
      - Needed with V(state=held).
    type: list
    elements: str
    default: []
  kubeconfig:
    description:
      - The administrator's kubeconfig on the controller. The file may not be there yet.
      - When empty, as where the controller cannot reach the API, runs from two controllers are not told apart.
    type: path
    default: ""
  claim:
    description: Who claims the host. The action fills it in.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Takes nothing, and warns when another run has the lock.
    support: full
  action:
    description: Runs on the controller; with V(state=claimed) also on the host.
    support: full
notes:
  - On the controller it needs a POSIX system; the end of a run is noticed at once on Linux, else within 0.2 seconds.
"""

EXAMPLES = r"""
- name: Let no other run change this cluster
  quorum.kubeadm.run_lock:
    kubeconfig: "{{ kube_kubeconfig }}"
    endpoints: "{{ __api_urls }}"
  run_once: true

- name: Claim the host on which the cluster begins
  quorum.kubeadm.run_lock:
    state: claimed
"""

RETURN = r"""
held:
  description: Whether this run has the lock now.
  returned: with O(state=held) and O(state=released)
  type: bool
level:
  description: What holds it, V(lease), V(claims) or V(controller).
  returned: when it is held
  type: str
token:
  description: The Lease's number of changes of its holder, which only grows. 0 without a Lease.
  returned: when it is held
  type: int
run:
  description: This run, as others see it.
  returned: when it is held
  type: str
  sample: alice@laptop:4242:9f3c2a1b
holder:
  description: Who has the lock (run, playbook, since, until), or null.
  returned: in check mode
  type: dict
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.run_claim import claim

SPEC = {
    "state": {"type": "str", "choices": ["held", "claimed", "released"], "default": "held"},
    "endpoints": {"type": "list", "elements": "str", "default": []},
    "kubeconfig": {"type": "path", "default": ""},
    "claim": {"type": "dict", "default": {}},
}


def main() -> None:
    """The host's part."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    if module.params["state"] != "claimed" or not module.params["claim"]:
        module.fail_json(msg="run_lock runs as an action of a playbook's task")
    try:
        claim(module.params["claim"], time.time(), effects=not module.check_mode)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
