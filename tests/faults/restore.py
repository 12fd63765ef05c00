# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd goes back to a snapshot under the prober: by the playbook, by bare commands, killed, and with nothing left."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.faults import probing
from lab import nodes, sshkey
from lab.errors import LabError
from lab.ledger import read_ledger
from lab.podman import exec_argv
from lab.probefiles import FINAL, LEDGER, load
from lab.releases import release
from lab.settings import CHECKOUT
from lab.shell import output
from tests.e2e.support import Run, Site
from tests.e2e.workload import NAME, Workload
from tests.faults.killing import Point, kill_at
from tests.faults.restored_ledger import Judged, judge
from tests.faults.steps import problem_of

MACHINES = ("lb1", "cp1", "cp2", "cp3", "w1", "w2")
PLANES = MACHINES[1:4]
CPUS = 1.0
RESTORE, CLUSTER = "playbooks/restore_etcd.yml", "playbooks/restore_cluster.yml"
SNAPSHOT = "/var/backups/etcd/restored.db"
BUMP = 1_000_000_000
LOGS = Path(CHECKOUT, ".build", "logs")
# Of a MB each, none like another.
VALUES = 100
VALUE = "head -c 750000 /dev/urandom | base64 -w0"
FILL = "for n in $(seq {values}); do {value} | {etcdctl} put /ballast/$n >/dev/null; done"
PKI = "/etc/kubernetes/pki/etcd"
ETCDCTL = (
    f"etcdctl --endpoints=https://127.0.0.1:2379 --cacert={PKI}/ca.crt --cert={PKI}/healthcheck-client.crt "
    f"--key={PKI}/healthcheck-client.key"
)
SAVE = f"mkdir -p -m 0700 /var/backups/etcd && rm -f {SNAPSHOT} && umask 077 && {ETCDCTL} snapshot save {SNAPSHOT}"
ARCHIVE = "tar -C / -cz etc/kubernetes/pki $(cd / && ls -d etc/kubernetes/encryption 2>/dev/null || true)"
FLIP = """
import sys
with open(sys.argv[1], "r+b") as stream:
    stream.seek(5_000_000)
    byte = stream.read(1)[0]
    stream.seek(5_000_000)
    stream.write(bytes([byte ^ 4]))
"""
# How long writes go on before and after the snapshot.
WRITES = 8.0
POINTS = (
    Point("the snapshot is brought to the members", r"TASK .*bring_snapshot \| Put", 0.5),
    Point("it is restored beside the data", r"TASK .*restore \| Restore the snapshot", 1.0),
    Point("the control planes are stopped", r"TASK .*hold \| Take", 3.0),
    Point("the data are put into their place", r"TASK .*restored \| Put", 0.7),
    Point("etcd starts", r"TASK .*Restore \| Wait", 1.0),
    Point("the API servers start", r"TASK .*Serve \| Start it|TASK .*release \| Give", 2.0, 2),
)


@dataclass
class Row:
    """One step. first: seconds from its beginning to the first write through the VIP, 0 where none was looked for."""

    name: str
    problem: str = ""
    seconds: float = 0.0
    first: float = 0.0
    before: int = 0
    given_up: int = 0
    told: str = ""


class Restores:
    """The steps, on one lab."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.pods: Any = None

    def keep(self, name: str, text: str) -> None:
        """A run's output, for a person."""
        LOGS.mkdir(parents=True, exist_ok=True)
        (LOGS / f"restore-{re.sub('[^a-z0-9]+', '-', name.lower())}.log").write_text(text, encoding="utf-8")

    def play(self, name: str, *words: str, playbook: str = RESTORE) -> Run:
        """One run of the playbook with these extra variables."""
        run = self.site.play(playbook, *(word for value in words for word in ("-e", value)))
        self.keep(name, run.text)
        return run

    def build(self) -> str:
        """A cluster with a workload and 100 MB in etcd."""
        self.site.cluster.recreate()
        run = self.site.play("site.yml")
        self.keep("site", run.text)
        if problem := problem_of(run, unchanged=False):
            return problem
        return self.furnish()

    def furnish(self) -> str:
        """The workload and the data."""
        image = f"registry.k8s.io/e2e-test-images/agnhost:{release(self.site.version).agnhost}"
        Workload(self.site).start(image)
        self.site.on("cp1", "sh", "-c", FILL.format(values=VALUES, value=VALUE, etcdctl=ETCDCTL))
        return ""

    def containers(self) -> Any:
        """The workload's pods, with their containers and when these were started."""
        pods = json.loads(self.site.kubectl_from("cp1", "get", "pods", "-l", f"app={NAME}", "-o", "json"))["items"]
        return sorted(
            (
                pod["metadata"]["name"],
                pod["metadata"]["uid"],
                pod["status"]["containerStatuses"][0]["containerID"],
                pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"],
            )
            for pod in pods
        )

    def words(self, name: str, *given: str) -> str:
        """What the look asks for; it must change nothing."""
        run = self.play(f"{name} look", f"snapshot={SNAPSHOT}", *given)
        found = re.search(r"restore_acknowledge=(\S+)", run.text)
        if run.status or run.changed() or not found:
            raise LabError(f"the look: status {run.status}, changed {run.changed()}: {run.problem()}")
        return f"restore_acknowledge={found.group(1)}"

    def same_hash(self) -> str:
        """What all members say themselves."""
        told = self.site.on("cp1", "sh", "-c", f"{ETCDCTL} endpoint hashkv --cluster -w json")
        rows = json.loads(told)
        hashes = {(row["HashKV"]["hash"], row["HashKV"]["header"]["cluster_id"]) for row in rows}
        return "" if len(rows) == len(PLANES) and len(hashes) == 1 else f"members differ: {sorted(hashes)}"

    def watched(self, name: str, act: Callable[[], str], prepare: Callable[[], str] = lambda: "") -> Row:
        """A snapshot in the middle of writes, then the act, while writes go on; the ledger is judged at the end."""
        out = self.site.cluster.work / "probes" / re.sub("[^a-z0-9]+", "-", name.lower())
        pods = self.containers()
        with probing(self.site.cluster, out, 10.0, ("write",), ("--goes-back",)):
            time.sleep(WRITES)
            taken = time.monotonic()
            self.site.on("cp1", "sh", "-c", SAVE)
            time.sleep(WRITES)
            problem = prepare()
            began = time.monotonic()
            problem = problem or act()
            seconds = time.monotonic() - began
            time.sleep(WRITES)
            problem = problem or self.same_hash()
        found: Judged = judge(read_ledger(out / LEDGER), load(out / FINAL), taken, began, BUMP)
        problems = [problem, *found.problems]
        problems += ["the workload's pods are others"] if not problem and self.containers() != pods else []
        return Row(
            name,
            "; ".join(filter(None, problems)),
            round(seconds, 1),
            round(found.first - began, 1) if found.first else 0.0,
            found.before,
            found.given_up,
        )

    def by_playbook(self) -> Row:
        """Undisturbed."""
        words: list[str] = []

        def look() -> str:
            words.append(self.words("whole"))
            return ""

        return self.watched(
            "restore_etcd.yml", lambda: self.play("whole", f"snapshot={SNAPSHOT}", *words).problem(), look
        )

    def by_script(self) -> Row:
        """The bare commands."""

        def act() -> str:
            script = [str(CHECKOUT / "bench" / "restore.sh"), str(self.site.cluster.machines()), "cp1", SNAPSHOT]
            env = {"SSH_KEY": str(sshkey.ensure(self.site.settings)), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
            done = subprocess.run(script, env=env, capture_output=True, text=True, timeout=900, check=False)
            self.keep("script", done.stdout + done.stderr)
            return f"status {done.returncode}: {done.stderr[-300:]}" if done.returncode else ""

        return self.watched("the bare commands, restore.sh", act)

    def again(self) -> Row:
        """The same command once more gives nothing up."""
        began = time.monotonic()
        run = self.play("again", f"snapshot={SNAPSHOT}", "restore_acknowledge=give-up-nothing-after-revision-0")
        problem = run.problem() or (f"changed {run.changed()}" if run.changed() else "")
        if not problem and "There is nothing to do" not in run.text:
            problem = "it does not say that there is nothing to do"
        return Row("the same snapshot again, with words of before: nothing changes", problem, time.monotonic() - began)

    def damaged(self) -> Row:
        """One bit of the file, and a file that ends early: refused before anything is stopped."""
        began, problems = time.monotonic(), []
        bad = "/var/backups/etcd/bad.db"
        for how in (["python3", "-c", FLIP, bad], ["truncate", "-s", "-4096", bad]):
            self.site.on("cp1", "cp", SNAPSHOT, bad)
            self.site.on("cp1", *how)
            run = self.play(f"damaged {how[0]}", f"snapshot={bad}", "restore_acknowledge=x")
            if not run.status or run.changed() or "no good snapshot" not in " ".join(run.text.split()):
                problems.append(f"{how[0]}: status {run.status}, changed {run.changed()}")
        self.site.on("cp1", "rm", bad)
        name = "a flipped bit, and a truncated file: refused, nothing changes"
        return Row(name, "; ".join(problems), time.monotonic() - began)

    def killed(self) -> Row:
        """Killed at every point, each time run again by the same command."""
        told: list[str] = []

        def act() -> str:
            words = self.words("killed")
            given = ("-e", f"snapshot={SNAPSHOT}", "-e", words)
            for point in POINTS:
                if not kill_at(self.site, RESTORE, point, *given).reached:
                    told.append(f"not reached: {point.name}")
            return self.play("killed", f"snapshot={SNAPSHOT}", words).problem()

        row = self.watched(f"killed {len(POINTS)} times, then finished by the same command", act)
        row.told = "; ".join(told)
        row.problem = "; ".join(filter(None, [row.problem, row.told]))
        return row

    def from_nothing(self) -> Row:
        """Every control plane a blank machine; a snapshot and an archive of the PKI are all that is left."""
        work, pods, running = self.site.work, self.containers(), self.running()
        self.site.on("cp1", "sh", "-c", SAVE)
        for name, script in (("snapshot.db", f"cat {SNAPSHOT}"), ("pki.tar.gz", ARCHIVE)):
            (work / name).touch(mode=0o600)
            argv = exec_argv(self.site.settings, "cp1", ["sh", "-c", script])
            (work / name).write_bytes(subprocess.run(argv, check=True, capture_output=True).stdout)
        nodes.recreate(self.site.settings, list(PLANES))
        began = time.monotonic()
        words = f"restore_acknowledge=lost-{','.join(PLANES)}"
        given = (f"snapshot={work / 'snapshot.db'}", f"pki_archive={work / 'pki.tar.gz'}", words)
        run = self.play("from nothing", *given, playbook=CLUSTER)
        seconds = time.monotonic() - began
        problem = problem_of(run, unchanged=False) or self.same_hash()
        if not problem and self.containers() != pods:
            problem = "the workload's pods are others"
        if not problem and self.running() != running:
            problem = "processes of the workload were started again"
        name = "all control planes blank: restore_cluster.yml; the workers' pods survive"
        return Row(name, problem, round(seconds, 1))

    def running(self) -> dict[str, list[str]]:
        """The workload's processes on the workers, with when each was started."""
        look = "for p in $(pgrep -f '[n]etexec' || true); do echo $p $(cut -d' ' -f22 /proc/$p/stat); done"
        told = {name: output(exec_argv(self.site.settings, name, ["sh", "-c", look])) for name in ("w1", "w2")}
        return {name: sorted(text.splitlines()) for name, text in told.items()}

    def steps(self) -> Iterator[Row]:
        """Every step; the first that fails is the last."""
        began = time.monotonic()
        yield (built := Row("a cluster with 100 MB in etcd", self.build(), time.monotonic() - began))
        for work in (self.by_playbook, self.again, self.damaged, self.by_script, self.killed, self.from_nothing):
            if built.problem:
                return
            try:
                built = work()
            except LabError as exc:
                built = Row(work.__name__, str(exc))
            yield built
