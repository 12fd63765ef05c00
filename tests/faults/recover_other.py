# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A majority of etcd is lost and comes back in the other ways: from a snapshot, and with machines for etcd alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lab import faults, nodes
from lab.shell import wait_for
from tests.e2e.support import Run, Site
from tests.e2e.upgrading import members
from tests.faults.cases import containers, keep
from tests.faults.steps import Step, problem_of, walk

STACKED = ("lb1", "cp1", "cp2", "cp3", "w1")
EXTERNAL = ("lb1", "cp1", "cp2", "etcd1", "etcd2", "etcd3", "w1")
CPUS = 1.0
RECOVER, REPLACE, SCALE = (f"playbooks/{name}.yml" for name in ("recover_quorum", "replace_node", "scale_etcd"))
SNAPSHOT = "/var/backups/etcd/before.db"
PKI = "/etc/kubernetes/pki/etcd"
ETCDCTL = (
    "etcdctl", "--endpoints=https://127.0.0.1:2379", f"--cacert={PKI}/ca.crt", f"--cert={PKI}/healthcheck-client.crt",
    f"--key={PKI}/healthcheck-client.key",
)  # fmt: skip
WRITES = 12


@dataclass
class Recoveries:
    """The steps, on one lab. written: names of objects, by when they were created."""

    site: Site
    survivor: str = ""
    lost: tuple[str, ...] = ()
    written: dict[str, list[str]] = field(default_factory=dict)
    before: dict[str, list[object]] = field(default_factory=dict)

    def play(self, name: str, playbook: str, *arguments: str) -> Run:
        run = self.site.play(playbook, *arguments)
        keep(f"recover-{name}", run)
        return run

    def build(self, machines: Sequence[str], survivor: str, lost: Sequence[str]) -> str:
        self.site.cluster.names, self.site.admin = list(machines), "cp1"
        self.survivor, self.lost = survivor, tuple(lost)
        self.written.clear()
        self.site.cluster.recreate()
        return problem_of(self.play(f"site-{survivor}", "site.yml"))

    def write(self, when: str) -> None:
        """Objects by which it is seen how old the data are that are there afterwards."""
        self.written[when] = [f"{when}-{number}" for number in range(WRITES)]
        for name in self.written[when]:
            self.site.kubectl("create", "configmap", name)

    def there(self) -> set[str]:
        listed = self.site.kubectl("get", "configmaps", "-o", "jsonpath={.items[*].metadata.name}").split()
        return {name for names in self.written.values() for name in names if name in listed}

    def snapshot(self) -> None:
        """By etcd's own tool, on the machine that shall be the first one."""
        self.site.on(self.survivor, "mkdir", "-p", SNAPSHOT.rpartition("/")[0])
        self.site.on(self.survivor, *ETCDCTL, "snapshot", "save", SNAPSHOT)

    def destroy(self) -> None:
        self.before = containers(self.site)
        faults.kill(self.site.settings, self.lost)
        nodes.remove(self.site.settings, self.lost)

    def recover(self, kind: str, *source: str) -> str:
        """Look, then do it with the words that the look has asked for."""
        given = ["-e", f"recover_lost={','.join(self.lost)}", "-e", f"survivor={self.survivor}", *source]
        look = self.play(f"look-{kind}", RECOVER, *given)
        words = re.search(r"recover_acknowledge=(\S+)", look.text)
        if not words or look.changed():
            return f"the look: status {look.status}, changed {look.changed()}, {look.problem()}"
        run = self.play(kind, RECOVER, *given, "-e", f"recover_acknowledge={words[1]}")
        return run.problem() or self.alone()

    def alone(self) -> str:
        """etcd is one member, and all that is in it is served."""
        listed = sorted(members(self.site, self.survivor))
        return "" if listed == [self.survivor] else f"members: {listed}"

    def kept(self, *whens: str) -> str:
        """Exactly the objects of these times are there, and the worker's pods ran on."""
        want = {name for when in whens for name in self.written[when]}
        if (found := self.there()) != want:
            return f"missing: {sorted(want - found)}; not to be expected: {sorted(found - want)}"
        wait_for("the worker's pods as they were", lambda: containers(self.site) == self.before, 60, pause=1)
        return ""

    def from_snapshot(self, kind: str) -> str:
        """What was written after the snapshot is gone, and nothing else."""
        self.write("old")
        self.snapshot()
        known = tuple(self.written)
        self.write("late")
        self.destroy()
        return self.recover(kind, "-e", f"snapshot={SNAPSHOT}") or self.kept(*known)

    def from_survivor(self, kind: str) -> str:
        """All that was written before the loss is there."""
        self.write("first")
        self.destroy()
        return self.recover(kind) or self.kept("first")

    def rejoin(self) -> str:
        """One control plane after another; only the last one's verify finds a whole cluster."""
        nodes.recreate(self.site.settings, self.lost)
        runs = [self.play(f"replace-{name}", REPLACE, "-e", f"node={name}") for name in self.lost]
        left = sorted(members(self.site, self.survivor))
        return problem_of(runs[-1]) or ("" if left == sorted((self.survivor, *self.lost)) else f"members: {left}")

    def scale(self) -> str:
        """Blank machines in the place of those that were destroyed."""
        nodes.recreate(self.site.settings, self.lost)
        problem = problem_of(self.play("scale", SCALE))
        left = sorted(members(self.site, self.survivor))
        return problem or ("" if left == sorted((self.survivor, *self.lost)) else f"members: {left}")

    def settled(self) -> str:
        """`site` finds nothing to do, and says that all is well."""
        return problem_of(self.play("settled", "site.yml"), unchanged=True)

    def steps(self) -> Iterator[Step]:
        """Stacked from a snapshot; then external, from a survivor, and again from a snapshot."""
        yield from walk(
            (
                ("stacked: `site`", lambda: self.build(STACKED, "cp1", ("cp2", "cp3"))),
                ("cp2 and cp3 destroyed, back from a snapshot on cp1", lambda: self.from_snapshot("stacked")),
                ("blank cp2 and cp3 replaced, `verify`", self.rejoin),
                ("`site` again: nothing changes", self.settled),
                ("external: `site`", lambda: self.build(EXTERNAL, "etcd1", ("etcd2", "etcd3"))),
                ("etcd2 and etcd3 destroyed, back from etcd1", lambda: self.from_survivor("external")),
                ("blank etcd2 and etcd3: `scale_etcd`, `verify`", self.scale),
                ("destroyed again, back from a snapshot on etcd1", lambda: self.from_snapshot("again")),
                ("blank etcd2 and etcd3: `scale_etcd`, `verify`", self.scale),
                ("`site` again: nothing changes", self.settled),
            )
        )
