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
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils import kube_cluster, pki, tokens
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
MOST_AT_ONCE = 16


def version_of(api: KubeApi) -> dict[str, str]:
    """What one endpoint says it is, or why it does not."""
    try:
        return {"version": str(api.get("/version").get("gitVersion", "")).lstrip("v"), "error": ""}
    except KubeadmError as exc:
        return {"version": "", "error": exc.found or str(exc)}


def versions(urls: list[str], single: Callable[[str], KubeApi]) -> dict[str, dict[str, str]]:
    """Ask all endpoints at the same time, each once."""
    with ThreadPoolExecutor(max_workers=min(MOST_AT_ONCE, len(urls))) as pool:
        return dict(zip(urls, pool.map(lambda url: version_of(single(url)), urls)))


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


SPEC: dict[str, Any] = dict(ARGUMENTS)


def call(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Ask one endpoint for everything, and every endpoint for its version."""
    config = load(params["kubeconfig"])
    cluster = read(open_api(params, dry_run=check_mode), config.ca_pem)
    urls = params["endpoints"] or [config.server]
    once = {**params, "timeout": 0}
    cluster["api_versions"] = versions(urls, lambda url: open_api({**once, "endpoints": [url]}, dry_run=True))
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
