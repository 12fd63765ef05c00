# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to the API for verification: one for reading, short-lived ones for questions asked side by side."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .errors import KubeadmError
from .https import HttpsTransport, tls_context
from .kube_api import KubeApi, api_for
from .kubeconfig import load
from .verify import Answer

# An API server that is starting says so; the look after this one asks again.
READ_RETRY_SECONDS = 2.0
# What was started has to be deleted, even when the API is in trouble just then.
DELETE_RETRY_SECONDS = 30.0


def _stop(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


@contextmanager
def told_to_end() -> Iterator[None]:
    """A process that is told to end does so in the ordinary way: what it has started is deleted."""
    signals = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, _stop) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before):
            signal.signal(number, handler)


class Connections:
    """Everything that one verification sends."""

    def __init__(self, kubeconfig: str, endpoints: Sequence[str]) -> None:
        self._config = load(kubeconfig)
        self._context = tls_context(self._config)
        self._endpoints = tuple(endpoints)
        self.api = self._open(endpoints, READ_RETRY_SECONDS)

    def main(self) -> KubeApi:
        """The one for reading; not for use by several threads."""
        return self.api

    def fresh(self) -> KubeApi:
        """A new connection to the endpoint that works, without retries: who asks comes again."""
        return self._open([self.api.endpoint], 0)

    def stubborn(self) -> KubeApi:
        """A new connection to whichever endpoint works, for what has to be done."""
        return self._open(self._endpoints, DELETE_RETRY_SECONDS)

    def ask(self, subject: str, url: str) -> Answer:
        """What /readyz answers at exactly this address."""
        began = time.monotonic()
        try:
            response = self._open([url], 0).raw("GET", "/readyz", retry=False)
        except KubeadmError as exc:
            return Answer(subject, url, 0, exc.found.replace(f"{url}: ", "") or exc.what)
        took = f"{1000 * (time.monotonic() - began):.0f} ms"
        if response.status == 200:
            return Answer(subject, url, 200, f"ready in {took}")
        return Answer(subject, url, response.status, f"answered {response.status}: {_failing(response.body)}")

    def now(self) -> float:
        """The API server's clock, which is the one that tokens expire by."""
        return self.api.now().timestamp()

    def _open(self, endpoints: Sequence[str], timeout: float) -> KubeApi:
        transport = HttpsTransport(self._context, self._config.tls_server_name)
        return api_for(self._config, endpoints, transport, timeout=timeout, dry_run=False)


def _failing(body: bytes) -> str:
    """The failed checks of /readyz, which lists all of them when it is not ready."""
    lines = body.decode("utf-8", "replace").splitlines()
    return "; ".join(line for line in lines if line.startswith("[-]")) or " ".join(lines)[:200]
