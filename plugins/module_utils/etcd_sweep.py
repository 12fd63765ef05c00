# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orphans are swept: watched as long as a lease, claimed, looked at once more, removed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from . import etcd_changes as changes
from .etcd_claims import CLAIMS, RECORDS, Claim, Mark, address, marks
from .etcd_leave import remove
from .etcd_world import PAUSE, Outcome, World, outcome, plan_on, refusal
from .membership import Sweep
from .membership_steps import Remove
from .orphans import SEEN, SWEEP, Trace, Verdict, suspects, verdict
from .quorum import Cluster, Member

# The longest pause between two looks while a member is watched.
SLOW = 2.0


def sweep(world: World, joining: Collection[str], effects: bool) -> Outcome:
    """Remove the orphans, keep the rest and say why."""
    sample = world.sample()
    if not sample.linearizable or not suspects(sample.cluster):
        return _carry_out(world, {}, joining, effects)
    watch = Watch(world, joining, effects)
    judged = watch.judge()
    deadline = world.clock() + world.settings.wait + 2 * world.settings.orphan
    while any(v.watch for v in judged.values()) and world.clock() < deadline:
        world.sleep(max(PAUSE, min(SLOW, world.settings.orphan / 20)))
        world.sample(deadline)
        judged = watch.judge()
    if any(v.orphan for v in judged.values()):
        world.settled()
        judged = watch.judge()
    return _carry_out(world, judged, joining, effects)


def _carry_out(world: World, judged: Mapping[str, Verdict], joining: Collection[str], effects: bool) -> Outcome:
    orphans = tuple(member for member, answer in judged.items() if answer.orphan)
    plan = plan_on(world.last, Sweep(orphans))
    if not plan.allowed:
        raise refusal(plan)
    kept = [f"{world.last.cluster.find(member)} stays: {v.reason}" for member, v in judged.items() if not v.orphan]
    if not effects:
        return outcome(plan, None, *kept)
    done, have = [], plan.have
    for step in plan.steps:
        if isinstance(step, Remove) and _remove(world, step, joining):
            done.append(step.words)
        else:
            kept.append(f"{step.words}: its join goes on, it stays")
    return Outcome(have, world.last.cluster, tuple(done), (*plan.aloud, *kept))


def _remove(world: World, step: Remove, joining: Collection[str]) -> bool:
    """Remove it while nobody can claim it. False when somebody has, or when it lives after all."""
    member = step.member
    claim = Claim(world.through, member.peer_urls, Mark(SWEEP, "", world.host), world.settings.orphan)
    if not claim.take() and not claim.mine(claim.holder()):
        claim.give_back(done=False)
        return False
    claim.keep()
    done = False
    try:
        now = world.sample().cluster
        recorded = _recorded(world, member)
        trace = Trace(answers=_answers(world, member), recorded=recorded.member, name=recorded.name)
        if verdict(now, now.find(member.id) or member, trace, joining).orphan and not claim.lost:
            remove(world, step, world.clock() + world.settings.wait)
            done = True
    finally:
        claim.give_back(done)
    return done


def _answers(world: World, member: Member) -> bool:
    return any(world.dial(url) for url in member.peer_urls)


def _recorded(world: World, member: Member) -> Mark:
    found: dict[str, Mark] = world.through(lambda api: marks(api, RECORDS))
    return found.get(address(member.peer_urls), Mark(""))


@dataclass
class Watch:
    """Looks again and again at the members that never started. since: when each claim's lease was seen first."""

    world: World
    joining: Collection[str]
    effects: bool
    since: dict[int, float] = field(default_factory=dict)
    left: dict[int, int] = field(default_factory=dict)
    cared: set[int] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)

    def judge(self) -> dict[str, Verdict]:
        """What each of them is, by its ID."""
        cluster = self.world.last.cluster
        claims: dict[str, Mark] = self.world.through(lambda api: marks(api, CLAIMS))
        return {member.id: self._judge(cluster, member, claims) for member in suspects(cluster)}

    def _judge(self, cluster: Cluster, member: Member, claims: Mapping[str, Mark]) -> Verdict:
        claim, record = claims.get(address(member.peer_urls)), _recorded(self.world, member)
        trace = Trace(
            answers=_answers(self.world, member),
            claim=claim.kind if claim else "",
            cared=bool(claim and self.is_renewed(claim)),
            recorded=record.member,
            name=(claim.name if claim else "") or record.name,
        )
        answer = verdict(cluster, member, trace, self.joining)
        if answer.watch and not trace.claim:
            # Check mode writes nothing: it predicts that nobody will care for it, as nobody does now.
            return self._begin(member, trace) if self.effects else Verdict(answer.reason)
        return answer

    def _begin(self, member: Member, trace: Trace) -> Verdict:
        """Write down that it was seen, with a claim that ends by itself unless its join comes."""
        mark = Mark(SEEN, trace.name, self.world.host, member.id)
        claim = Claim(self.world.through, member.peer_urls, mark, self.world.settings.orphan)
        if claim.take():
            claim.record(member.id)
        return Verdict("it is watched", watch=True)

    def is_renewed(self, claim: Mark) -> bool:
        """Whether its lease was renewed: more time is left than before, or it outlives its length.

        One without time left is over. etcd takes its keys away a moment later, on a busy machine seconds later.
        """
        lease, now = claim.lease, self.world.clock()
        left, granted = self.world.through(lambda api: changes.time_to_live(api, lease))
        before = self.left.get(lease, left)
        self.left[lease] = left
        began = self.since.setdefault(lease, now)
        if left > 0 and (left > before or now - began > granted + 1):
            self.cared.add(lease)
        return lease in self.cared
