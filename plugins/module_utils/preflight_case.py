# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every check of preflight looks at, and the shape of a check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Callable

from .etcd_plan import BEGINS
from .facts import Node
from .findings import FATAL, WARNING, Finding
from .preflight_inputs import CONTROL_PLANE, HostInputs, Inputs
from .site_plan import SitePlan


@dataclass(frozen=True)
class Case:
    """The inputs, the facts of the hosts that answered, and the plan."""

    inputs: Inputs
    nodes: Mapping[str, Node]
    plan: SitePlan

    def known(self) -> Iterator[tuple[HostInputs, Node]]:
        """The hosts of the inventory whose facts are known."""
        for name, node in self.nodes.items():
            if name in self.inputs.hosts:
                yield self.inputs.hosts[name], node

    def kubernetes_hosts(self) -> Iterator[tuple[HostInputs, Node]]:
        """Those that are or become nodes."""
        return ((host, node) for host, node in self.known() if host.is_kubernetes)

    def etcd_machines(self) -> Iterator[tuple[HostInputs, Node]]:
        """Those of an external etcd."""
        return ((host, node) for host, node in self.known() if host.is_etcd_machine)

    def begins(self, host: str) -> bool:
        """Whether this run makes the host a node or a member of etcd."""
        return self.plan.joins(host) or self.plan.etcd.actions.get(host) in BEGINS

    def severity(self, host: str) -> str:
        """What is too little for a new machine is told about one that runs: stopping the run would not mend it."""
        return FATAL if self.begins(host) else WARNING

    def is_joined(self, host: str) -> bool:
        """Whether the host is a node already."""
        return host in self.nodes and self.nodes[host].kubernetes.has_kubelet_conf and not self.plan.joins(host)

    def planes_joined(self) -> Iterator[tuple[HostInputs, Node]]:
        """Control planes that run."""
        return (
            (host, node)
            for host, node in self.kubernetes_hosts()
            if CONTROL_PLANE in host.groups and self.is_joined(host.name)
        )


Check = Callable[[Case], Iterator[Finding]]
