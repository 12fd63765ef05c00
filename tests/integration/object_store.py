# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small S3-compatible store on the loopback interface: objects of one bucket, path style, in memory.

It wants a request that is signed with the account's ID, and does not compute the signature.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


@dataclass
class Store:
    """What it holds; spoil: names whose content it gives back with one bit changed."""

    bucket: str
    account: str
    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    meta: dict[str, dict[str, str]] = field(default_factory=dict)
    spoil: set[str] = field(default_factory=set)

    def read(self, key: str) -> bytes:
        """As a client gets it."""
        content = self.objects[key]
        return bytes([content[0] ^ 1]) + content[1:] if any(key.endswith(end) for end in self.spoil) else content


class Handler(BaseHTTPRequestHandler):
    """The requests that rclone makes."""

    protocol_version = "HTTP/1.1"
    store: Store

    def log_message(self, *_args: object) -> None:
        """Not to the terminal."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status: int, code: str) -> None:
        self.answer(status, f"<Error><Code>{code}</Code></Error>".encode(), Content_Type="application/xml")

    def key(self) -> str | None:
        bucket, _slash, key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        if f"Credential={self.store.account}/" not in self.headers.get("Authorization", "") + unquote(self.path):
            self.error(403, "AccessDenied")
            return None
        if bucket != self.store.bucket:
            self.error(404, "NoSuchBucket")
            return None
        return key

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        key = self.key()
        if key:
            self.store.objects[key] = content
            told = {name: value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta")}
            self.store.meta[key] = told
            self.answer(200, ETag=f'"{hashlib.md5(content).hexdigest()}"')

    def do_GET(self) -> None:
        key = self.key()
        if key is None:
            return
        if not key:
            self.listing()
        elif key not in self.store.objects:
            self.error(404, "NoSuchKey")
        else:
            etag = f'"{hashlib.md5(self.store.objects[key]).hexdigest()}"'
            told = {"ETag": etag, "Last-Modified": formatdate(usegmt=True), **self.store.meta[key]}
            self.answer(200, self.store.read(key), **told)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        key = self.key()
        if key:
            self.store.objects.pop(key, None)
            self.answer(204)

    def listing(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        prefix = asked.get("prefix", [""])[0]
        rows = [
            f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size>"
            f"<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key, content in sorted(self.store.objects.items())
            if key.startswith(prefix)
        ]
        head = f"<Name>{self.store.bucket}</Name><Prefix>{escape(prefix)}</Prefix><IsTruncated>false</IsTruncated>"
        body = f"<ListBucketResult {NAMESPACE}>{head}{''.join(rows)}</ListBucketResult>"
        self.answer(200, body.encode(), Content_Type="application/xml")


@contextmanager
def serving(bucket: str, account: str) -> Iterator[Store]:
    """The store, until the end of the block."""
    store = Store(bucket, account)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"store": store}))
    store.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
