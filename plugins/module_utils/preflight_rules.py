# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight's thresholds and permissions, and how each is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import input_types as read


@dataclass(frozen=True)
class Rules:
    """Thresholds and what is allowed; the defaults are the role's. etcd_remove: machines to take out of etcd.

    restores: the control plane on which a cluster begins again that has lost all of them.
    """

    min_memory_control_plane: int = 1700
    min_memory_worker: int = 700
    min_memory_etcd: int = 500
    min_cpus_control_plane: int = 2
    min_free: Mapping[str, int] = field(default_factory=dict)
    kubelet_config: Mapping[str, Any] = field(default_factory=lambda: read.kubelet_config({}))
    max_clock_skew: float = 2.0
    swap: str = "off"
    allow_cgroup_v1: bool = False
    allow_even: bool = False
    allow_no_lb: bool = False
    allow_unsupported_os: bool = False
    etcd_remove: list[str] = field(default_factory=list)
    restores: str = ""


RULES: dict[str, read.Reader] = {
    "min_memory_control_plane": read.whole(1, 10**9),
    "min_memory_worker": read.whole(1, 10**9),
    "min_memory_etcd": read.whole(1, 10**9),
    "min_cpus_control_plane": read.whole(1, 10**4),
    "min_free": read.sizes,
    "kubelet_config": read.kubelet_config,
    "max_clock_skew": read.seconds,
    "swap": read.choice("off", "keep"),
    "allow_cgroup_v1": read.truth,
    "allow_even": read.truth,
    "allow_no_lb": read.truth,
    "allow_unsupported_os": read.truth,
    "etcd_remove": read.names,
    "restores": read.optional(read.text(read.DNS, "a host of kube_control_plane")),
}
