"""A cluster for the tests of an upgrade: three control planes with stacked etcd, workers, two load balancers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.quorum import Cluster, Member
from ansible_collections.quorum.kubeadm.plugins.module_utils.upgrade_order import (
    CONTROL_PLANE,
    SERVERS,
    WORKER,
    NodeState,
    Order,
    Target,
)

OLD, NEW = "1.35.4", "1.36.3"
OLD_ETCD, NEW_ETCD = "3.6.14", "3.6.16"
TARGET = Target(NEW, NEW_ETCD)


def images(version: str, etcd: str) -> dict[str, str]:
    """Static pods of a control plane; etcd "" is an external one."""
    servers = {name: f"registry.k8s.io/{name}:v{version}" for name in SERVERS}
    return {**servers, **({"etcd": f"registry.k8s.io/etcd:{etcd}-0"} if etcd else {})}


def plane(name: str, version: str = OLD, etcd: str = "", **more: Any) -> NodeState:
    """A control plane that is well. etcd: by default the version's."""
    tag = etcd or (NEW_ETCD if version == NEW else OLD_ETCD)
    made = NodeState(name, CONTROL_PLANE, version, images(version, tag), version, ready=True)
    return replace(made, **more)


def worker(name: str, version: str = OLD, **more: Any) -> NodeState:
    """A worker that is well."""
    return replace(NodeState(name, WORKER, version, ready=True), **more)


def member(name: str, *, healthy: bool = True, leader: bool = False, version: str = OLD_ETCD) -> Member:
    """An etcd member, whose ID is not its name."""
    return Member(f"id-{name}", name, (f"https://{name}:2380",), (), False, healthy, leader, version)


def etcd(names: Iterable[str], leader: str = "", down: Iterable[str] = (), version: str = OLD_ETCD) -> Cluster:
    """The members of these names."""
    lost = set(down)
    return Cluster(tuple(member(n, healthy=n not in lost, leader=n == leader, version=version) for n in names))


PLANES = ("cp1", "cp2", "cp3")


@dataclass
class Run:
    """A cluster that is taken along an order, node by node."""

    nodes: dict[str, NodeState]
    target: Target = TARGET
    touched: list[str] = field(default_factory=list)

    def begin(self, name: str) -> None:
        """Out of service."""
        balancers = ("lb1",) if self.nodes[name].is_control_plane else ()
        self.nodes[name] = replace(self.nodes[name], cordoned=True, out_of_service=balancers)
        self.touched.append(name)

    def upgrade(self, name: str) -> None:
        """Everything on it at the target, not yet back in service."""
        made = plane(name, self.target.version, self.target.etcd) if self.nodes[name].is_control_plane else None
        done = made or worker(name, self.target.version)
        self.nodes[name] = replace(
            done, cordoned=self.nodes[name].cordoned, out_of_service=self.nodes[name].out_of_service
        )

    def finish(self, name: str) -> None:
        """Back in service."""
        self.nodes[name] = replace(self.nodes[name], cordoned=False, out_of_service=())

    def carry_out(self, order: Order, stop_after: int = 10**6) -> bool:
        """The steps of an order; False when it was killed after so many of them."""
        steps = [(self.finish, name) for name in order.finishing]
        for name in (*order.control_planes, *order.workers):
            steps += [(self.begin, name), (self.upgrade, name), (self.finish, name)]
        for count, (act, name) in enumerate(steps):
            if count >= stop_after:
                return False
            act(name)
        return True
