# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the hosts of a cluster agree on its backups: by keys in etcd, which is never in two minds.

quorum.kubeadm/backup/turn/<cluster>    who takes one now, bound to a lease
quorum.kubeadm/backup/last/<cluster>    the newest one
quorum.kubeadm/backup/hosts/<name>      where a host takes copies, and its public keys
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from . import etcd_changes as changes
from .backup_config import HOST, HOST_KEY, NAME, Config, Destination
from .backup_plan import Last, Seen, parse_last
from .errors import ApiError, KubeadmError
from .etcd_api import EtcdApi, member_id

PREFIX = "quorum.kubeadm/backup/"
TURN, LAST, HOSTS = f"{PREFIX}turn/", f"{PREFIX}last/", f"{PREFIX}hosts/"
LEASE_SECONDS, RENEWALS = 60, 4
# A host that has not shown itself for so long gets no copies, and its key opens nothing.
GONE_SECONDS = 7 * 86400.0
USER, FOLDER = "etcd-backup", "sets"
# etcd at its quota takes no write; that is when a backup is wanted most.
FULL = "database space exceeded"


@dataclass(frozen=True)
class Peer:
    """A host that takes copies of the others'. key: its public key; host_keys: of its sshd."""

    name: str
    kind: str
    address: str
    port: int
    key: str
    host_keys: tuple[str, ...]
    at: float

    def destination(self, key: str) -> Destination:
        """It, as a place for copies. key: our private one."""
        return Destination(f"host {self.name}", "ssh", FOLDER, host=self.address, port=self.port, user=USER, key=key,
                           host_keys=self.host_keys)  # fmt: skip


def parse_peer(text: str) -> Peer | None:
    """None for what cannot be read, or would be more than a line of a file of keys."""
    try:
        raw = json.loads(text)
        found = Peer(**{**raw, "host_keys": tuple(raw["host_keys"])})
        keys = all(HOST_KEY.fullmatch(key) for key in (found.key, *found.host_keys))
        good = keys and NAME.fullmatch(found.name) and HOST.fullmatch(found.address) and 0 < found.port < 65536
    except (ValueError, TypeError, KeyError):
        return None
    return found if good else None


class Agreement:
    """One host's view of the keys, through its member."""

    def __init__(self, api: EtcdApi, config: Config) -> None:
        self._api, self._config = api, config
        self._lease = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> Seen:
        """Whose turn it could be."""
        keys = changes.below(self._api, PREFIX)
        status, members = self._api.status(), self._api.members().get("members") or []
        mine = member_id((status.get("header") or {}).get("member_id"))
        leads = self._config.snapshot and mine == member_id(status.get("leader"))
        others = sum(not member.get("isLearner") for member in members) > 1
        return Seen(_last(keys, self._config), self._holder(keys), leads, others)

    def _holder(self, keys: Mapping[str, changes.Value]) -> str:
        found = keys.get(TURN + self._config.owner)
        return "" if found is None or found.lease == self._lease != 0 else found.text

    def take(self) -> bool:
        """Take the turn, kept until it is given back or this process ends; whether it is ours."""
        self._stop = threading.Event()
        try:
            self._lease = changes.grant(self._api, LEASE_SECONDS)
            mine = changes.replace(self._api, TURN + self._config.owner, self._config.host, self._lease, 0)
        except ApiError as exc:
            if FULL not in exc.found:
                raise
            return True
        if mine:
            self._thread = threading.Thread(target=self._renew, daemon=True)
            self._thread.start()
        else:
            self.give_back()
        return mine

    def _renew(self) -> None:
        while not self._stop.wait(LEASE_SECONDS / RENEWALS):
            self._quietly(lambda: changes.keep_alive(self._api, self._lease))

    def give_back(self) -> None:
        """Let the next one have it."""
        self._stop.set()
        lease, self._lease = self._lease, 0
        self._quietly(lambda: changes.revoke(self._api, lease) if lease else None)

    def remember(self, last: Last) -> None:
        """Tell the others that there is a new one."""
        self._quietly(lambda: changes.put(self._api, LAST + self._config.owner, last.text()))

    def last(self) -> Last | None:
        """The newest one."""
        return _last(changes.below(self._api, PREFIX), self._config)

    def register(self, me: Peer) -> None:
        """Show this host to the others."""
        self._quietly(lambda: changes.put(self._api, HOSTS + me.name, json.dumps(asdict(me), sort_keys=True)))

    def peers(self, now: float) -> list[Peer]:
        """The other hosts, by name, without those that have left."""
        found = [parse_peer(value.text) for value in changes.below(self._api, HOSTS).values()]
        members = {str(member.get("name")) for member in self._api.members().get("members") or []}
        return sorted(
            (peer for peer in found if peer and peer.name != self._config.host and _stays(peer, members, now)),
            key=lambda peer: peer.name,
        )

    def _quietly(self, call: Callable[[], Any]) -> None:
        """What only helps the next run is not worth this one's backup."""
        try:
            call()
        except KubeadmError:
            return


def _last(keys: Mapping[str, changes.Value], config: Config) -> Last | None:
    found = keys.get(LAST + config.owner)
    return parse_last(found.text) if found else None


def _stays(peer: Peer, members: set[str], now: float) -> bool:
    return now - peer.at < GONE_SECONDS and (peer.kind == "pki" or peer.name in members)
