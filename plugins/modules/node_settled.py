#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart a kubelet that runs something older than what is on the disk, and wait until its node has settled."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_settled
short_description: Restart a kubelet that is out of date, and wait until its node has settled
version_added: 0.1.0
description:
  - Restarts the kubelet when its program, its unit, its flags or its configuration changed after it was started.
  - Then waits until the node is Ready at the version, as reported by this kubelet after its start. On a control plane
    the API server, controller manager, scheduler and etcd have to answer at their ports as well, and the API has to
    show their pods with the images of their manifests, ready.
  - All of this has to stay so for O(stable_seconds) with the same processes. The kubelet starts static pods late.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  node:
    description: Name of the node, which is the inventory's name of its host.
    type: str
    required: true
  version:
    description: The kubelet's version.
    type: str
    required: true
  restart:
    description: Restart the kubelet in any case.
    type: bool
    default: false
  stable_seconds:
    description: How long everything has to stay well.
    type: float
    default: 15.0
  timeout:
    description: Seconds until everything has to be well.
    type: float
    default: 180.0
attributes:
  check_mode:
    description: Says whether the kubelet would be restarted, and waits for nothing.
    support: full
"""

EXAMPLES = r"""
- name: Upgrade | Restart the kubelet and wait
  quorum.kubeadm.node_settled:
    node: cp1
    version: 1.36.3
"""

RETURN = r"""
restarted:
  description: Why the kubelet was restarted; empty when it was not.
  returned: success
  type: str
seconds:
  description: Seconds until everything was well, without the time for which it had to stay so.
  returned: success
  type: float
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import KubeApi, node_path, open_api
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubelet_host import KubeletHost
from ansible_collections.quorum.kubeadm.plugins.module_utils.settling import (
    Seen,
    node_lacks,
    pods_lack,
    pods_unready,
    settle,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pod_host import PodHost, image, processes

KUBECONFIG = "/etc/kubernetes/kubelet.conf"
ONE_LOOK = 5


class Look:
    """Everything that has to be well, seen once."""

    def __init__(self, node: str, version: str, since: float) -> None:
        self.node = node
        self.version = version
        self.since = since
        self.pods = PodHost()
        self.api: KubeApi | None = None

    def __call__(self) -> Seen:
        manifests = self.pods.manifests()
        lacks = [f"{name}: {why}" for name, text in manifests.items() if (why := self.pods.answers(name, text))]
        late: list[str] = []
        if not lacks:
            lacks, late = self.shown({name: image(text) for name, text in manifests.items()})
        running = {name: tuple(processes(name)) for name in ("kubelet", *manifests)}
        return Seen(tuple(lacks), running, tuple(late))

    def shown(self, images: dict[str, str]) -> tuple[list[str], list[str]]:
        """What the API lacks, and what it shows late.

        The kubelet's own credentials are read again after a failure: they may be renewed.
        """
        try:
            self.api = self.api or open_api({"kubeconfig": KUBECONFIG, "endpoints": [], "timeout": ONE_LOOK}, True)
            lacks = node_lacks(self.api.get(node_path(self.node)), self.version, self.since)
            if not images or lacks:
                return lacks, []
            pods = self.api.list("/api/v1/pods", {"fieldSelector": f"spec.nodeName={self.node}"})
        except KubeadmError as exc:
            self.api = None
            return [str(exc)], []
        return pods_lack(pods, images), pods_unready(pods, images)


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Restart where it is needed, and wait."""
    kubelet = KubeletHost()
    reason = "it was asked for" if params["restart"] else kubelet.out_of_date()
    if check_mode:
        return {"changed": bool(reason), "restarted": reason, "seconds": 0.0}
    since = time.time() if reason else 0.0
    if reason:
        kubelet.restart()
    look = Look(params["node"], params["version"], since)
    seconds = settle(look, params["stable_seconds"], params["timeout"], kubelet.why)
    return {"changed": bool(reason), "restarted": reason, "seconds": seconds}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "restart": {"type": "bool", "default": False},
            "stable_seconds": {"type": "float", "default": 15.0},
            "timeout": {"type": "float", "default": 180.0},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**ensure(module.params, check_mode=module.check_mode))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
