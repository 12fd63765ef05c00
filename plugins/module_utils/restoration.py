# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd goes back to a snapshot: on whom, may it, what is given up, and in which order. Pure.

Everything that may be refused is refused before anything is stopped. Whoever does not answer and was not named as lost
may still live.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .etcd_restoring import initial_cluster
from .recovery import not_fenced
from .restoration_seen import (
    Asked,
    Place,
    Progress,
    given_up,
    is_complete,
    is_foreign,
    progress,
    replaced,
    room_problems,
    seen_line,
    version_problems,
    words_of,
)

REMAIN = 256 << 20


@dataclass(frozen=True)
class Outcome:
    """What is decided. words: what has to be acknowledged; works: it was. finishes: only what was held starts again.

    source, path, sha256: the snapshot. members: all of the new cluster, name to peer URL. copies: who is brought the
    file; prepare: who restores it; stop: who is fenced; start: whose etcd starts; serve: whose API server.
    """

    words: str = ""
    told: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    source: str = ""
    path: str = ""
    sha256: str = ""
    members: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    copies: tuple[str, ...] = ()
    prepare: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    serve: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    works: bool = False
    finishes: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For the playbook."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def choose(places: Sequence[Place], asked: Asked) -> tuple[Place | None, str]:
    """Whose file it is; and why there is none."""
    have = [place for place in places if place.snapshot and asked.host in ("", place.name)]
    if len({place.snapshot["sha256"] for place in have}) > 1:
        names = ", ".join(place.name for place in have)
        return None, f"{names} have different files {asked.snapshot}: say which one, -e snapshot_host={have[0].name}"
    if have:
        return have[0], ""
    told = [place for place in places if place.reachable and asked.host in ("", place.name)]
    why = "; ".join(f"{place.name}: {place.why}" for place in told if place.why)
    return None, f"there is no good snapshot {asked.snapshot} ({why or 'no such file on any host'})"


def alive(places: Sequence[Place]) -> list[str]:
    """Members that nobody here can stop."""
    urls = sorted({url for place in places for url in place.outsiders})
    return [
        f"a member at {url} lives, on no host of the inventory: stop its etcd, and keep it from starting"
        for url in urls
    ]


def _members(places: Sequence[Place], asked: Asked) -> list[Place]:
    return [place for place in places if place.able and place.name not in asked.lost]


def refused(places: Sequence[Place], wanted: Sequence[Place], asked: Asked) -> list[str]:
    """What does not depend on the file."""
    voters = sorted({name for place in places for name in place.voters} | {place.name for place in places})
    found = not_fenced(places, voters, asked.lost, "restore_lost") + alive(places)
    if not wanted:
        step = "When all is lost: restore_cluster.yml -e pki_archive=PATH"
        found.append(f"no host has an etcd that could be started. {step}")
    return found


def _steps(outcome: Outcome) -> list[str]:
    whole = ", ".join(outcome.members)
    bring = [f"{name}: bring the snapshot there, and compare its SHA-256" for name in outcome.copies]
    make = [f"{name}: restore the snapshot beside the data, as a member of {whole}" for name in outcome.prepare]
    stop = [f"{name}: stop everything of the control plane, and etcd" for name in outcome.stop]
    place = [] if outcome.finishes else [f"{whole}: rename the old data, put the restored data into their place"]
    return [
        *bring,
        *make,
        *stop,
        *place,
        f"{whole}: start etcd, all members at once; compare cluster and hashes",
        "every node that is reachable: restart the kubelet, which then knows nothing of what is given up",
        f"{', '.join(outcome.serve) or 'nobody'}: start the API server, the controller manager and the scheduler",
    ]


def _size(wanted: Sequence[Place], later: Sequence[str]) -> list[str]:
    count = len(wanted)
    lines = [f"The new cluster: {', '.join(place.name for place in wanted)}."]
    lines += [f"{', '.join(later)} join afterwards, as blank machines do."] if later else []
    return lines + ([f"{count} members: none may fail until others have joined."] if count < 3 else [])


def decide(places: Sequence[Place], asked: Asked, now: float, fresh: str) -> Outcome:
    """Everything, from what was seen. fresh: a token that no cluster has had."""
    told = [seen_line(place, now) for place in places]
    wanted = _members(places, asked)
    refusals = refused(places, wanted, asked)
    source, why = choose(places, asked)
    if source is None or not wanted:
        return Outcome(told=tuple(told), refusals=(*refusals, *([why] if why else [])))
    members = {place.name: place.peer_url for place in wanted}
    sha256 = str(source.snapshot["sha256"])
    found = progress(wanted, sha256, initial_cluster(members), fresh)
    foreign = is_foreign(places, source.snapshot, asked)
    words = words_of(replaced(places, found), int(source.snapshot["revision"]), asked, foreign)
    done = found.whole and is_complete(places, wanted)
    told += ["This snapshot has been restored already, and etcd serves it."] if done else []
    if done and asked.acknowledge not in ("", words):
        return Outcome(told=(*told, "There is nothing to do."))
    if done or (found.whole and asked.acknowledge == words):
        # It was restored once, and has been written to since: once more, as a cluster of its own.
        found = Progress(fresh)
    later = tuple(place.name for place in places if place.etcd_host and place.reachable and not place.able)
    base = Outcome(
        words=words,
        refusals=tuple(refusals),
        told=(*told, *_size(wanted, later), *given_up(places, source, foreign, now)),
        source=source.name,
        path=str(source.snapshot["path"]),
        sha256=sha256,
        members=members,
        token=found.token,
        later=later,
    )
    return _decided(base, places, found, asked)


def _decided(base: Outcome, places: Sequence[Place], found: Progress, asked: Asked) -> Outcome:
    """With what depends on how far an earlier run has come."""
    wanted, refusals = _members(places, asked), list(base.refusals)
    prepare = [place for place in wanted if place.name not in found.made]
    same = [place.name for place in places if place.snapshot.get("sha256") == base.sha256]
    copies = tuple(place.name for place in prepare if place.name not in same)
    snapshot = next(place.snapshot for place in places if place.name == base.source)
    refusals += version_problems(wanted, snapshot) + room_problems(prepare, snapshot, copies, REMAIN)
    told, finishes = list(base.told), found.whole
    if found.begun:
        told.append("A restore of this snapshot was interrupted. The same command finishes it.")
    elif asked.acknowledge and asked.acknowledge != base.words:
        refusals.append(f"restore_acknowledge is {asked.acknowledge!r}, which is not what is given up: {base.words}")
    outcome = replace(
        base,
        told=tuple(told),
        refusals=tuple(refusals),
        copies=copies,
        prepare=tuple(place.name for place in prepare),
        stop=() if finishes else tuple(place.name for place in places if place.able or place.serves),
        start=tuple(place.name for place in wanted),
        serve=tuple(place.name for place in places if place.serves),
        works=not refusals and bool(asked.acknowledge),
        finishes=finishes,
    )
    return replace(outcome, steps=tuple(_steps(outcome)))
