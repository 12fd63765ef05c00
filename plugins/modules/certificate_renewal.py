#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renew a host's certificates, restart what uses them, and prove that they are served."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_renewal
short_description: Renew a host's certificates, restart what uses them, prove that they are served
version_added: 0.1.0
description:
  - Renews what is due by C(kubeadm certs renew), which needs no API; restarts the static pods that were started before
    a file that they read was written; compares the serial numbers that are served with those of the files.
  - A certificate is due when it ends within O(within_days), at the latest when two thirds of its life are over, when
    it has ended, or when the key beside it is not its own.
  - What is replaced is kept in C(/var/lib/quorum-kubeadm/certificates), which only root can enter, and removed when the
    new certificates are proven to be served. Nothing is lost by that, since the CA stays.
  - A CA that has ended, that would end before what it signs, or whose key is not on the host is refused before anything
    is changed.
  - Asks no gate. That another control plane does the work meanwhile has to be asked before.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  roles:
    description: What the host is. A control plane with etcd on it is both; V(etcd) alone is a machine of external etcd.
    type: list
    elements: str
    choices: [control_plane, worker, etcd]
    required: true
  address:
    description: The address at which the host serves.
    type: str
    required: true
  config:
    description: kubeadm's documents (kubeadm.k8s.io/v1beta4) of this host, without secrets. Not needed for a worker.
    type: list
    elements: dict
    default: []
  kubeadm:
    description: Path of kubeadm.
    type: str
    default: /usr/bin/kubeadm
  api_port:
    description: The port of the host's own API server.
    type: int
    default: 6443
  key_group:
    description: Group that may read the keys that a service of etcd serves with. Empty lets root alone.
    type: str
    default: ""
  within_days:
    description: What ends within so many days is due.
    type: int
    default: 90
  valid_days:
    description: How long the new ones live. 0 is what kubeadm's configuration says, which is a year.
    type: int
    default: 0
  every:
    description: Whether everything is renewed, due or not.
    type: bool
    default: false
  stages:
    description:
      - Which parts are done. V(files) renews, and stops nothing. V(pods) restarts the static pods that run with older
        certificates. V(kubelet) makes an expired kubelet.conf of a control plane anew, or moves that of a worker away,
        so that it can join again. V(proof) compares what is served, and removes what was kept.
    type: list
    elements: str
    choices: [files, pods, kubelet, proof]
    default: [files, pods, proof]
  timeout:
    description: Seconds for each wait, until static pods have ended and until they are healthy.
    type: int
    default: 120
attributes:
  check_mode:
    description: Says what would be done, and refuses what it would refuse as RV(plan) only; changes nothing.
    support: full
  diff_mode:
    description: Keys are secrets and are not shown.
    support: none
"""

EXAMPLES = r"""
- name: Renewal | Renew what ends within two months
  quorum.kubeadm.certificate_renewal:
    roles: [control_plane, etcd]
    address: 192.0.2.11
    config: "{{ documents }}"
    within_days: 60
"""

RETURN = r"""
steps:
  description: What was done, or would be, in order; empty when nothing is due.
  returned: success
  type: list
  elements: str
plan:
  description:
    - Names of certificates in C(renew), C(carried) (from a machine of etcd), and C(expired); static pods in
      C(restarts), C(interrupted) when that has begun and not ended; what becomes of the kubelet's in C(kubelet);
      directories in C(kept); why not, in C(refusals).
  returned: success
  type: dict
ca_pem:
  description: The cluster's CA certificate (public), null when there is none on this host.
  returned: success
  type: str
"""

from datetime import timedelta
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_places import CONTROL_PLANE, ETCD, WORKER
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_lock import operation
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_host import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.renewal import (
    FILES,
    PODS,
    PROOF,
    STAGES,
    Wish,
    make_plan,
    validity_of,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.renewal_host import Given, RenewalHost
from ansible_collections.quorum.kubeadm.plugins.module_utils.renewal_run import Renewal

CA_FILE = "/etc/kubernetes/pki/ca.crt"


def with_validity(documents: list[dict[str, Any]], days: int) -> list[dict[str, Any]]:
    """The documents with how long what kubeadm makes lives; 0 leaves what they say."""
    more = {"certificateValidityPeriod": f"{days * 24}h0m0s"} if days else {}
    return [{**one, **more} if one.get("kind") == "ClusterConfiguration" else one for one in documents]


def carry_out(params: dict[str, Any], lock: int | None, *, effects: bool) -> dict[str, Any]:
    """Look, say the steps, do them."""
    documents = with_validity(params["config"], params["valid_days"])
    given = Given(
        roles=params["roles"],
        address=params["address"],
        documents=documents,
        kubeadm=params["kubeadm"],
        api_port=params["api_port"],
        group=params["key_group"],
    )
    host = RenewalHost(given, params["timeout"], lock)
    wish = Wish(host.now(), timedelta(days=params["within_days"]), validity_of(documents), params["every"])
    plan, stages = make_plan(host.facts(), wish, params["roles"]), params["stages"]
    steps = plan.steps(stages)
    if effects:
        Renewal(host, params["timeout"]).run(plan, stages)
    files = Host()
    return {
        "changed": bool(steps),
        "steps": steps,
        "plan": plan.as_dict(),
        "ca_pem": files.read(CA_FILE) if files.exists(CA_FILE) else None,
    }


def main() -> None:
    """Entry point."""
    roles = [CONTROL_PLANE, WORKER, ETCD]
    module = AnsibleModule(
        argument_spec={
            "roles": {"type": "list", "elements": "str", "choices": roles, "required": True},
            "address": {"type": "str", "required": True},
            "config": {"type": "list", "elements": "dict", "default": []},
            "kubeadm": {"type": "str", "default": "/usr/bin/kubeadm"},
            "api_port": {"type": "int", "default": 6443},
            "key_group": {"type": "str", "default": "", "no_log": False},
            "within_days": {"type": "int", "default": 90},
            "valid_days": {"type": "int", "default": 0},
            "every": {"type": "bool", "default": False},
            "stages": {"type": "list", "elements": "str", "choices": list(STAGES), "default": [FILES, PODS, PROOF]},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    try:
        if module.check_mode:
            module.exit_json(**carry_out(module.params, None, effects=False))
        with operation(module.params["timeout"]) as lock:
            told = carry_out(module.params, lock, effects=True)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**told)


if __name__ == "__main__":
    main()
