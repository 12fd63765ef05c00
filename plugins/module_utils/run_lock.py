# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time may change a cluster: who has the lock, who may take it, and whether it is still held. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from .errors import RefusedError

NAMESPACE, NAME = "kube-system", "quorum-kubeadm"
PLAYBOOK = "quorum.kubeadm/playbook"
# Seconds. A holder renews three times in a Lease's length, and trusts it less long than others have to wait: the
# margin covers the whole seconds of the API's clock and the difference between two API servers' clocks.
DURATION, MARGIN = 30, 5
RENEWAL = 10
TRUST = DURATION - MARGIN
# How long a claim on a host holds, which nobody renews.
CLAIM = 1800
ACQUIRED, RENEWED, TAKEN_OVER, REFUSED, LOST = "acquired", "renewed", "taken over", "refused", "lost"
# What holds the lock: the kernel of the controller alone, that and claims on hosts, or the Lease.
CONTROLLER, CLAIMED, LEASE = "controller", "claims", "lease"
Object = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One run of a playbook. Its id says who and from where: alice@laptop:4242:9f3c2a1b."""

    id: str
    playbook: str = ""


@dataclass(frozen=True)
class Holder:
    """Whose lock it is, as a person reads it. until: when it ends if it is not renewed, "" when the run ends."""

    run: str
    playbook: str = ""
    since: str = ""
    until: str = ""

    def __str__(self) -> str:
        who, _colon, process = self.run.rpartition(":")[0].partition(":")
        told = [f"{who or self.run} (process {process or 'unknown'})", f"playbook {self.playbook or 'unknown'}"]
        told.append(f"since {self.since}")
        return ", ".join([*told, *([f"until {self.until} unless it is renewed"] if self.until else [])])


@dataclass(frozen=True)
class Step:
    """What becomes of the Lease. body: what is to be written, None when it is not ours. token: only ever grows."""

    verdict: str
    token: int = 0
    body: Object | None = None
    holder: Holder | None = None


def moment(when: datetime) -> str:
    """A MicroTime of the API."""
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def shown(when: datetime) -> str:
    """The same for people."""
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read_moment(text: Any) -> datetime | None:
    for form in ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.strptime(str(text), form).replace(tzinfo=timezone.utc)
        except ValueError:
            continue
    return None


def _until(spec: Mapping[str, Any]) -> datetime | None:
    renewed = _read_moment(spec.get("renewTime"))
    return renewed and renewed + timedelta(seconds=int(spec.get("leaseDurationSeconds") or 0))


def holder_of(lease: Mapping[str, Any] | None, now: datetime) -> Holder | None:
    """Who holds the Lease, by the API server's clock; None when nobody does (any more)."""
    spec = (lease or {}).get("spec") or {}
    until = _until(spec)
    if not spec.get("holderIdentity") or until is None or until <= now:
        return None
    since = _read_moment(spec.get("acquireTime"))
    annotations = (lease or {}).get("metadata", {}).get("annotations") or {}
    return Holder(
        spec["holderIdentity"], annotations.get(PLAYBOOK, ""), shown(since) if since else "unknown", shown(until)
    )


def decide(lease: Mapping[str, Any] | None, me: Run, now: datetime, token: int = 0) -> Step:
    """What this run does with the Lease that is there.

    token: of the Lease that it holds already, 0 when it has none yet. Who held it and finds another holder, a released
    or a removed one has lost it: somebody may have changed the cluster since, so it is not taken again.
    """
    spec = (lease or {}).get("spec") or {}
    there = int(spec.get("leaseTransitions") or 0)
    if spec.get("holderIdentity") == me.id:
        return Step(RENEWED, there, _body(lease, me, now, there))
    holder = holder_of(lease, now)
    if token:
        return Step(LOST, token, holder=holder)
    if holder:
        return Step(REFUSED, there, holder=holder)
    verdict = TAKEN_OVER if spec.get("holderIdentity") else ACQUIRED
    return Step(verdict, there + 1, _body(lease, me, now, there + 1))


def _body(lease: Mapping[str, Any] | None, me: Run, now: datetime, token: int) -> Object:
    metadata: Object = {"name": NAME, "namespace": NAMESPACE, "annotations": {PLAYBOOK: me.playbook}}
    spec: Object = {
        "holderIdentity": me.id,
        "leaseDurationSeconds": DURATION,
        "renewTime": moment(now),
        "leaseTransitions": token,
    }
    if lease:
        metadata["resourceVersion"] = lease["metadata"]["resourceVersion"]
    if not lease or (lease.get("spec") or {}).get("holderIdentity") != me.id:
        spec["acquireTime"] = moment(now)
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def given_back(lease: Mapping[str, Any] | None, me: Run) -> Object | None:
    """The Lease without a holder, its token kept; None when it is not this run's."""
    if not lease or (lease.get("spec") or {}).get("holderIdentity") != me.id:
        return None
    metadata = {"resourceVersion": lease["metadata"]["resourceVersion"]}
    return {"metadata": metadata, "spec": {"holderIdentity": None}}


def claimant(claim: Mapping[str, Any] | None, mine: Mapping[str, Any], now: float) -> Holder | None:
    """Who else claims the host; None when it is free for this run.

    A claim from the same place for the same cluster is left over: this run has the kernel's lock of that place.
    """
    if not claim or now >= float(claim.get("until") or 0):
        return None
    if claim.get("run") == mine["run"]:
        return None
    if (claim.get("place"), claim.get("cluster")) == (mine["place"], mine["cluster"]):
        return None
    times = (datetime.fromtimestamp(float(claim.get(key) or 0), timezone.utc) for key in ("since", "until"))
    return Holder(str(claim.get("run")), str(claim.get("playbook") or ""), *map(shown, times))


def is_stale(held: Mapping[str, Any], now: float) -> bool:
    """Whether the lock was confirmed too long ago to be relied on; `now` by the clock of `confirmed`."""
    return bool(now - held["confirmed"] >= TRUST)


def refusal(holder: Holder, where: str, next_step: str) -> RefusedError:
    """The words of a run that came second."""
    return RefusedError(
        "another run is changing this cluster; nothing was changed", where=where, found=str(holder), next_step=next_step
    )


def lost(cluster: str, found: str) -> RefusedError:
    """The words of a run that had the lock."""
    return RefusedError(
        "this run no longer holds the lock of the cluster, so it changes nothing more",
        where=cluster,
        found=found,
        next_step="see that no other run is at work, then run the same playbook again: it goes on with what is left",
    )
