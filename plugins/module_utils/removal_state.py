# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each machine that is to go is to the cluster, and whether it lives. Pure: facts in, one verdict for each out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from . import evidence
from .etcd_look import EtcdLook, peer_url
from .facts import Node
from .kube_life import is_served
from .preflight_inputs import CONTROL_PLANE, ETCD, GROUPS, LB, WORKER
from .quorum import Cluster, Member

# lost: a blank machine answers under the name. gone: nothing of it is in the cluster. unclear: nothing may be done.
# joining: it takes its own place, and has begun to.
ALIVE, DEAD, LOST, GONE, UNCLEAR, JOINING = "alive", "dead", "lost", "gone", "unclear", "joining"
LB_UNITS = ("haproxy", "keepalived")
WORDS = {CONTROL_PLANE: "control plane", WORKER: "worker", LB: "load balancer", ETCD: "etcd member"}
CONFUSED = "power the machine off, or mend the connection"


@dataclass(frozen=True)
class NodeSeen:
    """A Node object. lease_age: seconds since its kubelet renewed its Lease, None when that is not known."""

    name: str
    role: str = WORKER
    ready: bool = False
    unschedulable: bool = False
    lease_age: float | None = None

    @property
    def served(self) -> bool:
        """Whether a kubelet stands behind it."""
        return is_served(self.ready, self.lease_age)


@dataclass(frozen=True)
class Host:
    """A host as it was looked at. roles: of the inventory, none when it is not in it. facts None: why there are none.

    away: it does not answer at all, and is not merely badly set up. units: services that are active there.
    """

    name: str
    roles: frozenset[str] = frozenset()
    address: str = ""
    facts: Node | None = None
    away: bool = True
    why: str = "it is not in the inventory"
    units: frozenset[str] = frozenset()

    @property
    def traces(self) -> tuple[str, ...]:
        """What a cluster left there, in words."""
        if self.facts is None:
            return ()
        words = evidence.traces(self.facts.kubernetes)
        running = tuple(unit for unit in LB_UNITS if unit in self.units) if LB in self.roles else ()
        return (*words, *running)


@dataclass(frozen=True)
class Machine:
    """One that was named. member: its etcd member. apart: etcd is a service of its own there, not a static pod."""

    name: str
    roles: frozenset[str] = frozenset()
    state: str = GONE
    why: str = ""
    address: str = ""
    node: NodeSeen | None = None
    member: Member | None = None
    apart: bool = False

    @property
    def title(self) -> str:
        """What it is, for a person."""
        roles = " and ".join(WORDS[role] for role in GROUPS if role in self.roles)
        return f"{roles or 'unknown'}, {self.state}"

    @property
    def is_plane(self) -> bool:
        """Whether an API server runs there."""
        return CONTROL_PLANE in self.roles

    @property
    def is_balancer(self) -> bool:
        """Whether HAProxy and keepalived run there."""
        return LB in self.roles

    @property
    def has_kubelet(self) -> bool:
        """Whether it is a node, by the inventory or by the cluster."""
        return bool(self.roles & {CONTROL_PLANE, WORKER})

    @property
    def is_forgotten(self) -> bool:
        """Whether what the API has of it is deleted."""
        return self.has_kubelet and self.state != JOINING

    @property
    def drains(self) -> bool:
        """Whether its pods can be asked to leave: a kubelet is there to end them."""
        return self.state == ALIVE and self.node is not None and self.node.served

    @property
    def resets(self) -> bool:
        """Whether there is something of ours on it to clean away."""
        return self.state == ALIVE


@dataclass(frozen=True)
class World:
    """Everything that was seen. balancers: those whose HAProxy answered. live: whose own API server answers.

    holder: the load balancer that was seen to have the VIP, "" when nobody was; vip_live: whether the VIP answers.
    """

    hosts: Mapping[str, Host]
    nodes: Mapping[str, NodeSeen] = field(default_factory=dict)
    look: EtcdLook | None = None
    live: frozenset[str] = frozenset()
    balancers: frozenset[str] = frozenset()
    holder: str = ""
    vip_live: bool = False

    @property
    def external(self) -> bool:
        """Whether etcd has machines of its own."""
        return any(ETCD in host.roles and CONTROL_PLANE not in host.roles for host in self.hosts.values())

    @property
    def etcd(self) -> Cluster:
        """The members, none when etcd was not seen."""
        return Cluster(self.look.members if self.look else ())

    def having(self, role: str) -> tuple[str, ...]:
        """Hosts with a role by the inventory."""
        return tuple(name for name, host in self.hosts.items() if role in host.roles)


def merged(looks: Iterable[EtcdLook]) -> EtcdLook | None:
    """What several hosts saw of one etcd: a member that answered any of them is healthy.

    Looks with a majority behind them count; without any, the first tells what there was.
    """
    every = list(looks)
    sound = [look for look in every if look.linearizable]
    if not sound:
        return every[0] if every else None
    first = sound[0]
    same = [look for look in sound if look.cluster_id == first.cluster_id]
    healthy = {member.id: member for look in same for member in look.members if member.healthy}
    return replace(first, members=tuple(healthy.get(member.id, member) for member in first.members))


def member_of(look: EtcdLook | None, name: str, address: str) -> Member | None:
    """The member at the host's address, unless it is another's by name; else the one of its exact name."""
    if look is None:
        return None
    there = look.at(address) if address else None
    return there if there and there.name in ("", name) else look.named(name)


def identify(world: World, name: str) -> Machine:
    """What a name stands for."""
    host = world.hosts.get(name, Host(name))
    node = world.nodes.get(name)
    member = member_of(world.look, name, host.address)
    roles = set(host.roles)
    if node and not roles & {CONTROL_PLANE, WORKER}:
        roles.add(CONTROL_PLANE if node.role == CONTROL_PLANE else WORKER)
    if member:
        roles.add(ETCD)
    machine = Machine(name, frozenset(roles), GONE, "", host.address, node, member)
    machine = replace(machine, apart=ETCD in roles and CONTROL_PLANE not in roles)
    state, why = _state(world, host, machine)
    return replace(machine, state=state, why=why)


def resumed(world: World, machine: Machine) -> Machine:
    """A machine that takes its own place: where its join was interrupted nothing of it goes, and the join goes on."""
    facts = world.hosts.get(machine.name, Host(machine.name)).facts
    if facts is None or facts.kubernetes.marker != evidence.JOIN:
        return machine
    return replace(machine, state=JOINING, why="its join was interrupted, and goes on", node=None, member=None)


def _state(world: World, host: Host, machine: Machine) -> tuple[str, str]:
    known = machine.node is not None or machine.member is not None
    if host.facts is not None:
        if host.traces:
            return ALIVE, ", ".join(host.traces)
        wrong = _elsewhere(machine)
        if wrong:
            return UNCLEAR, f"a blank machine answers at {host.address or host.name}, while {wrong} elsewhere"
        return (LOST, "a blank machine answers under its name") if known else (GONE, "nothing of it is left")
    if not host.away:
        return UNCLEAR, f"its facts could not be read: {host.why}"
    living = _living(world, host, machine)
    if living:
        return UNCLEAR, f"it does not answer ({host.why}), while {living}"
    return (DEAD, host.why) if known or host.roles else (GONE, host.why)


def _elsewhere(machine: Machine) -> str:
    if machine.node and machine.node.served:
        return f"its kubelet is alive ({_told(machine.node)})"
    if machine.member and machine.member.healthy:
        return f"its etcd answers ({', '.join(machine.member.client_urls) or peer_url(machine.address)})"
    return ""


def _living(world: World, host: Host, machine: Machine) -> str:
    """What speaks for its life although nobody can log in to it."""
    words = _elsewhere(machine)
    if words:
        return words
    if host.name in world.live:
        return "its API server answers"
    if LB in host.roles and world.vip_live and not world.holder:
        return "the VIP answers and none of the others has it"
    return ""


def _told(node: NodeSeen) -> str:
    age = "" if node.lease_age is None else f", Lease renewed {node.lease_age:g} s ago"
    return f"Ready{age}"
