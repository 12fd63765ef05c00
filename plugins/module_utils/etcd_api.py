# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's JSON gateway over mutual TLS, with the standard library only.

The gateway writes 64-bit numbers as strings and leaves zero, false and empty values out. Here they become numbers,
and member IDs become hexadecimal, as etcdctl prints them.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from .errors import ApiError, InputError, UnreachableError

# url, body, timeout in seconds -> HTTP status, body. Raises OSError when nothing answers.
Transport = Callable[[str, bytes, float], "tuple[int, bytes]"]
Answer = Mapping[str, Any]


def number(value: object) -> int:
    """A number of the gateway: a string, a number, or left out when it is zero."""
    return int(str(value or 0))


def member_id(value: object) -> str:
    """A member's or cluster's ID in hexadecimal."""
    return format(number(value), "x")


def text(value: str) -> str:
    """A key or a value, as the gateway wants it."""
    return base64.b64encode(value.encode()).decode()


def revision(answer: Answer) -> int:
    """The store's revision when this was answered."""
    return number((answer.get("header") or {}).get("revision"))


def tls_context(ca: str, cert: str, key: str) -> ssl.SSLContext:
    """Who we are, by a client certificate, and the only CA that is trusted."""
    try:
        context = ssl.create_default_context(cafile=ca)
        context.load_cert_chain(cert, key)
    except (OSError, ValueError) as exc:
        raise InputError(
            "The certificates for etcd cannot be read",
            where=f"{ca}, {cert}, {key}",
            found=str(exc),
            next_step="Run this on a host with an etcd member, as root, or name other files with ca, cert and key",
        ) from exc
    return context


@contextmanager
def posted(context: ssl.SSLContext, url: str, body: bytes, timeout: float) -> Iterator[http.client.HTTPResponse]:
    """The beginning of an answer, which may then be read piece by piece. Raises OSError when nothing answers."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise OSError(f"not an https URL: {url}")
    connection = http.client.HTTPSConnection(parts.hostname, parts.port or 2379, timeout=timeout, context=context)
    try:
        connection.request("POST", parts.path, body, {"Content-Type": "application/json"})
        yield connection.getresponse()
    except http.client.HTTPException as exc:
        raise OSError(f"not an answer in HTTP: {exc!r}") from exc
    finally:
        connection.close()


def tls_transport(ca: str, cert: str, key: str) -> Transport:
    """A transport that proves who it is with a client certificate and trusts only this CA."""
    context = tls_context(ca, cert, key)

    def post(url: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        with posted(context, url, body, timeout) as response:
            return response.status, response.read()

    return post


class EtcdApi:
    """One etcd endpoint."""

    def __init__(self, endpoint: str, transport: Transport, timeout: float = 2.0) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._transport = transport
        self._timeout = timeout

    def call(self, path: str, body: Mapping[str, object] | None = None, timeout: float = 0) -> Answer:
        """POST to a path below /v3/ and parse the answer. timeout: seconds, when it is not the usual one."""
        try:
            status, raw = self._transport(
                f"{self.endpoint}/v3/{path}", json.dumps(dict(body or {})).encode(), timeout or self._timeout
            )
        except OSError as exc:
            raise UnreachableError(
                "etcd does not answer",
                where=self.endpoint,
                found=str(exc) or type(exc).__name__,
                next_step="Look at the etcd of that host: crictl or ctr, journalctl -u kubelet, its manifest",
            ) from exc
        answer = _parse(raw)
        if status != 200 or answer is None:
            said = answer or {}
            text = str(said.get("message") or said.get("error") or raw[:200].decode("utf-8", "replace"))
            raise ApiError(f"etcd refused {path}", status=status, where=self.endpoint, found=text)
        return answer

    def members(self, linearizable: bool = True) -> Answer:
        """Cluster ID and members; without `linearizable` what this member believes, which works without a quorum."""
        return self.call("cluster/member/list", {"linearizable": linearizable})

    def status(self) -> Answer:
        """This member's version, database and raft state."""
        return self.call("maintenance/status")

    def alarms(self) -> list[tuple[str, str]]:
        """(member ID, alarm) for every alarm raised in the cluster."""
        found = self.call("maintenance/alarm", {"action": "GET"}).get("alarms") or []
        return [(member_id(alarm.get("memberID")), str(alarm.get("alarm", "NONE"))) for alarm in found]

    def read(self, linearizable: bool = True) -> int:
        """Read one key that need not exist, and say the newest revision. Only a majority answers linearizable."""
        asked = {"key": text("health"), "limit": "1", "keys_only": True, "serializable": not linearizable}
        return revision(self.call("kv/range", asked))

    def empty(self, prefix: str) -> bool:
        """Whether no key begins with this prefix, which ends with a slash; a majority says so."""
        asked = {"key": text(prefix), "range_end": text(prefix[:-1] + "0"), "limit": "1", "keys_only": True}
        return not self.call("kv/range", asked).get("kvs")

    def hash_kv(self, at: int, timeout: float = 0) -> tuple[int, int]:
        """The revision up to which this member was compacted, and the hash of its keys and values at a revision."""
        answer = self.call("maintenance/hashkv", {"revision": str(at)}, timeout)
        return number(answer.get("compact_revision")), number(answer.get("hash"))

    def compacted(self, to: int) -> bool:
        """Whether everything before this revision is gone already, so that compacting to it would be refused."""
        if to <= 1:
            return True
        asked = {"key": text("health"), "limit": "1", "keys_only": True, "revision": str(to - 1)}
        try:
            self.call("kv/range", asked)
        except ApiError as exc:
            if "has been compacted" in exc.found:
                return True
            raise
        return False

    def compact(self, to: int, timeout: float = 0) -> None:
        """Forget what was overwritten or deleted before this revision, and wait until this member has done it."""
        self.call("kv/compaction", {"revision": str(to), "physical": True}, timeout)

    def defragment(self, timeout: float = 0) -> None:
        """Give this member's free pages back to its disk. It answers nothing meanwhile."""
        self.call("maintenance/defragment", {}, timeout)

    def disarm(self, identity: str, alarm: str) -> None:
        """Take an alarm back that this member raised."""
        self.call("maintenance/alarm", {"action": "DEACTIVATE", "memberID": str(int(identity, 16)), "alarm": alarm})


def _parse(raw: bytes) -> Answer | None:
    try:
        answer = json.loads(raw)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
