# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real etcd and a real kube-apiserver on the loopback interface, built by the lab when they are not there yet."""

from __future__ import annotations

import base64
import functools
import http.client
import json
import random
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import settings
from lab.components import components
from lab.releases import RELEASES, release
from tests.integration.certificates import Authority, Pair, service_account_keys

VERSION = next(iter(RELEASES))
LOOPBACK = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 10
# Above what services have as their own.
FIRST_PORT = 10_000
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_GIVEN: set[int] = set()
# A test run that is killed leaves no server behind.
END_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")


@functools.cache
def program(component: str, name: str) -> Path:
    """The path of a program of the lab's default release."""
    return components(release(VERSION))[component].build(settings.load().cache) / name


def free_port() -> int:
    """A port that nobody listens on until its server starts.

    It is given once, and it is none of those that the kernel gives to connections: one that the kernel chooses may be
    chosen again, for another server or for a member's connection to its peer, before its own server is there.
    """
    for _try in range(1000):
        port = random.choice(_usable())
        if port not in _GIVEN and _free(port):
            _GIVEN.add(port)
            return port
    raise AssertionError("no port is free")


@functools.cache
def _usable() -> list[int]:
    low, high = (int(end) for end in EPHEMERAL.read_text().split())
    every = range(FIRST_PORT, 65536)
    return [port for port in every if not low <= port <= high] or list(every)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


@dataclass
class Server:
    """A process that we started, its log and its address."""

    name: str
    url: str
    log: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, name: str, url: str, argv: Sequence[object], directory: Path) -> Server:
        """Start without waiting."""
        log = directory / f"{name}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*END_WITH_PARENT, *(str(word) for word in argv)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                cwd=directory,
            )
        return cls(name, url, log, process)

    def wait(self, context: ssl.SSLContext, path: str) -> None:
        """Until the path answers 200."""
        deadline = time.monotonic() + START_SECONDS
        while not self._answers(context, path):
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
            assert self.process.poll() is None, f"{self.name} ended:\n{tail}"
            assert time.monotonic() < deadline, f"{self.name} is not ready after {START_SECONDS} s:\n{tail}"
            time.sleep(0.05)

    def _answers(self, context: ssl.SSLContext, path: str) -> bool:
        host, _colon, port = self.url.partition("://")[2].partition(":")
        connection = http.client.HTTPSConnection(host, int(port), timeout=5, context=context)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def again(self) -> Server:
        """Ended and started again with the same arguments, not yet ready."""
        self.stop()
        words = self.process.args
        assert isinstance(words, list)
        return Server.start(self.name, self.url, words[len(END_WITH_PARENT) :], self.log.parent)

    def stop(self) -> None:
        """End this process, and only this one."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def client_context(ca: Pair, client: Pair) -> ssl.SSLContext:
    """Trust this CA, be this client."""
    context = ssl.create_default_context(cafile=str(ca.cert))
    context.load_cert_chain(client.cert, client.key)
    return context


@dataclass
class Etcd:
    """One etcd member; `ca` and `client` are what a client needs."""

    server: Server
    ca: Pair
    client: Pair
    peer_url: str
    data: Path

    @property
    def url(self) -> str:
        """The client URL."""
        return self.server.url


def start_etcd(directory: Path) -> Etcd:
    """A cluster of one member with certificates in kubeadm's layout, not yet ready."""
    authority = Authority(directory / "pki", name="etcd-ca")
    own = authority.issue("server", "etcd", names=[LOOPBACK, "localhost"])
    client = authority.issue(
        "healthcheck-client", "kube-etcd-healthcheck-client", organization="kubeadm:cluster-admins"
    )
    url, peer = f"https://{LOOPBACK}:{free_port()}", f"https://{LOOPBACK}:{free_port()}"
    data = directory / "data"
    tls = [
        "--cert-file",
        own.cert,
        "--key-file",
        own.key,
        "--client-cert-auth",
        "--trusted-ca-file",
        authority.pair.cert,
    ]
    peers = ["--peer-cert-file", own.cert, "--peer-key-file", own.key, "--peer-trusted-ca-file", authority.pair.cert]
    urls = ["--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer]
    cluster = ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"test={peer}", "--peer-client-cert-auth"]
    argv = [program("etcd", "etcd"), "--name", "test", "--data-dir", data, "--unsafe-no-fsync", "--log-level", "warn"]
    server = Server.start("etcd", url, [*argv, *tls, *peers, *urls, *cluster], directory)
    return Etcd(server, authority.pair, client, peer, data)


@dataclass
class Cluster:
    """An API server, its CA, and an administrator of it."""

    directory: Path
    authority: Authority
    server: Server
    admin: Pair
    pki: Path
    others: list[Server] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The API server's address."""
        return self.server.url

    @property
    def ca_pem(self) -> str:
        """The cluster's CA."""
        return self.authority.pair.cert_pem

    def kubeconfig(
        self,
        name: str = "admin.conf",
        *,
        server: str = "",
        ca_pem: str = "",
        client: Pair | None = None,
        token: str = "",
    ) -> Path:
        """Write a kubeconfig as kubeadm does, in its own layout."""
        path = self.directory / name
        user = f"    token: {token}\n"
        if not token:
            pair = client or self.admin
            user = f"    client-certificate-data: {_b64(pair.cert_pem)}\n    client-key-data: {_b64(pair.key_pem)}\n"
        path.touch(mode=0o600)
        path.write_text(
            "apiVersion: v1\nclusters:\n- cluster:\n"
            f"    certificate-authority-data: {_b64(ca_pem or self.ca_pem)}\n    server: {server or self.url}\n"
            "  name: kubernetes\ncontexts:\n- context:\n    cluster: kubernetes\n    user: kubernetes-admin\n"
            "  name: kubernetes-admin@kubernetes\ncurrent-context: kubernetes-admin@kubernetes\nkind: Config\n"
            f"users:\n- name: kubernetes-admin\n  user:\n{user}"
        )
        return path

    def kubectl(self, *args: str, stdin: str = "") -> str:
        """The output of kubectl, the other client."""
        return self._official("kubectl", *args, stdin=stdin)

    def kubeadm(self, *args: str) -> str:
        """The output of kubeadm."""
        return self._official("kubeadm", *args)

    def _official(self, name: str, *args: str, stdin: str = "") -> str:
        argv: list[str | Path] = [program("kubernetes", name), *args, "--kubeconfig", self.kubeconfig()]
        home = {"HOME": str(self.directory), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, timeout=60, env=home)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kubectl_json(self, *args: str) -> dict[str, Any]:
        """What kubectl prints with -o json."""
        value = json.loads(self.kubectl(*args, "-o", "json"))
        assert isinstance(value, dict)
        return value


def start_cluster(directory: Path, etcd: Etcd, more: Mapping[str, object] | None = None) -> Cluster:
    """An API server over this etcd, not yet ready. The certificates are where kubeadm would look for them.

    more: flags of its own.
    """
    pki = directory / "pki"
    authority = Authority(pki)
    Authority(pki, name="front-proxy-ca", stem="front-proxy-ca")
    Authority(pki, name="etcd-ca", stem="etcd/ca")
    private, public = service_account_keys(pki)
    own = authority.issue("apiserver", "kube-apiserver", names=[LOOPBACK, "localhost", "kubernetes"])
    admin = authority.issue("admin", "kubernetes-admin", organization="system:masters")
    port = free_port()
    flags = {
        "advertise-address": "192.0.2.1",
        "bind-address": LOOPBACK,
        "secure-port": port,
        "cert-dir": directory / "run",
        "tls-cert-file": own.cert,
        "tls-private-key-file": own.key,
        "client-ca-file": authority.pair.cert,
        "etcd-servers": etcd.url,
        "etcd-cafile": etcd.ca.cert,
        "etcd-certfile": etcd.client.cert,
        "etcd-keyfile": etcd.client.key,
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": public,
        "service-account-signing-key-file": private,
        "service-cluster-ip-range": "10.96.0.0/24",
        "authorization-mode": "Node,RBAC",
        "enable-bootstrap-token-auth": "true",
        "endpoint-reconciler-type": "none",
        "profiling": "false",
        **(more or {}),
    }
    argv = [program("kubernetes", "kube-apiserver"), *(f"--{key}={value}" for key, value in flags.items())]
    server = Server.start("kube-apiserver", f"https://{LOOPBACK}:{port}", argv, directory)
    return Cluster(directory, authority, server, admin, pki)


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
