# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A member joins: claimed, added as a learner, started, caught up, promoted, seen to be healthy.

Killed anywhere, the next call finds what is missing from the members and from what lies on the host. A learner that
does not catch up in time is removed again, which no voter notices.
"""

from __future__ import annotations

from dataclasses import replace

from . import etcd_changes as changes
from .errors import ApiError, KubeadmError, RefusedError, UnreachableError
from .etcd_claims import Claim, Mark
from .etcd_health import Sample
from .etcd_world import LAG_SPACING, PAUSE, Outcome, World, initial_cluster, outcome
from .membership import Join, Plan, by_urls
from .membership_steps import AddLearner, Promote, Remove, Start
from .orphans import JOIN, SWEEP
from .quorum import LAG_LIMIT, Cluster, Member

# The removal of a learner that was given up may take so long.
PATIENCE = 15.0


def join(world: World, want: Join, effects: bool) -> Outcome:
    """Make it a member, as far as that is not so yet."""
    unit = world.unit
    if unit is not None:
        want = replace(want, starts=True, has_data=unit.has_data(), begun=unit.begun())
    plan = world.planned(want)
    if not effects or not plan.steps:
        return outcome(plan)
    claim = Claim(world.through, want.peer_urls, Mark(JOIN, want.name, world.host), world.settings.orphan)
    run = _Run(world, want, claim)
    try:
        run.take()
        # What was planned before the claim was held may have been swept meanwhile.
        plan = world.planned(want)
        if any(isinstance(step, Remove) for step in plan.steps):
            world.settled()
            plan = world.planned(want)
        run.carry_out(plan)
    finally:
        if run.waits:
            claim.leave()
        else:
            claim.give_back(run.done)
    if unit is not None:
        unit.finished()
    return outcome(plan, world.sample(run.deadline).cluster)


class _Run:
    """One join while it is carried out. done: nothing of it is left half. waits: for somebody else to start it."""

    def __init__(self, world: World, want: Join, claim: Claim) -> None:
        self.world, self.want, self.claim = world, want, claim
        self.deadline = world.clock() + world.settings.wait
        self.done = self.waits = False

    def take(self) -> None:
        """Hold the claim. This host's own one, of a call that was killed, is taken over: the host's lock is held."""
        claim, world = self.claim, self.world
        while True:
            holder = claim.holder()
            foreign = holder is not None and (
                holder.kind == SWEEP or (holder.kind == JOIN and holder.host != world.host)
            )
            if claim.mine(holder) or (not foreign and claim.take(over=holder)):
                claim.keep()
                return
            if world.clock() >= self.deadline:
                raise RefusedError(
                    f'another join or a sweep has to do with "{self.want.name}" now',
                    where=claim.where,
                    found=f"a claim of {holder}" if holder else "a claim that comes and goes",
                    next_step="look what runs on the other hosts; run again when it has ended",
                )
            world.sleep(PAUSE)

    def carry_out(self, plan: Plan) -> None:
        """The steps, one after the other."""
        self.deadline = self.world.clock() + self.world.settings.wait
        for step in plan.steps:
            self.fence()
            if isinstance(step, Remove):
                self.remove(step, self.deadline)
            elif isinstance(step, AddLearner):
                self.add(step)
            elif isinstance(step, Start):
                self.start()
            elif isinstance(step, Promote):
                self.promote(step)
        own = by_urls(self.world.last.cluster, self.want.peer_urls)
        self.done = own is not None and own.started
        # Somebody else starts it now: the claim's lease is the time for that, the record lets a sweep find it after.
        self.waits = not self.done

    def fence(self) -> None:
        """Nothing more once somebody else may believe that this join is over."""
        if self.claim.lost:
            raise KubeadmError(
                f'the join of "{self.want.name}" lost its claim',
                where="etcd",
                found=f"this process or etcd stood still for more than {self.world.settings.orphan:g} s",
                next_step="run the same again: it goes on where this ended",
            )

    def remove(self, step: Remove, deadline: float) -> None:
        member = step.member.id
        self.world.change(
            step, lambda api: changes.remove(api, member), lambda cluster: cluster.find(member) is None, deadline
        )

    def add(self, step: AddLearner) -> None:
        self.world.change(
            step,
            lambda api: changes.add_learner(api, step.peer_urls),
            lambda cluster: by_urls(cluster, step.peer_urls) is not None,
            self.deadline,
        )
        own = by_urls(self.world.last.cluster, step.peer_urls)
        self.claim.record(own.id if own else "")

    def start(self) -> None:
        unit, sample = self.world.unit, self.world.last
        own = by_urls(sample.cluster, self.want.peer_urls)
        if unit is None or own is None:
            return
        if own.learner or not unit.begun():
            unit.begin(initial_cluster(sample.cluster, self.want.name, self.want.peer_urls))
        unit.start()
        while True:
            sample, own = self.own()
            failure = unit.failure()
            # How far it lags behind is the promotion's matter.
            if own.started and sample.probes[own.id].reads:
                return
            if failure or self.world.clock() >= self.deadline:
                self.give_up(own, failure or f"etcd does not answer there: {sample.probes[own.id].error}")
            self.world.sleep(PAUSE)

    def own(self) -> tuple[Sample, Member]:
        """A fresh sample and the member that it is about."""
        self.fence()
        sample = self.world.sample(self.deadline)
        own = by_urls(sample.cluster, self.want.peer_urls)
        if own is None:
            raise KubeadmError(
                f'"{self.want.name}" was removed while it joined',
                where=", ".join(self.want.peer_urls),
                found="it is no member any more",
                next_step="find out who removed it, then run the same again",
            )
        return sample, own

    def promote(self, step: Promote) -> None:
        """When it has caught up in two samples and the gate says yes."""
        world = self.world
        lags: list[int] = []
        said = ""
        while True:
            sample, own = self.own()
            if not own.learner and own.healthy:
                return
            now = sample.lag(own.id)
            lags = [*lags, now][-2:] if own.learner and own.healthy and now is not None and now <= LAG_LIMIT else []
            gate = step.gate(sample.cluster, lags)
            if len(lags) == 2 and gate.allowed and sample.linearizable:
                said = self.try_to_promote(own)
                if not said:
                    continue
            if world.clock() >= self.deadline:
                shown = "is not known" if now is None else f"is {now} entries, {LAG_LIMIT} are allowed"
                self.give_up(own, "; ".join(filter(None, [f"its lag {shown}", *gate.reasons, said])))
            world.sleep(min(LAG_SPACING, world.settings.sample))

    def try_to_promote(self, own: Member) -> str:
        """What etcd said against it for now."""
        try:
            self.world.through(lambda api: changes.promote(api, own.id))
        except (ApiError, UnreachableError) as exc:
            if not changes.passing(exc) and not changes.still_behind(exc):
                raise
            return exc.found
        return ""

    def give_up(self, own: Member, why: str) -> None:
        """Time is up: a learner goes again; a voter stays, whatever is wrong with it."""
        then = "it votes, so it stays a member"
        if own.learner:
            self.remove(Remove(own), self.world.clock() + PATIENCE)
            if self.world.unit is not None:
                self.world.unit.discard(own.id)
            then, self.done = "the learner was removed, the voters were not touched", True
        raise KubeadmError(
            f'"{self.want.name}" did not join',
            where=", ".join(own.peer_urls),
            found=f"{why} (it had {self.world.settings.wait:g} s); {then} ({_voters(self.world.last.cluster)})",
            next_step="look at its disk, its network and its log: journalctl -u etcd; then run the same again",
        )


def _voters(cluster: Cluster) -> str:
    return f"{cluster.healthy()} of {len(cluster.voters)} voters healthy"
