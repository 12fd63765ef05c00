#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the cluster through its API."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_info
short_description: Nodes, versions and kubeadm's settings of a cluster
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Reads the cluster through the first endpoint that answers, and asks every endpoint for its version, all at once.
  - Changes nothing. Fails when no endpoint answers.
options:
  addons:
    description: Also read C(addons), which costs two requests.
    type: bool
    default: false
  upgrade:
    description:
      - Also read what an upgrade must know, C(control_plane_pods), C(addons) and C(deprecated_apis).
        The latter come from C(/metrics) of every endpoint that answers, all at once. That is megabytes from each API
        server, nothing to ask again and again.
    type: bool
    default: false
  leases:
    description: Also read C(leases), which costs one request.
    type: bool
    default: false
attributes:
  check_mode:
    description: Runs the same in check mode, nothing is ever changed.
    support: full
  diff_mode:
    description: There is nothing that could differ.
    support: none
extends_documentation_fragment:
  - quorum.kubeadm.kube_api
"""

EXAMPLES = r"""
- name: Read the cluster
  quorum.kubeadm.cluster_info:
    kubeconfig: "{{ kube_kubeconfig }}"
    endpoints: ["https://192.0.2.100:6443", "https://192.0.2.11:6443"]
  register: __cluster
  delegate_to: localhost

- name: Show the nodes that are not ready
  ansible.builtin.debug:
    msg: "{{ __cluster.cluster.nodes | rejectattr('ready') | map(attribute='name') }}"
"""

RETURN = r"""
cluster:
  description: The cluster. All keys are always there.
  returned: success
  type: dict
  contains:
    nodes:
      description: The nodes, by name.
      type: list
      elements: dict
      contains:
        name: {description: The node's name., type: str}
        role: {description: V(control_plane) or V(worker)., type: str}
        ready: {description: Whether the condition Ready is True., type: bool}
        kubelet_version: {description: "Without v, like V(1.36.3).", type: str}
        addresses: {description: "Mappings with C(type), like V(InternalIP), and C(address).", type: list}
        zone: {description: The label topology.kubernetes.io/zone; empty without., type: str}
        labels: {description: All labels., type: dict}
        taints: {description: "Mappings with C(key), C(value) and C(effect).", type: list}
        unschedulable: {description: Whether the node is cordoned., type: bool}
        cordoned: {description: Whether an upgrade of ours cordoned it., type: bool}
        conditions: {description: "By type: C(status), C(reason), C(message), C(since).", type: dict}
    api_versions:
      description: "For each endpoint: C(version), like V(1.36.3), or empty, and C(error), empty when it answered."
      type: dict
      sample: {"https://192.0.2.11:6443": {version: 1.36.3, error: ""}}
    endpoint:
      description: The endpoint that the rest was read from.
      type: str
    cluster_configuration:
      description: kubeadm's ClusterConfiguration; null when the cluster has none that can be read.
      type: dict
    tokens:
      description: "Bootstrap tokens: C(token_id), C(expires) in UTC, C(expired), C(description), C(usages)."
      type: list
      elements: dict
    certs_secret:
      description: Whether Secret C(kubeadm-certs) exists.
      type: bool
    ca_sha256:
      description: Hash of the CA's public key, as C(kubeadm join --discovery-token-ca-cert-hash) wants it.
      type: str
    server_time:
      description: The API server's clock, in UTC.
      type: str
    control_plane_pods:
      description: "Node to component to image of the static pods, as the kubelets report them; null when not asked."
      type: dict
      sample: {cp1: {etcd: "registry.k8s.io/etcd:3.6.16-0"}}
    addons:
      description:
        - C(coredns) and C(kube-proxy), each null where the cluster has none, otherwise C(image), C(wanted), C(updated)
          and C(ready) (numbers of pods) and C(complete), true when all pods are new and ready. Null when not asked.
      type: dict
    deprecated_apis:
      description:
        - APIs that were asked for since the API servers were started, and are to be removed. C(group), C(version),
          C(resource), C(subresource), C(removed_release), like V(1.37), empty when not decided, and C(endpoints),
          those that were asked. Null when not asked.
      type: list
      elements: dict
    leases:
      description: Node to the seconds since its kubelet renewed its Lease; null when not asked.
      type: dict
    metrics_errors:
      description: Endpoints whose C(/metrics) could not be read, and why; C(deprecated_apis) lacks theirs.
      type: dict
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils import kube_cluster, kube_life, kube_upgrade, pki, tokens
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import (
    ARGUMENTS,
    KubeApi,
    node_path,
    open_api,
    secret_path,
    token_secrets,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeconfig import load

KUBEADM_CONFIG = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
STATIC_PODS = {"labelSelector": "tier=control-plane"}
SYSTEM_PODS = "/api/v1/namespaces/kube-system/pods"
ADDONS = {
    "coredns": ("Deployment", "/apis/apps/v1/namespaces/kube-system/deployments/coredns"),
    "kube-proxy": ("DaemonSet", "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy"),
}
MOST_AT_ONCE = 16


def version_of(api: KubeApi) -> dict[str, Any]:
    """What one endpoint says it is, or why it does not."""
    try:
        return {"version": str(api.get("/version").get("gitVersion", "")).lstrip("v"), "error": ""}
    except KubeadmError as exc:
        return {"version": "", "error": exc.found or str(exc)}


def metrics_of(api: KubeApi) -> dict[str, Any]:
    """The deprecated APIs that one endpoint was asked for, or why that cannot be told."""
    try:
        answer = api.raw("GET", "/metrics")
    except KubeadmError as exc:
        return {"rows": [], "error": exc.found or str(exc)}
    if answer.status != 200:
        return {"rows": [], "error": f"{answer.status} {answer.reason}"}
    return {"rows": kube_upgrade.parse_deprecated(answer.body.decode("utf-8", "replace")), "error": ""}


def ask_all(
    ask: Callable[[KubeApi], dict[str, Any]], urls: list[str], single: Callable[[str], KubeApi]
) -> dict[str, dict[str, Any]]:
    """Ask all endpoints at the same time, each once."""
    with ThreadPoolExecutor(max_workers=min(MOST_AT_ONCE, len(urls))) as pool:
        return dict(zip(urls, pool.map(lambda url: ask(single(url)), urls)))


def read_addons(api: KubeApi) -> dict[str, Any]:
    """CoreDNS and kube-proxy."""
    return {name: kube_upgrade.addon(kind, api.find(path)) for name, (kind, path) in ADDONS.items()}


def read_upgrade(api: KubeApi, urls: list[str], single: Callable[[str], KubeApi]) -> dict[str, Any]:
    """What an upgrade must know."""
    told = ask_all(metrics_of, urls, single)
    return {
        "control_plane_pods": kube_upgrade.control_plane_pods(api.list(SYSTEM_PODS, STATIC_PODS)),
        "addons": read_addons(api),
        "deprecated_apis": kube_upgrade.merge_deprecated({url: answer["rows"] for url, answer in told.items()}),
        "metrics_errors": {url: answer["error"] for url, answer in told.items() if answer["error"]},
    }


def read(api: KubeApi, ca_pem: str) -> dict[str, Any]:
    """Everything that one endpoint tells."""
    nodes = sorted(map(kube_cluster.node, api.list(node_path())), key=lambda node: str(node["name"]))
    return {
        "nodes": nodes,
        "endpoint": api.endpoint,
        "cluster_configuration": kube_cluster.cluster_configuration(api.find(KUBEADM_CONFIG)),
        "tokens": kube_cluster.bootstrap_tokens(token_secrets(api), api.now()),
        "certs_secret": api.find(secret_path(pki.CERTS_SECRET)) is not None,
        "ca_sha256": pki.ca_hash(ca_pem) if ca_pem else "",
        "server_time": tokens.format_time(api.now()),
    }


NOT_ASKED = dict.fromkeys(("control_plane_pods", "addons", "deprecated_apis", "metrics_errors"))
SPEC: dict[str, Any] = {
    **ARGUMENTS,
    "addons": {"type": "bool", "default": False},
    "upgrade": {"type": "bool", "default": False},
    "leases": {"type": "bool", "default": False},
}


def call(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Ask one endpoint for everything, and every endpoint for its version."""
    config = load(params["kubeconfig"])
    api = open_api(params, dry_run=check_mode)
    cluster = read(api, config.ca_pem)
    urls = params["endpoints"] or [config.server]

    def single(url: str) -> KubeApi:
        return open_api({**params, "timeout": 0, "endpoints": [url]}, dry_run=True)

    cluster["api_versions"] = ask_all(version_of, urls, single)
    cluster.update(read_upgrade(api, urls, single) if params["upgrade"] else NOT_ASKED)
    if params["addons"] and not params["upgrade"]:
        cluster["addons"] = read_addons(api)
    cluster["leases"] = kube_life.lease_ages(api.list(kube_life.LEASES), api.now()) if params["leases"] else None
    return {"changed": False, "cluster": cluster}


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        module.exit_json(**call(module.params, check_mode=module.check_mode))
    except KubeadmError as exc:
        module.fail_json(**exc.result())


if __name__ == "__main__":
    main()
