# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which node is upgraded when, and what happens to it. Pure: what runs now in, an order out.

Nothing is remembered between runs. What is done is told by what runs, so a run that was killed anywhere is continued by
the next one, and a node that is done is neither drained nor restarted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from .quorum import Cluster, Member, quorum
from .report import natural
from .version import image_version, known_version
from .versions import component

CONTROL_PLANE, WORKER = "control_plane", "worker"
DONE, FINISH, TODO = "done", "finish", "todo"
RESTART = "take the settings of the inventory, restart what they change"
SERVERS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


@dataclass(frozen=True)
class NodeState:
    """What runs on a node now. Versions without "v", "" when unknown.

    images: static pod to image. api: what its own API server answers. cordoned: by us, which an unfinished run left;
    out_of_service: load balancers that have it drained. interrupted: its static pods are being changed. restart: it is
    to be taken although it is at the target, for settings that changed.
    """

    name: str
    role: str
    kubelet: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    api: str = ""
    ready: bool = False
    cordoned: bool = False
    out_of_service: tuple[str, ...] = ()
    interrupted: bool = False
    restart: bool = False

    @property
    def is_control_plane(self) -> bool:
        """Whether it runs the static pods of a control plane."""
        return self.role == CONTROL_PLANE

    @property
    def begun(self) -> bool:
        """Whether an unfinished run has touched it."""
        return self.interrupted or self.cordoned or bool(self.out_of_service)


@dataclass(frozen=True)
class Target:
    """Where the cluster goes. etcd: the version of the stacked members, "" when etcd is an external one."""

    version: str
    etcd: str = ""

    @classmethod
    def of(cls, version: str, external_etcd: bool, etcd_tag: str = "") -> Target:
        """The target of a Kubernetes version."""
        return cls(version, "" if external_etcd else (etcd_tag or component(version, "etcd")))


@dataclass(frozen=True)
class Step:
    """One step on a node: what, from and to which version, and what is left of the cluster meanwhile."""

    node: str
    does: str
    before: str = ""
    after: str = ""
    left: str = ""


@dataclass(frozen=True)
class Order:
    """Names in the order of their upgrade. first: the control plane that runs kubeadm upgrade apply.

    finishing: nodes at the target that only come back into service. later: not in this run, by `until`.
    """

    control_planes: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    finishing: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def first(self) -> str:
        """The control plane that takes the cluster's own objects to the version."""
        return self.control_planes[0] if self.control_planes else ""

    @property
    def todo(self) -> tuple[str, ...]:
        """Everything that this run touches."""
        return (*self.finishing, *self.control_planes, *self.workers)


def is_at(image: str, version: str) -> bool:
    """Whether an image reference carries a version."""
    return image_version(image) == known_version(version)


def at_target(node: NodeState, target: Target) -> bool:
    """Whether everything that the upgrade changes on a node is at the target."""
    if node.restart or node.kubelet != target.version or not node.ready:
        return False
    if not node.is_control_plane:
        return True
    if node.interrupted or node.api != target.version:
        return False
    if target.etcd and not is_at(node.images.get("etcd", ""), target.etcd):
        return False
    return all(is_at(node.images.get(name, ""), target.version) for name in SERVERS)


def state_of(node: NodeState, target: Target) -> str:
    """done, finish (at the target, but not back in service) or todo."""
    if not at_target(node, target):
        return TODO
    return FINISH if node.begun else DONE


def arrange(nodes: Sequence[NodeState], target: Target, etcd: Cluster, until: str = "") -> Order:
    """Control planes first, the etcd leader's last of them; what an unfinished run has begun comes before the rest."""
    states = {node.name: state_of(node, target) for node in nodes}
    leader = next((member.name for member in etcd.voters if member.leader), "")

    def rank(node: NodeState) -> tuple[bool, bool, list[tuple[int, int, str]]]:
        return not node.begun, node.name == leader, natural(node.name)

    todo = sorted((node for node in nodes if states[node.name] == TODO), key=rank)
    planes = [node.name for node in todo if node.is_control_plane]
    workers = [node.name for node in todo if not node.is_control_plane]
    finishing = sorted((name for name, state in states.items() if state == FINISH), key=natural)
    order = Order(
        tuple(planes),
        tuple(workers),
        tuple(finishing),
        tuple(sorted((name for name, state in states.items() if state == DONE), key=natural)),
    )
    order = _cut(order, until)
    by_name = {node.name: node for node in nodes}
    return replace(order, steps=_steps(order, by_name, target, etcd))


def _cut(order: Order, until: str) -> Order:
    """Only up to and including this node: none at all when it is done. What only comes back into service comes back."""
    if until in order.done:
        kept = set(order.finishing)
    elif until in order.todo:
        kept = {*order.finishing, *order.todo[: order.todo.index(until) + 1]}
    else:
        return order
    return replace(
        order,
        control_planes=tuple(name for name in order.control_planes if name in kept),
        workers=tuple(name for name in order.workers if name in kept),
        later=tuple(name for name in order.todo if name not in kept),
    )


def _steps(order: Order, nodes: Mapping[str, NodeState], target: Target, etcd: Cluster) -> tuple[Step, ...]:
    steps: list[Step] = []
    for name in order.finishing:
        steps.append(Step(name, "comes back into service: it is at the target already"))
    total = sum(node.is_control_plane for node in nodes.values())
    for name in (*order.control_planes, *order.workers):
        if at_target(replace(nodes[name], restart=False), target):
            steps += _restart_steps(nodes[name], total)
        elif nodes[name].is_control_plane:
            steps += _control_plane_steps(nodes[name], target, etcd, total, first=name == order.first)
        else:
            steps += _worker_steps(nodes[name], target)
    return tuple(steps)


def _restart_steps(node: NodeState, total: int) -> list[Step]:
    """For settings that changed, at the version that runs."""
    if not node.is_control_plane:
        return [Step(node.name, "cordon, drain"), Step(node.name, RESTART), Step(node.name, "stable, uncordon")]
    return [
        Step(node.name, "leave HAProxy, cordon, drain", left=f"{total - 1} of {total} API servers"),
        Step(node.name, RESTART, left=f"{total - 1} of {total} API servers"),
        Step(node.name, "stable, back into HAProxy, uncordon", left=f"{total} of {total} API servers"),
    ]


def _control_plane_steps(node: NodeState, target: Target, etcd: Cluster, total: int, *, first: bool) -> list[Step]:
    name, others = node.name, f"{total - 1} of {total} API servers"
    steps = [
        Step(name, "leave HAProxy, cordon, drain", left=others),
    ]
    if target.etcd and not is_at(node.images.get("etcd", ""), target.etcd):
        before = str(image_version(node.images.get("etcd", "")) or "?")
        steps.append(Step(name, "etcd: move the leadership away, restart", before, target.etcd, _etcd_left(etcd, name)))
    before = str(image_version(node.images.get("kube-apiserver", "")) or "?")
    apply = "apply" if first else "node"
    steps += [
        Step(name, "API server, controller manager, scheduler", before, target.version, others),
        Step(name, f"kubeadm upgrade {apply}, kubelet, kubectl", node.kubelet or "?", target.version, others),
        Step(name, "stable, back into HAProxy, uncordon", left=f"{total} of {total} API servers"),
    ]
    return steps


def _worker_steps(node: NodeState, target: Target) -> list[Step]:
    return [
        Step(node.name, "cordon, drain"),
        Step(node.name, "kubeadm upgrade node, kubelet, kubectl", node.kubelet or "?", target.version),
        Step(node.name, "stable, uncordon"),
    ]


def _etcd_left(etcd: Cluster, name: str) -> str:
    """What is left of etcd while this member restarts, with the others healthy as they are now."""
    member = next((one for one in etcd.members if one.name == name), Member(""))
    voters, left = len(etcd.voters), etcd.healthy(without=member.id)
    return f"etcd {left} of {voters} voters, {max(left - quorum(voters), 0)} may fail"
