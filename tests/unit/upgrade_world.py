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
from ansible_collections.quorum.kubeadm.plugins.module_utils.upgrade_plan import Inputs

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


def told_cluster(version: str) -> dict[str, Any]:
    """cluster_info's `cluster`, as far as an upgrade reads it."""
    coredns = {OLD: "1.13.1", NEW: "1.14.2"}[version]
    names = (*PLANES, "w1")
    return {
        "nodes": [
            {"name": name, "ready": True, "kubelet_version": version, "cordoned": False, "unschedulable": False}
            for name in names
        ],
        "api_versions": {f"https://{name}:6443": {"version": version, "error": ""} for name in PLANES},
        "addons": {
            "coredns": {"image": f"registry.k8s.io/coredns/coredns:v{coredns}", "complete": True},
            "kube-proxy": {"image": f"registry.k8s.io/kube-proxy:v{version}", "complete": True},
        },
        "deprecated_apis": [],
    }


def told_etcd(version: str) -> dict[str, Any]:
    """etcd_info's result."""
    tag = NEW_ETCD if version == NEW else OLD_ETCD
    members = [
        {"id": f"id-{name}", "name": name, "peer_urls": [], "healthy": True, "leader": name == "cp1", "version": tag}
        for name in PLANES
    ]
    return {"changed": False, "etcd": {"cluster_id": "1", "members": members}}


def told_hosts(version: str) -> dict[str, dict[str, Any]]:
    """node_info's `node` of every node."""
    tag = NEW_ETCD if version == NEW else OLD_ETCD
    kubernetes = {name: {"manifests": images(version, tag), "marker": None} for name in PLANES}
    return {name: {"kubernetes": kubernetes.get(name, {"manifests": {}, "marker": None})} for name in (*PLANES, "w1")}


def told_balancer() -> dict[str, Any]:
    """lb_backend's result."""
    server = {"status": "UP", "admin": "ready", "up": True, "sessions": 1, "check": "L7OK"}
    return {"changed": False, "answered": True, "servers": {name: dict(server) for name in PLANES}, "backends_up": 3}


def told_inputs(version: str = OLD, **more: Any) -> Inputs:
    """What the modules tell of a cluster that is well at a version."""
    cluster = told_cluster(version)
    made = Inputs(
        version=NEW,
        control_planes=PLANES,
        workers=("w1",),
        hosts=told_hosts(version),
        away={},
        cluster={**cluster, "api_versions_by_node": dict.fromkeys(PLANES, version)},
        etcd=told_etcd(version),
        balancers={name: told_balancer() for name in ("lb1", "lb2")},
    )
    return replace(made, **more)


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
