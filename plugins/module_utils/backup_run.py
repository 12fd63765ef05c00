# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the timer and backup_etcd.yml run on a host: whose turn it is, the backup, and what is written down of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from . import backup_status
from .backup_config import PATH, Config, parse_config
from .backup_peers import KEY, meet, unlock
from .backup_places import place_of
from .backup_plan import FRESH, TAKE, Last, Round, whose_turn
from .backup_status import AHEAD, FAILED, SKIPPED, TAKEN, Status, Taken, next_status, parse_status
from .backup_take import Set, copy, reachable, snapshot, take, tidy
from .backup_turn import Agreement, Peer
from .errors import CommandError, KubeadmError
from .etcd_api import EtcdApi
from .etcd_options import connector
from .host_io import Host
from .host_lock import operation
from .snapshot_store import SnapshotStore

# Seconds between two looks at whose turn it is.
LOOK = 20.0


@dataclass
class World:
    """The machine, its clock, and how one waits."""

    host: Host
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    lock: Callable[[float], AbstractContextManager[Any]] = operation


def read_config(host: Host, path: str = PATH) -> Config:
    """The host's configuration, which role etcd_backup has written."""
    return parse_config(host.read_text(path), path)


def opened(config: Config) -> EtcdApi:
    """etcd, through a member that answers."""
    return reachable(config.endpoints, connector(config.snapshot_params()))


def run(world: World, config: Config, *, forced: bool = False) -> Status:
    """A round, and what is kept of it. forced: also when there is a fresh one."""
    blank = Status(config.host, config.cluster, config.kind, world.clock(), FAILED, old_after=config.old_after)
    try:
        found = _round(world, config, blank, forced)
    except (KubeadmError, OSError) as exc:
        # Also a disk that fails where nobody looked for it is one that verify tells of.
        found = replace(blank, error=str(exc))
    return keep(world, config, replace(found, at=world.clock()))


def _round(world: World, config: Config, blank: Status, forced: bool) -> Status:
    agreement = Agreement(opened(config), config)
    peers = meet(world.host, agreement, config, world.clock())
    if not wait_for_turn(world, config, agreement, forced):
        return replace(blank, result=SKIPPED, newest=agreement.last())
    try:
        with world.lock(float(config.wait_seconds)):
            return _take(world, config, agreement, peers, blank)
    finally:
        agreement.give_back()


def wait_for_turn(world: World, config: Config, agreement: Agreement, forced: bool) -> bool:
    """True when the turn is taken, False when somebody has taken the backup of this round."""
    often = Round(0.0 if forced else config.interval, 0.0 if forced else config.leader_wait)
    began = world.clock()
    while True:
        waited = world.clock() - began
        seen = agreement.look()
        verdict = whose_turn(seen, config.host, often, world.clock(), waited)
        if verdict == FRESH:
            return False
        if verdict == TAKE and agreement.take():
            return True
        if waited > config.leader_wait + config.wait_seconds:
            raise CommandError(
                "another host has been taking a backup for too long",
                where=seen.holder,
                found=f"its turn has not ended within {waited:.0f} s",
                next_step=f"look at `journalctl -u quorum-kubeadm-etcd-backup` on {seen.holder}",
            )
        world.sleep(LOOK)


def _take(world: World, config: Config, agreement: Agreement, peers: list[Peer], blank: Status) -> Status:
    began = world.clock()
    done = take(config, world.host, opened(config), began)
    manifest = done.manifest
    last = Last(done.stem, manifest.seconds, config.host, manifest.revision)
    # It is one already; the others need not wait for its copies.
    agreement.remember(last)
    tidy(config, done.stem, world.clock())
    copies = bring(world, config, peers, done)
    seconds = round(world.clock() - began, 1)
    taken = Taken(
        done.stem, manifest.seconds, manifest.revision, manifest.size, seconds, manifest.verified, tuple(copies)
    )
    return replace(blank, result=TAKEN, newest=last, taken=taken)


def destinations(config: Config, peers: list[Peer], key: str) -> list[Any]:
    """Every place that a copy goes to: the other hosts first, which are near."""
    return [*(peer.destination(key) for peer in peers), *config.destinations]


def bring(world: World, config: Config, peers: list[Peer], done: Set) -> list[backup_status.Copy]:
    """A copy to every place; one that fails keeps none of the others from theirs."""
    key = world.host.read_text(KEY) or ""
    copies = []
    with SnapshotStore(config.directory).workshop() as work:
        for told in destinations(config, peers, key):
            try:
                place = place_of(told, world.host, work, config)
            except KubeadmError as exc:
                copies.append(backup_status.Copy(told.name, str(exc)))
            else:
                copies.append(copy(done, place, config, world.clock))
    return copies


def met(world: World, config: Config) -> list[str]:
    """Show the host to the others, and let them in; their names. From now on its first backup is awaited."""
    if parse_status(world.host.read_text(written(config))) is None:
        now = world.clock()
        keep(world, config, Status(config.host, config.cluster, config.kind, now, AHEAD, old_after=config.old_after))
    if not config.address:
        return []
    unlock(world.host)
    return [peer.name for peer in meet(world.host, Agreement(opened(config), config), config, world.clock())]


def planned(world: World, config: Config) -> dict[str, Any]:
    """What a forced run would do. Asks etcd and the disk, and changes nothing."""
    agreement = Agreement(opened(config), config)
    peers = agreement.peers(world.clock()) if config.address else []
    told: dict[str, Any]
    told = snapshot(config, world.host, effects=False) if config.snapshot else {"steps": [], "needed_bytes": 0}
    places = [told.name for told in destinations(config, peers, "")]
    archived = [f"archive {', '.join(config.pki)}{' and encrypt it' if config.recipient else ''}"] if config.pki else []
    steps = [
        *told["steps"],
        *archived,
        "write the manifest",
        *(f"copy it to {name}, and read it back" for name in places),
    ]
    return {"steps": steps, "needed_bytes": told["needed_bytes"]}


def written(config: Config) -> str:
    """Where a host keeps what came of its last run."""
    return f"{config.state_dir}/{backup_status.FILE}"


def keep(world: World, config: Config, status: Status) -> Status:
    """Write down what came of it, for verify and for node_exporter."""
    kept = next_status(parse_status(world.host.read_text(written(config))), status)
    _replace(world.host.real(written(config)), kept.text(), 0o600)
    if config.metrics_dir:
        _replace(world.host.real(f"{config.metrics_dir}/{backup_status.METRICS}"), backup_status.metrics(kept), 0o644)
    return kept


def _replace(path: str, text: str, mode: int) -> None:
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            os.fchmod(descriptor, mode)
            stream.write(text)
        os.rename(f"{path}.new", path)
    except OSError as exc:
        next_step = "look at the disk's free space"
        raise CommandError(
            "cannot write down how the backup went", where=path, found=str(exc), next_step=next_step
        ) from exc


def bad(status: Status) -> list[str]:
    """Why a run is not what was wanted; empty for a good one."""
    copies = status.taken.copies if status.taken and status.result == TAKEN else ()
    return [*([status.error] if status.error else []), *(f"{one.name}: {one.error}" for one in copies if one.error)]
