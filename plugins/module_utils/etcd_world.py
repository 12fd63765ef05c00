# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of membership sees and does: looks at the cluster, calls through whoever answers, waits bounded times.

Everything that touches the world arrives as an argument: the look, the gateways, the unit on this host, the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from .errors import ApiError, RefusedError, UnreachableError
from .etcd_api import EtcdApi
from .etcd_changes import passing
from .etcd_health import Sample
from .etcd_probe import Connect
from .membership import Plan, Want, arithmetic, plan_membership
from .membership import refused as no_steps
from .membership_steps import Step
from .quorum import Cluster, Member, agree, tolerance

PAUSE = 0.25
# Before a promotion the lag is looked at twice, so far apart.
LAG_SPACING = 0.5
NO_MAJORITY = "no majority stands behind the list of members: only a restore, or the members' return, helps"
Answer = TypeVar("Answer")


class Unit(Protocol):
    """etcd's service on this host."""

    def has_data(self) -> bool:
        """Whether a member has lived here."""

    def begun(self) -> bool:
        """Whether a beginning has not been finished."""

    def begin(self, initial_cluster: str) -> None:
        """Write down with whom the first start finds the others."""

    def start(self) -> None:
        """Start it, or leave it running."""

    def failure(self) -> str:
        """Why it will not come up by itself, with the end of its log; "" while it may."""

    def finished(self) -> None:
        """Take away what only the first start needed."""

    def discard(self, member: str) -> None:
        """Stop it and set aside the data of a member that never voted and is removed."""


@dataclass(frozen=True)
class Settings:
    """Seconds: for a join until it votes, between two samples, of a lease."""

    wait: float = 120
    sample: float = 5
    orphan: float = 120


@dataclass
class World:
    """host: this host's own name, so that it knows its own claims again."""

    look: Callable[[], Sample]
    connect: Connect
    dial: Callable[[str], bool]
    settings: Settings
    unit: Unit | None = None
    host: str = ""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    last: Sample = field(default_factory=lambda: Sample((), {}))

    def sample(self, deadline: float = 0) -> Sample:
        """Look now; until the deadline that nobody answers is waited out."""
        while True:
            try:
                self.last = self.look()
            except UnreachableError:
                if self.clock() >= deadline:
                    raise
                self.sleep(PAUSE)
            else:
                return self.last

    def settled(self) -> Sample:
        """The second of two samples that agree: before anything is removed."""
        deadline = self.clock() + self.settings.wait
        first, since = self.sample(), self.clock()
        while True:
            self.sleep(self.settings.sample)
            second = self.sample(deadline)
            gate = agree(first.cluster, second.cluster, self.clock() - since, self.settings.sample)
            if gate.allowed:
                return second
            if self.clock() >= deadline:
                raise refusal(no_steps(second.cluster, *gate.reasons))
            first, since = second, self.clock()

    def planned(self, want: Want) -> Plan:
        """The plan; a no is only believed when it lasts as long as two samples are apart."""
        deadline = self.clock() + self.settings.sample
        while True:
            plan = plan_on(self.sample(deadline), want)
            if plan.allowed:
                return plan
            if self.clock() >= deadline:
                raise refusal(plan)
            self.sleep(PAUSE)

    def through(self, call: Callable[[EtcdApi], Answer]) -> Answer:
        """Call the leader; when it does not answer, the other voters that did."""
        silent = UnreachableError("no voter of etcd answers", where="etcd", next_step="look at the members' logs")
        voters = [m for m in self.last.members if not m.learner and self.last.probes[m.id].endpoint]
        for member in sorted(voters, key=lambda m: (not m.leader, not m.healthy)):
            try:
                return call(self.connect(self.last.probes[member.id].endpoint))
            except UnreachableError as exc:
                silent = exc
        raise silent

    def change(
        self,
        step: Step,
        call: Callable[[EtcdApi], Any],
        done: Callable[[Cluster], bool],
        deadline: float,
        through: Callable[[Callable[[EtcdApi], Any]], Any] | None = None,
    ) -> None:
        """Until it is seen to be done: ask the gate about a fresh sample, call, look again."""
        while True:
            sample = self.sample(deadline)
            if sample.linearizable and done(sample.cluster):
                return
            gate = step.gate(sample.cluster)
            problem: Exception = refusal(no_steps(sample.cluster, *(gate.reasons or (NO_MAJORITY,))))
            if gate.allowed and sample.linearizable:
                try:
                    (through or self.through)(call)
                except (ApiError, UnreachableError) as exc:
                    if not passing(exc):
                        raise
                    problem = exc
                else:
                    problem = UnreachableError(f"not seen to be done: {step.words}", where="etcd")
            if self.clock() >= deadline:
                raise problem
            self.sleep(PAUSE)


def plan_on(sample: Sample, want: Want) -> Plan:
    """A plan needs a majority behind what it is made from."""
    return plan_membership(sample.cluster, want) if sample.linearizable else no_steps(sample.cluster, NO_MAJORITY)


def refusal(plan: Plan) -> RefusedError:
    """Every reason, with the numbers."""
    return RefusedError(
        "etcd's members must not be changed like this now",
        where="etcd",
        found=f"{'; '.join(plan.reasons)} ({arithmetic(plan.have)})",
        next_step="mend what is named, then run the same again",
    )


def initial_cluster(cluster: Cluster, name: str, peer_urls: tuple[str, ...]) -> str:
    """What a new member's first start finds the others with."""
    known = [(m.name or (name if set(m.peer_urls) == set(peer_urls) else ""), m.peer_urls) for m in cluster.members]
    return ",".join(f"{who}={url}" for who, urls in known if who for url in urls)


@dataclass(frozen=True)
class Outcome:
    """What was done, or in check mode what would be."""

    before: Cluster
    after: Cluster
    steps: tuple[str, ...] = ()
    aloud: tuple[str, ...] = ()

    def result(self) -> dict[str, Any]:
        """As it is returned by etcd_member."""
        voters = len(self.after.voters)
        even = f"{voters} voters endure the failure of {tolerance(voters)}, no more than {voters - 1} do"
        aloud = [*self.aloud, *([even] if self.steps and voters % 2 == 0 else [])]
        return {
            "changed": bool(self.steps),
            "steps": list(self.steps),
            "arithmetic": arithmetic(self.after),
            "aloud": aloud,
            "members": [_result(member) for member in _sorted(self.after)],
            "diff": {"before": _lines(self.before), "after": _lines(self.after)},
        }


def outcome(plan: Plan, after: Cluster | None = None, *aloud: str) -> Outcome:
    """A plan as the outcome: carried out, or predicted when `after` is None."""
    said = (*plan.aloud, *aloud)
    return Outcome(plan.have, after or plan.after, tuple(step.words for step in plan.steps), said)


def _sorted(cluster: Cluster) -> list[Member]:
    return sorted(cluster.members, key=lambda m: (m.name, m.peer_urls))


def _result(member: Member) -> dict[str, Any]:
    # The ID of a member that is only predicted is not known yet.
    known = None if member.id.startswith("new ") else member.id
    urls = list(member.peer_urls)
    return {"id": known, "name": member.name, "peer_urls": urls, "learner": member.learner, "started": member.started}


def _lines(cluster: Cluster) -> str:
    return "".join(
        f"{m.name or '(not started)'} {','.join(m.peer_urls)} {'learner' if m.learner else 'voter'}\n"
        for m in _sorted(cluster)
    )
