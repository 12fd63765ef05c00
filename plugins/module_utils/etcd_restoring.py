# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A data directory of etcd that is replaced by a restored one: how far that is, from what is on the disk. Pure.

Made beside the old one in the same directory, which may be a file system of its own. What says that it is whole is
written last, and travels into its place with it; so a run that is killed anywhere finds where it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from .errors import InputError, RefusedError
from .etcd_wal import Log

MEMBER = "member"
# etcd passes over other names in its data directory.
WORK = "member-restoring"
RECORD = "quorum-restore.json"
# So far the API servers' caches and everybody's watches can never have been.
BUMP = 1_000_000_000
NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
PEER = re.compile(r"https?://(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}", re.ASCII)
NONE, PREPARED, ACTIVATED = "none", "prepared", "activated"


@dataclass(frozen=True)
class Record:
    """What a restored directory is made of. source: identity of the log or of the snapshot.

    members: all of the restored cluster, as etcdutl was given them. token: theirs, which no other restore has.
    revision, total_keys: what the source had. written: when its last write was. log: the restored log as it was made.
    """

    source: str
    name: str
    members: str
    token: str
    revision: int
    total_keys: int
    written: float
    log: str

    def text(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self), sort_keys=True) + "\n"


def parse_record(text: str | None) -> Record | None:
    """None where there is none, or it was not written to the end."""
    try:
        values = json.loads(text or "")
        return Record(**{item.name: values[item.name] for item in fields(Record)})
    except (ValueError, TypeError, KeyError):
        return None


@dataclass(frozen=True)
class Found:
    """What is on the disk. member: data in their place; fresh: restored data, finished, not yet in their place.

    prepared: what is said of them; record: what is said of the data in their place, if they were restored.
    log: None where there is none, or it is damaged, then `damage` says how. runs: etcd runs on them.
    """

    member: bool = False
    fresh: bool = False
    prepared: Record | None = None
    record: Record | None = None
    log: Log | None = None
    damage: str = ""
    written: float = 0.0
    runs: bool = False
    leftovers: bool = False

    @property
    def phase(self) -> str:
        """activated: restored data are in their place, and etcd has not been started on them yet."""
        if self.fresh and self.prepared:
            return PREPARED
        never_started = self.record and self.log and self.record.log == identity(self.log)
        return ACTIVATED if never_started else NONE


def identity(log: Log) -> str:
    """A log exactly as it is: one more record makes it another."""
    return f"log:{log.cluster_id}:{log.member_id}:{log.last_term}:{log.last_index}:{log.checksum:08x}"


def snapshot_identity(sha256: str) -> str:
    """A snapshot's."""
    return f"snapshot:{sha256}"


def initial_cluster(members: Mapping[str, str]) -> str:
    """All members to be, name to peer URL, as every one of them has to be given them: in one order."""
    return ",".join(f"{name}={members[name]}" for name in sorted(members))


@dataclass(frozen=True)
class Wanted:
    """A member of the cluster to be. members: all of it, name to peer URL.

    token: what all of them are given; "" for a cluster of one, which makes its own.
    """

    name: str
    members: Mapping[str, str]
    token: str = ""

    def __post_init__(self) -> None:
        wrong = [f"name {name!r}" for name in sorted({self.name, *self.members}) if not NAME.fullmatch(name)]
        wrong += [f"peer URL {url!r}" for url in sorted(self.members.values()) if not PEER.fullmatch(url)]
        if self.name not in self.members:
            wrong.append(f"{self.name!r}, who is none of the members")
        if len(set(self.members.values())) < len(self.members):
            wrong.append("two members with one peer URL")
        if len(self.members) > 1 and not self.token:
            wrong.append("no token that all of them have")
        if wrong:
            raise InputError(
                "this is no name or no peer URL of a member",
                where="etcd_restore",
                found=", ".join(wrong),
                next_step="give the inventory's name of the host, and https://ADDRESS:2380; several share one token",
            )

    @property
    def peer_url(self) -> str:
        """Its own."""
        return self.members[self.name]

    @property
    def initial(self) -> str:
        """All of them."""
        return initial_cluster(self.members)

    def is_of(self, record: Record | None) -> bool:
        """Whether that is this very member of this very cluster."""
        if record is None or (record.name, record.members) != (self.name, self.initial):
            return False
        return self.token in ("", record.token)


def require_stopped(found: Found, where: str) -> None:
    """Nothing is taken from data that change, and nothing is moved under a member that runs."""
    if found.runs:
        raise RefusedError(
            "etcd runs on this data directory",
            where=where,
            found="its database is locked by a process",
            next_step="run recover_quorum.yml, which stops it; by hand: take its manifest away, or stop etcd.service",
        )


def require_alone(wanted: Wanted) -> None:
    """Members that each have what they had do not hold the same."""
    if wanted.members.keys() - {wanted.name}:
        raise InputError(
            "a cluster of several members is restored from one snapshot",
            where="etcd_restore",
            found=f"no snapshot for {', '.join(sorted(wanted.members))}",
            next_step="give the same snapshot to every member",
        )


def is_prepared(found: Found, wanted: Wanted, source: str) -> bool:
    """Whether there is nothing left to prepare. source: "" where the data that it was made of are not in place."""
    if found.phase == ACTIVATED:
        return wanted.is_of(found.record) and source in ("", found.record.source if found.record else "")
    prepared = found.prepared if found.phase == PREPARED else None
    return prepared is not None and wanted.is_of(prepared) and source in ("", prepared.source)


def prepare_steps(found: Found, origin: str, wanted: Wanted, *, from_log: bool) -> list[str]:
    """What a run does, in order."""
    steps = ["delete what an earlier run has left of a restore"] if found.leftovers else []
    if from_log:
        steps += [
            f"copy {origin}, and mark all of the copy's log as committed",
            "start etcd on the copy, alone and without a network, until everything is applied; take a snapshot of it",
        ]
    else:
        steps.append(f"judge the snapshot {origin}")
    whole = f"the cluster of {', '.join(sorted(wanted.members))}" if wanted.members.keys() - {wanted.name} else ""
    what = f"{wanted.name} of {whole}" if whole else f"the cluster of {wanted.name} alone"
    return [*steps, f"restore it as {what}, with new IDs, revisions {BUMP} higher"]


def activate_steps(found: Found, kept: str) -> list[str]:
    """What a run does, in order; nothing where it is done."""
    if found.phase == ACTIVATED:
        return ["delete what is left of the restore"] if found.leftovers else []
    if found.phase != PREPARED:
        raise RefusedError(
            "there is nothing restored that could be put into its place",
            where=WORK,
            found="no restored data that are whole",
            next_step="run `state: prepared` first",
        )
    old = [f"rename {MEMBER} to {kept}"] if found.member else []
    return [*old, f"put the restored data into the place of {MEMBER}", "delete what is left of the restore"]


def facts(found: Found) -> dict[str, Any]:
    """For a plan that compares hosts."""
    log = found.log
    shown: Mapping[str, Any] = asdict(log) if log else {}
    restored = {PREPARED: found.prepared, ACTIVATED: found.record}.get(found.phase)
    keys = ("cluster_id", "member_id", "last_index", "last_term", "term", "commit", "torn")
    return {
        "data": found.member,
        "runs": found.runs,
        "phase": found.phase,
        "damage": found.damage,
        "written": found.written,
        "uncommitted": log.uncommitted if log else 0,
        **{key: shown.get(key, "" if key.endswith("_id") else 0) for key in keys},
        "was_restored": found.record is not None,
        "record": asdict(found.record) if found.record else {},
        "restored": asdict(restored) if restored else {},
    }
