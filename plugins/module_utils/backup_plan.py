# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is to take the backup, and which old ones go. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from .backup_set import MANIFEST, finished, grouped, parse_name

TAKE, FRESH, WAIT = "take", "fresh", "wait"
# A backup that is younger than this part of the interval is this round's.
FRESH_PART = 0.5
# What is without a manifest for so long was never finished.
UNFINISHED_SECONDS = 86400.0
DAY = 86400.0


@dataclass(frozen=True)
class Last:
    """The newest backup, as its taker wrote it down in etcd. at: seconds since the epoch."""

    name: str
    at: float
    by: str
    revision: int

    def text(self) -> str:
        """As it is kept in etcd."""
        return json.dumps(asdict(self), sort_keys=True)


def parse_last(text: str | None) -> Last | None:
    """None for what is not there or cannot be read: then one more backup is taken."""
    try:
        raw = json.loads(text or "")
        return Last(str(raw["name"]), float(raw["at"]), str(raw["by"]), int(raw["revision"]))
    except (ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class Seen:
    """What etcd says now. holder: who takes one. leads: the host's member is the leader. others: there are more."""

    last: Last | None
    holder: str = ""
    leads: bool = False
    others: bool = False


@dataclass(frozen=True)
class Round:
    """How often one is taken, and how long the leader waits for the others. In seconds."""

    interval: float
    leader_wait: float


def whose_turn(seen: Seen, host: str, often: Round, now: float, waited: float) -> str:
    """Take it, wait and look again, or leave it, because there is one of this round.

    The leader, on which every write waits, takes it only when no other host has within its patience. A time in the
    future is another host's clock: within the same limits it counts as now.
    """
    if seen.last and abs(now - seen.last.at) < often.interval * FRESH_PART:
        return FRESH
    if seen.holder and seen.holder != host:
        return WAIT
    return WAIT if seen.leads and seen.others and waited < often.leader_wait else TAKE


@dataclass(frozen=True)
class Limits:
    """How many sets stay at a place, and until which age; 0 days is for ever."""

    keep: int
    max_age_days: int


def surplus(names: Iterable[str], owner: str, kept: str, limits: Limits, now: float) -> list[str]:
    """Files that go, of exactly this cluster. kept: the set that has just been proven good, which never goes.

    A set goes when there are enough newer ones, or it is too old. Its manifest goes
    first: a set of which a part is left is not one that could be restored by mistake. What was never finished goes when
    it is a day old. Where `kept` is not among the files nothing goes: what is there may be the last good one.
    """
    sets = grouped(names, owner)
    if kept not in sets or not finished(sets[kept]):
        return []
    whole = [stem for stem in reversed(list(sets)) if finished(sets[stem])]
    order = [kept, *(stem for stem in whole if stem != kept)]
    going = set(order[max(limits.keep, 1) :])
    for stem in sets:
        age = now - _taken(stem)
        too_old = limits.max_age_days > 0 and age > limits.max_age_days * DAY
        if too_old or (stem not in whole and age > UNFINISHED_SECONDS):
            going.add(stem)
    return [name for stem in sets if stem in going - {kept} for name in manifest_first(sets[stem])]


def manifest_first(names: Sequence[str]) -> list[str]:
    """The order in which a set is deleted; the other way round it is written."""
    return sorted(names, key=lambda name: (not name.endswith(MANIFEST), name))


def manifest_last(names: Iterable[str]) -> list[str]:
    """The order in which a set is written: until the end it is not one."""
    return sorted(names, key=lambda name: (name.endswith(MANIFEST), name))


def _taken(stem: str) -> float:
    said = parse_name(stem)
    return said.taken if said else 0.0
