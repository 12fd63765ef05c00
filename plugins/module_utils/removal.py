# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the hosts, the API, etcd and the load balancers tell to one plan of a removal or a replacement. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import evidence
from .facts import Node, parse_node
from .findings import FATAL, Finding
from .membership import Plan
from .preflight_inputs import CONTROL_PLANE, LB
from .removal_case import Case, joins_first, membership, reader_of
from .removal_checks import check
from .removal_state import ALIVE, Host, Machine, NodeSeen, World, identify, merged, resumed
from .removal_steps import FIRST, LAST, MIDDLE, Step, groups_of, steps_of, tolerances
from .upgrade_check import blocked


@dataclass(frozen=True)
class Inputs:
    """What was read. groups: role to the inventory's names. hosts: name to node_info's `node`; away and broken: name to
    why there is none. cluster: cluster_info's, with `live`. balancers: load balancer to lb_backend's result.
    """

    names: tuple[str, ...]
    groups: Mapping[str, Sequence[str]]
    addresses: Mapping[str, str]
    hosts: Mapping[str, Mapping[str, Any]]
    away: Mapping[str, str]
    broken: Mapping[str, str]
    cluster: Mapping[str, Any]
    live: frozenset[str]
    vip: str
    vip_live: bool
    balancers: Mapping[str, Mapping[str, Any]]
    drains: Sequence[Mapping[str, str]] = ()
    replacement: str = ""
    policy: str = "fail"
    api_via: str = "localhost"
    confirm_even: bool = False
    confirm_no_tolerance: bool = False


@dataclass(frozen=True)
class Outcome:
    """What is done. turn: when the old machine goes, before anything else, between preparation and join, or last."""

    case: Case
    turn: str
    findings: tuple[Finding, ...]
    membership: Plan
    steps: tuple[Step, ...]
    tolerance: Mapping[str, str]

    @property
    def is_fatal(self) -> bool:
        """Whether nothing may be changed."""
        return any(item.level == FATAL for item in self.findings)

    @property
    def reader(self) -> str:
        """A host that stays and through which etcd is changed."""
        return reader_of(self.case)

    def as_dict(self) -> dict[str, Any]:
        """For a result: plain values only."""
        case = self.case
        return {
            "turn": self.turn,
            "machines": [_told(machine) for machine in case.machines],
            "members": _members(self),
            "forget": [_forgotten(machine) for machine in case.machines if machine.is_forgotten],
            "groups": groups_of(case, self.turn, self.reader),
            "reader": self.reader,
            "confirmed": bool(case.replacement) or case.confirm_no_tolerance,
            "drained_balancers": [] if self.turn == LAST else _answering(case),
            "joined": case.replacement,
            "ca_pem": case.ca_pem or None,
            "steps": [step.as_dict() for step in self.steps],
            "tolerance": dict(self.tolerance),
        }


def _told(machine: Machine) -> dict[str, Any]:
    return {
        "name": machine.name,
        "roles": sorted(machine.roles),
        "state": machine.state,
        "why": machine.why,
        "node": machine.node is not None,
        "member_id": machine.member.id if machine.member else "",
    }


def _members(outcome: Outcome) -> list[dict[str, Any]]:
    """As etcd_member takes them, in their order. A living machine of an external etcd is taken out by its own role."""
    apart = {
        machine.member.id
        for machine in outcome.case.machines
        if machine.member and machine.apart and machine.state == ALIVE
    }
    removed = [member for step in outcome.membership.steps if (member := getattr(step, "member", None))]
    wanted = {member.id: member for member in removed if outcome.membership.after.find(member.id) is None}
    return [
        {"name": member.name, "member_id": member.id, "peer_urls": list(member.peer_urls)}
        for member in wanted.values()
        if member.id not in apart
    ]


def _forgotten(machine: Machine) -> dict[str, Any]:
    """As kube_node_absent takes it. Where no kubelet serves any more, nobody ends the pods."""
    return {"name": machine.name, "drained": machine.drains, "dead": not machine.drains}


def _answering(case: Case) -> list[str]:
    return [name for name in case.staying(LB) if name in case.world.balancers]


def _host(inputs: Inputs, name: str) -> Host:
    raw = inputs.hosts.get(name)
    units = (raw or {}).get("units") or {}
    active = {unit for unit, state in units.items() if isinstance(state, Mapping) and state.get("active") == "active"}
    return Host(
        name=name,
        roles=frozenset(role for role, names in inputs.groups.items() if name in names),
        address=inputs.addresses.get(name, ""),
        facts=None if raw is None else parse_node(name, raw),
        away=name not in inputs.broken,
        why=inputs.broken.get(name) or inputs.away.get(name) or "it was not looked at",
        units=frozenset(active),
    )


def _nodes(cluster: Mapping[str, Any]) -> dict[str, NodeSeen]:
    ages = cluster.get("leases") or {}
    return {
        str(raw["name"]): NodeSeen(
            name=str(raw["name"]),
            role=str(raw.get("role") or ""),
            ready=bool(raw.get("ready")),
            unschedulable=bool(raw.get("unschedulable")),
            lease_age=ages.get(raw["name"]),
        )
        for raw in cluster.get("nodes") or []
    }


def world_of(inputs: Inputs) -> World:
    """Everything that was read, parsed once. etcd is seen by those that stay, before those that go."""
    looked = {*inputs.hosts, *inputs.away, *inputs.broken}
    known = dict.fromkeys([name for names in inputs.groups.values() for name in names])
    hosts = {name: _host(inputs, name) for name in known if name in looked or name in inputs.names}
    order = sorted(hosts, key=lambda name: (name in inputs.names, name))
    facts = [host.facts for name in order if (host := hosts[name]).facts]
    holders = [name for name in order if _holds(hosts[name].facts, inputs.vip) and LB in hosts[name].roles]
    return World(
        hosts=hosts,
        nodes=_nodes(inputs.cluster),
        look=merged(node.etcd for node in facts if node and node.etcd),
        live=inputs.live,
        balancers=frozenset(name for name, seen in inputs.balancers.items() if seen.get("servers")),
        holder=holders[0] if holders else "",
        vip_live=inputs.vip_live,
    )


def _holds(facts: Node | None, vip: str) -> bool:
    return facts is not None and facts.network_of(vip) is not None


def _authority(world: World, names: Sequence[str]) -> str:
    """The CA of a control plane that stays."""
    for name in world.having(CONTROL_PLANE):
        facts = world.hosts[name].facts
        if facts and name not in names and evidence.is_control_plane(facts.kubernetes):
            return facts.kubernetes.ca_pem
    return ""


def turn_of(case: Case) -> str:
    """When the old machine goes: a member's place has to be free before a new one of its name or address can join."""
    (machine, *_more) = case.machines
    if not case.replacement or (case.same_name and (machine.state == ALIVE or machine.apart)):
        return FIRST
    return LAST if joins_first(case) else MIDDLE


def review(inputs: Inputs) -> Outcome:
    """Everything that speaks against it, and what is done."""
    world = world_of(inputs)
    machines = [identify(world, name) for name in inputs.names]
    case = Case(
        world=world,
        machines=tuple(resumed(world, one) if one.name == inputs.replacement else one for one in machines),
        replacement=inputs.replacement,
        ca_pem=_authority(world, inputs.names),
        api_via=inputs.api_via,
        confirm_even=inputs.confirm_even,
        confirm_no_tolerance=inputs.confirm_no_tolerance,
    )
    turn = turn_of(case)
    plan = membership(case)
    draining = [machine.name for machine in case.machines if machine.drains]
    findings = [*check(case), *blocked(inputs.drains, draining, inputs.policy)]
    return Outcome(
        case=case,
        turn=turn,
        findings=tuple(sorted(findings)),
        membership=plan,
        steps=tuple(steps_of(case, plan, turn)),
        tolerance=tolerances(case, plan, turn),
    )
