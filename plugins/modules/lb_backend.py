#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take an API server out of a load balancer's service, or back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lb_backend
short_description: Take an API server out of a load balancer's service, or back
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Talks to HAProxy on this host through its admin socket. What it sets is lost when HAProxy is reloaded or restarted.
  - Never asks whether enough servers remain; M(quorum.kubeadm.etcd_gate) does, with RV(backends_up).
options:
  state:
    description:
      - V(drained) sends no new connections to the server and waits until it has no sessions. Those that remain after
        O(wait_seconds) are in RV(sessions), which is no error, because clients watch for hours; the API server closes
        them when it ends.
      - V(ready) sends connections again, from maintenance too, and fails when the server's health check has not passed
        after O(wait_seconds). With V(0) it does not wait.
      - V(seen) changes nothing.
    type: str
    required: true
    choices: [drained, ready, seen]
  server:
    description: Exact name of the control plane. Needed for V(drained) and V(ready).
    type: str
  backend:
    description: Name of the backend in C(haproxy.cfg).
    type: str
    default: kube_api
  socket:
    description: The admin socket.
    type: path
    default: /run/haproxy/admin.sock
  wait_seconds:
    description: Seconds to wait.
    type: float
    default: 5.0
attributes:
  check_mode:
    description: The state that the server would have, without the wait.
    support: full
  diff_mode:
    description: The result says it.
    support: none
"""

EXAMPLES = r"""
- name: Backends | Look
  quorum.kubeadm.lb_backend:
    state: seen
  register: __backends

- name: Backend | Send nothing more to cp1
  quorum.kubeadm.lb_backend:
    state: drained
    server: cp1
  delegate_to: lb1
"""

RETURN = r"""
answered:
  description: Whether HAProxy answered. For O(state=drained) and O(state=ready) silence is an error.
  returned: success
  type: bool
found:
  description: Why it did not answer.
  returned: when it did not answer
  type: str
servers:
  description: Name to state of each server of the backend, as HAProxy says it.
  returned: success
  type: dict
  contains:
    status:
      description: HAProxy's own word, like V(UP), V(DOWN 1/2), V(DRAIN) or V(MAINT). In check mode the present one.
      type: str
    admin:
      description: V(ready), V(drain) or V(maint).
      type: str
    up:
      description: Whether its health check passes. V(false) in maintenance, where nothing is checked.
      type: bool
    sessions:
      description: Its present sessions.
      type: int
    check:
      description: The last health check's result.
      type: str
  sample:
    cp1: {status: UP, admin: ready, up: true, sessions: 12, check: L7OK Layer7 check passed}
backends_up:
  description: How many servers are up and in service.
  returned: success
  type: int
sessions:
  description: Sessions that O(server) still has.
  returned: O(state=drained) and O(state=ready)
  type: int
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.haproxy_socket import AdminSocket
from ansible_collections.quorum.kubeadm.plugins.module_utils.lb_servers import Clock, Want, bring, read, report


def seen(ask: AdminSocket, backend: str) -> dict[str, Any]:
    """What HAProxy says, or that it says nothing."""
    try:
        return report(read(ask, backend))
    except UnreachableError as exc:
        return {"changed": False, "answered": False, "found": str(exc), "servers": {}, "backends_up": 0}


def run(params: dict[str, Any], effects: bool) -> dict[str, Any]:
    """Look, or bring the server into the state."""
    ask, backend, state = AdminSocket(params["socket"]), params["backend"], params["state"]
    if state == "seen":
        return seen(ask, backend)
    want = Want(params["server"], state, backend, params["wait_seconds"])
    return bring(ask, want, Clock(time.monotonic, time.sleep), effects)


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["drained", "ready", "seen"]},
            "server": {"type": "str"},
            "backend": {"type": "str", "default": "kube_api"},
            "socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
            "wait_seconds": {"type": "float", "default": 5.0},
        },
        required_if=[("state", "drained", ["server"]), ("state", "ready", ["server"])],
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module.params, effects=not module.check_mode))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
