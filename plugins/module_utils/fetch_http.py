# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""URLs opened from an offset: redirects followed, proxies of the environment used, a login sent to its host alone."""

from __future__ import annotations

import base64
import http.client
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit

from ansible_collections.quorum.kubeadm.plugins.module_utils.downloads import Answer
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError

AGENT = "quorum.kubeadm"
# How long a server may be silent; a download as a whole may take as long as it takes.
SILENCE_SECONDS = 20.0


class Opener(Protocol):
    """Opens URLs."""

    def open(self, url: str, offset: int) -> Any:
        """A context manager with the Answer."""


class _Received:
    """urllib's answer as an Answer."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.status: int = response.status
        self.headers: Mapping[str, str] = dict(response.headers.items())

    def read(self, amount: int) -> bytes:
        """At most so many bytes. A connection that breaks ends the answer: its length tells that it is not whole."""
        try:
            return bytes(self._response.read(amount))
        except http.client.IncompleteRead as exc:
            return bytes(exc.partial)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """A login goes to the host it is for, and nowhere else."""

    def redirect_request(self, req: Any, *given: Any) -> Any:
        request = super().redirect_request(req, *given)
        if request is not None and urlsplit(request.full_url).netloc != urlsplit(req.full_url).netloc:
            request.remove_header("Authorization")
        return request


def parse_logins(raw: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Host -> (user, password), from a task's argument with the password in base64."""
    logins = {}
    for host, login in raw.items():
        try:
            logins[str(host)] = (str(login["username"]), base64.b64decode(login["secret_b64"], validate=True).decode())
        except (KeyError, TypeError, ValueError) as exc:
            raise InputError(
                "a login cannot be used",
                where=str(host),
                found=type(exc).__name__,
                next_step="give `username` and `secret_b64`, the password in base64",
            ) from exc
    return logins


class HttpOpener:
    """Opens http and https URLs.

    ca_pem: certificates to trust besides the system's, "" for none. logins: host (with its port, where the URL has
    one) -> (user, password).
    """

    def __init__(self, ca_pem: str = "", logins: Mapping[str, tuple[str, str]] | None = None) -> None:
        # Not create_default_context: since Python 3.13 it refuses CA certificates that apt and containerd accept.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_default_certs()
        if ca_pem:
            try:
                context.load_verify_locations(cadata=ca_pem)
            except (ssl.SSLError, ValueError) as exc:
                raise InputError(
                    "the file server's CA cannot be used", found=str(exc), next_step="give a certificate in PEM"
                ) from exc
        self._logins = dict(logins or {})
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _Redirects())

    @contextmanager
    def open(self, url: str, offset: int) -> Iterator[Answer]:
        """The answer, from this byte on. Raises OSError when there is none."""
        request = urllib.request.Request(url, headers={"User-Agent": AGENT})  # noqa: S310 - callers take http(s) only
        if offset:
            request.add_header("Range", f"bytes={offset}-")
        login = self._logins.get(urlsplit(url).netloc)
        if login:
            text = base64.b64encode(":".join(login).encode()).decode()
            request.add_header("Authorization", f"Basic {text}")
        try:
            with self._opener.open(request, timeout=SILENCE_SECONDS) as response:
                yield _Received(response)
        except HTTPError as exc:
            # Judged like any other answer: its status and what it says decide whether to try again.
            with exc:
                yield _Received(exc)
