# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A removal or a replacement as it was asked for, and etcd's steps of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .etcd_look import peer_url
from .membership import Plan, refused, removal, walk
from .preflight_inputs import CONTROL_PLANE, ETCD, LB
from .quorum import Cluster, Member, add_learner_gate
from .removal_state import ALIVE, Host, Machine, World, member_of


@dataclass(frozen=True)
class Case:
    """What is asked for. replacement: the machine that takes the place of the one named, "" when none does."""

    world: World
    machines: tuple[Machine, ...]
    replacement: str = ""
    ca_pem: str = ""
    api_via: str = "localhost"
    confirm_even: bool = False
    confirm_no_tolerance: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The machines that go."""
        return tuple(machine.name for machine in self.machines)

    @property
    def same_name(self) -> bool:
        """Whether a machine is replaced by one of its own name, or by itself."""
        return self.replacement in self.names

    def staying(self, role: str) -> tuple[str, ...]:
        """Hosts of a role that stay, as far as the inventory has them; a replacement is not there yet."""
        gone = {*self.names, self.replacement}
        return tuple(name for name in self.world.having(role) if name not in gone)

    def having(self, role: str) -> list[Machine]:
        """Those of a role that go."""
        return [machine for machine in self.machines if role in machine.roles]

    def host(self, name: str) -> Host:
        """As it was looked at."""
        return self.world.hosts.get(name, Host(name))


def membership(case: Case) -> Plan:
    """etcd's steps, each asked its gate in the state that those before it leave: the dead first, the leader last."""
    have = _with_replacement(case) if joins_first(case) else case.world.etcd
    leaving = [machine.member for machine in case.machines if machine.member]
    order = sorted(leaving, key=lambda member: (member.healthy, member.leader, member.name))
    state, steps, aloud = have, [], []
    for member in order:
        now = state.find(member.id) or member
        more = removal(state, now, bool(case.replacement) or case.confirm_no_tolerance, [other.id for other in leaving])
        plan = walk(state, more)
        if not plan.allowed:
            return refused(have, *plan.reasons)
        state = plan.after
        steps += more
        aloud += [text for text in plan.aloud if text not in aloud]
    return Plan(have, state, tuple(steps), (), tuple(aloud))


def joins_first(case: Case) -> bool:
    """Whether the replacement can join while the old machine, which lives, still serves."""
    if not case.replacement or case.same_name or len(case.machines) != 1:
        return False
    (machine,) = case.machines
    if machine.state != ALIVE or machine.member is None:
        return machine.state == ALIVE
    if case.world.etcd.has_quorum and member_of(case.world.look, case.replacement, _address(case)):
        return True  # an earlier run was interrupted after it
    return add_learner_gate(case.world.etcd, case.replacement, [peer_url(_address(case))]).allowed


def _address(case: Case) -> str:
    return case.host(case.replacement).address


def _with_replacement(case: Case) -> Cluster:
    """The members when the replacement has joined, if the old machine has one."""
    have = case.world.etcd
    if not case.machines[0].member or member_of(case.world.look, case.replacement, _address(case)):
        return have
    new = Member("new", case.replacement, (peer_url(_address(case)),), healthy=True)
    return Cluster((*have.members, new))


def reader_of(case: Case) -> str:
    """Where etcd answers, with a majority behind it, on a machine that stays; else the one that has joined by then."""
    role = ETCD if case.world.external else CONTROL_PLANE
    looks = [
        (not facts.etcd.linearizable, name)
        for name in case.staying(role)
        if (facts := case.host(name).facts) and facts.etcd
    ]
    joined = case.replacement if joins_first(case) else ""
    return min(looks)[1] if looks else joined


def staying_hosts(case: Case) -> list[str]:
    """Hosts that stay and answer, for tasks that are done elsewhere: a control plane, or whatever there is."""
    every = [name for role in (CONTROL_PLANE, LB, ETCD) for name in case.staying(role)]
    return [name for name in every if case.host(name).facts]
