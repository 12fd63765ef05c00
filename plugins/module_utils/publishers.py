# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each component's publisher has it: the file, what is taken from it, and which hosts need it.

Pure. A mirror keeps a publisher's files under the publisher's own host and path, so one base URL is enough to name it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .checksums import CHECKSUMS
from .errors import InputError
from .versions import release_for, release_series

ARCHITECTURES = ("amd64", "arm64")
NODES = ("control_plane", "worker")
# Packages of Kubernetes' repositories. cri-tools and kubernetes-cni, with the CNI plugins, come as their dependencies.
PACKAGES = ("kubeadm", "kubelet", "kubectl")
# As published at https://pkgs.k8s.io: the key that signs every repository of Kubernetes' packages.
REPOSITORY = "https://pkgs.k8s.io/core:/stable:/v{series}/{kind}/"
REPOSITORY_KEYS = {"deb": "Release.key", "rpm": "repodata/repomd.xml.key"}
REPOSITORY_FINGERPRINT = "DE15B14486CD377B9E876E1A234654DA9A296436"


@dataclass(frozen=True)
class Publication:
    """One published file. In url, sums and members, {version}, {base} (the version up to its first dash) and {arch}.

    sums: where the publisher tells its checksum. members: path in the archive -> where it belongs; without members the
    file itself is a program. packaged: on nodes where Kubernetes' packages are used it comes with them. narrow: what of
    it only some of the roles need.
    """

    component: str
    url: str
    sums: str
    members: Mapping[str, str] = field(default_factory=dict)
    install: str = ""
    roles: tuple[str, ...] = NODES
    packaged: bool = False
    narrow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_BINARIES = "https://dl.k8s.io/release/v{version}/bin/linux/{arch}/"
_CONTAINERD = (
    "https://github.com/containerd/containerd/releases/download/v{version}/containerd-{version}-linux-{arch}.tar.gz"
)
_RUNC = "https://github.com/opencontainers/runc/releases/download/v{version}/"
_CNI = "https://github.com/containernetworking/plugins/releases/download/v{version}/cni-plugins-linux-{arch}-v{version}.tgz"
_FLANNEL = (
    "https://github.com/flannel-io/cni-plugin/releases/download/v{version}/cni-plugin-flannel-linux-{arch}-v{base}.tgz"
)
_ETCD = "https://github.com/etcd-io/etcd/releases/download/v{version}/"
_CNI_PLUGINS = ("bandwidth", "bridge", "dhcp", "firewall", "host-device", "host-local", "ipvlan", "loopback", "macvlan",
                "portmap", "ptp", "sbr", "static", "tap", "tuning", "vlan", "vrf")  # fmt: skip

PUBLICATIONS = (
    *(
        Publication(
            "kubernetes",
            _BINARIES + name,
            _BINARIES + name + ".sha256",
            install=f"/usr/bin/{name}",
            # On an etcd machine kubeadm makes the certificates, and is all of Kubernetes there.
            roles=(*NODES, "etcd") if name == "kubeadm" else NODES,
            packaged=True,
        )
        for name in PACKAGES
    ),
    Publication(
        "containerd",
        _CONTAINERD,
        _CONTAINERD + ".sha256sum",
        {f"bin/{name}": f"/usr/bin/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")},
    ),
    Publication("runc", _RUNC + "runc.{arch}", _RUNC + "runc.sha256sum", install="/usr/bin/runc"),
    Publication(
        "cni_plugins",
        _CNI,
        _CNI + ".sha256",
        {name: f"/opt/cni/bin/{name}" for name in _CNI_PLUGINS},
        packaged=True,
    ),
    Publication("flannel_cni", _FLANNEL, _FLANNEL + ".sha256", {"flannel-{arch}": "/opt/cni/bin/flannel"}),
    Publication(
        "etcd",
        _ETCD + "etcd-v{version}-linux-{arch}.tar.gz",
        _ETCD + "SHA256SUMS",
        {f"etcd-v{{version}}-linux-{{arch}}/{name}": f"/usr/bin/{name}" for name in ("etcd", "etcdctl", "etcdutl")},
        roles=("control_plane", "etcd"),
        # On control planes etcd runs from an image.
        narrow={"/usr/bin/etcd": ("etcd",)},
    ),
)


def takes_packages(roles: Sequence[str]) -> bool:
    """Whether hosts with these roles take Kubernetes' packages, where packages are used; machines for etcd do not."""
    return bool(set(roles) & set(NODES))


def version_of(component: str, kube_version: str) -> str:
    """The version of a component that belongs to a Kubernetes version."""
    return kube_version if component == "kubernetes" else str(getattr(release_for(kube_version), component))


def mirrored(url: str, base: str) -> str:
    """The same file on a mirror: below its base, under the publisher's host and path."""
    return f"{base.rstrip('/')}/{url.split('://', 1)[1]}" if base else url


def files_of(
    kube_version: str,
    arch: str,
    roles: Sequence[str],
    *,
    base: str = "",
    checksums: Mapping[str, str] | None = None,
    packaged: bool = False,
) -> list[dict[str, Any]]:
    """What hosts with these roles fetch, as release_files takes it.

    base: a mirror's URL, "" for the publishers. checksums: publisher's URL -> sha256, before those of the table.
    packaged: leave out what comes with Kubernetes' packages. Where no checksum is known, sha256 is "" and sums_urls
    tells where the publisher, or the mirror, gives it.
    """
    if arch not in ARCHITECTURES:
        raise InputError("nothing is published for this architecture", found=arch, next_step="use amd64 or arm64")
    known = {**CHECKSUMS, **(checksums or {})}
    packaged = packaged and takes_packages(roles)
    wanted = [one for one in PUBLICATIONS if set(one.roles) & set(roles) and not (packaged and one.packaged)]
    rows = [_row(one, kube_version, arch, base, known) for one in wanted]
    for row in rows:
        row["members"] = {
            member: install
            for member, install in row["members"].items()
            if set(row["narrow"].get(install, roles)) & set(roles)
        }
    return rows


def _row(one: Publication, kube_version: str, arch: str, base: str, known: Mapping[str, str]) -> dict[str, Any]:
    version = version_of(one.component, kube_version)
    values = {"version": version, "base": version.split("-")[0], "arch": arch}
    url = one.url.format(**values)
    return {
        "path": f"downloads/{one.component}-{version}/{url.rsplit('/', 1)[1]}",
        "urls": [mirrored(url, base)],
        "sha256": known.get(url, ""),
        "sums_urls": [mirrored(one.sums.format(**values), base)],
        "component": one.component,
        "version": version,
        "members": {member.format(**values): install for member, install in one.members.items()},
        "install": one.install,
        "roles": list(one.roles),
        "narrow": {install: list(roles) for install, roles in one.narrow.items()},
    }


def repository_of(kube_version: str, kind: str, base: str = "") -> dict[str, Any]:
    """url and key_urls of the repository with a Kubernetes version's packages.

    kind: deb or rpm. base: a mirror's URL, in which {series} and {kind} are filled in.
    """
    series = release_series(kube_version)
    url = (base or REPOSITORY).replace("{series}", series).replace("{kind}", kind).rstrip("/") + "/"
    return {"url": url, "key_urls": [url + REPOSITORY_KEYS[kind]]}
