#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a control plane's static pods to the manifests that kubeadm writes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: static_pods
short_description: Bring a control plane's static pods to the manifests that kubeadm writes
version_added: 0.1.0
description:
  - Compares the manifests in C(/etc/kubernetes/manifests) with those that kubeadm writes from O(config), and replaces
    what differs. Components that stay the same are neither stopped nor restarted, etcd first of all.
  - What changes is stopped gracefully, proven to have ended, and started from its new manifest; the API server ends
    before etcd does. Then every component has to be healthy at its own port.
  - When they do not become healthy, the manifests that worked before are put back, and the module fails with the last
    lines of the logs. Goes on where an interrupted call ended.
  - Asks no gate. That another control plane does the work meanwhile has to be asked before.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  config:
    description: kubeadm's InitConfiguration and ClusterConfiguration (kubeadm.k8s.io/v1beta4), without secrets.
    type: list
    elements: dict
    required: true
  kubeadm:
    description: Path of the kubeadm that writes the manifests, which has the version of the configuration.
    type: str
    default: /usr/bin/kubeadm
  restart:
    description: Components to start again although their manifests stay the same.
    type: list
    elements: str
    choices: [etcd, kube-apiserver, kube-controller-manager, kube-scheduler]
    default: []
  renew_certificates:
    description:
      - Whether kubeadm renews the certificates while the components are stopped, as its own upgrade does.
        Nothing is renewed where nothing is stopped, nor without the CA's key on the host.
    type: bool
    default: false
  timeout:
    description: Seconds for each wait, until the components have ended and until they are healthy.
    type: int
    default: 120
attributes:
  check_mode:
    description: Compares, with kubeadm's dry run; changes nothing.
    support: full
  diff_mode:
    description: The manifests before and after.
    support: full
"""

EXAMPLES = r"""
- name: Upgrade | Start the control plane in its new version
  quorum.kubeadm.static_pods:
    config: "{{ documents }}"
    renew_certificates: true
"""

RETURN = r"""
steps:
  description: What was done, in words; empty when all manifests are the same.
  returned: success
  type: list
  elements: str
components:
  description: The components that were started from new manifests.
  returned: success
  type: list
  elements: str
touches_etcd:
  description: Whether etcd is among them.
  returned: success
  type: bool
resumed:
  description: Whether a call that had been interrupted was finished.
  returned: success
  type: bool
seconds:
  description: Seconds that it took, by C(stop) and C(start).
  returned: success
  type: dict
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_store import Containerd
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, KubeadmError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_lock import operation
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_host import Host as KubeadmHost
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_run import (
    censor,
    mark,
    to_text,
    unfinished,
    unmark,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pod_host import PodHost, image
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pods import COMPONENTS, Change, PodsPlan, make_plan

CTR = "/usr/bin/ctr"
CTR_SECONDS = 60.0
KUBEADM_SECONDS = 60.0
CA_KEY = "/etc/kubernetes/pki/ca.key"
# In the marker that stands while the pods are changed.
ACTION = "upgrade"


def require_images(plan: PodsPlan) -> None:
    """Nothing is stopped for an image that is not there: a kubelet that cannot start it would try for ever."""
    have = Containerd(Host(), CTR, "k8s.io", CTR_SECONDS).images()
    missing = sorted({found for name in plan.starts if (found := image(plan.want[name])) not in have})
    if missing:
        raise RefusedError(
            "images of the new manifests are not on this host; nothing was stopped",
            where="containerd, namespace k8s.io",
            found=", ".join(missing),
            next_step="run the same playbook again: it brings them before it stops anything",
        )


def renew(host: KubeadmHost, kubeadm: str, documents: list[dict[str, Any]]) -> None:
    """All certificates that this host's CAs sign."""
    argv = [kubeadm, "certs", "renew", "all"]
    code, printed = host.run(argv, to_text(documents), KUBEADM_SECONDS)
    if code:
        raise CommandError(
            f"kubeadm could not renew the certificates (exit {code})",
            where=" ".join(argv),
            found=censor(printed)[-1000:],
            next_step="mend what kubeadm names and run the same playbook again: it goes on from here",
        )


def carry_out(module: AnsibleModule, host: KubeadmHost) -> dict[str, Any]:
    """Compare, and change unless in check mode."""
    params, pods = module.params, PodHost()
    have = pods.manifests()
    # A call that was killed when all was done has left its marker alone.
    resumed = bool(pods.kept()) or (unfinished(host) or {}).get("action") == ACTION
    plan = make_plan(have, pods.wanted(params["kubeadm"], params["config"], KUBEADM_SECONDS), params["restart"])
    seconds: dict[str, float] = {}
    if not module.check_mode and (plan.starts or resumed):
        require_images(plan)
        change = Change(pods, params["timeout"])
        mark(host, ACTION, time.time())
        renews = params["renew_certificates"] and plan.starts and host.exists(CA_KEY)
        change.run(plan, (lambda: renew(host, params["kubeadm"], params["config"])) if renews else (lambda: None))
        unmark(host)
        seconds = change.seconds
    changed = plan.starts
    return {
        "changed": bool(changed),
        "steps": plan.steps(),
        "components": list(changed),
        "touches_etcd": plan.touches_etcd,
        "resumed": resumed,
        "seconds": seconds,
        "diff": {
            "before": "".join(have.get(name, "") for name in changed),
            "after": "".join(plan.want[name] for name in changed),
        },
    }


def run(module: AnsibleModule) -> dict[str, Any]:
    """Alone on this host; in check mode only compare."""
    if module.check_mode:
        return carry_out(module, KubeadmHost())
    with operation(module.params["timeout"]) as lock:
        return carry_out(module, KubeadmHost(lock))


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "list", "elements": "dict", "required": True},
            "kubeadm": {"type": "str", "default": "/usr/bin/kubeadm"},
            "restart": {"type": "list", "elements": "str", "choices": list(COMPONENTS), "default": []},
            "renew_certificates": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
