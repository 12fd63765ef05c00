# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A member leaves: seen twice, the leadership moved away first, removed, seen to be gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import etcd_changes as changes
from .errors import InputError
from .etcd_api import EtcdApi
from .etcd_claims import CLAIMS, RECORDS, address, marks
from .etcd_health import Sample
from .etcd_world import Outcome, World, outcome, plan_on, refusal
from .membership import Leave
from .membership_steps import MoveLeader, Remove
from .orphans import JOIN
from .quorum import Cluster, Member


def leave(
    world: World,
    *,
    name: str = "",
    member_id: str = "",
    peer_urls: Sequence[str] = (),
    confirmed: bool = False,
    effects: bool = True,
) -> Outcome:
    """See that there is no such member."""
    sample = world.sample()
    if sample.linearizable and which(sample.cluster, name, member_id, peer_urls) is None:
        return Outcome(sample.cluster, sample.cluster)
    sample = world.settled()
    member = which(sample.cluster, name, member_id, peer_urls)
    wanted = Leave(member.id, confirmed, claimed(world, sample, member)) if member else Leave("")
    plan = plan_on(sample, wanted)
    if not plan.allowed:
        raise refusal(plan)
    if not effects or member is None:
        return outcome(plan)
    deadline = world.clock() + world.settings.wait
    for step in plan.steps:
        if isinstance(step, MoveLeader):
            move_leader(world, step, deadline)
        elif isinstance(step, Remove):
            remove(world, step, deadline)
    return outcome(plan, world.last.cluster)


def which(cluster: Cluster, name: str, member_id: str, peer_urls: Sequence[str]) -> Member | None:
    """The one member that is meant; by its ID, or by its exact name, or by its peer URLs."""
    found = [
        member
        for member in cluster.members
        if (not member_id or int(member.id, 16) == int(member_id, 16))
        and (not name or member.name == name or (bool(member_id) and not member.started))
        and (not peer_urls or set(member.peer_urls) == set(peer_urls))
    ]
    same_id = [m for m in cluster.members if member_id and int(m.id, 16) == int(member_id, 16)]
    if len(found) > 1 or (same_id and not found):
        raise InputError(
            "it is not clear which etcd member is meant",
            where="etcd",
            found=", ".join(f"{m} with the ID {m.id} ({', '.join(m.peer_urls)})" for m in found or same_id),
            next_step="give member_id alone",
        )
    return found[0] if found else None


def claimed(world: World, sample: Sample, member: Member) -> bool:
    """Whether a join of it runs. A voter that has started has none."""
    if (member.started and not member.learner) or not sample.linearizable:
        return False
    claim = world.through(lambda api: marks(api, CLAIMS)).get(address(member.peer_urls))
    return claim is not None and claim.kind == JOIN


def move_leader(world: World, step: MoveLeader, deadline: float) -> None:
    """The leader itself is asked: no other member can do it."""
    member, heir = step.member.id, step.to.id

    def at_the_leader(call: Callable[[EtcdApi], None]) -> None:
        call(world.connect(world.last.probes[member].endpoint))

    def done(cluster: Cluster) -> bool:
        return any(m.leader and m.id != member for m in cluster.members)

    world.change(step, lambda api: changes.move_leader(api, heir), done, deadline, at_the_leader)


def remove(world: World, step: Remove, deadline: float) -> None:
    """Until it is gone, and with it what its join left behind in etcd."""
    member = step.member
    world.change(
        step, lambda api: changes.remove(api, member.id), lambda cluster: cluster.find(member.id) is None, deadline
    )
    if member.learner or not member.started:
        where = address(member.peer_urls)
        world.through(lambda api: changes.forget(api, [CLAIMS + where, RECORDS + where]))
