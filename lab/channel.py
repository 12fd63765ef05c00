# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP request with a deadline, on a new connection or on one that is kept."""

from __future__ import annotations

import http.client
import ssl
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from lab.errors import LabError


@dataclass(frozen=True)
class Request:
    """What is asked."""

    method: str
    path: str
    body: bytes | None = None
    content_type: str = "application/json"


@dataclass(frozen=True)
class Answer:
    """What came back. `sent` tells whether the server may have acted on a request that failed."""

    start: float
    end: float
    status: int
    body: bytes
    error: str
    sent: bool

    @property
    def ok(self) -> bool:
        """Whether the server did what was asked."""
        return 200 <= self.status < 300


class Channel:
    """A way to the server; `kept` channels hold their connection until it fails."""

    def __init__(self, server: str, context: ssl.SSLContext, timeout: float, kept: bool) -> None:
        parts = urlsplit(server)
        if parts.scheme != "https" or not parts.hostname:
            raise LabError(f"{server!r} is not an https:// address.")
        self._host, self._port = parts.hostname, parts.port or 443
        self._context, self._timeout, self._kept = context, timeout, kept
        self._connection: http.client.HTTPSConnection | None = None

    def ask(self, request: Request) -> Answer:
        """Send a request; connecting, sending and receiving share one deadline."""
        start = time.monotonic()
        deadline = start + self._timeout
        sent = False
        connection = self._connection if self._kept else None
        try:
            if connection is None:
                connection = self._open(deadline)
            _limit(connection, deadline)
            sent = True
            headers = {"Content-Type": request.content_type, "Accept": "application/json"}
            if not self._kept:
                headers["Connection"] = "close"
            connection.request(request.method, request.path, request.body, headers)
            _limit(connection, deadline)
            response = connection.getresponse()
            # A response that ends with its connection takes the socket along.
            if connection.sock is not None:
                _limit(connection, deadline)
            body = response.read()
        except (OSError, http.client.HTTPException) as exc:
            self._drop(connection)
            return Answer(start, time.monotonic(), 0, b"", f"{type(exc).__name__}: {exc}", sent)
        if self._kept and not response.will_close:
            self._connection = connection
        else:
            self._drop(connection)
        return Answer(start, time.monotonic(), response.status, body, "", True)

    def close(self) -> None:
        """Let go of a kept connection."""
        self._drop(self._connection)

    def _open(self, deadline: float) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=_left(deadline), context=self._context)
        connection.connect()
        return connection

    def _drop(self, connection: http.client.HTTPSConnection | None) -> None:
        if connection is not None:
            connection.close()
        self._connection = None


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("deadline passed")
    return left


def _limit(connection: http.client.HTTPSConnection, deadline: float) -> None:
    connection.sock.settimeout(_left(deadline))
