"""A file server on loopback that can break: it breaks off, lies, answers with pages, forgets ranges."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class FileServer:
    """files: path -> content. requests: what came in, with the Range and Authorization headers."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    # Path -> how many bytes are sent before the connection is cut, once for each entry.
    cuts: dict[str, list[int]] = field(default_factory=dict)
    pages: set[str] = field(default_factory=set)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    requests: list[tuple[str, str, str]] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


def _handler(server: FileServer) -> type[http.server.BaseHTTPRequestHandler]:  # noqa: C901 - one case a line
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args: Any) -> None:
            pass

        def do_GET(self) -> None:
            wanted, login = self.headers.get("Range", ""), self.headers.get("Authorization", "")
            server.requests.append((self.path, wanted, login))
            if self.path in server.redirects:
                return self._answer(302, b"", {"Location": server.redirects[self.path]})
            if self.path in server.pages:
                return self._answer(200, b"<html>Please log in</html>", {"Content-Type": "text/html; charset=utf-8"})
            if server.statuses.get(self.path):
                return self._answer(server.statuses[self.path].pop(0), b"no", {})
            content = server.files.get(self.path)
            if content is None:
                return self._answer(404, b"no such file", {"Content-Type": "text/plain"})
            begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
            if begin > len(content) or (begin == len(content) and begin):
                return self._answer(416, b"", {})
            extra = {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"} if begin else {}
            return self._answer(206 if begin else 200, content[begin:], extra)

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/octet-stream", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            cuts = server.cuts.get(self.path)
            if cuts and status in (200, 206):
                self.wfile.write(body[: cuts.pop(0)])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(2)
                return
            self.wfile.write(body)

    return Handler


@contextmanager
def serving() -> Iterator[FileServer]:
    """A server on a free port."""
    state = FileServer()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(state)) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
