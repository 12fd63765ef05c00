#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of a control plane answer, asked on its own host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: control_plane_info
short_description: Which parts of a control plane answer, asked on its own host
version_added: 0.1.0
description:
  - Asks the API server, the controller manager, the scheduler and etcd at the ports that their manifests name.
    A service's or a mirror pod's state is not asked, it may be minutes old.
  - What it returns is an element of O(quorum.kubeadm.etcd_gate#module:control_planes).
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  name:
    description: Name of the control plane, to be returned.
    type: str
    required: true
attributes:
  check_mode:
    description: Reads only, in check mode too.
    support: full
"""

EXAMPLES = r"""
- name: Look at the other control planes
  quorum.kubeadm.control_plane_info:
    name: cp2
  delegate_to: cp2
  register: seen
"""

RETURN = r"""
control_plane:
  description:
    - C(name), and whether C(api), C(controller_manager), C(scheduler) and C(etcd) answer.
    - With an external etcd C(etcd) is whether the API server is ready, which it is not without its etcd.
  returned: success
  type: dict
  sample: {name: cp2, api: true, controller_manager: true, scheduler: true, etcd: true}
silent:
  description: What was found instead of an answer, by component.
  returned: success
  type: dict
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pod_host import PodHost
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pods import API, COMPONENTS, ETCD

PARTS = {"api": API, "controller_manager": "kube-controller-manager", "scheduler": "kube-scheduler", "etcd": ETCD}


class Asked(Protocol):
    """What tells whether components answer."""

    def manifests(self) -> dict[str, str]: ...

    def answers(self, component: str, manifest: str) -> str: ...


def look(name: str, pods: Asked) -> dict[str, Any]:
    """Ask all components at the same time."""
    manifests = pods.manifests()
    with ThreadPoolExecutor(max_workers=len(COMPONENTS)) as pool:
        found = dict(zip(manifests, pool.map(lambda entry: pods.answers(*entry), manifests.items())))
    silent = {component: found.get(component, "it has no manifest") for component in _expected(manifests)}
    silent = {component: why for component, why in silent.items() if why}
    parts = {part: component not in silent for part, component in PARTS.items()}
    parts["etcd"] = parts["etcd"] and (ETCD in manifests or parts["api"])
    return {"control_plane": {"name": name, **parts}, "silent": silent}


def _expected(manifests: Mapping[str, str]) -> list[str]:
    """Without a manifest of its own etcd is an external one."""
    return [component for component in COMPONENTS if component != ETCD or ETCD in manifests]


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec={"name": {"type": "str", "required": True}}, supports_check_mode=True)
    module.exit_json(changed=False, **look(module.params["name"], PodHost()))


if __name__ == "__main__":
    main()
