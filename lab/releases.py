# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which versions make up a Kubernetes release in the lab.

Every component's version is pinned a second time, with checksums, in go/<component>-<version>/go.mod and go.sum.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.errors import LabError


@dataclass(frozen=True)
class Release:
    """A Kubernetes version and the versions that go with it."""

    kubernetes: str
    etcd: str
    coredns: str
    pause: str
    agnhost: str
    containerd: str = "2.4.2"
    flannel: str = "0.28.4"
    flannel_cni: str = "0.9.1"
    cni_plugins: str = "1.9.1"
    runc: str = "1.5.2"
    sandbox: str = "3.10.1"


RELEASES: dict[str, Release] = {
    "1.36.3": Release("1.36.3", etcd="3.6.16", coredns="1.14.2", pause="3.10.2", agnhost="2.63.0"),
    "1.35.4": Release("1.35.4", etcd="3.6.14", coredns="1.13.1", pause="3.10.1", agnhost="2.59"),
}


def release(version: str) -> Release:
    """Look a Kubernetes version up."""
    try:
        return RELEASES[version]
    except KeyError:
        known = ", ".join(RELEASES)
        raise LabError(f"The lab does not know Kubernetes {version!r}.", f"use one of {known}") from None
