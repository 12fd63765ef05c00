# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters: inputs to kubeadm's configuration documents, and names to addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.quorum.kubeadm.plugins.module_utils import kubeadm_config
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.pki import ca_hash


def init_documents(cluster: Mapping[str, Any], node: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The documents for kubeadm init and its phases. cluster, node: the fields of ClusterInputs and NodeInputs."""
    try:
        return kubeadm_config.init_documents(kubeadm_config.cluster_inputs(cluster), kubeadm_config.node_inputs(node))
    except KubeadmError as exc:
        raise AnsibleFilterError(str(exc)) from exc


def join_documents(
    node: Mapping[str, Any], endpoint: str, ca_pem: str, control_plane: bool = False
) -> list[dict[str, Any]]:
    """The documents for kubeadm join; the CA is pinned by the hash of its public key."""
    try:
        return kubeadm_config.join_documents(
            endpoint, ca_hash(ca_pem), kubeadm_config.node_inputs(node), control_plane=control_plane
        )
    except KubeadmError as exc:
        raise AnsibleFilterError(str(exc)) from exc


def etcd_documents(
    node: Mapping[str, Any], version: str, cert_sans: list[str], encryption_algorithm: str = "ECDSA-P256"
) -> list[dict[str, Any]]:
    """The documents for kubeadm's phases on a machine of an external etcd."""
    try:
        return kubeadm_config.etcd_documents(
            kubeadm_config.node_inputs(node), version, list(cert_sans), encryption_algorithm
        )
    except KubeadmError as exc:
        raise AnsibleFilterError(str(exc)) from exc


def node_addresses(names: list[str], hostvars: Mapping[str, Any]) -> dict[str, str]:
    """Each host's node address: kube_node_ip, else ansible_host, else the name itself."""
    out = {}
    for name in names:
        values = hostvars[name]
        out[name] = str(values.get("kube_node_ip") or values.get("ansible_host") or name)
    return out


def node_settings(names: list[str], hostvars: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each node's labels and taints from the inventory, as kube_node takes them."""
    return {
        name: {
            "labels": hostvars[name].get("kube_node_labels", {}),
            "taints": hostvars[name].get("kube_node_taints", []),
        }
        for name in names
    }


def serving_names(names: list[str], hostvars: Mapping[str, Any]) -> dict[str, list[str]]:
    """Each node's names and addresses for its kubelet's certificate, as kubelet_serving_csr takes them."""
    addresses = node_addresses(names, hostvars)
    return {name: [addresses[name], *map(str, hostvars[name].get("kube_node_serving_names") or [])] for name in names}


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Any]:
        """Names as Ansible looks them up."""
        return {
            "etcd_documents": etcd_documents,
            "init_documents": init_documents,
            "join_documents": join_documents,
            "node_addresses": node_addresses,
            "node_settings": node_settings,
            "serving_names": serving_names,
        }
