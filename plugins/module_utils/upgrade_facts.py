# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_info's `upgrade` as value objects: parsed once, here. What is missing or null is None, "" or empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

APISERVER, MANAGER, SCHEDULER = "kube-apiserver", "kube-controller-manager", "kube-scheduler"
ETCD, KUBELET = "etcd", "kubelet"
MANIFEST = "/etc/kubernetes/manifests/{}.yaml"
KUBEADM_FLAGS = "/var/lib/kubelet/kubeadm-flags.env"
KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"


@dataclass(frozen=True)
class StaticPod:
    """A component of the control plane. args: its command line, None when the manifest could not be read."""

    image: str
    args: tuple[str, ...] | None


@dataclass(frozen=True)
class KubeletFacts:
    """How the kubelet is started. config: None when there is none, or, with config_present, when it is unreadable."""

    environment: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None
    config_present: bool = False
    args: tuple[str, ...] = ()
    running_version: str = ""


@dataclass(frozen=True)
class Space:
    """A file system. inodes_total is 0 where the file system counts none."""

    mount: str
    total_bytes: int
    free_bytes: int
    inodes_total: int = 0
    inodes_free: int = 0


@dataclass(frozen=True)
class UpgradeNode:
    """What an upgrade must know of a host. certificates: path to PEM. disks: by directory."""

    host: str
    cgroup: str = ""
    static_pods: Mapping[str, StaticPod] = field(default_factory=dict)
    kubelet: KubeletFacts = KubeletFacts()
    certificates: Mapping[str, str] = field(default_factory=dict)
    disks: Mapping[str, Space] = field(default_factory=dict)

    @property
    def is_control_plane(self) -> bool:
        """Whether an API server's static pod is there."""
        return APISERVER in self.static_pods


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _words(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, (list, tuple)) else ()


def _pod(raw: Mapping[str, Any]) -> StaticPod:
    args = raw.get("args")
    return StaticPod(_text(raw.get("image")), _words(args) if isinstance(args, (list, tuple)) else None)


def _kubelet(raw: Mapping[str, Any]) -> KubeletFacts:
    config = raw.get("config")
    return KubeletFacts(
        environment={str(path): _words(flags) for path, flags in _map(raw.get("environment")).items()},
        config=config if isinstance(config, Mapping) else None,
        config_present=bool(raw.get("config_present")),
        args=_words(raw.get("args")),
        running_version=_text(raw.get("running_version")),
    )


def _space(raw: Mapping[str, Any]) -> Space:
    sizes = (raw.get(name) for name in ("total_bytes", "free_bytes", "inodes_total", "inodes_free"))
    return Space(_text(raw.get("mount")), *map(_number, sizes))


def parse_upgrade(host: str, node: Mapping[str, Any]) -> UpgradeNode | None:
    """The `upgrade` of node_info's `node`; None when it was not asked for."""
    raw = node.get("upgrade")
    if not isinstance(raw, Mapping):
        return None
    return UpgradeNode(
        host=host,
        cgroup=_text(node.get("cgroup")),
        static_pods={str(name): _pod(_map(pod)) for name, pod in _map(raw.get("static_pods")).items()},
        kubelet=_kubelet(_map(raw.get("kubelet"))),
        certificates={str(path): _text(pem) for path, pem in _map(raw.get("certificates")).items()},
        disks={str(path): _space(disk) for path, disk in _map(raw.get("disks")).items() if isinstance(disk, Mapping)},
    )
