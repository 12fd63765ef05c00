# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims and records of joins, kept in etcd itself: how one host knows that a join runs on another one.

A claim is taken by comparing and writing at once, so that a join and a sweep never hold the same one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from . import etcd_changes as changes
from .errors import KubeadmError
from .etcd_api import EtcdApi
from .orphans import JOIN

CLAIMS = "quorum.kubeadm/joins/"
RECORDS = "quorum.kubeadm/records/"
# A lease is renewed so many times in its length.
RENEWALS = 3

Answer = TypeVar("Answer")
# Calls a function with one gateway after the other until one answers.
Through = Callable[[Callable[[EtcdApi], Any]], Any]


@dataclass(frozen=True)
class Mark:
    """What stands at a claim's or a record's key."""

    kind: str
    name: str = ""
    host: str = ""
    member: str = ""
    lease: int = 0
    revision: int = 0

    @property
    def text(self) -> str:
        """As it is written."""
        return json.dumps({"kind": self.kind, "name": self.name, "host": self.host, "member": self.member})


def address(peer_urls: Iterable[str]) -> str:
    """What a member's keys end with."""
    return ",".join(sorted(peer_urls))


def _mark(value: changes.Value) -> Mark:
    try:
        raw = json.loads(value.text)
    except ValueError:
        raw = {}
    told = raw if isinstance(raw, dict) else {}
    kind, name, host, member = (str(told.get(key, "")) for key in ("kind", "name", "host", "member"))
    # A claim that cannot be read is still a claim.
    return Mark(kind or JOIN, name, host, member, value.lease, value.revision)


def marks(api: EtcdApi, prefix: str) -> dict[str, Mark]:
    """All claims, or all records, by peer URL."""
    return {key[len(prefix) :]: _mark(value) for key, value in changes.below(api, prefix).items()}


class Claim:
    """A claim on one member, and its record. `through` finds a gateway that answers."""

    def __init__(self, through: Through, peer_urls: Iterable[str], mark: Mark, seconds: float) -> None:
        self.where = address(peer_urls)
        self.mark = mark
        self.lost = False
        self.lease = 0
        self._through = through
        self._seconds = max(int(seconds), 1)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def holder(self) -> Mark | None:
        """What stands there now, None when it is free."""
        found: Mark | None = self._through(lambda api: marks(api, CLAIMS)).get(self.where)
        return found

    def mine(self, mark: Mark | None) -> bool:
        """Whether that is this very claim: an answer may have been lost on its way."""
        return mark is not None and mark.lease == self.lease != 0

    def take(self, over: Mark | None = None) -> bool:
        """Take it when it is free, or from this holder. Whether that worked."""
        if not self.lease:
            self.lease = self._through(lambda api: changes.grant(api, self._seconds))
        revision = over.revision if over else 0
        key, text, lease = CLAIMS + self.where, self.mark.text, self.lease
        return bool(self._through(lambda api: changes.replace(api, key, text, lease, revision)))

    def keep(self) -> None:
        """Renew it in the background until it is given back, or this process ends, however it ends."""
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def record(self, member: str) -> None:
        """Write down which member it is about."""
        text = replace(self.mark, member=member).text
        self._through(lambda api: changes.put(api, RECORDS + self.where, text))

    def leave(self) -> None:
        """Renew it no more: it lives on for the rest of its lease."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(self._seconds)

    def give_back(self, done: bool) -> None:
        """End it. done: nothing is left to be swept, so the record goes too."""
        self.leave()
        try:
            if done:
                self._through(lambda api: changes.forget(api, [CLAIMS + self.where, RECORDS + self.where]))
            if self.lease:
                self._through(lambda api: changes.revoke(api, self.lease))
        except KubeadmError:
            # What was done stays done: the lease ends by itself, and a record of a member that started says nothing.
            return

    def stopped(self, seconds: float) -> bool:
        """Wait so long, or until it is given back."""
        return self._stop.wait(seconds)

    def _renew(self) -> None:
        while not self.stopped(self._seconds / RENEWALS):
            try:
                left = self._through(lambda api: changes.keep_alive(api, self.lease))
            except KubeadmError:
                # Nobody answers now; the lease runs on meanwhile, and the next renewal tells whether it is over.
                continue
            if not left:
                self.lost = True
                return
