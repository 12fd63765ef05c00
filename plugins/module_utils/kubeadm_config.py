# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs to kubeadm's configuration documents (kubeadm.k8s.io/v1beta4), without any secret.

Tokens and the certificate key are put in on the node, by the kubeadm module, so that
what is built here may be shown, compared and logged.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .errors import InputError

Document = dict[str, Any]

API_VERSION = "kubeadm.k8s.io/v1beta4"
CRI_SOCKET = "unix:///run/containerd/containerd.sock"
AUDIT_POLICY = "/etc/kubernetes/audit/policy.yaml"
AUDIT_LOG_DIR = "/var/log/kubernetes/audit"
WATCH_GRACE = "3s"
_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
# As Kubernetes takes DNS names, which the last label cannot make an address; a wildcard may come first.
SAN = re.compile(rf"(?=.{{1,253}}\Z)(?:\*\.)?{_LABEL}(?:\.{_LABEL})*", re.ASCII)
ENCRYPTION_CONFIG = "/etc/kubernetes/encryption/config.yaml"


@dataclass(frozen=True)
class ClusterInputs:
    """What holds for the whole cluster. Addresses are strings, ports integers, versions without "v"."""

    version: str
    vip: str
    api_port: int
    pod_cidr: str
    service_cidr: str
    cert_sans: list[str]
    cluster_name: str = "kubernetes"
    dns_domain: str = "cluster.local"
    image_repository: str = "registry.k8s.io"
    etcd_image_tag: str = ""
    etcd_data_dir: str = "/var/lib/etcd"
    etcd_external: Mapping[str, Any] = field(default_factory=dict)
    encryption_algorithm: str = "ECDSA-P256"
    audit: Mapping[str, Any] = field(default_factory=dict)
    encryption_at_rest: bool = True
    api_server_args: Mapping[str, str] = field(default_factory=dict)
    controller_manager_args: Mapping[str, str] = field(default_factory=dict)
    scheduler_args: Mapping[str, str] = field(default_factory=dict)
    kubelet: Mapping[str, Any] = field(default_factory=dict)
    kube_proxy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeInputs:
    """What holds for one node. taints None: kubeadm's own default (control planes tainted, workers not)."""

    name: str
    address: str
    bind_port: int = 6443
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: list[Mapping[str, str]] | None = None
    ignore_preflight_errors: list[str] = field(default_factory=list)
    patches_dir: str = ""


def _parse(kind: type[Any], values: Mapping[str, Any]) -> Any:
    known = {item.name for item in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(
            f"unknown inputs for {kind.__name__}",
            where="kubeadm configuration",
            found=", ".join(unknown),
            next_step=f"use only {', '.join(sorted(known))}",
        )
    try:
        return kind(**values)
    except TypeError as exc:
        raise InputError(
            f"inputs missing for {kind.__name__}", where="kubeadm configuration", found=str(exc), next_step="set them"
        ) from exc


def cluster_inputs(values: Mapping[str, Any]) -> ClusterInputs:
    """Parse a mapping of plain values; unknown or missing names raise InputError."""
    parsed: ClusterInputs = _parse(ClusterInputs, values)
    return parsed


def node_inputs(values: Mapping[str, Any]) -> NodeInputs:
    """Parse a mapping of plain values; unknown or missing names raise InputError."""
    parsed: NodeInputs = _parse(NodeInputs, values)
    return parsed


def _args(values: Mapping[str, Any]) -> list[dict[str, str]]:
    """v1beta4 wants a list of name and value; sorted, so that the same inputs give the same bytes."""
    return [{"name": name, "value": _text(value)} for name, value in sorted(values.items())]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def cluster_dns(service_cidr: str) -> str:
    """The tenth address of the first service network: kubeadm's rule for the DNS Service."""
    return str(ipaddress.ip_network(service_cidr.split(",", maxsplit=1)[0])[10])


def _volume(name: str, path: str, *, read_only: bool, kind: str) -> dict[str, Any]:
    return {"name": name, "hostPath": path, "mountPath": path, "readOnly": read_only, "pathType": kind}


def _api_server(inputs: ClusterInputs) -> Document:
    # Watches end with the server: without it they hold it until its grace period is over, 30 s later.
    args: dict[str, Any] = {"profiling": False, "shutdown-watch-termination-grace-period": WATCH_GRACE}
    volumes = []
    if inputs.audit:
        args |= {
            "audit-policy-file": AUDIT_POLICY,
            "audit-log-path": f"{AUDIT_LOG_DIR}/audit.log",
            "audit-log-maxage": inputs.audit["max_age_days"],
            "audit-log-maxbackup": inputs.audit["max_backups"],
            "audit-log-maxsize": inputs.audit["max_size_mb"],
        }
        volumes += [
            _volume("audit-policy", AUDIT_POLICY, read_only=True, kind="File"),
            _volume("audit-log", AUDIT_LOG_DIR, read_only=False, kind="DirectoryOrCreate"),
        ]
    if inputs.encryption_at_rest:
        args["encryption-provider-config"] = ENCRYPTION_CONFIG
        volumes.append(_volume("encryption", ENCRYPTION_CONFIG, read_only=True, kind="File"))
    document: Document = {
        "certSANs": sorted(set(inputs.cert_sans)),
        "extraArgs": _args({**args, **inputs.api_server_args}),
    }
    if volumes:
        document["extraVolumes"] = volumes
    return document


def _etcd(inputs: ClusterInputs) -> Document:
    """Stacked unless `etcd_external` names endpoints and client certificate files (the external topology's seam)."""
    if inputs.etcd_external:
        return {"external": dict(inputs.etcd_external)}
    local: Document = {"dataDir": inputs.etcd_data_dir}
    if inputs.etcd_image_tag:
        local["imageTag"] = inputs.etcd_image_tag
    return {"local": local}


def cluster_configuration(inputs: ClusterInputs) -> Document:
    """ClusterConfiguration."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterConfiguration",
        "clusterName": inputs.cluster_name,
        "kubernetesVersion": f"v{inputs.version}",
        "controlPlaneEndpoint": f"{inputs.vip}:{inputs.api_port}",
        "imageRepository": inputs.image_repository,
        "encryptionAlgorithm": inputs.encryption_algorithm,
        "networking": {
            "podSubnet": inputs.pod_cidr,
            "serviceSubnet": inputs.service_cidr,
            "dnsDomain": inputs.dns_domain,
        },
        "apiServer": _api_server(inputs),
        "controllerManager": {"extraArgs": _args({"profiling": False, **inputs.controller_manager_args})},
        "scheduler": {"extraArgs": _args({"profiling": False, **inputs.scheduler_args})},
        "etcd": _etcd(inputs),
    }


def kubelet_configuration(inputs: ClusterInputs) -> Document:
    """KubeletConfiguration: kubeadm keeps it in the cluster and hands it to every node that joins."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "systemd",
        "clusterDNS": [cluster_dns(inputs.service_cidr)],
        "clusterDomain": inputs.dns_domain,
        "containerRuntimeEndpoint": CRI_SOCKET,
        "readOnlyPort": 0,
        "rotateCertificates": True,
        **inputs.kubelet,
    }


def kube_proxy_configuration(inputs: ClusterInputs) -> Document:
    """KubeProxyConfiguration."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clusterCIDR": inputs.pod_cidr,
        **inputs.kube_proxy,
    }


def _registration(node: NodeInputs) -> Document:
    kubelet_args: dict[str, str] = {"node-ip": node.address}
    if node.labels:
        kubelet_args["node-labels"] = ",".join(f"{name}={value}" for name, value in sorted(node.labels.items()))
    registration: Document = {
        "name": node.name,
        "criSocket": CRI_SOCKET,
        "imagePullPolicy": "IfNotPresent",
        "kubeletExtraArgs": _args(kubelet_args),
    }
    if node.taints is not None:
        registration["taints"] = [dict(taint) for taint in node.taints]
    if node.ignore_preflight_errors:
        registration["ignorePreflightErrors"] = list(node.ignore_preflight_errors)
    return registration


def init_document(node: NodeInputs) -> Document:
    """InitConfiguration."""
    init: Document = {
        "apiVersion": API_VERSION,
        "kind": "InitConfiguration",
        "localAPIEndpoint": {"advertiseAddress": node.address, "bindPort": node.bind_port},
        "nodeRegistration": _registration(node),
    }
    if node.patches_dir:
        init["patches"] = {"directory": node.patches_dir}
    return init


def init_documents(cluster: ClusterInputs, node: NodeInputs) -> list[Document]:
    """Everything that `kubeadm init` and its phases read."""
    return [
        init_document(node),
        cluster_configuration(cluster),
        kubelet_configuration(cluster),
        kube_proxy_configuration(cluster),
    ]


def join_documents(endpoint: str, ca_hash: str, node: NodeInputs, *, control_plane: bool) -> list[Document]:
    """What `kubeadm join` reads. endpoint: "host:port" of the VIP. ca_hash: "sha256:<hex>"; a join is always pinned."""
    if not ca_hash.startswith("sha256:"):
        raise InputError(
            "a join needs the hash of the cluster's CA",
            where=node.name,
            found=repr(ca_hash),
            next_step='give "sha256:<hex>" of the CA\'s public key',
        )
    join: Document = {
        "apiVersion": API_VERSION,
        "kind": "JoinConfiguration",
        "discovery": {"bootstrapToken": {"apiServerEndpoint": endpoint, "caCertHashes": [ca_hash]}},
        "nodeRegistration": _registration(node),
    }
    if node.patches_dir:
        join["patches"] = {"directory": node.patches_dir}
    if control_plane:
        join["controlPlane"] = {
            "localAPIEndpoint": {"advertiseAddress": node.address, "bindPort": node.bind_port},
        }
    return [join]


def etcd_documents(
    node: NodeInputs, version: str, cert_sans: list[str], encryption_algorithm: str = "ECDSA-P256"
) -> list[Document]:
    """What kubeadm's phases for etcd's certificates read on a machine of an external etcd."""
    wrong = [name for name in cert_sans if not _is_san(name)]
    if wrong:
        # kubeadm would leave them out with no more than a warning.
        raise InputError(
            "these cannot stand in a certificate",
            where="etcd_cert_sans",
            found=", ".join(map(repr, wrong))[:300],
            next_step="give IP addresses and DNS names in lower case",
        )
    sans = sorted(set(cert_sans))
    return [
        init_document(node),
        {
            "apiVersion": API_VERSION,
            "kind": "ClusterConfiguration",
            "kubernetesVersion": f"v{version}",
            "encryptionAlgorithm": encryption_algorithm,
            "etcd": {"local": {"dataDir": "/var/lib/etcd", "serverCertSANs": sans, "peerCertSANs": sans}},
        },
    ]


def _is_san(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return bool(SAN.fullmatch(str(name)))
    return True
