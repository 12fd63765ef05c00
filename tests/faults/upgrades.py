# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrades under the prober, killed at many points, with a control plane away, with a budget that blocks.

Each case begins with a cluster of the version before. What an undisturbed upgrade ends with is what all must end with.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import faults
from tests.e2e.support import Run, Site
from tests.e2e.upgrading import GENTLY, state
from tests.e2e.workload import NAME, Workload
from tests.faults.cases import Case, case_of, keep
from tests.faults.killing import Point, kill_at
from tests.lanes import KUBE_VERSION, KUBE_VERSION_BEFORE

MACHINES = ("lb1", "lb2", "cp1", "cp2", "cp3", "w1", "w2")
# Of each machine: a control plane that starts must not take the processors of those that serve.
CPUS = 1.0
UPGRADE = "playbooks/upgrade.yml"
IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.59"
# How long the cluster is watched while nothing happens to it: what this machine itself makes of the figures.
REST = 180.0

# One upgrade, killed again and again: each run goes on from where the one before it was killed. In the order of the
# run; `nth` counts in the run that goes on, which begins with the node that is not done, and only brings back into
# service one that was killed while it settled. The later half is killed in the upgrade that is stopped.
SETTLE, PODS = r"TASK .*settle \| Restart the kubelet", r"TASK .*restart \| Start the static pods"
DRAIN = r"TASK .*roll_node \| Cordon and drain"
POINTS = (
    Point("images are imported", r"TASK .*images \| Import", 2),
    Point("the snapshot is taken", r"TASK .*snapshot \| Take", 0.5),
    Point("the first control plane is drained", DRAIN, 0.3),
    Point("the first control plane has left HAProxy", r"TASK .*upgrade_control_plane \| Note that it left", 0.1),
    Point("its static pods are stopped", PODS, 2.5),
    Point("its static pods start", PODS, 8),
    Point("kubeadm upgrade apply runs", r"TASK .*upgrade \| Run kubeadm upgrade apply", 2),
    Point("its kubelet is brought", r"TASK .*upgrade_kubelet \| Note", 1.5),
    Point("it settles", SETTLE, 6),
    Point("it is about to come back into HAProxy", r"TASK .*back_into_service \| Come back into HAProxy", 0.2),
    Point("the second control plane's static pods are stopped", PODS, 3),
)
LAST_CONTROL_PLANE = Point("the last control plane's static pods start", PODS, 7, 2)
WORKERS = (
    Point("the first worker is drained", DRAIN, 1),
    Point("the second worker settles", SETTLE, 1, 2),
    Point("the add-ons are upgraded", r"TASK .*addons \| Take CoreDNS", 1),
)


@dataclass
class Upgrades:
    """The cases, on one lab."""

    site: Site
    undisturbed: dict[str, Any] = field(default_factory=dict)

    def build(self) -> Workload:
        """A cluster of the version before, with a workload."""
        self.site.cluster.recreate()
        self.site.version = KUBE_VERSION_BEFORE
        run = self.site.play("site.yml")
        if run.status:
            raise RuntimeError(f"site failed: {run.problem()}")
        workload = Workload(self.site)
        workload.start(IMAGE)
        self.site.version = KUBE_VERSION
        return workload

    def run(self, *arguments: str) -> Run:
        """One run of the upgrade."""
        return self.site.play(UPGRADE, *GENTLY, *arguments)

    def watched(
        self, name: str, action: Callable[[Workload], str], workload: Workload | None = None, *, limits: bool = True
    ) -> Case:
        """Act while somebody uses the cluster, a new one without a workload. action: returns the problem, if any.

        limits: what the API may miss counts as a problem; where runs or machines are killed it is only told.
        """
        return case_of(self.site, workload or self.build(), name, action, limits=limits)

    def alone(self) -> Iterator[Case]:
        """The same cluster at rest, then upgraded."""
        workload = self.build()

        def rest(_workload: Workload) -> str:
            time.sleep(REST)
            return ""

        yield self.watched(f"nothing, for {REST:.0f} s", rest, workload)
        yield self.whole(workload)

    def whole(self, workload: Workload | None = None) -> Case:
        """An undisturbed upgrade, then a second run that changes nothing."""

        def act(_workload: Workload) -> str:
            run = self.run()
            keep("upgrade-whole", run)
            self.undisturbed = state(self.site)
            return run.problem()

        case = self.watched("an undisturbed upgrade", act, workload)
        case.end = self.undisturbed
        before = self.site.cluster.processes()
        again = self.run()
        if again.problem() or again.changed() or self.site.cluster.processes() != before:
            case.problem += f"; the second run: {again.problem() or again.changed() or 'processes were restarted'}"
        return case

    def killed(self) -> Iterator[Case]:
        """One upgrade, killed at every point, run again each time."""
        reached: list[Case] = []

        def act(_workload: Workload) -> str:
            reached.extend(map(self.kill, POINTS))
            run = self.run()
            keep("upgrade-killed", run)
            return run.problem() or self.differs()

        whole = self.watched(f"the upgrade that was killed {len(POINTS)} times", act, limits=False)
        yield from reached
        yield whole

    def kill(self, point: Point) -> Case:
        """A run that goes on until it is killed at the point."""
        began = time.monotonic()
        problem = "" if kill_at(self.site, UPGRADE, point).reached else "the point was not reached: this says nothing"
        return Case(f"killed while {point.name}", problem, round(time.monotonic() - began, 1))

    def differs(self) -> str:
        """What is not as after an undisturbed upgrade."""
        found = json.loads(json.dumps(state(self.site)))
        parts = [part for part, value in self.undisturbed.items() if found[part] != value]
        return f"the end differs in {', '.join(parts)}" if parts else ""

    def away_before(self) -> str:
        """A control plane is stopped before the run: refused with the arithmetic, nothing touched."""
        faults.kill(self.site.settings, ["cp2"])
        time.sleep(5)
        run = self.run()
        keep("upgrade-away-before", run)
        words = " ".join(run.text.split())
        wrong = [] if run.status else ["it was not refused"]
        if "of 3 voters healthy, quorum 2" not in words:
            wrong.append("the arithmetic is missing")
        if run.changed():
            wrong.append(f"changed {run.changed()}")
        faults.start(self.site.settings, ["cp2"])
        self.wait_ready("cp2")
        return "; ".join(wrong)

    def once(self, words: str, then: Callable[[], object]) -> threading.Event:
        """Do something as soon as the record of the run that begins now has these words. Set the event to give up."""
        ended, known = threading.Event(), set(self.records())

        def wait() -> None:
            while not ended.wait(0.5):
                fresh = [path for path in self.records() if path not in known]
                if fresh and words in fresh[-1].read_text(encoding="utf-8"):
                    then()
                    return

        threading.Thread(target=wait, daemon=True).start()
        return ended

    def records(self) -> list[Path]:
        """The records of all runs on this cluster."""
        return sorted((self.site.inventory / ".upgrades").glob("*.events"))

    def away_in_the_middle(self) -> str:
        """A control plane dies while others are to be upgraded: the run stops and says what is left."""
        order = self.once('"step": "finished"', lambda: faults.kill(self.site.settings, ["cp3"]))
        run = self.run()
        order.set()
        keep("upgrade-away-in-the-middle", run)
        wrong = [] if run.status else ["it did not stop"]
        if "Not finished:" not in " ".join(run.text.split()):
            wrong.append("it does not say what is left")
        faults.start(self.site.settings, ["cp3"])
        self.wait_ready("cp3")
        return "; ".join(wrong)

    def blocked(self, workload: Workload) -> str:
        """A budget begins to block while the last control plane is out of service: named, uncordoned, the run fails.

        Early enough for the first worker: it takes a while until the budget counts.
        """
        order = self.once('"step": "static pods"', lambda: workload.start(IMAGE, budget=2))
        run = self.run("-e", "upgrade_drain_seconds=10")
        order.set()
        keep("upgrade-blocked", run)
        wrong = [] if run.status else ["it did not fail"]
        if f"default/{NAME}" not in " ".join(run.text.split()):
            wrong.append("the budget is not named")
        cordoned = [node for node, (_version, cordoned, _ours) in state(self.site)["nodes"].items() if cordoned]
        if cordoned:
            wrong.append(f"left cordoned: {cordoned}")
        workload.start(IMAGE)
        return "; ".join(wrong)

    def stopped(self) -> Iterator[Case]:
        """One upgrade that is refused, stops, is blocked, is killed in its later half, and ends well all the same."""
        found: list[Case] = []

        def step(name: str, action: Callable[[], str]) -> None:
            began = time.monotonic()
            problem = action()
            found.append(Case(name, problem, round(time.monotonic() - began, 1)))

        def act(workload: Workload) -> str:
            step("a control plane is away before the run: refused with the arithmetic", self.away_before)
            step("a control plane dies in the middle: stops, says what is left", self.away_in_the_middle)
            found.append(self.kill(LAST_CONTROL_PLANE))
            step("a budget begins to block in the middle: named, uncordoned", lambda: self.blocked(workload))
            found.extend(map(self.kill, WORKERS))
            run = self.run()
            keep("upgrade-stopped", run)
            return run.problem() or self.differs()

        whole = self.watched("the upgrade that was stopped three times and killed four times", act, limits=False)
        yield from found
        yield whole

    def wait_ready(self, node: str) -> None:
        """Until the node is Ready again and every load balancer has its API server."""
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
            if self.site.kubectl_from("cp1", "get", "node", node, "-o", ready) == "True":
                time.sleep(15)
                return
            time.sleep(2)
