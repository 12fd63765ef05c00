# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one host needs so that it serves with certificates that last. Pure.

Nothing is remembered between runs: what is due is read from the certificates, and what still runs with older ones from
when a process started and when the files that it reads were written. So a run that was killed leaves a plan that is
the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .certificate_places import CONTROL_PLANE, KUBEADM, ON_ETCD, Place
from .errors import InputError
from .static_pods import COMPONENTS

# In this order: the files anew, the static pods, the kubelet's own certificate, and the proof that ends it.
FILES, PODS, KUBELET, PROOF = "files", "pods", "kubelet", "proof"
STAGES = (FILES, PODS, KUBELET, PROOF)
# In the marker on the host while its static pods are taken from the kubelet.
ACTION = "renew"
# kubeadm's own, where its configuration has none.
VALIDITY = timedelta(hours=8760)
# A certificate is not due before so much of the life of a new one is over: one that has just been made never is.
SHARE = 3
RENEW, FINALIZE, JOIN = "renew", "finalize", "join"
_PART = re.compile(r"(\d+)(h|m|s)")
_SECONDS = {"h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True)
class Certificate:
    """One that is there. written: when its file was, in seconds since 1970. whole: the key beside it is its own."""

    place: Place
    ends: datetime
    written: float = 0.0
    serial: str = ""
    whole: bool = True


@dataclass(frozen=True)
class Authority:
    """A CA of the host, and whether its key is there."""

    ends: datetime
    has_key: bool


@dataclass(frozen=True)
class Kubelet:
    """With what the kubelet goes to the API. ends: of the certificate that it would use after a restart.

    embedded: it is inside kubelet.conf. rotated: the kubelet's own one is beside it. moved: an earlier run has moved
    kubelet.conf away, and has not ended.
    """

    conf: bool = False
    embedded: bool = False
    rotated: bool = False
    ends: datetime | None = None
    moved: bool = False


@dataclass(frozen=True)
class HostFacts:
    """What a host has. started: static pod to when its process began. held: static pods taken from the kubelet.

    kept: directories with files that an earlier run has replaced and not yet removed.
    """

    certificates: tuple[Certificate, ...] = ()
    authorities: Mapping[str, Authority] = field(default_factory=dict)
    started: Mapping[str, float] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    marker: str = ""
    kubelet: Kubelet | None = None
    kept: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wish:
    """within: what ends so soon is due. every: all of it is. validity: how long a new one lives."""

    now: datetime
    within: timedelta
    validity: timedelta = VALIDITY
    every: bool = False


@dataclass(frozen=True)
class Due:
    """A certificate to renew, and why."""

    place: Place
    why: str


@dataclass(frozen=True)
class HostPlan:
    """renew: by kubeadm here. carried: from a machine of the external etcd. restarts: static pods, or etcd's service.

    stale: those of them that run with older certificates already. interrupted: their restart has begun and not ended.
    kubelet: what becomes of its certificate. expired: names of the certificates that have.
    """

    renew: tuple[Due, ...] = ()
    carried: tuple[Due, ...] = ()
    restarts: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    interrupted: bool = False
    kubelet: str = ""
    kept: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()

    def steps(self, stages: Sequence[str] = STAGES) -> list[str]:
        """In words, in their order, of these stages."""
        found: list[str] = []
        if FILES in stages:
            found += [f"renew {due.place.name} ({due.why})" for due in self.renew]
            found += [f"take {due.place.name} from a machine of etcd ({due.why})" for due in self.carried]
        if self.kubelet and (KUBELET in stages or (FILES in stages and self.kubelet == RENEW)):
            found.append(KUBELET_WORDS[self.kubelet])
        if PODS in stages:
            found += ["end the restart that an earlier run has begun"] if self.interrupted else []
            found += [f"restart {name}{self._because(name)}" for name in self.restarts]
        if PROOF in stages:
            found += [f"remove {path}, which an earlier run has left" for path in self.kept]
        return found

    def _because(self, name: str) -> str:
        return " (it runs with older certificates than the files)" if name in self.stale else ""

    def as_dict(self) -> dict[str, Any]:
        """For the playbook, and for the plan of all hosts."""
        return {
            "renew": [due.place.name for due in self.renew],
            "carried": [due.place.name for due in self.carried],
            "restarts": list(self.restarts),
            "interrupted": self.interrupted,
            "kubelet": self.kubelet,
            "kept": list(self.kept),
            "expired": list(self.expired),
            "refusals": list(self.refusals),
        }


KUBELET_WORDS = {
    RENEW: "make kubelet.conf anew, restart the kubelet (its certificate has expired)",
    FINALIZE: "restart the kubelet, and let kubelet.conf name its own certificate again",
    JOIN: "let the kubelet bootstrap again with a new token (its certificate has expired)",
}


def validity_of(documents: Sequence[Mapping[str, Any]]) -> timedelta:
    """How long what kubeadm makes from these documents lives."""
    cluster = next((one for one in documents if one.get("kind") == "ClusterConfiguration"), {})
    told = str(cluster.get("certificateValidityPeriod") or "")
    if not told:
        return VALIDITY
    if not re.fullmatch(r"(?:\d+[hms])+", told):
        raise InputError(
            "this is no length of time",
            where="certificateValidityPeriod",
            found=told,
            next_step="write it as kubeadm does: 8760h0m0s",
        )
    return timedelta(seconds=sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(told)))


def why_due(found: Certificate, wish: Wish) -> str:
    """Why a certificate is renewed now; "" when it is not."""
    left = found.ends - wish.now
    if not found.whole:
        return "the key beside it is not its own"
    if left <= timedelta():
        return f"expired on {found.ends:%Y-%m-%d %H:%M} UTC"
    if left <= min(wish.within, wish.validity / SHARE):
        return f"ends on {found.ends:%Y-%m-%d %H:%M} UTC, in {_length(left)}"
    return "all were asked for" if wish.every else ""


def _length(left: timedelta) -> str:
    if left >= timedelta(days=2):
        return f"{left.days} days"
    return f"{left.total_seconds() / 3600:.1f} hours"


def make_plan(facts: HostFacts, wish: Wish, roles: Sequence[str]) -> HostPlan:
    """Everything that this host needs."""
    due = [Due(one.place, why) for one in facts.certificates if (why := why_due(one, wish))]
    renew = tuple(one for one in due if one.place.renewed_by == KUBEADM)
    carried = tuple(one for one in due if one.place.renewed_by == ON_ETCD)
    stale = _stale(facts)
    restarts = {name for one in (*renew, *carried) for name in one.place.restarts} | {*stale, *facts.held}
    kubelet = _kubelet(facts, wish, CONTROL_PLANE in roles)
    ended = tuple(one.place.name for one in facts.certificates if one.ends <= wish.now)
    return HostPlan(
        renew=renew,
        carried=carried,
        restarts=tuple(name for name in COMPONENTS if name in restarts),
        stale=stale,
        interrupted=facts.marker == ACTION,
        kubelet=kubelet,
        kept=facts.kept,
        expired=ended,
        refusals=tuple(dict.fromkeys(_refusals(facts, wish, renew, kubelet))),
    )


def _stale(facts: HostFacts) -> tuple[str, ...]:
    """What was started before a file that it reads was written."""
    written: dict[str, float] = {}
    for one in facts.certificates:
        for name in one.place.restarts:
            written[name] = max(written.get(name, 0.0), one.written)
    return tuple(name for name in COMPONENTS if name in facts.started and facts.started[name] < written.get(name, 0.0))


def _kubelet(facts: HostFacts, wish: Wish, control_plane: bool) -> str:
    """The kubelet renews its own certificate while that is valid, so there is something to do only afterwards."""
    kubelet = facts.kubelet
    if kubelet is None:
        return ""
    # Without kubelet.conf the host is no node, unless an earlier run of ours has moved it away.
    ended = kubelet.conf and kubelet.ends is not None and kubelet.ends <= wish.now
    begun = kubelet.moved and not kubelet.conf
    if not control_plane:
        return JOIN if ended or begun or (kubelet.moved and facts.marker == JOIN) else ""
    if ended or begun:
        return RENEW
    return FINALIZE if kubelet.moved and kubelet.embedded else ""


def _refusals(facts: HostFacts, wish: Wish, renew: Sequence[Due], kubelet: str) -> Iterator[str]:
    if facts.held and facts.marker != ACTION:
        yield (
            f"{', '.join(facts.held)} are taken away from the kubelet by "
            f"{'an unfinished ' + facts.marker if facts.marker else 'a recovery'}: finish that first"
        )
    signers = {one.place.signer for one in renew} | ({"ca"} if kubelet == RENEW else set())
    for name in sorted(signers):
        yield from _cannot_sign(name, facts.authorities.get(name), wish)
    own = facts.authorities.get("ca")
    if kubelet == JOIN and own is not None and own.ends <= wish.now:
        yield _expired("ca", own)


def _expired(name: str, authority: Authority) -> str:
    return (
        f"the CA {name} expired on {authority.ends:%Y-%m-%d %H:%M} UTC: nothing that it signs is accepted any more, so"
        " a renewal cannot help. Replace the CA (kubeadm's guide on manual rotation)"
    )


def _cannot_sign(name: str, authority: Authority | None, wish: Wish) -> Iterator[str]:
    """Why a CA cannot sign what is due."""
    if authority is None:
        yield f"the CA {name} is not on this host, so nothing that it signs can be renewed here"
        return
    if authority.ends <= wish.now:
        yield _expired(name, authority)
    elif authority.ends < wish.now + wish.validity:
        left = authority.ends - wish.now
        yield (
            f"the CA {name} ends on {authority.ends:%Y-%m-%d %H:%M} UTC, in {_length(left)}, and a certificate that it"
            f" signs now would be said to live for {_length(wish.validity)}: it would be refused before its own end."
            f" Replace the CA{f'; to win time until then: -e renew_valid_days={left.days}' if left.days else ''}"
        )
    if not authority.has_key:
        yield f"the key of the CA {name} is not on this host: renew where it is kept, as the certificates were made"
