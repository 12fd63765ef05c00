# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd on machines of its own: from blank, again, another configuration, grown, shrunk, a dead machine replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lab import faults
from tests.e2e.support import Run, Site
from tests.faults.steps import Step, problem_of, walk

MACHINES = ("lb1", "lb2", "cp1", "cp2", "cp3", "w1", *(f"etcd{number}" for number in range(1, 6)))
CONFIGURED = ("-e", "etcd_heartbeat_ms=150")
SCALE = "playbooks/scale_etcd.yml"
STARTED = ("systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", "etcd")
Play = Callable[..., Run]


def members(count: int) -> Callable[[dict[str, Any]], None]:
    """A change of the inventory: only the first machines are for etcd."""

    def change(children: dict[str, Any]) -> None:
        children["etcd"]["hosts"] = {f"etcd{n}": children["etcd"]["hosts"][f"etcd{n}"] for n in range(1, count + 1)}

    return change


class External:
    """The steps, on one lab."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.arguments: tuple[str, ...] = ()

    def play(self, playbook: str, count: int, *arguments: str) -> Run:
        inventory: Path = self.site.edit(members(count))
        return self.site.play(playbook, *self.arguments, *arguments, inventory=inventory)

    def converge(self, playbook: str, count: int, *arguments: str, unchanged: bool = False) -> str:
        """Run it and say what was wrong; etcd has to be what the inventory says, by verify's own row."""
        run = self.play(playbook, count, *arguments)
        problem = problem_of(run, unchanged=unchanged)
        calls = {host: number for host, number in run.calls().items() if host.startswith("etcd") and number > 1}
        return problem or (f"more than one call: {calls}" if unchanged and calls else "")

    def healthy(self, want: int) -> str:
        """etcd itself, asked on a machine that always stays."""
        listed = self.site.on(
            "etcd1", "etcdctl", "--endpoints=https://127.0.0.1:2379", "--cacert=/etc/kubernetes/pki/etcd/ca.crt",
            "--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt",
            "--key=/etc/kubernetes/pki/etcd/healthcheck-client.key", "member", "list",
        )  # fmt: skip
        voters = [line for line in listed.splitlines() if "started" in line and line.strip().endswith("false")]
        return "" if len(voters) == len(listed.splitlines()) == want else f"members: {listed}"

    def used(self, want: int) -> str:
        """What every API server really runs with."""
        for name in ("cp1", "cp2", "cp3"):
            running = self.site.on(name, "sh", "-c", "tr '\\0' '\\n' < /proc/$(pidof kube-apiserver)/cmdline")
            servers = next((line for line in running.splitlines() if line.startswith("--etcd-servers=")), "")
            if len(servers.split(",")) != want:
                return f"{name} runs with {servers or 'no etcd'}"
        return ""

    def begin(self) -> str:
        return self.converge("site.yml", 3) or self.healthy(3)

    def configure(self) -> str:
        names = ("etcd1", "etcd2", "etcd3")
        before = {name: self.site.on(name, *STARTED) for name in names}
        self.arguments = CONFIGURED
        problem = self.converge("site.yml", 3)
        same = [name for name in names if self.site.on(name, *STARTED) == before[name]]
        return problem or (f"not restarted: {', '.join(same)}" if same else "")

    def grow(self) -> str:
        return self.converge(SCALE, 5) or self.healthy(5) or self.used(5)

    def refuse_even(self) -> str:
        run = self.play(SCALE, 5, "-e", "etcd_remove=etcd5")
        told = "4 members of etcd without etcd5" in " ".join(run.text.split())
        if not run.status or run.changed() or not told:
            return f"status {run.status}, changed {run.changed()}"
        return self.healthy(5)

    def shrink(self) -> str:
        problem = self.converge(SCALE, 5, "-e", "etcd_remove=etcd4,etcd5") or self.healthy(3) or self.used(3)
        kept = self.site.on("etcd4", "ls", "/var/lib/etcd")
        return problem or ("" if "member-removed-" in kept else f"its data is gone: {kept}")

    def replace(self) -> str:
        faults.kill(self.site.settings, ["etcd3"])
        return self.converge(SCALE, 4, "-e", "etcd_remove=etcd3") or self.healthy(3) or self.used(3)

    def five(self) -> str:
        self.site.cluster.recreate()
        self.arguments = ()
        return self.converge("site.yml", 5) or self.healthy(5) or self.used(5)

    def steps(self) -> Iterator[Step]:
        """Every step; the first that fails is the last."""
        self.site.cluster.recreate()
        yield from walk(
            (
                ("`site` from blank machines, 3 members", self.begin),
                (
                    "`site` again: nothing changes, one call a machine",
                    lambda: self.converge("site.yml", 3, unchanged=True),
                ),
                ("another heartbeat: every member restarted behind the gate", self.configure),
                ("`scale_etcd`: 3 members become 5, the API servers use them", self.grow),
                ("`scale_etcd` to 4: refused, nothing changes", self.refuse_even),
                ("`scale_etcd`: 5 become 3, the data is kept", self.shrink),
                ("a machine killed for good, another one in its place", self.replace),
                ("`site` from blank machines, 5 members", self.five),
                ("`site` again: nothing changes", lambda: self.converge("site.yml", 5, unchanged=True)),
            )
        )
