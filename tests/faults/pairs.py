# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that meet on one cluster: started together, killed with the lock, frozen with it. A label tells who acted.

Runs of one controller meet at the kernel's lock, those of two controllers, which are two homes here, at the Lease.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils import run_lease, run_lock
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import open_api
from ansible_collections.quorum.kubeadm.plugins.module_utils.run_lock import Holder
from lab.errors import LabError
from lab.settings import CHECKOUT
from lab.shell import wait_for
from tests.e2e.support import PLAYBOOK, Site
from tests.faults.steps import problem_of

MACHINES = ("lb1", "cp1", "cp2", "cp3", "w1")
CPUS = 1.0
PAIRS, KILLS, STALE = 30, 3, 3
# Between the starts of a pair at most, and how soon the second one has to end.
APART, LOSER = 0.5, 5.0
SEED = 7
LABEL = "quorum.test/by"
NODE = "w1"
MINUTES = 5
# The first task after the lock: from then on the run has it.
HOLDS = r"TASK .*Read everything about the host"
REFUSED = "another run is changing this cluster; nothing was changed"
LOST = "no longer holds the lock of the cluster"


@dataclass
class Meeting:
    """What became of one. seconds: until the loser ended, until others could go on, or until the stale one ended."""

    kind: str
    seconds: float = 0.0
    problem: str = ""
    apart: float = 0.0
    winner: str = ""


@dataclass
class Runner:
    """One run of `site` that wants to label the node with its own name, on a controller of its own home."""

    name: str
    home: Path
    log: Path
    budget: Path
    process: subprocess.Popen[bytes]
    began: float
    ended: float = 0.0

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    def wait(self) -> int:
        """Until it has ended."""
        status = self.process.wait(timeout=60 * MINUTES)
        self.ended = self.ended or time.monotonic()
        return status

    def told(self) -> str:
        return " ".join(self.log.read_text(encoding="utf-8", errors="replace").split())

    def cost(self) -> dict[str, Any]:
        """What its hosts saw of it: the callback's rows, none when it was killed."""
        found = json.loads(self.budget.read_text(encoding="utf-8")) if self.budget.exists() else {}
        return {host: row for host, row in found.get("hosts", {}).items() if row["remote_calls"] or row["changed"]}

    def reaches(self, line: str) -> None:
        """Wait until it has printed such a line."""
        wait_for(
            f"{self.name}: {line}", lambda: re.search(line, self.log.read_text(encoding="utf-8")) is not None, 60, 0.02
        )

    def keeper(self) -> int:
        """The process that holds its lock."""
        (state,) = self.home.glob(f"tmp/ansible-local-{self.process.pid}*/quorum-kubeadm/held.json")
        return int(json.loads(state.read_text(encoding="utf-8"))["keeper"])

    def signal(self, number: signal.Signals, *, keeper: bool) -> None:
        """To Ansible's whole process group, and to its keeper, which is in a session of its own."""
        pids = [self.keeper()] if keeper else []
        os.killpg(self.process.pid, number)
        for pid in pids:
            os.kill(pid, number)


def judge(loser: Runner, winner: Runner, statuses: Sequence[int], label: str) -> str:
    """What is wrong with a pair, "" when nothing is. statuses: the loser's and the winner's."""
    named = f"(process {winner.process.pid}), playbook site.yml"
    wrong = [
        (statuses[0] == 0, f"{loser.name} ended well"),
        (statuses[1] != 0, f"{winner.name} failed: {winner.told()[-300:]}"),
        (REFUSED not in loser.told(), f"the loser does not say why it ended: {loser.told()[-300:]}"),
        (named not in loser.told(), "the loser does not name the holder"),
        (bool(loser.cost()), f"the loser was on {', '.join(loser.cost())}"),
        (loser.seconds > LOSER, f"the loser ended after {loser.seconds:.1f} s"),
        (label != winner.name, f"the label says {label}, not {winner.name}"),
    ]
    return "; ".join(text for bad, text in wrong if bad)


@dataclass
class Pairs:
    """The meetings, on one lab."""

    site: Site
    random: random.Random = field(default_factory=lambda: random.Random(SEED))
    runs: list[Runner] = field(default_factory=list)

    def begin(self, name: str, controller: str) -> Runner:
        """Start a run; its value of the label is its name."""
        folder = self.site.work / name
        folder.mkdir()
        home, budget, log = self.site.work / controller, folder / "budget.json", folder / "log"
        env = {
            **os.environ, "ANSIBLE_HOME": str(home), "ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1",
            "ANSIBLE_CALLBACKS_ENABLED": "quorum.kubeadm.call_budget", "ANSIBLE_CALL_BUDGET_OUTPUT": str(budget),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder),
        }  # fmt: skip
        inventory = self.site.edit(lambda children: label(children, name))
        argv = [str(PLAYBOOK), "site.yml", "-i", str(inventory), "-e", f"kube_version={self.site.version}"]
        with log.open("wb") as stream:
            process = subprocess.Popen(
                argv, cwd=CHECKOUT, env=env, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self.runs.append(Runner(name, home, log, budget, process, time.monotonic()))
        return self.runs[-1]

    def label(self) -> str:
        node = json.loads(self.site.kubectl("get", "node", NODE, "-o", "json"))
        return str(node["metadata"]["labels"].get(LABEL, ""))

    def holder(self) -> Holder | None:
        """Who has the Lease, by the API server's clock."""
        params = {"kubeconfig": str(self.site.cluster.kubeconfig), "endpoints": [], "timeout": 5}
        return run_lease.look(open_api(params, dry_run=True))

    def free_after(self, began: float) -> float:
        """Wait until nobody has the Lease; seconds since then."""
        wait_for("the Lease without a holder", lambda: self.holder() is None, run_lock.DURATION + 15, 0.1)
        return time.monotonic() - began

    def pair(self, number: int) -> Meeting:
        """Two runs, started together: one acts, the other one ends soon and has done nothing."""
        controllers = ("here", "here") if number % 2 else ("here", "there")
        apart = round(self.random.uniform(0, APART), 2)
        first = self.begin(f"first-{number}", controllers[0])
        time.sleep(apart)
        runs = (first, self.begin(f"second-{number}", controllers[1]))
        while all(run.process.poll() is None for run in runs):
            time.sleep(0.02)
        (loser, winner) = runs if runs[0].process.poll() is not None else runs[::-1]
        loser.ended = time.monotonic()
        statuses = loser.wait(), winner.wait()
        kind = "one controller" if number % 2 else "two controllers"
        problem = judge(loser, winner, statuses, self.label())
        return Meeting(kind, round(loser.seconds, 2), problem, apart, winner.name)

    def holding(self, name: str, controller: str = "here") -> Runner:
        """A run that has the lock and has changed nothing yet."""
        run = self.begin(name, controller)
        run.reaches(HOLDS)
        return run

    def killed(self, number: int, *, keeper: bool) -> Meeting:
        """A holder is killed. With its keeper the Lease ends by itself, else it is given back; then another acts."""
        kind = "Ansible and its keeper killed" if keeper else "Ansible killed"
        run = self.holding(f"killed-{number}-{int(keeper)}")
        run.signal(signal.SIGKILL, keeper=keeper)
        began = time.monotonic()
        run.wait()
        free = self.free_after(began)
        following = self.begin(f"after-{number}-{int(keeper)}", "there")
        status = following.wait()
        limit = run_lock.DURATION + 2 if keeper else 2.0
        wrong = [
            (status != 0, f"the next run failed: {following.told()[-300:]}"),
            ((found := self.label()) != following.name, f"the label says {found}"),
            (free > limit, f"the lock was free only after {free:.1f} s"),
        ]
        return Meeting(kind, round(free, 2), "; ".join(text for bad, text in wrong if bad), winner=following.name)

    def stale(self, number: int) -> Meeting:
        """A holder and its keeper are frozen until another run has acted; then they go on."""
        run = self.holding(f"stale-{number}")
        run.signal(signal.SIGSTOP, keeper=True)
        try:
            self.free_after(time.monotonic())
            following = self.begin(f"acts-{number}", "there")
            status = following.wait()
        finally:
            run.signal(signal.SIGCONT, keeper=True)
        began = time.monotonic()
        stopped = run.wait()
        seconds = time.monotonic() - began
        wrong = [
            (status != 0, f"the other run failed: {following.told()[-300:]}"),
            (stopped == 0, "the stale run ended well"),
            (LOST not in run.told(), f"the stale run does not say why it ended: {run.told()[-300:]}"),
            (any(row["changed"] for row in run.cost().values()), f"the stale run changed {run.cost()}"),
            ((found := self.label()) != following.name, f"the label says {found}"),
        ]
        problem = "; ".join(text for bad, text in wrong if bad)
        return Meeting("frozen past the Lease", round(seconds, 2), problem, winner=following.name)

    def meetings(self) -> Iterator[Meeting]:
        """All of them."""
        self.site.cluster.recreate()
        if problem := problem_of(self.site.play("site.yml")):
            raise LabError(f"site: {problem}")
        works: list[Callable[[int], Meeting]] = [self.pair] * PAIRS
        works += [lambda number: self.killed(number, keeper=False)] * KILLS
        works += [lambda number: self.killed(number, keeper=True)] * KILLS
        works += [self.stale] * STALE
        try:
            for number, work in enumerate(works, 1):
                yield work(number)
        finally:
            for run in self.runs:
                if run.process.poll() is None:
                    run.signal(signal.SIGKILL, keeper=False)


def label(children: Mapping[str, Any], value: str) -> None:
    """A change of the inventory: the node's label."""
    children["kube_node"]["hosts"][NODE].setdefault("kube_node_labels", {})[LABEL] = value
