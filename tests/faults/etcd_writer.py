# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that writes to etcd all the time, and knows of every write whether it was acknowledged."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_api import EtcdApi, text

PREFIX = "/ledger/"
TIMEOUT = 2.0


@dataclass
class Writer:
    """`streams` threads that write `rate` new keys a second together, each to whichever member answers."""

    endpoints: Callable[[], Sequence[str]]
    context: ssl.SSLContext
    rate: float = 60.0
    streams: int = 3
    acknowledged: dict[str, str] = field(default_factory=dict)
    moments: list[float] = field(default_factory=list)
    attempts: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._write, args=(n,), daemon=True) for n in range(self.streams)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, when the last write has been answered."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(4 * TIMEOUT)

    def _write(self, stream: int) -> None:
        connection: http.client.HTTPSConnection | None = None
        turn, number, due = stream, 0, time.monotonic()
        while not self._stop.is_set():
            due = max(due + self.streams / self.rate, time.monotonic() - 1)
            self._stop.wait(max(0.0, due - time.monotonic()))
            number += 1
            key, value = f"{PREFIX}{stream}/{number:07d}", f"{stream}-{number}"
            urls = self.endpoints()
            try:
                connection = connection or self._connect(urls[turn % len(urls)])
                self._put(connection, key, value)
            except (OSError, http.client.HTTPException, ValueError):
                # Whether it was written is not known: it was not acknowledged, and nobody relies on it.
                turn += 1
                if connection is not None:
                    connection.close()
                connection = None
            else:
                with self._lock:
                    self.acknowledged[key] = value
                    self.moments.append(time.monotonic())

    def _connect(self, url: str) -> http.client.HTTPSConnection:
        parts = urlsplit(url)
        return http.client.HTTPSConnection(
            parts.hostname or "", parts.port or 2379, timeout=TIMEOUT, context=self.context
        )

    def _put(self, connection: http.client.HTTPSConnection, key: str, value: str) -> None:
        self.attempts += 1
        connection.request("POST", "/v3/kv/put", json.dumps({"key": text(key), "value": text(value)}))
        response = connection.getresponse()
        body = response.read()
        if response.status != 200 or "header" not in json.loads(body):
            raise ValueError(body)

    def since(self, moment: float) -> tuple[int, float]:
        """How many writes were acknowledged since then, and the longest time without one."""
        with self._lock:
            seen = [one for one in self.moments if one >= moment]
        ends = [moment, *seen, time.monotonic()]
        return len(seen), max(later - earlier for earlier, later in zip(ends, ends[1:]))

    def lost(self, api: EtcdApi) -> list[str]:
        """Acknowledged writes that are not there, or are not what was written."""
        with self._lock:
            expected = dict(self.acknowledged)
        end = PREFIX[:-1] + "0"
        answer = api.call("kv/range", {"key": text(PREFIX), "range_end": text(end)}, 30)
        there = {_plain(item["key"]): _plain(item.get("value", "")) for item in answer.get("kvs") or []}
        return sorted(key for key, value in expected.items() if there.get(key) != value)


def _plain(value: str) -> str:
    return base64.b64decode(value).decode()
