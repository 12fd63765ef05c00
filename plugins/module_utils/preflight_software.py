# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of where the software comes from."""

from __future__ import annotations

from collections.abc import Iterator

from .bundle import MACHINES
from .findings import Finding, fatal, warning
from .preflight_case import Case, Check
from .preflight_inputs import LB
from .publishers import PACKAGES, files_of

RUNTIME_PACKAGES = ("containerd", "containerd.io", "docker.io", "docker-ce", "cri-o")
# What the roles kube_host and kube_lb install, by the distribution's family.
HOST_PACKAGES = {
    "Debian": ("conntrack", "ethtool", "iproute2", "iptables", "kmod", "nftables", "socat"),
    "RedHat": (
        "conntrack-tools", "container-selinux", "ethtool", "iproute", "iptables-nft", "kmod", "nftables", "socat",
    ),
}  # fmt: skip
LB_PACKAGES = ("haproxy", "keepalived")


def mirrors(case: Case) -> Iterator[Finding]:
    """A mirror has to be named."""
    source = case.inputs.source
    for name, value in source.required.items():
        if not value:
            yield fatal("", "source", f"kube_source is {source.kind} and {name} is empty", f"set {name}")


def checksums(case: Case) -> Iterator[Finding]:
    """Files of which nobody but their publisher knows the checksum."""
    source, version = case.inputs.source, case.inputs.version
    if source.kind == "bundle" or version is None:
        return
    machines = {MACHINES.get(node.arch, "") for _host, node in case.kubernetes_hosts()} - {""}
    for arch in sorted(machines):
        rows = files_of(str(version), arch, ("control_plane",), packaged=True, checksums=source.checksums)
        unknown = [row["path"].rsplit("/", 1)[-1] for row in rows if not row["sha256"]]
        if unknown:
            found = f"no checksum of {', '.join(unknown)} is pinned: what the server itself tells is used"
            yield warning("", "source", found, "set kube_source_checksums to the publishers' sums")


def packages(case: Case) -> Iterator[Finding]:
    """Distribution packages that own the files which are installed: their next update would replace ours."""
    foreign = RUNTIME_PACKAGES if case.inputs.source.kind != "bundle" else (*RUNTIME_PACKAGES, *PACKAGES)
    for host, node in case.kubernetes_hosts():
        found = [f"{name} {node.packages[name]}" for name in foreign if name in node.packages]
        if found:
            step = "remove them (apt-get remove, dnf remove): the collection brings its own"
            yield warning(host.name, "packages", f"installed as packages: {', '.join(found)}", step)


def offline(case: Case) -> Iterator[Finding]:
    """With a bundle nothing asks a network, so what the distribution has to bring must be there."""
    if case.inputs.source.kind != "bundle":
        return
    for host, node in case.known():
        prepared = host.is_kubernetes or host.is_etcd_machine
        wanted = [*(HOST_PACKAGES.get(node.os_family, ()) if prepared else ())]
        wanted += LB_PACKAGES if LB in host.groups else ()
        missing = [name for name in wanted if name not in node.packages]
        if missing and node.os_family in HOST_PACKAGES:
            step = "install them from the distribution's media or your own mirror of it"
            yield fatal(host.name, "packages", f"not installed: {', '.join(missing)}; kube_source is bundle", step)


CHECKS: tuple[Check, ...] = (mirrors, checksums, packages, offline)
