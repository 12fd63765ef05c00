# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Kubernetes left on a host: versions, public certificates, kubeconfigs, static pods, data directories."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.api_server import etcd_servers
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_memory import Memory

MARKER = "/etc/kubernetes/quorum-kubeadm.json"
BUNDLE_STATE = "/var/lib/quorum-kubeadm/bundle.json"
# In /run, not in /var: looking at a host leaves nothing behind on its disk.
VERSION_CACHE = "/run/quorum-kubeadm/versions.json"
# Written before the first start of an external etcd's member, removed when the member is healthy.
ETCD_INITIAL = "/etc/etcd/initial.env"
# What a removed member has left, kept until somebody deletes it: etcd passes over it.
KEPT_DATA = "member-removed-"
PROGRAMS = {
    "kubelet": ["/usr/bin/kubelet", "--version"],
    "kubeadm": ["/usr/bin/kubeadm", "version", "-o", "short"],
    "containerd": ["/usr/bin/containerd", "--version"],
}
VERSION = re.compile(r"(?:^|[\sv])(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)")
# One line of YAML (or of JSON over lines): key and a scalar, quoted or not.
SCALAR = r"""^[\s-]*["']?{key}["']?:[ \t]+["']?([^"'\s#,]+)"""


def parse_version(text: str) -> str | None:
    """1.36.3 from "Kubernetes v1.36.3" or "containerd github.com/... v2.4.2 <commit>"."""
    found = VERSION.search(text)
    return found.group(1) if found else None


def yaml_scalar(text: str, key: str) -> str | None:
    """The first scalar under `key`, for the flat files that kubeadm writes."""
    found = re.search(SCALAR.format(key=re.escape(key)), text, re.MULTILINE)
    return found.group(1) if found else None


def parse_kubeconfig(text: str, read_file: Any) -> dict[str, str | None] | None:
    """Server and CA of a kubeconfig: only what is public. `read_file` reads a CA that is given as a path."""
    server = yaml_scalar(text, "server")
    if not server:
        return None
    data = yaml_scalar(text, "certificate-authority-data")
    path = yaml_scalar(text, "certificate-authority")
    authority: str | None = None
    if data:
        try:
            authority = base64.b64decode(data, validate=True).decode("ascii")
        except ValueError:
            authority = None
    elif path and path.startswith("/"):
        authority = read_file(path)
    return {"server": server, "ca_pem": public_pem(authority)}


def public_pem(text: str | None) -> str | None:
    """The certificates in a PEM file and nothing else: a key that was put beside them is never passed on."""
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----", text or "")
    return "".join(block + "\n" for block in blocks) or None


def manifest_image(text: str) -> str | None:
    """The image of a static pod's first container."""
    return yaml_scalar(text, "image")


def read_manifests(host: Host, folder: str = "/etc/kubernetes/manifests") -> dict[str, str | None]:
    """Static pods by name. Files that the kubelet ignores (dot files) are ignored here too."""
    manifests = {}
    for name in host.names(folder):
        stem, dot, suffix = name.rpartition(".")
        if suffix in ("yaml", "yml", "json") and dot and not name.startswith("."):
            manifests[stem] = manifest_image(host.read_text(f"{folder}/{name}") or "")
    return manifests


def read_marker(host: Host) -> dict[str, Any] | None:
    """The operation of ours that has not finished, if any."""
    text = host.read_text(MARKER)
    if text is None:
        return None
    try:
        marker = json.loads(text)
        return {"action": str(marker["action"]), "started": marker.get("started")}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {"action": "unknown", "started": None}


def is_kept(name: str) -> bool:
    """Whether a name in etcd's directory is nothing that a member would begin with."""
    return name == "lost+found" or name.startswith(KEPT_DATA)


def directory_state(host: Host, path: str) -> str:
    """absent, empty (lost+found and the data of removed members do not count) or present."""
    if not host.exists(path):
        return "absent"
    found = [name for name in host.names(path) if not is_kept(name)]
    return "present" if found else "empty"


def etcd_initial(host: Host) -> str:
    """The beginning of an external etcd's member that has not finished: new (bootstrap), existing (join), or ""."""
    text = host.read_text(ETCD_INITIAL)
    if text is None:
        return ""
    found = re.search(r"""^ETCD_INITIAL_CLUSTER_STATE=["']?(new|existing)["']?\s*$""", text, re.MULTILINE)
    return found.group(1) if found else "unknown"


def read_versions(host: Host) -> dict[str, str | None]:
    """Versions of the programs: remembered from the bundle or from before while the file is the same, else asked."""
    bundle, cache = Memory(host, BUNDLE_STATE), Memory(host, VERSION_CACHE)
    versions: dict[str, str | None] = {}
    asked = {}
    for name, argv in PROGRAMS.items():
        versions[name] = bundle.recall(argv[0], "version") or cache.recall(argv[0], "version")
        if not versions[name] and host.exists(argv[0]):
            asked[name] = host.start([host.real(argv[0]), *argv[1:]])
    for name, process in asked.items():
        versions[name] = parse_version(host.finish(process, timeout=20).out)
        cache.learn(PROGRAMS[name][0], version=versions[name])
    if asked:
        cache.save()
    return {f"{name}_version": version for name, version in versions.items()}


def read_kubernetes(host: Host) -> dict[str, Any]:
    etc = "/etc/kubernetes"
    kubelet_conf = host.read_text(f"{etc}/kubelet.conf")
    return {
        **read_versions(host),
        "ca_pem": public_pem(host.read_text(f"{etc}/pki/ca.crt")),
        "etcd_ca_pem": public_pem(host.read_text(f"{etc}/pki/etcd/ca.crt")),
        "kubelet_conf": parse_kubeconfig(kubelet_conf, host.read_text) if kubelet_conf else None,
        "admin_conf": host.exists(f"{etc}/admin.conf"),
        "bootstrap_conf": host.exists(f"{etc}/bootstrap-kubelet.conf"),
        "manifests": read_manifests(host),
        "etcd_servers": etcd_servers(host.read_text(f"{etc}/manifests/kube-apiserver.yaml") or ""),
        "marker": read_marker(host),
        "etcd_data": directory_state(host, "/var/lib/etcd"),
        "etcd_initial": etcd_initial(host),
        "pods_dir": directory_state(host, "/var/lib/kubelet/pods"),
    }
