# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reset has to know of a host, as values."""

from __future__ import annotations

from dataclasses import dataclass, field

from .host_reset_ours import NETWORKS
from .host_units import Unit


@dataclass(frozen=True)
class Identity:
    """Whose this host is. marked: files of ours that say so. names: what Kubernetes and etcd call this host.

    authorities: the cluster's CA certificates, as kubeconfigs have them (base64 of the PEM).
    """

    marked: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()


@dataclass(frozen=True)
class Runtime:
    """What runs. others: containerd's namespaces that somebody else uses. pids: processes of pods. keepers:
    containerd's own for them.
    """

    units: dict[str, Unit] = field(default_factory=dict)
    containers: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    pids: tuple[int, ...] = ()
    keepers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Network:
    """Ours in the kernel's network. vip: (interface, address with prefix) to remove. chains: (program, chain)."""

    vip_address: str = ""
    vip: tuple[tuple[str, str], ...] = ()
    links: tuple[str, ...] = ()
    netns: tuple[str, ...] = ()
    chains: tuple[tuple[str, str], ...] = ()
    nft_tables: tuple[str, ...] = ()
    ipvs: tuple[str, ...] = ()
    networks: tuple[str, ...] = NETWORKS


@dataclass(frozen=True)
class Disk:
    """Ours on the disk. etcd: a member's data; set_aside: those of earlier resets and removals. tidy: directories that
    go when they are empty.
    """

    mounts: tuple[str, ...] = ()
    etcd: str = ""
    set_aside: tuple[str, ...] = ()
    kubeconfigs: tuple[str, ...] = ()
    cni: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    tidy: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """Everything that was seen. left_alone: why something that is near stays where it is."""

    identity: Identity = field(default_factory=Identity)
    runtime: Runtime = field(default_factory=Runtime)
    network: Network = field(default_factory=Network)
    disk: Disk = field(default_factory=Disk)
    left_alone: tuple[str, ...] = ()
