# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured, run once: site.yml, baseline.sh, and a look at every process of the lab's machines."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.stats import parse_processes
from lab import inventory, nodes, sshkey
from lab.debian import SUITES
from lab.podman import exec_argv, inside
from lab.releases import release
from lab.settings import CHECKOUT, Settings
from lab.shell import output, parallel, say

WORK = CHECKOUT / ".build" / "bench"
KUBE_VERSION = "1.36.3"
TIMEOUT = 1200
WRONG = re.compile(r"fatal: |\[ERROR\]|error: |\S+ failed on ")
KINDS = {"lb": "lb", "cp": "control_plane", "w": "worker", "etcd": "etcd"}
WATCHED = (
    "containerd", "kubelet", "haproxy", "keepalived", "etcd", "kube-apiserver", "kube-controller-manager",
    "kube-scheduler", "kube-proxy", "coredns", "flanneld",
)  # fmt: skip
# Twice, because a program that is about to start another one is there twice for a moment, as keepalived with its check.
PROCESSES_SCRIPT = """
import os, sys, time
def look():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            name = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            start = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[19]
        except OSError:
            continue
        if name in sys.argv[1:]:
            yield name, pid, start
seen = set(look())
time.sleep(0.5)
for found in sorted(seen & set(look())):
    print(*found)
"""


@dataclass(frozen=True)
class Measured:
    """One run of a program: how long it took, how it ended, what it printed last."""

    wall: float
    status: int
    tail: list[str]
    idle_before: float

    def result(self) -> dict[str, Any]:
        """As it is stored."""
        found: dict[str, Any] = {"wall": self.wall, "idle_before": self.idle_before, "failed": self.status != 0}
        return found | ({"status": self.status, "tail": self.tail} if self.status else {})


def idle_share(seconds: float) -> float:
    """How much of this machine's processor time nobody used during the next seconds."""

    def read() -> tuple[int, int]:
        words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
        times = [int(word) for word in words]
        return times[3] + times[4], sum(times)

    idle, total = read()
    time.sleep(seconds)
    idle_after, total_after = read()
    return round((idle_after - idle) / max(1, total_after - total), 2)


def wait_quiet(most: float = 30.0) -> float:
    """Wait until the machine has little else to do; returns the idle share then."""
    deadline = time.monotonic() + most
    while (idle := idle_share(3.0)) < 0.9 and time.monotonic() < deadline:
        continue
    return idle


def timed(argv: Sequence[str | Path], log: Path, env: Mapping[str, str]) -> Measured:
    """Run a program with its output in a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    idle = wait_quiet()
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as handle:
        try:
            status = subprocess.run(
                [str(word) for word in argv], cwd=CHECKOUT, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
                stdout=handle, stderr=subprocess.STDOUT, timeout=TIMEOUT, check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            status = 124
    wall = round(time.monotonic() - began, 1)
    return Measured(wall, status, last_words(log.read_text(encoding="utf-8", errors="replace")), idle)


def last_words(text: str) -> list[str]:
    """The lines that say what went wrong, then the last lines; blank ones left out."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return [line for line in lines if WRONG.match(line)][:5] + lines[-20:]


class Cluster:
    """One lab with these machines."""

    def __init__(self, settings: Settings, names: Sequence[str], label: str) -> None:
        self.settings = settings
        self.names = list(names)
        self.work = WORK / settings.name
        self.label = label
        self._count = 0

    @property
    def groups(self) -> dict[str, list[str]]:
        """Machines by what they are."""
        found: dict[str, list[str]] = {}
        for node in map(self.settings.node, self.names):
            found.setdefault(KINDS[node.role], []).append(node.name)
        return found

    @property
    def kubeconfig(self) -> Path:
        """Where site.yml and baseline.sh put the administrator's kubeconfig."""
        return self.work / "inventory" / ".kube" / "config"

    def recreate(self, suite: str = SUITES[0]) -> None:
        """Blank machines, all of them, and no other."""
        nodes.down(self.settings)
        nodes.up(self.settings, self.names, suite)
        inventory.write(self.settings, self.work / "inventory")
        self.kubeconfig.parent.mkdir(mode=0o700, exist_ok=True)
        self.kubeconfig.unlink(missing_ok=True)

    def vip_holders(self, names: Sequence[str]) -> list[str]:
        """Those of the machines that carry the VIP now."""
        script = f"ip -o address show to {self.settings.vip}"
        return [name for name in names if inside(self.settings, name, script, check=False)]

    def vip_answers(self, port: int, timeout: float) -> bool:
        """Whether HAProxy takes a connection at the VIP."""
        try:
            with socket.create_connection((self.settings.vip, port), timeout=timeout):
                return True
        except OSError:
            return False

    def _log(self, what: str) -> Path:
        self._count += 1
        return self.work / "logs" / f"{self.label}-{self._count:02d}-{what}.log"

    def site(self, *arguments: str) -> tuple[Measured, dict[str, Any]]:
        """Run site.yml; also the report of the callback call_budget."""
        return self.play("site", "site.yml", *arguments)

    def play(self, what: str, book: str, *arguments: str) -> tuple[Measured, dict[str, Any]]:
        """Run a playbook; also the report of the callback call_budget."""
        report = self.work / "budget.json"
        report.unlink(missing_ok=True)
        playbook = Path(sys.executable).parent / "ansible-playbook"
        env = {
            "LAB_NAME": self.settings.name,
            "ANSIBLE_CALLBACKS_ENABLED": "quorum.kubeadm.call_budget",
            "ANSIBLE_CALL_BUDGET_OUTPUT": str(report),
            "ANSIBLE_NOCOLOR": "1",
        }
        say(f"{self.label}: {what} ...")
        # Every run opens its own connections: the machines of the run before may be gone.
        with tempfile.TemporaryDirectory(prefix="bench-") as sockets:
            env["ANSIBLE_SSH_CONTROL_PATH_DIR"] = sockets
            argv: list[str | Path] = [playbook, book, "-i", self.work / "inventory", *arguments]
            measured = timed(argv, self._log(what), env)
        say(f"{self.label}: {what} took {measured.wall:.1f} s, status {measured.status}")
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
        return measured, found

    def machines(self) -> Path:
        """The file in which the yardsticks find the machines."""
        machines = self.work / "machines"
        lines = [
            f"{KINDS[node.role]} {node.name} {node.address} {node.zone}" for node in map(self.settings.node, self.names)
        ]
        machines.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return machines

    def upgrade_script(self) -> tuple[Measured, dict[str, float]]:
        """Run upgrade.sh; also the seconds from its start at which each phase was done."""
        versions = release(KUBE_VERSION)
        env = {
            "SSH_KEY": str(sshkey.ensure(self.settings)),
            "KUBE_VERSION": versions.kubernetes,
            "ETCD_VERSION": versions.etcd,
        }
        log = self._log("upgrade-script")
        say(f"{self.label}: upgrade.sh ...")
        measured = timed([CHECKOUT / "bench" / "upgrade.sh", self.machines()], log, env)
        say(f"{self.label}: upgrade.sh took {measured.wall:.1f} s, status {measured.status}")
        return measured, parse_phases(log.read_text(encoding="utf-8", errors="replace"))

    def baseline(self) -> tuple[Measured, dict[str, float]]:
        """Run baseline.sh; also the seconds from its start at which each phase was done."""
        versions = release(KUBE_VERSION)
        env = {
            "VIP": self.settings.vip,
            "SSH_KEY": str(sshkey.ensure(self.settings)),
            "KUBE_VERSION": versions.kubernetes,
            "ETCD_VERSION": versions.etcd,
            "PAUSE_VERSION": versions.pause,
            "FLANNEL_VERSION": versions.flannel,
            "AGNHOST_VERSION": versions.agnhost,
        }
        say(f"{self.label}: baseline ...")
        log = self._log("baseline")
        measured = timed([CHECKOUT / "bench" / "baseline.sh", self.machines(), self.kubeconfig], log, env)
        say(f"{self.label}: baseline took {measured.wall:.1f} s, status {measured.status}")
        return measured, parse_phases(log.read_text(encoding="utf-8", errors="replace"))

    def processes(self) -> dict[str, dict[str, list[tuple[int, int]]]]:
        """Every process that must not be restarted, with its start time, by machine."""
        found = parallel(self._processes_of, self.names)
        return dict(zip(self.names, found, strict=True))

    def _processes_of(self, name: str) -> dict[str, list[tuple[int, int]]]:
        argv = exec_argv(self.settings, name, ["python3", "-c", PROCESSES_SCRIPT, *WATCHED])
        return parse_processes(output(argv))


def parse_phases(text: str) -> dict[str, float]:
    """Lines of `phase SECONDS NAME` to name -> seconds."""
    words = [line.split(maxsplit=2) for line in text.splitlines() if line.startswith("phase ")]
    return {name: float(seconds) for _, seconds, name in words}
