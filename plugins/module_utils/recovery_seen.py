# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of an etcd that has lost its majority, host by host, and how that is said in plain words. Pure."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .etcd_restoring import ACTIVATED, NONE, PREPARED
from .quorum import quorum


@dataclass(frozen=True)
class Machine:
    """An etcd host as it was seen. etcd: facts of its data (etcd_restore). quorum: its member answers for a majority.

    voters: names of the voters that its member knows, () where it tells none. answering: URLs of other members that
    accept connections.
    """

    name: str
    reachable: bool = False
    etcd: Mapping[str, Any] = field(default_factory=dict)
    quorum: bool = False
    voters: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    answering: tuple[str, ...] = ()
    snapshot: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""

    @property
    def has_data(self) -> bool:
        """Whether a member could start on what it has."""
        return bool(self.etcd.get("data")) and not self.etcd.get("damage") and self.phase != ACTIVATED

    @property
    def phase(self) -> str:
        """How far a restore is on it."""
        return str(self.etcd.get("phase") or NONE)

    @property
    def newest(self) -> tuple[int, int]:
        """What a leader would be elected by: term and index of its last entry."""
        source = str((self.etcd.get("restored") or {}).get("source", "")).split(":")
        if source[0] == "log" and len(source) > 4:
            return int(source[3]), int(source[4])
        return int(self.etcd.get("last_term") or 0), int(self.etcd.get("last_index") or 0)

    @property
    def copied(self) -> tuple[int | None, float]:
        """The revision of the snapshot that is restored, and when it was taken; None where it is no snapshot."""
        made = self.etcd.get("restored") or {}
        if str(made.get("source", "")).startswith("snapshot:"):
            return int(made.get("revision") or 0), float(made.get("written") or 0)
        if self.snapshot and self.phase != ACTIVATED:
            return int(self.snapshot.get("revision") or 0), float(self.snapshot.get("taken") or 0)
        return None, 0.0

    @property
    def usable(self) -> bool:
        """Whether its data can be built on, or a restore from them be finished."""
        own = bool(self.etcd.get("data")) and not self.etcd.get("damage")
        return self.reachable and (own or self.phase == PREPARED)

    @property
    def written(self) -> float:
        """When its last write was."""
        return float((self.etcd.get("restored") or {}).get("written") or self.etcd.get("written") or 0)


@dataclass(frozen=True)
class Asked:
    """What the person gave. lost: those that cannot be reached and are confirmed to be gone, by name."""

    survivor: str = ""
    snapshot: str = ""
    lost: tuple[str, ...] = ()
    acknowledge: str = ""


def moment(seconds: float) -> str:
    """UTC, or that it is not known."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds)) if seconds else "at an unknown time"


def age(seconds: float) -> str:
    """How long that is, in its two largest units."""
    left = int(max(seconds, 0))
    parts = [(left // 86400, "d"), (left // 3600 % 24, "h"), (left // 60 % 60, "min"), (left % 60, "s")]
    first = next((place for place, (count, _unit) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])


def line(machine: Machine, now: float) -> str:
    """What was found on a host, in one line."""
    if not machine.reachable:
        return f"{machine.name}: not reachable ({machine.why or 'no answer'})"
    if machine.etcd.get("damage"):
        return f"{machine.name}: its data are damaged ({machine.etcd['damage']})"
    if not machine.etcd.get("data") and machine.phase == NONE:
        return f"{machine.name}: no data"
    runs = "etcd runs" if machine.etcd.get("runs") else "etcd does not run"
    term, index = machine.newest
    told = f"{machine.name}: {runs}, last entry {index} of term {term}, written {moment(machine.written)}"
    since = f", {age(now - machine.written)} ago" if machine.written else ""
    return told + since + "".join(f", alarm {alarm}" for alarm in machine.alarms) + _phase(machine)


def _phase(machine: Machine) -> str:
    return f"; a recovery was interrupted here: {machine.phase}" if machine.phase != NONE else ""


def given_up(chosen: Machine, others: Sequence[str], voters: Sequence[str], asked: Asked, now: float) -> list[str]:
    """In plain words."""
    revision, taken = chosen.copied
    if revision is not None:
        return [
            f"Restored would be the snapshot {asked.snapshot} on {chosen.name}: revision {revision}, taken "
            f"{moment(taken)}, {age(now - taken)} ago.",
            "Given up: everything that was written after it, on all members.",
        ]
    term, index = chosen.newest
    return [
        f"Restored would be what {chosen.name} has, up to entry {index} of term {term}, written "
        f"{moment(chosen.written)}, {age(now - chosen.written)} ago.",
        f"Given up: {', '.join(others) or 'no other member'}, and what only they had. A write is acknowledged when "
        f"{quorum(len(voters))} of {len(voters)} have it; one that {chosen.name} had not received yet is gone.",
    ]


def words_of(chosen: Machine, others: Sequence[str]) -> str:
    """What has to be given back, without a blank, so that it needs no quotes."""
    who = ",".join(others) or "nobody"
    revision, _taken = chosen.copied
    if revision is not None:
        return f"give-up-{who}-and-all-after-revision-{revision}"
    return f"give-up-{who}-and-all-after-entry-{chosen.newest[0]}.{chosen.newest[1]}"


def plan_steps(chosen: Machine, fence: Sequence[str], asked: Asked) -> list[str]:
    """In order."""
    source = asked.snapshot or f"the data of {chosen.name}"
    stop = [f"{name}: stop etcd and what talks to it, and keep it from starting" for name in fence]
    if chosen.phase == ACTIVATED:
        return [*stop, f"{chosen.name}: start etcd on what was restored, then the API server and the rest"]
    return [
        *stop,
        f"{chosen.name}: stop the API server, controller manager, scheduler and etcd",
        f"{chosen.name}: restore {source} as a cluster of one; the old data are renamed, not deleted",
        f"{chosen.name}: start etcd",
        "every node that is reachable: restart the kubelet, which then knows nothing of what is given up",
        f"{chosen.name}: start the API server, the controller manager and the scheduler",
    ]
