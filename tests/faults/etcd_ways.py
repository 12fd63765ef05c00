# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways in which a member of a real etcd cluster on the loopback interface becomes unhealthy, and well again."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from tests.integration.etcd_cluster import EtcdCluster, Member, eventually

WAYS = ("killed", "frozen", "cut off", "disk full")
# Two log segments of 64 MB, and a little for the database.
DISK = "size=140m"
# Groups that nobody has: by its group the firewall knows a member's own packets, all members having one address.
GROUPS = 1_000_000


def port(url: str) -> int:
    """A URL's port."""
    return int(url.rpartition(":")[2])


def group(member: Member) -> int:
    """The group that only this member's process has."""
    return GROUPS + port(member.peer_url)


def run(*argv: str, text: str = "") -> None:
    """Run a program that must not fail."""
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{argv}: {done.stderr}"


def cut(member: Member) -> str:
    """A table that drops what goes between this member and its peers. Clients still reach it."""
    own, client, peer = group(member), port(member.url), port(member.peer_url)
    return f"""table inet quorum_test_{peer} {{
  chain out {{
    type filter hook output priority 0; policy accept;
    oifname != "lo" accept
    meta skgid {own} tcp sport {client} accept
    meta skgid {own} tcp dport {client} accept
    tcp dport {peer} drop
    tcp sport {peer} drop
    meta skgid {own} ct mark set {own}
    ct mark {own} drop
  }}
}}
"""


@dataclass
class Ways:
    """What was done to which member, so that it can be undone."""

    cluster: EtcdCluster
    made: dict[str, str] = field(default_factory=dict)
    mounted: list[Path] = field(default_factory=list)

    def prepare(self, name: str, *, small_disk: bool = False) -> None:
        """Before its first start."""
        member = self.cluster.members[name]
        runs = ("setpriv", "--regid", str(group(member)), "--clear-groups", "--pdeathsig", "KILL")
        member.launcher = runs
        if small_disk:
            directory = self.cluster.directory / name
            directory.mkdir(mode=0o700)
            run("mount", "-t", "tmpfs", "-o", f"{DISK},mode=0700", "tmpfs", str(directory))
            self.mounted.append(directory)

    def make(self, name: str, way: str, write: Callable[[], None] = lambda: None) -> None:
        """Make it unhealthy; write: writes something large, which a full disk needs in order to be noticed."""
        member = self.cluster.members[name]
        self.made[name] = way
        if way == "killed":
            member.kill()
        elif way == "frozen":
            member.freeze()
        elif way == "cut off":
            run("nft", "-f", "-", text=cut(member))
        else:
            self._fill(member, write)

    def _fill(self, member: Member, write: Callable[[], None]) -> None:
        ballast = self.cluster.directory / member.name / "ballast"
        try:
            with ballast.open("wb", buffering=0) as stream:
                while True:
                    stream.write(b"\0" * 4096)
        except OSError:
            pass
        server = member.server
        assert server is not None

        def ended() -> bool:
            # The write that ends a leader is not answered.
            with suppress(KubeadmError):
                write()
            return server.process.poll() is not None

        eventually(ended, bool, 60)

    def mend(self, name: str) -> None:
        """Undo it, and start it again where it has ended."""
        way, member = self.made.pop(name), self.cluster.members[name]
        server = member.server
        assert server is not None
        if way == "frozen":
            server.process.send_signal(signal.SIGCONT)
        elif way == "cut off":
            self.reconnect(name)
        else:
            (self.cluster.directory / name / "ballast").unlink(missing_ok=True)
            self.cluster.start(name)

    def restart(self, name: str) -> None:
        """As a service manager does it: ask it to end, then start it."""
        server = self.cluster.members[name].server
        assert server is not None
        server.stop()
        self.cluster.start(name)

    def reconnect(self, name: str) -> None:
        """Take the firewall's table away."""
        run("nft", "delete", "table", "inet", f"quorum_test_{port(self.cluster.members[name].peer_url)}")

    def end(self) -> None:
        """Leave nothing behind."""
        for name, way in list(self.made.items()):
            if way == "cut off":
                self.reconnect(name)
        self.cluster.stop()
        for directory in self.mounted:
            run("umount", str(directory))


@contextmanager
def breakable(directory: Path, names: Sequence[str], small_disks: Sequence[str] = ()) -> Iterator[Ways]:
    """A new cluster whose members can be made unhealthy in every way."""
    cluster = EtcdCluster.create(directory, ())
    ways = Ways(cluster)
    try:
        for name in names:
            cluster.plan(name)
        for name in names:
            ways.prepare(name, small_disk=name in small_disks)
            cluster.start(name, "new")
        for name in names:
            cluster.wait(name)
        yield ways
    finally:
        ways.end()
