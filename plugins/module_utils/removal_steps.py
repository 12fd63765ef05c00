# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a removal or a replacement, the groups of the plays that take them, what may fail meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from . import report
from .membership import Plan
from .preflight_inputs import CONTROL_PLANE, ETCD, GROUP_NAMES, LB, WORKER
from .quorum import Cluster, Member, quorum
from .removal_case import Case, joins_first, staying_hosts
from .removal_state import ALIVE, JOINING, LOST, Machine
from .scope import join_scope

FIRST, MIDDLE, LAST = "first", "middle", "last"
GROUP = "kube_removal_{turn}_{part}"


@dataclass(frozen=True)
class Step:
    """One step, and what is left of the cluster then."""

    node: str
    does: str
    left: str = ""

    def as_dict(self) -> dict[str, str]:
        """For a result."""
        return asdict(self)


def etcd_words(cluster: Cluster) -> str:
    """How many voters there are, and how many of them may fail."""
    voters, healthy = len(cluster.voters), cluster.healthy()
    return f"etcd {healthy} of {voters} voters, {max(healthy - quorum(voters), 0)} may fail"


def _removal(case: Case, plan: Plan, machine: Machine) -> Iterator[Step]:
    name, alive = machine.name, machine.state == ALIVE
    if machine.drains:
        yield Step(name, "cordon, drain")
    if machine.is_plane and alive:
        yield Step(name, "leave HAProxy", _servers(case))
    if machine.member:
        how = "move the leadership away, remove" if machine.member.leader else "remove"
        yield Step(name, f"{how} the etcd member {machine.member.id} through another one", etcd_words(plan.after))
    if machine.is_balancer:
        stop = "stop keepalived and HAProxy, the VIP moves; " if alive else ""
        yield Step(name, f"{stop}the others forget it", f"{len(case.staying(LB))} load balancers")
    elif machine.is_plane:
        yield Step(name, "leave the load balancers' configuration")
    if machine.resets:
        yield Step(name, "clean the machine")
    if machine.is_forgotten:
        pods = "" if machine.drains else " and the pods that nobody can end any more"
        yield Step(name, f"delete its Node, its Lease{pods}")


def _servers(case: Case) -> str:
    left = [name for name in case.staying(CONTROL_PLANE) if name in case.world.live]
    return f"{len(left)} of {len(case.staying(CONTROL_PLANE))} other API servers"


def steps_of(case: Case, plan: Plan, turn: str) -> Iterator[Step]:
    """In the order in which they are taken."""
    leaving = [machine for machine in case.machines if machine.state != JOINING]
    going = [step for machine in leaving for step in _removal(case, plan, machine)]
    new = case.replacement
    if new and turn == FIRST:
        yield from going
    if new:
        meanwhile = " while the old one serves" if case.machines[0].state == ALIVE and turn != FIRST else ""
        yield Step(new, f"prepare the machine: software, images, services{meanwhile}")
    if turn == MIDDLE or not new:
        yield from going
    if new:
        yield Step(new, "join", etcd_words(_joined(case, plan, turn)) if _changes_etcd(case) else "")
    if turn == LAST:
        yield from going


def _changes_etcd(case: Case) -> bool:
    return any({CONTROL_PLANE, ETCD} & machine.roles for machine in case.machines) and bool(case.world.etcd.members)


def _joined(case: Case, plan: Plan, turn: str) -> Cluster:
    """The members right after the replacement has joined."""
    return plan.have if turn == LAST else _one_more(case, plan.after)


def _one_more(case: Case, cluster: Cluster) -> Cluster:
    """With the replacement as a healthy voter, where it brings one; an interrupted run may have brought it already."""
    there = any(member.name == case.replacement for member in cluster.members)
    brings = not case.world.external or any(machine.apart for machine in case.machines)
    if there or not brings:
        return cluster
    return Cluster((*cluster.members, Member("new", case.replacement, healthy=True)))


def tolerances(case: Case, plan: Plan, turn: str) -> dict[str, str]:
    """What may fail before, while the fewest are there, and in the end."""
    words = _serving(case, turn)
    if not _changes_etcd(case):
        return words
    comes = bool(case.replacement) and turn != LAST
    voters = {
        "before": case.world.etcd,
        "during": plan.have if turn == LAST else plan.after,
        "after": _one_more(case, plan.after) if comes else plan.after,
    }
    return {stage: ", ".join(filter(None, [etcd_words(voters[stage]), words[stage]])) for stage in words}


def _serving(case: Case, turn: str) -> dict[str, str]:
    """API servers, load balancers and workers that serve, of the kinds that go, in words."""
    world = case.world
    workers = {name for name, node in world.nodes.items() if node.role == WORKER and node.served}
    words: dict[str, list[str]] = {"before": [], "during": [], "after": []}
    for role, title, serving in (
        (CONTROL_PLANE, "API servers", world.live),
        (LB, "load balancers", world.balancers),
        (WORKER, "workers", workers),
    ):
        going = {machine.name for machine in case.having(role)}
        left = len(serving - going)
        comes = left + (1 if case.replacement else 0)
        if going:
            words["before"].append(f"{len(serving)} {title}")
            words["during"].append(f"{len(serving) if turn == LAST else left} {title}")
            words["after"].append(f"{comes} {title}")
    return {stage: ", ".join(parts) for stage, parts in words.items()}


def groups_of(case: Case, turn: str, reader: str) -> list[dict[str, Any]]:
    """Hosts to the groups of the plays that touch them, in the order in which they are taken."""
    found: dict[str, list[str]] = {}

    def put(part: str, *names: str) -> None:
        for name in names:
            found.setdefault(name, []).append(GROUP.format(turn=turn, part=part))

    for machine in case.machines:
        parts = {
            "drain": machine.drains,
            "member": machine.apart and machine.state == ALIVE,
            "balancer": machine.is_balancer and machine.state == ALIVE,
            "reset": machine.resets,
        }
        for part in [part for part, wanted in parts.items() if wanted]:
            put(part, machine.name)
    joined = [case.replacement] if joins_first(case) else []
    put("through", *[*([reader] if reader else []), *staying_hosts(case), *joined][:1])
    if not case.replacement:
        put("rewrite", *_rewritten(case))
        put("outdated", *_outdated(case))
    for group, names in (("kube_removal_look", _looked(case)), ("kube_replace_hosts", _scope(case))):
        for name in names:
            found.setdefault(name, []).append(group)
    return [{"name": name, "groups": groups} for name, groups in found.items()]


def _rewritten(case: Case) -> list[str]:
    """Load balancers that have to forget an API server or a peer."""
    if not any(machine.is_plane or machine.is_balancer for machine in case.machines):
        return []
    return [name for name in case.staying(LB) if case.host(name).facts]


def _outdated(case: Case) -> list[str]:
    """Control planes whose API servers name a machine of an external etcd that goes."""
    going = [machine.address for machine in case.machines if machine.apart and machine.address]
    return [
        name
        for name in case.staying(CONTROL_PLANE)
        if (facts := case.host(name).facts)
        and any(f"//{address}:" in server for server in facts.kubernetes.etcd_servers for address in going)
    ]


def _looked(case: Case) -> list[str]:
    """Hosts that verify looks at again: those on which something changed. A worker's going changes none."""
    if all(not ({CONTROL_PLANE, LB, ETCD} & machine.roles) for machine in case.machines):
        return [case.replacement] if case.replacement else []
    new = [case.replacement] if case.replacement else []
    return list(dict.fromkeys([*staying_hosts(case), *new]))


def _scope(case: Case) -> list[str]:
    if not case.replacement:
        return []
    groups = {
        GROUP_NAMES[role]: [n for n in case.world.having(role) if n == case.replacement or case.host(n).facts]
        for role in (CONTROL_PLANE, LB, ETCD)
    }
    return join_scope(groups, [case.replacement], () if case.same_name else case.names)


def plan_text(steps: tuple[Step, ...], machines: tuple[Machine, ...], tolerance: Mapping[str, str], width: int) -> str:
    """What will happen, for a person."""
    titles = "; ".join(f"{machine.name} ({machine.title})" for machine in machines)
    lines = [f"To go: {titles}."]
    lines += [f"  {machine.name}: {machine.why}" for machine in machines if machine.state in (LOST, JOINING)]
    rows = [[step.node, step.does, step.left or "-"] for step in steps]
    if rows:
        lines += report.table(["NODE", "STEP", "LEFT THEN"], rows, width)
    lines += [f"Tolerance {stage}: {words}" for stage, words in tolerance.items() if words]
    return "\n".join(lines)
