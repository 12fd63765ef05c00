# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's static pods: manifests as files in a directory, health at real listeners on loopback."""

from __future__ import annotations

import http.server
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import static_pod_host as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pods import API, ETCD
from tests.unit.plugins.module_utils.certificates import self_signed

MANAGER, SCHEDULER = "kube-controller-manager", "kube-scheduler"
MANIFEST = """apiVersion: v1
kind: Pod
metadata:
  annotations:
    kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 192.0.2.11:6443
  name: kube-apiserver
spec:
  containers:
  - command:
    - kube-apiserver
    - --advertise-address=192.0.2.11
    - --secure-port=7443
    - "--bind-address=192.0.2.11"
    - '--audit-log-path=/var/log/a b.log'
    - --tls-cert-file=/etc/kubernetes/pki/apiserver.crt
    image: registry.k8s.io/kube-apiserver:v1.36.3
    imagePullPolicy: IfNotPresent
"""


@pytest.fixture(name="pods")
def host_in_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> subject.PodHost:
    (tmp_path / "etc/manifests").mkdir(parents=True)
    (tmp_path / "var").mkdir()
    monkeypatch.setattr(subject, "MANIFESTS", str(tmp_path / "etc/manifests"))
    monkeypatch.setattr(subject, "KEPT", str(tmp_path / "var/manifests"))
    monkeypatch.setattr(subject, "SCRATCH", str(tmp_path / "run"))
    monkeypatch.setattr(subject, "LOGS", str(tmp_path / "log/kube-system_{component}-*/{component}/*.log"))
    return subject.PodHost()


# What a manifest tells


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("secure-port", "7443"),
        ("bind-address", "192.0.2.11"),
        ("audit-log-path", "/var/log/a b.log"),
        ("tls-cert-file", "/etc/kubernetes/pki/apiserver.crt"),
        ("address", ""),
        ("tls-cert", ""),
        ("secure.port", ""),
    ],
)
def test_flags_by_their_exact_names(name: str, value: str) -> None:
    assert subject.flag(MANIFEST, name) == value


@pytest.mark.parametrize(
    ("line", "image"),
    [
        ("    image: registry.k8s.io/etcd:3.6.16-0\n", "registry.k8s.io/etcd:3.6.16-0"),
        ('  - image: "registry.example:5000/a/etcd:1"\n', "registry.example:5000/a/etcd:1"),
        ("    imagePullPolicy: IfNotPresent\n", ""),
    ],
)
def test_the_image_of_a_manifest(line: str, image: str) -> None:
    assert subject.image(line) == image
    assert subject.image(MANIFEST) == "registry.k8s.io/kube-apiserver:v1.36.3"


@pytest.mark.parametrize(
    ("component", "flags", "url"),
    [
        (API, [], "https://127.0.0.1:6443/readyz"),
        (API, ["secure-port=7443"], "https://127.0.0.1:7443/readyz"),
        (API, ["bind-address=0.0.0.0"], "https://127.0.0.1:6443/readyz"),
        (API, ["bind-address=::"], "https://127.0.0.1:6443/readyz"),
        (API, ["bind-address=2001:db8::1"], "https://[2001:db8::1]:6443/readyz"),
        (API, ["bind-address=192.0.2.11"], "https://192.0.2.11:6443/readyz"),
        (MANAGER, ["bind-address=127.0.0.1"], "https://127.0.0.1:10257/healthz"),
        (SCHEDULER, [], "https://127.0.0.1:10259/livez"),
        (ETCD, [], "http://127.0.0.1:2381/health"),
        (ETCD, ["listen-metrics-urls=http://127.0.0.1:9,http://192.0.2.11:9"], "http://127.0.0.1:9/health"),
    ],
)
def test_where_a_component_tells_its_health(component: str, flags: list[str], url: str) -> None:
    manifest = "".join(f"    - --{flag}\n" for flag in flags)
    assert subject.health_url(component, manifest) == url


# Asking


@contextmanager
def server(status: int, certificate: Path | None = None) -> Iterator[tuple[str, list[str]]]:
    """A component's health port. Gives its URL and the paths that were asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            listener.socket = context.wrap_socket(listener.socket, server_side=True)
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{listener.server_port}", asked
        listener.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(("status", "found"), [(200, ""), (500, "answers 500"), (503, "answers 503")])
def test_only_200_is_healthy(certificate: Path, tls: bool, status: int, found: str) -> None:
    with server(status, certificate if tls else None) as (url, asked):
        told = subject.ask(f"{url}/health")
    assert told == (f"{url}/health {found}" if found else "")
    assert asked == ["/health"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_port_without_a_listener(scheme: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert subject.ask(f"{scheme}://127.0.0.1:{port}/health").startswith(
        f"{scheme}://127.0.0.1:{port}/health does not answer ("
    )


def test_a_url_without_a_port_is_an_answer_and_no_crash() -> None:
    assert "does not answer" in subject.ask("http://localhost/health")


def test_what_is_not_http_does_not_count() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            connection, _peer = listener.accept()
            with connection:
                connection.recv(512)
                connection.sendall(b"SSH-2.0\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        found = subject.ask(f"http://127.0.0.1:{listener.getsockname()[1]}/health")
        thread.join()
    assert found.endswith("does not answer (the answer is not HTTP)")


def test_a_component_that_does_not_run_is_not_asked(pods: subject.PodHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else may listen at its port."""
    with server(200) as (url, asked):
        manifest = f"    - --listen-metrics-urls={url}\n"
        monkeypatch.setattr(subject, "processes", lambda _name: [])
        assert pods.answers(ETCD, manifest) == "it does not run"
        assert asked == []
        monkeypatch.setattr(subject, "processes", lambda _name: [7])
        assert pods.answers(ETCD, manifest) == ""


def test_processes_by_the_name_of_their_program(tmp_path: Path) -> None:
    name = "quorum-test-scheduler"
    program = tmp_path / name
    shutil.copy(shutil.which("sleep") or "", program)
    with subprocess.Popen([str(program), "60"]) as process:
        try:
            deadline = time.monotonic() + 10
            # A process has its own command line a moment after it was made.
            while subject.processes(name) != [process.pid]:
                assert time.monotonic() < deadline, subject.processes(name)
            assert subject.processes("quorum-test") == []
        finally:
            process.kill()
    assert subject.processes(name) == []


# Manifests


def test_a_manifest_is_placed_whole_for_root_alone(pods: subject.PodHost, tmp_path: Path) -> None:
    path = tmp_path / "etc/manifests/etcd.yaml"
    pods.place(ETCD, "one")
    first = path.stat()
    assert (pods.manifests(), first.st_mode & 0o777) == ({ETCD: "one"}, 0o600)
    pods.place(ETCD, "two")
    assert pods.manifests() == {ETCD: "two"}
    assert path.stat().st_ino != first.st_ino, "a file that is written in place can be read half"
    assert [one.name for one in (tmp_path / "etc").iterdir()] == ["manifests"]
    assert [one.name for one in path.parent.iterdir()] == ["etcd.yaml"]


def test_a_manifest_that_cannot_be_written_leaves_the_old_one(
    pods: subject.PodHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    pods.place(ETCD, "one")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(subject.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        pods.place(ETCD, "two")
    assert pods.manifests() == {ETCD: "one"}


def test_what_worked_is_kept_once(pods: subject.PodHost, tmp_path: Path) -> None:
    pods.place(API, "worked")
    pods.keep(API)
    assert (pods.manifests(), pods.kept()) == ({}, {API: "worked"})
    kept = tmp_path / "var/manifests"
    assert kept.stat().st_mode & 0o777 == 0o700
    assert (kept / "kube-apiserver.yaml").stat().st_mode & 0o777 == 0o600
    pods.place(API, "tried")
    pods.keep(API)
    assert (pods.manifests(), pods.kept()) == ({}, {API: "worked"})
    pods.forget()
    assert pods.kept() == {}
    assert list((tmp_path / "var").iterdir()) == []


def test_half_a_copy_of_a_killed_run_is_no_kept_manifest(pods: subject.PodHost, tmp_path: Path) -> None:
    (tmp_path / "var/manifests").mkdir()
    (tmp_path / "var/manifests/etcd.yaml.new").write_text("hal")
    assert pods.kept() == {}
    pods.place(ETCD, "whole")
    pods.keep(ETCD)
    assert pods.kept() == {ETCD: "whole"}


def test_forgetting_is_done_at_once_and_ends_what_a_killed_one_began(
    pods: subject.PodHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (ETCD, API):
        pods.place(name, "worked")
        pods.keep(name)

    def killed(_folder: str, **_options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(subject.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            pods.forget()
    assert pods.kept() == {}
    pods.forget()
    assert list((tmp_path / "var").iterdir()) == []
    pods.forget()


def test_removing_takes_away_without_keeping(pods: subject.PodHost) -> None:
    pods.place(API, "tried")
    pods.remove(API)
    pods.remove(API)
    assert (pods.manifests(), pods.kept()) == ({}, {})


def test_files_of_others_are_not_manifests_of_ours(pods: subject.PodHost, tmp_path: Path) -> None:
    (tmp_path / "etc/manifests/keepalived.yaml").write_text("x")
    assert pods.manifests() == {}


def test_the_end_of_the_newest_log_and_no_secret(pods: subject.PodHost, tmp_path: Path) -> None:
    folder = tmp_path / "log/kube-system_etcd-cp1_1/etcd"
    folder.mkdir(parents=True)
    (folder / "0.log").write_text("older\n")
    (folder / "1.log").write_text(
        "".join(f"line {n}\n" for n in range(30)) + f"token abcdef.0123456789abcdef {'x' * 400}\n"
    )
    subject.os.utime(folder / "0.log", (1, 1))
    told = pods.why(ETCD)
    lines = [line for line in told.splitlines() if line.startswith("etcd: ")]
    assert len(lines) == subject.LINES
    assert lines[0] == "etcd: line 11"
    assert "older" not in told
    assert "abcdef.0123456789abcdef" not in told
    assert max(map(len, lines)) <= 310
    assert "etcd: " not in pods.why(API)


# What kubeadm writes

KUBEADM = f"""#!{sys.executable}
import os, pathlib, sys
folder, words = pathlib.Path(os.environ["KUBEADM_INIT_DRYRUN_DIR"]), sys.argv[1:]
assert words[:2] == ["init", "phase"] and "--dry-run" in words, words
config = open(words[words.index("--config") + 1]).read()
if "broken" in config:
    print("no such field, token abcdef.0123456789abcdef")
    sys.exit(3)
names = ["etcd"] if words[2:4] == ["etcd", "local"] else ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]
for name in names:
    (folder / f"{{name}}.yaml").write_text(name + " of " + str(len(config) > 0))
"""


@pytest.fixture(name="kubeadm")
def played_kubeadm(tmp_path: Path) -> str:
    path = tmp_path / "kubeadm"
    path.write_text(KUBEADM)
    path.chmod(0o755)
    return str(path)


CONTROLLER = {"controllerManager": {"extraArgs": [{"name": "cloud-provider", "value": "external"}]}}


@pytest.mark.parametrize(
    ("cluster", "etcd"),
    [
        ({}, True),
        ({"etcd": {"local": {"imageTag": "3.6.16-0"}}}, True),
        (CONTROLLER, True),
        ({"etcd": {"external": {"endpoints": ["https://192.0.2.31:2379"]}}}, False),
    ],
)
def test_manifests_by_kubeadms_dry_run(
    pods: subject.PodHost, kubeadm: str, tmp_path: Path, cluster: dict[str, Any], etcd: bool
) -> None:
    documents = [{"kind": "InitConfiguration"}, {"kind": "ClusterConfiguration", **cluster}]
    wanted = pods.wanted(kubeadm, documents, 20)
    assert wanted[API] == "kube-apiserver of True"
    assert (ETCD in wanted, MANAGER in wanted, SCHEDULER in wanted) == (etcd, True, True)
    assert list((tmp_path / "run").iterdir()) == [], "nothing stays of it"
    assert pods.manifests() == {}


def test_a_configuration_that_kubeadm_refuses(pods: subject.PodHost, kubeadm: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="does not tell the manifests") as caught:
        pods.wanted(kubeadm, [{"kind": "ClusterConfiguration", "broken": json.dumps("x")}], 20)
    assert "no such field" in caught.value.found
    assert "abcdef.0123456789abcdef" not in str(caught.value)
    assert list((tmp_path / "run").iterdir()) == []
