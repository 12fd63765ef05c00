# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the modules reach the API: dead, frozen and foreign endpoints, late servers, lost answers."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import kube_nodes
from ansible_collections.quorum.kubeadm.plugins.module_utils.https import (
    HttpsTransport,
    Request,
    Response,
    SendError,
    tls_context,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import KubeApi, api_for, secret_path
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeconfig import load
from ansible_collections.quorum.kubeadm.plugins.modules import kube_node
from tests.integration.certificates import Authority, Pair
from tests.integration.conftest import Run
from tests.integration.servers import LOOPBACK, Cluster, free_port
from tests.integration.support import run_module


class Recorder:
    """Sends everything on; can lose the answer to the next request of a method."""

    def __init__(self, inner: HttpsTransport) -> None:
        self.inner = inner
        self.seen: list[tuple[str, str]] = []
        self.lose = ""

    def send(self, endpoint: str, request: Request) -> Response:
        self.seen.append((request.method, request.target))
        answer = self.inner.send(endpoint, request)
        if request.method == self.lose:
            self.lose = ""
            raise SendError("the answer was lost")
        return answer


@pytest.fixture
def recorder(kubeconfig: Path) -> Recorder:
    return Recorder(HttpsTransport(tls_context(load(str(kubeconfig)))))


@pytest.fixture
def api(kubeconfig: Path, recorder: Recorder) -> KubeApi:
    return api_for(load(str(kubeconfig)), [], recorder, timeout=5, dry_run=False)


class Answer(http.server.BaseHTTPRequestHandler):
    """Says yes to everything, and remembers that it was asked."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"items": []}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name for it
        pass


@contextlib.contextmanager
def https_server(pair: Pair) -> Iterator[str]:
    server = http.server.HTTPServer((LOOPBACK, 0), Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    # A client that breaks off in the handshake must not end the server.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"https://{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[str]:
    """An HTTPS server that another CA vouches for."""
    Answer.asked.clear()
    with https_server(Authority(tmp_path).issue("server", "kube-apiserver", names=[LOOPBACK])) as url:
        yield url


@pytest.fixture
def frozen() -> Iterator[socket.socket]:
    """A server whose kernel takes connections and that never says a word, like a stopped API server."""
    with socket.create_server((LOOPBACK, 0), backlog=8) as listener:
        yield listener


def connections(listener: socket.socket) -> int:
    """How many the kernel took."""
    listener.setblocking(False)
    taken = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            taken += 1
    return taken


def test_a_dead_virtual_address_is_passed_over(cluster: Cluster, module: Run) -> None:
    result = module("kube_node", nodes={}, endpoints=[f"https://{LOOPBACK}:{free_port()}", cluster.url])
    assert not result.get("failed"), result


def test_a_frozen_server_is_passed_over_once(cluster: Cluster, module: Run, frozen: socket.socket) -> None:
    began = time.monotonic()
    url = f"https://{LOOPBACK}:{frozen.getsockname()[1]}"
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: past-the-frozen-one}\n"
    result = module("kube_apply", manifest=manifest, endpoints=[url, cluster.url])
    assert result["changed"]
    # Three requests, but the frozen one costs its 3 seconds only for the first.
    assert connections(frozen) == 1
    assert time.monotonic() - began >= 3


def test_a_foreign_server_is_passed_over_and_never_asked(cluster: Cluster, module: Run, foreign: str) -> None:
    result = module("kube_node", nodes={}, endpoints=[foreign, cluster.url])
    assert not result.get("failed"), result
    assert Answer.asked == []


def test_only_a_foreign_server_is_refused_at_once(module: Run, foreign: str) -> None:
    began = time.monotonic()
    result = module("kube_node", nodes={}, endpoints=[foreign], timeout=30)
    assert result["failed"]
    assert foreign in result["error"]["where"]
    assert "its certificate is not trusted" in result["error"]["found"]
    assert "is another cluster" in result["error"]["next"]
    assert Answer.asked == []
    assert time.monotonic() - began < 10


def test_our_ca_but_another_machines_certificate_is_refused(cluster: Cluster, module: Run) -> None:
    pair = cluster.authority.issue("elsewhere", "kube-apiserver", names=["192.0.2.99"])
    with https_server(pair) as url:
        result = module("kube_node", nodes={}, endpoints=[url])
    assert result["failed"]
    assert "IP address mismatch" in result["error"]["found"]


def test_a_kubeconfig_of_another_cluster_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    other = cluster.kubeconfig("other-ca.conf", ca_pem=Authority(tmp_path).pair.cert_pem)
    result = run_module("cluster_info", {"kubeconfig": str(other)})
    assert "its certificate is not trusted" in result["msg"]


def test_nobody_answers_after_retries_until_the_timeout(module: Run) -> None:
    urls = [f"https://{LOOPBACK}:{free_port()}" for _n in range(2)]
    began = time.monotonic()
    result = module("cluster_info", endpoints=urls, timeout=2)
    assert result["msg"].startswith("No API endpoint answered.")
    assert all(f"{url}: connection refused" in result["error"]["found"] for url in urls)
    assert "kube_api_via" in result["error"]["next"]
    assert time.monotonic() - began > 1.3


def test_a_server_that_starts_late_is_waited_for(cluster: Cluster, module: Run) -> None:
    port = free_port()
    upstream = int(cluster.url.rpartition(":")[2])

    def open_late() -> None:
        time.sleep(1.5)
        with socket.create_server((LOOPBACK, port)) as listener:
            client, _address = listener.accept()
            with client, socket.create_connection((LOOPBACK, upstream)) as server:
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=open_late, daemon=True)
    thread.start()
    result = module("kube_node", nodes={}, endpoints=[f"https://{LOOPBACK}:{port}"], timeout=20)
    assert not result.get("failed"), result
    thread.join(5)


def test_an_expired_client_certificate_is_named(cluster: Cluster) -> None:
    old = cluster.authority.issue("old", "kubernetes-admin", organization="system:masters", expired=True)
    result = run_module("cluster_info", {"kubeconfig": str(cluster.kubeconfig("old.conf", client=old))})
    assert result["failed"]
    assert "401 Unauthorized" in result["msg"]
    assert "admin.conf from a control plane again" in result["error"]["next"]


def test_a_user_without_rights_is_told_which(cluster: Cluster) -> None:
    nobody = cluster.authority.issue("nobody", "nobody")
    path = str(cluster.kubeconfig("nobody.conf", client=nobody))
    result = run_module("bootstrap_token", {"kubeconfig": path, "state": "absent"})
    assert 'User "nobody" cannot list resource "secrets"' in result["error"]["found"]
    assert "lacks the permission" in result["error"]["next"]


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:6443", "192.0.2.1:6443", "https://", "https://a:b@c", "https://x:99999"]
)
def test_an_endpoint_that_is_no_https_url_is_refused(module: Run, url: str) -> None:
    result = module("cluster_info", endpoints=[url])
    assert "An API endpoint is not an https URL" in result["msg"]


def test_a_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    result = run_module("cluster_info", {"kubeconfig": str(tmp_path / "no.conf")})
    assert "The kubeconfig cannot be read" in result["msg"]
    assert str(tmp_path / "no.conf") in result["error"]["where"]


def test_a_lost_answer_to_a_creation_does_not_make_two_or_fail(api: KubeApi, recorder: Recorder) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "lost-answer"}, "data": {"a": "Yg=="}}
    recorder.lose = "POST"
    made = api.create(secret_path(), body)
    assert made["metadata"]["name"] == "lost-answer"
    assert [method for method, _target in recorder.seen] == ["POST", "POST", "GET"]
    with pytest.raises(Exception, match="409 Conflict"):
        api.create(secret_path(), {**body, "data": {"a": "Yw=="}})


def test_a_lost_answer_to_a_deletion_is_success(api: KubeApi, recorder: Recorder) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "doomed"}}
    uid = api.create(secret_path(), body)["metadata"]["uid"]
    recorder.lose = "DELETE"
    api.delete(secret_path("doomed"), uid=uid)
    assert api.find(secret_path("doomed")) is None


def test_a_node_that_has_what_it_shall_have_costs_one_request(
    cluster: Cluster, api: KubeApi, recorder: Recorder
) -> None:
    for name in ("count1", "count2", "count3"):
        api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    params = {"nodes": {f"count{n}": {"labels": {"a": "b"}} for n in (1, 2, 3)}, "missing": "fail", "wait_seconds": 0}
    recorder.seen.clear()
    assert kube_node.ensure(api, params)["changed_nodes"] == ["count1", "count2", "count3"]
    assert [method for method, _target in recorder.seen] == ["GET", "PATCH", "PATCH", "PATCH"]
    recorder.seen.clear()
    assert not kube_node.ensure(api, params)["changed"]
    assert recorder.seen == [("GET", "/api/v1/nodes")]


def test_a_node_that_changes_meanwhile_is_planned_again(cluster: Cluster, api: KubeApi, recorder: Recorder) -> None:
    api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "busy"}})
    stale = api.get("/api/v1/nodes/busy")
    api.patch("/api/v1/nodes/busy", {"spec": {"taints": [{"key": "theirs", "effect": "NoSchedule"}]}})
    wanted = kube_nodes.want("busy", {"taints": [{"key": "ours", "effect": "NoSchedule"}]})
    kube_node.bring(api, stale, wanted)
    assert [taint["key"] for taint in api.get("/api/v1/nodes/busy")["spec"]["taints"]] == ["theirs", "ours"]


def test_an_idle_connection_that_the_server_closed_is_opened_again(api: KubeApi, recorder: Recorder) -> None:
    api.get("/version")
    for connection in recorder.inner._open.values():
        connection.sock.shutdown(socket.SHUT_RDWR)
    assert api.get("/version")["major"] == "1"
