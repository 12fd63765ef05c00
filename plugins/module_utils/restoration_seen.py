# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore finds on the hosts: whose the snapshot is, how far an earlier run came, how that is said. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .backup_set import parse_name
from .errors import InputError
from .etcd_restoring import ACTIVATED, NONE, PREPARED, snapshot_identity
from .recovery_seen import Machine, age, line, moment
from .snapshot_file import needed
from .static_pods import API, ETCD
from .version import Version, parse_version


@dataclass(frozen=True)
class Place(Machine):
    """A host as it was seen. known: components whose manifest is there, or was taken away; held: those taken away.

    ca: fingerprint of the cluster's CA; etcdutl: its version; service: etcd is one of this host's. outsiders: peer URLs
    of members that live and are on no host of the inventory.
    """

    peer_url: str = ""
    etcd_host: bool = False
    control_plane: bool = False
    ca: str = ""
    etcdutl: str = ""
    free: int = 0
    service: bool = False
    known: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    outsiders: tuple[str, ...] = ()

    @property
    def able(self) -> bool:
        """Whether an etcd could be started on it."""
        return self.etcd_host and self.reachable and (ETCD in self.known or (self.service and not self.control_plane))

    @property
    def serves(self) -> bool:
        """Whether an API server could be started on it."""
        return self.control_plane and self.reachable and API in self.known

    @property
    def record(self) -> Mapping[str, Any]:
        """What is said of the data in their place, where they were restored."""
        found: Mapping[str, Any] = self.etcd.get("record") or {}
        return found

    @property
    def prepared(self) -> Mapping[str, Any]:
        """What is said of restored data that no etcd has been started on."""
        found: Mapping[str, Any] = self.etcd.get("restored") or {}
        return found if self.phase in (PREPARED, ACTIVATED) else {}


@dataclass(frozen=True)
class Asked:
    """What the person gave. host: where the snapshot is, "" to look for it. cluster: the inventory's name of it."""

    snapshot: str
    host: str = ""
    lost: tuple[str, ...] = ()
    acknowledge: str = ""
    cluster: str = ""


@dataclass(frozen=True)
class Progress:
    """How far a restore of this very snapshot onto these very members is. token: theirs.

    made: who has it prepared or in place; placed: in place. begun: on somebody the old data are away already.
    """

    token: str
    made: tuple[str, ...] = ()
    placed: tuple[str, ...] = ()
    begun: bool = False
    whole: bool = False


def progress(wanted: Sequence[Place], sha256: str, initial: str, fresh: str) -> Progress:
    """From what is on the disks. fresh: the token of a restore that begins."""

    def token(record: Mapping[str, Any]) -> str:
        same = (record.get("source"), record.get("members")) == (snapshot_identity(sha256), initial)
        return str(record.get("token")) if same else ""

    in_place = {place.name: token(place.record) for place in wanted}
    waiting = {place.name: token(place.prepared) for place in wanted}
    # What no etcd has been started on is of the last run.
    unstarted = Counter(sorted(found for found in waiting.values() if found))
    tokens = [unstarted.most_common(1)[0][0]] if unstarted else sorted(set(in_place.values()))
    if len(tokens) != 1 or not tokens[0]:
        return Progress(fresh)
    placed = tuple(name for name, found in in_place.items() if found == tokens[0])
    made = tuple(name for name in in_place if name in placed or waiting[name] == tokens[0])
    moved = [place.name for place in wanted if place.name in made and not place.etcd.get("data")]
    return Progress(tokens[0], made, placed, bool(placed or moved), len(placed) == len(wanted))


def is_complete(places: Sequence[Place], wanted: Sequence[Place]) -> bool:
    """Nothing is held any more, and etcd serves."""
    serving = any(place.quorum for place in wanted) and all(place.etcd.get("runs") for place in wanted)
    return serving and not any(place.held for place in places)


def replaced(places: Sequence[Place], found: Progress) -> list[str]:
    """IDs of the clusters whose data are given up, shortened."""
    ids = {
        str(place.etcd.get("cluster_id") or "")[:8]
        for place in places
        if place.etcd_host and (found.whole or place.name not in found.placed)
    }
    return sorted(ids - {""})


def is_foreign(places: Sequence[Place], snapshot: Mapping[str, Any], asked: Asked) -> str:
    """Why the snapshot is another cluster's; "" when it is not, or when that cannot be told."""
    ours, whose = {place.ca for place in places if place.ca}, set(snapshot.get("authorities") or ())
    if ours & whose:
        return ""
    if ours and whose:
        return "the CA that it publishes is not the one on the hosts"
    name = parse_name(str(snapshot["path"]).rpartition("/")[2])
    if name and asked.cluster and name.cluster != asked.cluster:
        return f"by its name it is of {name.cluster}, and this is {asked.cluster}"
    return ""


def words_of(ids: Sequence[str], revision: int, asked: Asked, foreign: str) -> str:
    """What has to be given back, without a blank, so that it needs no quotes."""
    parts = [f"give-up-{','.join(ids) or 'nothing'}-after-revision-{revision}"]
    parts += [f"and-{','.join(sorted(asked.lost))}"] if asked.lost else []
    parts += ["for-another-clusters-data"] if foreign else []
    return "-".join(parts)


def given_up(places: Sequence[Place], source: Place, foreign: str, now: float) -> list[str]:
    """In plain words."""
    snapshot, ours = source.snapshot, {place.ca for place in places if place.ca}
    taken = float(snapshot["taken"])
    lines = [
        f"Restored would be {snapshot['path']} on {source.name}: {snapshot['size']} bytes, revision "
        f"{snapshot['revision']} with {snapshot['total_keys']} keys, taken {moment(taken)}, {age(now - taken)} ago.",
        "Given up: everything that was written after it, on all members.",
    ]
    if foreign:
        lines.append(f"It is ANOTHER CLUSTER'S: {foreign}. Its nodes, Secrets and tokens are not this cluster's.")
    elif not snapshot.get("authorities") or not ours:
        lines.append("Whose it is cannot be told from it, or no host has a CA to compare.")
    return lines


def seen_line(place: Place, now: float) -> str:
    """What was found on a host, in one line."""
    held = f"; taken away from its kubelet: {', '.join(place.held)}" if place.held else ""
    if place.reachable and not place.etcd_host:
        return f"{place.name}: a control plane without etcd{held}"
    if not place.reachable or place.etcd.get("damage") or not place.etcd.get("cluster_id"):
        return line(place, now) + held
    runs = "etcd runs" if place.etcd.get("runs") else "etcd does not run"
    told = f"{place.name}: {runs}, cluster {str(place.etcd['cluster_id'])[:8]}, last written {moment(place.written)}"
    begun = f"; a restore was begun here: {place.phase}" if place.phase != NONE else ""
    return told + "".join(f", alarm {alarm}" for alarm in place.alarms) + begun + held


def _version(text: str) -> Version | None:
    try:
        return parse_version(text)
    except InputError:
        return None


def version_problems(wanted: Sequence[Place], snapshot: Mapping[str, Any]) -> list[str]:
    """A database is read by the minor version that has written it, and by the next."""
    found, versions = [], {place.name: _version(place.etcdutl) for place in wanted}
    found += [f"{name} has no etcdutl" for name, version in versions.items() if version is None]
    known = {name: version for name, version in versions.items() if version}
    if len({version.series for version in known.values()}) > 1:
        told = ", ".join(f"{name} {version}" for name, version in known.items())
        found.append(f"etcdutl is not of one minor version on all members: {told}")
    written = _version(str(snapshot.get("version") or ""))
    for name, version in known.items() if written else ():
        if written and not 0 <= version.minors_after(written) <= 1:
            found.append(
                f"the snapshot was written by etcd {written}, which {version} of {name} cannot take over: "
                f"give {name} etcd {written.series}"
            )
    return found


def room_problems(
    wanted: Sequence[Place], snapshot: Mapping[str, Any], copies: Sequence[str], remain: int
) -> list[str]:
    """Who has not enough."""
    size, found = int(snapshot["size"]), []
    for place in wanted:
        need = needed(size, "restore", saves=False) + (size if place.name in copies else 0) + remain
        if place.free < need:
            found.append(f"{place.name} has {place.free} bytes free for etcd's data, and {need} are needed")
    return found
