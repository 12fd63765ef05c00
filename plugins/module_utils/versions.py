# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""THE table: a Kubernetes minor version and the components that belong to it.

Kubernetes' own images carry kube_version itself; everything else is named here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from .errors import InputError
from .version import Version, parse_version


@dataclass(frozen=True)
class Release:
    """Versions without "v". `*_min`: the oldest that may run beside this Kubernetes."""

    etcd: str
    etcd_min: str
    coredns: str
    pause: str
    sandbox: str
    containerd: str
    containerd_min: str
    runc: str
    flannel: str
    flannel_cni: str
    cni_plugins: str
    agnhost: str
    newest_patch: str


_COMMON = {
    "containerd": "2.4.2",
    # 1.7 lacks the CRI call RuntimeConfig, which the kubelet requires from 1.37 on.
    "containerd_min": "2.0.0",
    "runc": "1.5.2",
    # The same for all: an upgrade of Kubernetes must not change containerd's configuration, which would restart it.
    "sandbox": "3.10.1",
    "flannel": "0.28.4",
    "flannel_cni": "1.9.1-flannel1",
    "cni_plugins": "1.9.1",
}

# etcd 3.6.11 and newer add a member while another one is down; 3.6.14 and 3.6.16 are the ones tested with.
# 1.34 stays on kubeadm's own default until its bundle is tested.
RELEASES = {
    "1.36": Release(
        etcd="3.6.16",
        etcd_min="3.5.24",
        coredns="1.14.2",
        pause="3.10.2",
        agnhost="2.63.0",
        newest_patch="1.36.3",
        **_COMMON,
    ),
    "1.35": Release(
        etcd="3.6.14",
        etcd_min="3.5.24",
        coredns="1.13.1",
        pause="3.10.1",
        agnhost="2.59",
        newest_patch="1.35.4",
        **_COMMON,
    ),
    "1.34": Release(
        etcd="3.6.5",
        etcd_min="3.5.21",
        coredns="1.12.1",
        pause="3.10.1",
        agnhost="2.59",
        newest_patch="1.34.4",
        **_COMMON,
    ),
}
REGISTRY = "registry.k8s.io"
COMPONENTS = tuple(item.name for item in fields(Release))


def supported() -> list[str]:
    """The Kubernetes minor versions of the table, oldest first."""
    return sorted(RELEASES, key=lambda series: [int(part) for part in series.split(".")])


def release_for(kube_version: str | Version) -> Release:
    """The components for a Kubernetes version."""
    version = kube_version if isinstance(kube_version, Version) else parse_version(kube_version, "kube_version")
    if version.series not in RELEASES:
        raise InputError(
            f"Kubernetes {version} is not supported by this release of the collection",
            where="kube_version",
            found=str(version),
            next_step=f"use one of {', '.join(supported())}",
        )
    return RELEASES[version.series]


def release_series(kube_version: str) -> str:
    """1.36 of 1.36.3, of a version that the table knows."""
    release_for(kube_version)
    return parse_version(kube_version, "kube_version").series


def component(kube_version: str, name: str) -> str:
    """One component's version, for example etcd for 1.36.3."""
    release = release_for(kube_version)
    if name not in COMPONENTS:
        raise InputError(
            f"no component {name!r} in the table",
            where="versions",
            found=name,
            next_step=f"use {', '.join(COMPONENTS)}",
        )
    return str(getattr(release, name))


def etcd_image_tag(kube_version: str) -> str:
    """kubeadm's tag of the etcd image."""
    return component(kube_version, "etcd") + "-0"


def images(kube_version: str, control_plane: bool, repository: str = REGISTRY) -> list[str]:
    """The image references that a node of a cluster with flannel needs, exactly as the kubelet asks for them."""
    release = release_for(kube_version)
    tag = "v" + kube_version.lstrip("v")
    wanted = [
        f"{repository}/kube-proxy:{tag}",
        *(f"{repository}/pause:{tag}" for tag in dict.fromkeys((release.pause, release.sandbox))),
        # As kubeadm names it: only the publisher has a folder for it.
        f"{repository}/coredns{'/coredns' if repository == REGISTRY else ''}:v{release.coredns}",
        # verify's pods.
        f"{repository}/e2e-test-images/agnhost:{release.agnhost}",
        f"ghcr.io/flannel-io/flannel:v{release.flannel}",
    ]
    if control_plane:
        servers = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
        wanted += [f"{repository}/{name}:{tag}" for name in servers] + [f"{repository}/etcd:{release.etcd}-0"]
    return wanted
