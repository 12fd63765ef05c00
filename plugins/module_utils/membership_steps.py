# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a plan of membership, as values: what each says, which gate it asks, what the members are after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .quorum import Cluster, Gate, Member, add_learner_gate, counted, promote_gate, quorum, remove_gate


@dataclass(frozen=True)
class Step:
    """One change."""

    @property
    def words(self) -> str:
        """What a person reads. The same in check mode and in a run."""
        raise NotImplementedError

    def gate(self, state: Cluster) -> Gate:
        """May this step be done in this state?"""
        raise NotImplementedError

    def after(self, state: Cluster) -> Cluster:
        """The members when it is done, everything having gone well."""
        raise NotImplementedError

    def arithmetic(self, state: Cluster) -> str:
        """The numbers before it and after it."""
        done = self.after(state)
        return f"{_numbers(state)} -> {_numbers(done)}"


@dataclass(frozen=True)
class MoveLeader(Step):
    """The leadership goes to another voter."""

    member: Member
    to: Member

    @property
    def words(self) -> str:
        return f"move the leadership from {self.member} to {self.to}"

    def gate(self, state: Cluster) -> Gate:
        heir = state.find(self.to.id)
        reasons = []
        if heir is None or heir.learner or not heir.healthy:
            reasons.append(f"{self.to} is no healthy voter")
        if not state.has_quorum:
            reasons.append(f"the quorum is lost ({counted(state.healthy(), len(state.voters))})")
        return Gate(tuple(reasons))

    def after(self, state: Cluster) -> Cluster:
        return Cluster(tuple(replace(m, leader=m.id == self.to.id) for m in state.members))


@dataclass(frozen=True)
class Remove(Step):
    """A member is removed. swept: it is an orphan. claimed: its join is running, so that it must not be."""

    member: Member
    confirmed: bool = False
    swept: bool = False
    claimed: bool = False

    @property
    def words(self) -> str:
        kind = "learner" if self.member.learner else "member"
        why = ", which never started and whose join is over" if self.swept else ""
        return f"remove the {kind} {self.member} with the ID {self.member.id}{why}"

    def gate(self, state: Cluster) -> Gate:
        gate = remove_gate(state, self.member.id)
        now = state.find(self.member.id)
        if now is None:
            return gate
        reasons = list(gate.reasons)
        voters, left = len(state.voters), state.healthy(without=now.id)
        if self.claimed:
            reasons.append("its join is running now")
        if self.swept and now.started:
            reasons.append("it has started meanwhile")
        if not reasons and now.healthy and not now.learner and left <= quorum(voters - 1) and not self.confirmed:
            text = f"it is healthy, and after its removal none may fail ({counted(left, voters - 1)})"
            reasons.append(f"{text}: add another member first, or confirm it with confirm_no_tolerance")
        return Gate(tuple(reasons), gate.aloud)

    def after(self, state: Cluster) -> Cluster:
        return Cluster(tuple(m for m in state.members if m.id != self.member.id))


@dataclass(frozen=True)
class AddLearner(Step):
    """A member that only copies the log becomes known to the others."""

    name: str
    peer_urls: tuple[str, ...]

    @property
    def words(self) -> str:
        return f'add the learner "{self.name}" ({", ".join(self.peer_urls)})'

    def gate(self, state: Cluster) -> Gate:
        return add_learner_gate(state, self.name, self.peer_urls)

    def after(self, state: Cluster) -> Cluster:
        return Cluster((*state.members, Member(f"new {self.name}", "", self.peer_urls, learner=True)))


@dataclass(frozen=True)
class Start(Step):
    """etcd is started on the member's host."""

    name: str
    peer_urls: tuple[str, ...]

    @property
    def words(self) -> str:
        return f'start etcd on "{self.name}"'

    def gate(self, state: Cluster) -> Gate:
        return Gate() if _own(state, self.peer_urls) else Gate((f'"{self.name}" is no member',))

    def after(self, state: Cluster) -> Cluster:
        version = max((m.version for m in state.members), default="")
        return _changed(state, self.peer_urls, name=self.name, healthy=True, version=version)


@dataclass(frozen=True)
class Promote(Step):
    """A learner becomes a voter. That it has caught up is assumed here and seen before it is done."""

    name: str
    peer_urls: tuple[str, ...]

    @property
    def words(self) -> str:
        return f'promote the learner "{self.name}"'

    def gate(self, state: Cluster, lags: Sequence[int] = (0, 0)) -> Gate:
        own = _own(state, self.peer_urls)
        if own is None:
            return Gate((f'"{self.name}" is no member',))
        # Without a step that starts it, somebody else does, which is waited for.
        return promote_gate(_changed(state, self.peer_urls, name=self.name), own.id, lags)

    def after(self, state: Cluster) -> Cluster:
        return _changed(state, self.peer_urls, name=self.name, learner=False, healthy=True)


@dataclass(frozen=True)
class Finish(Step):
    """What a beginning left on the host of a healthy member is taken away."""

    name: str

    @property
    def words(self) -> str:
        return f'take away what the start of "{self.name}" needed'

    def gate(self, state: Cluster) -> Gate:
        return Gate() if state.has_quorum else Gate((f'the quorum is lost: "{self.name}" may not be finished yet',))

    def after(self, state: Cluster) -> Cluster:
        return state


def replaceable(member: Member, name: str, peer_urls: Sequence[str]) -> bool:
    """Whether this member has to go before one of this name with these peer URLs can come."""
    return member.name == name or bool(set(member.peer_urls) & set(peer_urls))


def _own(state: Cluster, peer_urls: Sequence[str]) -> Member | None:
    return next((m for m in state.members if set(m.peer_urls) == set(peer_urls)), None)


def _changed(state: Cluster, peer_urls: Sequence[str], **change: object) -> Cluster:
    wanted = set(peer_urls)
    return Cluster(
        tuple(replace(m, **change) if set(m.peer_urls) == wanted else m for m in state.members)  # type: ignore[arg-type] # - fields by name
    )


def _numbers(state: Cluster) -> str:
    return counted(state.healthy(), len(state.voters))
