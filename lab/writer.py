# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The object that the prober's writes go to: one ConfigMap per stream, changed by compare-and-swap only."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any

from lab.channel import Answer, Request
from lab.errors import LabError
from lab.ledger import add_number, last_number

CONFLICT = 409


@dataclass(frozen=True)
class Base:
    """The object as the writer last saw it."""

    version: int
    written: str


@dataclass(frozen=True)
class Attempt:
    """One write that is on its way."""

    seq: int
    request: Request


class Writer:
    """Numbers the writes of one stream, and builds each on top of the newest state that it knows."""

    def __init__(self, stream: str, namespace: str, run: str) -> None:
        self.stream = stream
        self._name = f"probe-{stream}"
        self._collection = f"/api/v1/namespaces/{namespace}/configmaps"
        self._run = run
        self._lock = threading.Lock()
        self._base: Base | None = None
        self._seq = 0

    @property
    def path(self) -> str:
        """Where the object is."""
        return f"{self._collection}/{self._name}"

    def read(self) -> Request:
        """Return the request that reads the object."""
        return Request("GET", self.path)

    def create(self) -> Request:
        """Return the request that creates the object."""
        return Request("POST", self._collection, self._body("", 0))

    def replace(self, version: int) -> Request:
        """Return the request that makes an object of an earlier run this run's, still empty."""
        return Request("PUT", self.path, self._body("", version))

    def attempt(self) -> Attempt:
        """Return the next write."""
        with self._lock:
            if self._base is None:
                raise LabError(f"The object of the stream {self.stream} was never read.")
            self._seq = max(self._seq, last_number(self._base.written)) + 1
            body = self._body(add_number(self._base.written, self._seq), self._base.version)
            return Attempt(self._seq, Request("PUT", self.path, body))

    def learn(self, answer: Answer, *, back: bool = False) -> Base | None:
        """Take the object in from an answer that carries it; an older state than the known one changes nothing.

        back: unless the cluster may have gone back to a snapshot.
        """
        base = self.parse(answer)
        if base is None:
            return None
        with self._lock:
            if self._base is None or back or base.version > self._base.version:
                self._base = base
        return base

    def parse(self, answer: Answer) -> Base | None:
        """Return the object that an answer carries, if it is this run's."""
        version = self.version(answer)
        if not version:
            return None
        data = json.loads(answer.body).get("data") or {}
        return Base(version, str(data.get("written", ""))) if data.get("run") == self._run else None

    @staticmethod
    def version(answer: Answer) -> int:
        """Return the version of the object that an answer carries, whoever wrote it, or 0."""
        if not answer.ok:
            return 0
        try:
            content: dict[str, Any] = json.loads(answer.body)
            return int(content["metadata"]["resourceVersion"])
        except (ValueError, KeyError, TypeError):
            return 0

    def _body(self, written: str, version: int) -> bytes:
        metadata: dict[str, str] = {"name": self._name}
        if version:
            metadata["resourceVersion"] = str(version)
        data = {"run": self._run, "written": written}
        return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}).encode()


def outcome(answer: Answer) -> str:
    """Say what became of a request: ok, failed, conflict (somebody else's write was first) or unknown."""
    if answer.ok:
        return "ok"
    if answer.status == CONFLICT:
        return "conflict"
    # Without an answer, or with one that speaks of the server's own trouble, the write may have happened.
    ambiguous = answer.sent if answer.status == 0 else answer.status >= 500
    return "unknown" if ambiguous else "failed"
