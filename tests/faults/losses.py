# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that are lost for good and replaced by one command, while somebody uses the cluster.

Power is cut without a word. What clients miss because of that is told apart from what they miss during the command.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab import faults, inventory, nodes, probefiles
from lab.probereport import longest_gap
from tests.e2e.support import Run, Site
from tests.e2e.upgrading import GENTLY, members, state, watched
from tests.e2e.workload import Workload
from tests.faults.cases import Case, keep, slug
from tests.faults.steps import problem_of, refused
from tests.faults.upgrades import IMAGE
from tests.lanes import KUBE_VERSION_BEFORE

BALANCERS = ("lb1", "lb2")
MACHINES = (*BALANCERS, "cp1", "cp2", "cp3", "w1", "w2")
EXTERNAL = ("lb1", "cp1", "cp2", "cp3", "etcd1", "etcd2", "etcd3", "w1")
CPUS = 1.0
ADD, REMOVE, REPLACE = (f"playbooks/{name}.yml" for name in ("add_nodes", "remove_node", "replace_node"))
# From the loss to the command. Before the machine's Lease is old, nobody can say that it is dead: that is refused.
UNSEEN_SECONDS = 60.0
# What clients may miss: when a machine is cut off, while the command works.
LOSS_SECONDS, WORK_SECONDS = 4.0, 1.0


@dataclass
class Loss(Case):
    """One case. loss: the longest gap between the loss and the command, in seconds; gap: from then on."""

    loss: float = 0.0


def gap_within(probes: Sequence[Mapping[str, Any]], begin: float, end: float) -> float:
    """The longest time in [begin, end] without a success of one of the kinds of probes."""
    kinds: dict[str, list[float]] = {}
    for probe in probes:
        found = kinds.setdefault(f"{probe['kind']}/{probe['connection']}", [])
        if probe["outcome"] == "ok":
            found.append(probe["end"])
    return round(max((longest_gap(found, begin, end).seconds for found in kinds.values()), default=end - begin), 3)


class Losses:
    """The cases, on one lab."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.settings = site.settings

    def build(self, machines: Sequence[str] = MACHINES) -> Workload:
        """A cluster from blank machines, with a workload and its client on a worker that stays."""
        self.site.cluster.names = list(machines)
        self.site.cluster.recreate()
        self.site.version = KUBE_VERSION_BEFORE
        run = self.site.play("site.yml")
        keep("losses-site", run)
        if run.status:
            raise RuntimeError(f"site failed: {run.problem()}")
        workload = Workload(self.site, node="w1")
        workload.start(IMAGE)
        return workload

    def blank(self, *names: str) -> None:
        """Blank machines of these names, and an inventory that has them."""
        nodes.recreate(self.settings, names)
        self.site.cluster.names = [*dict.fromkeys([*self.site.cluster.names, *names])]
        inventory.write(self.settings, self.site.inventory)

    def gone(self, *names: str) -> None:
        """Nobody knows these machines any more."""
        nodes.remove(self.settings, names)
        self.site.cluster.names = [name for name in self.site.cluster.names if name not in names]
        inventory.write(self.settings, self.site.inventory)

    def play(self, name: str, playbook: str, *arguments: str) -> Run:
        run = self.site.play(playbook, *GENTLY, *arguments)
        keep(f"losses-{slug(name)}", run)
        return run

    def unfinished(self) -> str:
        """What is not as it has to be when nothing is missing: members, Nodes, backends, cordons."""
        names = self.site.cluster.names
        planes = sorted(name for name in names if name.startswith("cp"))
        own = sorted(name for name in names if name.startswith("etcd"))
        found = state(self.site)
        wrong = []
        if (listed := sorted(members(self.site, own[0] if own else ""))) != (own or planes):
            wrong.append(f"members: {listed}")
        if sorted(found["nodes"]) != sorted([*planes, *(name for name in names if name.startswith("w"))]):
            wrong.append(f"Nodes: {sorted(found['nodes'])}")
        if any(cordoned or ours for _version, cordoned, ours in found["nodes"].values()):
            wrong.append(f"cordoned: {found['nodes']}")
        for balancer, backends in found["backends"].items():
            if backends != [f"{name},UP" for name in planes]:
                wrong.append(f"{balancer}: {backends}")
        return "; ".join(wrong)

    def settled(self, run: Run) -> str:
        """What is wrong with a run that shall have finished."""
        return problem_of(run) or self.unfinished()

    def case(
        self, workload: Workload, name: str, work: Callable[[], str], loss: Callable[[], object] | None = None,
        limits: tuple[float, float] = (LOSS_SECONDS, WORK_SECONDS), *, served: bool = True,
    ) -> Loss:  # fmt: skip
        """Lose something, then work on it. limits: the longest gaps; served: no request to the workload may fail."""
        with watched(self.site, workload, slug(name)) as seen:
            if loss:
                loss()
            began = time.monotonic()
            problem = work()
            ended = time.monotonic()
        probes = probefiles.load_lines(seen.out / probefiles.PROBES)
        before = probefiles.load(seen.out / probefiles.META)["started"]
        cut = gap_within(probes, before, began) if loss else 0.0
        gap = gap_within(probes, began, ended)
        problems = [problem, *(seen.lost if served else seen.ledger)]
        problems += [f"the gap of the loss is {cut} s"] if cut > limits[0] else []
        problems += [f"the gap during the work is {gap} s"] if gap > limits[1] else []
        return Loss(
            name, "; ".join(filter(None, problems)), round(ended - began, 1), gap, seen.api["failed_share"],
            seen.api["ledger"]["acknowledged"], seen.shop["asked"], len(seen.shop["failed"]), loss=cut,
        )  # fmt: skip

    def cut_off(self, *lost: str, blank: Sequence[str]) -> Callable[[], None]:
        """Power is cut; after a while the blank machines are there."""

        def lose() -> None:
            faults.kill(self.settings, lost)
            time.sleep(UNSEEN_SECONDS)
            self.blank(*blank)

        return lose

    def replace(self, workload: Workload, kind: str, lost: str, replacement: str = "", *, served: bool = True) -> Loss:
        """A machine is lost, and replaced by a blank one, of its own name or of another."""
        name = f"{kind} {lost} is lost, replaced by " + (replacement or "a blank machine of its name")
        arguments = ["-e", f"node={lost}", *(["-e", f"replacement={replacement}"] if replacement else [])]

        def work() -> str:
            run = self.play(name, REPLACE, *arguments)
            if replacement:
                self.gone(lost)
            return self.settled(run)

        return self.case(workload, name, work, self.cut_off(lost, blank=[replacement or lost]), served=served)

    def stacked(self) -> Iterator[Loss]:
        """Every kind of machine, then more control planes and fewer. The first case that leaves a mess is the last."""
        workload = self.build()
        self.site.admin = "cp3"
        cases: tuple[Callable[[], Loss], ...] = (
            lambda: self.replace(workload, "the first control plane", "cp1"),
            lambda: self.replace(workload, "the control plane", "cp2", "cp4"),
            lambda: self.replace(
                workload, "the load balancer with the VIP,", self.site.cluster.vip_holders(BALANCERS)[0]
            ),
            # Requests to a pod that died with its machine fail until Kubernetes takes it out of the Service.
            lambda: self.replace(workload, "the worker", "w2", served=False),
            lambda: self.case(workload, "two control planes are added: 3 -> 5", self.grow),
            lambda: self.case(workload, "one of five is to leave: refused, nothing changes", self.refuse),
            lambda: self.case(workload, "two of five leave: 5 -> 3", self.shrink),
        )
        for case in cases:
            yield case()
            if self.unfinished():
                return

    def grow(self) -> str:
        self.blank("cp5", "cp6")
        return self.settled(self.play("grow", ADD, "-e", "nodes=cp5,cp6"))

    def refuse(self) -> str:
        run = self.play("refuse", REMOVE, "-e", "node=cp6")
        return refused(run, "4 of 4 voters") or self.unfinished()

    def shrink(self) -> str:
        run = self.play("shrink", REMOVE, "-e", "node=cp5,cp6")
        self.gone("cp5", "cp6")
        return self.settled(run)

    def external(self) -> Iterator[Loss]:
        """Machines of an external etcd."""
        workload = self.build(EXTERNAL)
        yield self.replace(workload, "the etcd machine", "etcd2")
        yield self.replace(workload, "the etcd machine", "etcd3", "etcd4")
