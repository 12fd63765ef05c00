# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS with kept-alive connections, on the standard library. One connection per endpoint, verified against one CA."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .errors import InputError
from .kubeconfig import KubeConfig

# A lost SYN is sent again after 1 s, so 3 s survive one loss. The TLS handshake has the same limit: a frozen API
# server's kernel still accepts connections.
CONNECT_SECONDS = 3.0
READ_SECONDS = 15.0


@dataclass(frozen=True)
class Request:
    """An HTTP request: `target` is the path with its query."""

    method: str
    target: str
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Response:
    """An HTTP answer."""

    status: int
    reason: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


class SendError(Exception):
    """No answer. `certificate`: the server is not who it should be, so trying again cannot help."""

    def __init__(self, reason: str, certificate: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.certificate = certificate


def tls_context(config: KubeConfig) -> ssl.SSLContext:
    """Trust only the kubeconfig's CA (the system's when it names none) and present its client certificate."""
    # Not create_default_context: since Python 3.13 it refuses CA certificates that kubectl accepts.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if config.ca_pem:
            context.load_verify_locations(cadata=config.ca_pem)
        else:
            context.load_default_certs()
        if config.client_cert_pem:
            with _private_file(config.client_cert_pem + "\n" + config.client_key_pem) as path:
                context.load_cert_chain(path, password=_no_password)
    except (ssl.SSLError, ValueError) as exc:
        raise InputError(
            "The certificates in the kubeconfig cannot be used",
            where=config.source,
            found=getattr(exc, "reason", None) or str(exc),
            next_step="Copy /etc/kubernetes/admin.conf from a control plane",
        ) from exc
    return context


def _no_password() -> str:
    # Without this, OpenSSL would ask on the terminal for the password of an encrypted key.
    raise ValueError("the client key is encrypted")


@contextmanager
def _private_file(text: str) -> Iterator[str]:
    """A path that holds the text: in memory only where the system can, else 0600 and gone at once."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        number = os.memfd_create("client-certificate")
        try:
            os.write(number, text.encode())
            yield f"/proc/self/fd/{number}"
        finally:
            os.close(number)
        return
    number, path = tempfile.mkstemp()
    try:
        os.write(number, text.encode())
        yield path
    finally:
        os.close(number)
        os.unlink(path)


class HttpsTransport:
    """Sends requests; keeps one connection open per endpoint. Proxies of the environment are not used."""

    def __init__(self, context: ssl.SSLContext, server_name: str = "") -> None:
        self._context = context
        self._server_name = server_name
        self._open: dict[str, http.client.HTTPConnection] = {}

    def send(self, endpoint: str, request: Request) -> Response:
        """Send to one endpoint (https://host:port). Raises SendError when there is no answer."""
        kept = self._open.pop(endpoint, None)
        if kept is not None:
            try:
                return self._exchange(endpoint, kept, request)
            except (OSError, http.client.HTTPException) as exc:
                kept.close()
                if isinstance(exc, socket.timeout):
                    raise SendError(_words(exc)) from exc
                # The server may have closed it while it was idle: a new connection tells. Callers only send what may
                # arrive twice.
        fresh = self._connect(endpoint)
        try:
            return self._exchange(endpoint, fresh, request)
        except (OSError, http.client.HTTPException) as exc:
            fresh.close()
            raise SendError(_words(exc)) from exc

    def close(self) -> None:
        """Close what is open."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def _connect(self, endpoint: str) -> http.client.HTTPConnection:
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port or 443
        try:
            plain = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
        except OSError as exc:
            raise SendError(_words(exc)) from exc
        try:
            secured = self._context.wrap_socket(plain, server_hostname=self._server_name or host)
        except OSError as exc:
            plain.close()
            raise SendError(_words(exc), certificate=isinstance(exc, ssl.SSLCertVerificationError)) from exc
        secured.settimeout(READ_SECONDS)
        connection = http.client.HTTPConnection(host, port)
        connection.sock = secured
        # Never let it open a connection by itself: that one would be without TLS.
        connection.auto_open = 0
        return connection

    def _exchange(self, endpoint: str, connection: http.client.HTTPConnection, request: Request) -> Response:
        connection.request(request.method, request.target, request.body, dict(request.headers))
        answer = connection.getresponse()
        payload = answer.read()
        if answer.will_close:
            connection.close()
        else:
            self._open[endpoint] = connection
        return Response(
            answer.status, answer.reason, payload, {key.lower(): value for key, value in answer.getheaders()}
        )


def _words(exc: Exception) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {exc.verify_message}"
    if isinstance(exc, socket.timeout):
        return "no answer in time"
    if isinstance(exc, (ConnectionError, http.client.RemoteDisconnected)):
        return (getattr(exc, "strerror", None) or str(exc) or type(exc).__name__).lower()
    return str(exc) or type(exc).__name__
