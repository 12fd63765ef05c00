"""A small bundle on a host in a directory."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from tests.unit.plugins.module_utils.fake_host import FakeHost

SOURCE = "/srv/bundles/1.36.3"
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
BOTH = ["control_plane", "worker"]
FILES = {
    "bin/kubelet": ("/usr/bin/kubelet", BOTH, b"kubelet 1.36.3"),
    "bin/kubeadm": ("/usr/bin/kubeadm", [*BOTH, "etcd"], b"kubeadm 1.36.3"),
    "cni/bridge": ("/opt/cni/bin/bridge", BOTH, b"bridge"),
    "bin/etcdctl": ("/usr/bin/etcdctl", ["control_plane", "etcd"], b"etcdctl"),
}
IMAGES = {
    "images/node.tar": (BOTH, b"node archive", {"registry.k8s.io/pause:3.10.2": "a", "ghcr.io/x/flannel:v1": "b"}),
    "images/control-plane.tar": (["control_plane"], b"cp archive", {"registry.k8s.io/etcd:3.6.16-0": "c"}),
}


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def config_id(letter: str) -> str:
    return f"sha256:{letter * 64}"


def write_bundle(host: FakeHost) -> dict[str, Any]:
    """The bundle's files and its manifest."""
    files, images = [], []
    for path, (install, roles, content) in FILES.items():
        host.write(f"{SOURCE}/{path}", content)
        row = {"path": path, "sha256": sha(content), "size": len(content), "mode": "0755"}
        files.append({**row, "install": install, "roles": roles})
    for path, (roles, content, refs) in IMAGES.items():
        host.write(f"{SOURCE}/{path}", content)
        rows = [{"ref": ref, "id": config_id(letter)} for ref, letter in refs.items()]
        images.append({"path": path, "sha256": sha(content), "size": len(content), "roles": roles, "refs": rows})
    manifest = {
        "format": 1,
        "kube_version": "1.36.3",
        "arch": MACHINE,
        "versions": {"etcd": "3.6.16"},
        "files": files,
        "images": images,
    }
    host.write(f"{SOURCE}/manifest.json", json.dumps(manifest))
    return manifest
