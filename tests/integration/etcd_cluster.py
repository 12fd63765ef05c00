# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real etcd cluster of several members on the loopback interface, over mutual TLS, whose members may be ended."""

from __future__ import annotations

import base64
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_api import EtcdApi, tls_transport
from tests.integration.certificates import Authority, Pair
from tests.integration.servers import LOOPBACK, Server, client_context, free_port, program
from tests.integration.support import run_module

Seen = TypeVar("Seen")


def eventually(look: Callable[[], Seen], good: Callable[[Seen], bool], seconds: float = 30) -> Seen:
    """What was seen when it was good."""
    deadline = time.monotonic() + seconds
    while not good(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.2)
    return seen


@dataclass
class Member:
    """One member: where clients and peers find it, and its process once it has been started; launcher: what runs it."""

    name: str
    url: str
    peer_url: str
    server: Server | None = None
    launcher: tuple[str, ...] = ()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        assert self.server is not None
        self.server.process.kill()
        self.server.process.wait()

    def freeze(self) -> None:
        """Stop it without closing its connections."""
        assert self.server is not None
        self.server.process.send_signal(signal.SIGSTOP)


@dataclass
class EtcdCluster:
    """Its members by name."""

    directory: Path
    authority: Authority
    serving: Pair
    client: Pair
    flags: Sequence[str] = ()
    members: dict[str, Member] = field(default_factory=dict)

    @classmethod
    def create(cls, directory: Path, names: Sequence[str], flags: Sequence[str] = ()) -> EtcdCluster:
        """A new cluster that answers."""
        authority = Authority(directory / "pki", name="etcd-ca")
        serving = authority.issue("server", "etcd", names=[LOOPBACK, "localhost"])
        client = authority.issue("healthcheck-client", "kube-etcd-healthcheck-client")
        cluster = cls(directory, authority, serving, client, flags)
        for name in names:
            cluster.plan(name)
        for name in names:
            cluster.start(name, "new")
        for name in names:
            cluster.wait(name)
        return cluster

    def plan(self, name: str) -> Member:
        """Give a member its addresses."""
        self.members[name] = Member(name, f"https://{LOOPBACK}:{free_port()}", f"https://{LOOPBACK}:{free_port()}")
        return self.members[name]

    def start(self, name: str, state: str = "existing", initial: str = "") -> None:
        """Start a member, new or again. initial: names and peer URLs of all, without it those that were planned."""
        member, pki = self.members[name], self.serving
        files = [
            "--cert-file",
            pki.cert,
            "--key-file",
            pki.key,
            "--peer-cert-file",
            pki.cert,
            "--peer-key-file",
            pki.key,
        ]
        trust = ["--trusted-ca-file", self.authority.pair.cert, "--peer-trusted-ca-file", self.authority.pair.cert]
        urls = ["--listen-client-urls", member.url, "--advertise-client-urls", member.url]
        peers = ["--listen-peer-urls", member.peer_url, "--initial-advertise-peer-urls", member.peer_url]
        others = initial or ",".join(f"{one.name}={one.peer_url}" for one in self.members.values())
        argv = [
            *member.launcher,
            program("etcd", "etcd"),
            "--name",
            name,
            "--data-dir",
            self.directory / name,
            "--unsafe-no-fsync",
        ]
        more = ["--initial-cluster", others, "--initial-cluster-state", state, "--log-level", "warn", *self.flags]
        auth = ["--client-cert-auth", "--peer-client-cert-auth"]
        everything = [*argv, *files, *trust, *auth, *urls, *peers, *more]
        member.server = Server.start(f"etcd-{name}", member.url, everything, self.directory)

    def add_learner(self, name: str) -> None:
        """Make a member that does not vote yet known to the others; it is not started."""
        added = self.plan(name)

        def refused() -> str:
            try:
                self.api("cp1").call("cluster/member/add", {"peerURLs": [added.peer_url], "isLearner": True})
            except ApiError as exc:
                return str(exc)
            return ""

        # etcd wants its members to have been connected for 5 s.
        eventually(refused, lambda reason: not reason)

    def wait(self, name: str) -> None:
        """Until a voter answers."""
        server = self.members[name].server
        assert server is not None
        server.wait(client_context(self.authority.pair, self.client), "/health")

    def stop(self) -> None:
        """End all members."""
        for member in self.members.values():
            if member.server is not None:
                member.server.process.kill()
                member.server.process.wait()

    def api(self, name: str) -> EtcdApi:
        """A member's gateway."""
        transport = tls_transport(str(self.authority.pair.cert), str(self.client.cert), str(self.client.key))
        return EtcdApi(self.members[name].url, transport, timeout=10)

    def put(self, name: str, key: str, size: int) -> None:
        """Write a value of that many bytes."""
        value = base64.b64encode(b"x" * size).decode()
        self.api(name).call("kv/put", {"key": base64.b64encode(key.encode()).decode(), "value": value})

    def info(self, endpoints: Sequence[str] | None = None, **args: Any) -> dict[str, Any]:
        """What etcd_info returns."""
        return self._ask("etcd_info", endpoints, args)

    def gate(self, action: str, name: str, endpoints: Sequence[str] | None = None, **args: Any) -> dict[str, Any]:
        """What etcd_gate answers."""
        return self._ask("etcd_gate", endpoints, {"action": action, "name": name, **args})

    def _ask(self, module: str, endpoints: Sequence[str] | None, args: dict[str, Any]) -> dict[str, Any]:
        urls = list(endpoints) if endpoints is not None else [member.url for member in self.members.values()]
        files = {"ca": str(self.authority.pair.cert), "cert": str(self.client.cert), "key": str(self.client.key)}
        return run_module(module, {"endpoints": urls, **files, **args})

    def maintain(self, action: str, check: bool = False, **args: Any) -> dict[str, Any]:
        """What etcd_maintenance returns."""
        urls = [member.url for member in self.members.values()]
        return run_module(
            "etcd_maintenance", {"endpoints": urls, **self.files(), "action": action, **args}, check=check
        )

    def member(self, state: str, check: bool = False, through: str = "cp1", **args: Any) -> dict[str, Any]:
        """What etcd_member returns."""
        url = self.members[through].url
        return run_module("etcd_member", {"endpoints": [url], **self.files(), "state": state, **args}, check=check)

    def files(self) -> dict[str, str]:
        """The module options that say where the certificates are."""
        return {"ca": str(self.authority.pair.cert), "cert": str(self.client.cert), "key": str(self.client.key)}

    def others(self, name: str) -> list[str]:
        """Client URLs of all the other members that were started."""
        return [one.url for one in self.members.values() if one.server is not None and one.name != name]


Make = Callable[..., EtcdCluster]
