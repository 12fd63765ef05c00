# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker leaves and a blank one comes in its place, again and again; then in an inventory of many more workers."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import nodes
from lab.errors import LabError
from lab.releases import release
from tests.e2e.support import Run, Site
from tests.e2e.workload import NAME, manifests
from tests.faults.cases import keep
from tests.faults.steps import problem_of
from tests.lanes import KUBE_VERSION

MACHINES = ("lb1", "lb2", "cp1", "cp2", "cp3", "w1", "w2")
CPUS = 1.0
WORKER = "w2"
ROUNDS, WIDE_ROUNDS, MORE = 5, 2, 500
# Room for all of them: a /24 each.
PODS = ("-e", "kube_pod_cidr=10.64.0.0/14")
# Addresses for documentation: nobody is there, and nobody is asked.
NETWORKS = ("192.0.2", "198.51.100", "203.0.113")
EACH = 250
ADD, REMOVE = "playbooks/add_nodes.yml", "playbooks/remove_node.yml"


@dataclass(frozen=True)
class Change:
    """One run. names: of how many machines the inventory tells. controller: its processor seconds there.

    calls: remote calls by host.
    """

    what: str
    names: int
    seconds: float
    controller: float
    calls: dict[str, int] = field(default_factory=dict)
    problem: str = ""


def more_workers(children: dict[str, Any]) -> None:
    """A change of the inventory: many workers of which only the names are there."""
    hosts = children["kube_node"]["hosts"]
    for number in range(MORE):
        address = f"{NETWORKS[number // EACH]}.{number % EACH + 1}"
        hosts[f"n{number + 1}"] = {"ansible_host": address}


def processor_seconds() -> float:
    """Of all programs that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Workers:
    """The rounds, on one lab."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def build(self) -> None:
        """A cluster with a Deployment of two, which never may have none."""
        self.site.cluster.recreate()
        if problem := problem_of(self.site.play("site.yml", *PODS)):
            raise LabError(f"site: {problem}")
        image = f"registry.k8s.io/e2e-test-images/agnhost:{release(KUBE_VERSION).agnhost}"
        for manifest in manifests(image):
            text = json.dumps(manifest)
            self.site.on(
                self.site.admin, "sh", "-c",
                'printf %s "$1" | kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f -', "x", text,
            )  # fmt: skip

    def spread(self) -> str:
        """One of the Deployment's pods is on the worker that goes: there is something to drain."""
        self.site.kubectl("rollout", "restart", f"deployment/{NAME}")
        self.site.kubectl("rollout", "status", f"deployment/{NAME}", "--timeout=120s")
        return "" if WORKER in self.where() else f"no pod of {NAME} is on {WORKER}: nothing would be drained"

    def where(self) -> list[str]:
        """The nodes of the Deployment's pods."""
        path = "jsonpath={.items[*].spec.nodeName}"
        return self.site.kubectl("get", "pods", "-l", f"app={NAME}", "-o", path).split()

    def change(self, what: str, play: Callable[[], Run], names: int, judge: Callable[[], str]) -> Change:
        """One run, timed from its start to its end."""
        used, began = processor_seconds(), time.monotonic()
        run = play()
        seconds, controller = time.monotonic() - began, processor_seconds() - used
        keep(f"worker-{what}-{names}", run)
        problem = problem_of(run) or judge()
        return Change(what, names, round(seconds, 1), round(controller, 1), run.calls(), problem)

    def gone(self) -> str:
        """The Node is gone, and the pods that were on it are elsewhere."""
        listed = self.site.kubectl("get", "nodes,leases", "-A", "-o", "jsonpath={.items[*].metadata.name}").split()
        still = [name for name in (*listed, *self.where()) if name == WORKER]
        return f"{WORKER} is still there: {still}" if still else ""

    def joined(self) -> str:
        """The Node is there, Ready, and has the label that the inventory gives it."""
        node = json.loads(self.site.kubectl("get", "node", WORKER, "-o", "json"))
        ready = [one["status"] for one in node["status"]["conditions"] if one["type"] == "Ready"]
        zone = node["metadata"]["labels"].get("topology.kubernetes.io/zone")
        return "" if ready == ["True"] and zone else f"Ready: {ready}, zone: {zone}"

    def round(self, names: int, inventory: Path | None) -> Iterator[Change]:
        """Out, a blank machine, in."""
        if problem := self.spread():
            raise LabError(problem)

        def play(playbook: str, *arguments: str) -> Callable[[], Run]:
            return lambda: self.site.play(playbook, *arguments, *PODS, inventory=inventory)

        yield self.change("removed", play(REMOVE, "-e", f"node={WORKER}"), names, self.gone)
        nodes.recreate(self.site.settings, [WORKER])
        yield self.change("added", play(ADD, "-e", f"nodes={WORKER}"), names, self.joined)

    def rounds(self) -> Iterator[Change]:
        """All of them."""
        self.build()
        wide = self.site.edit(more_workers)
        for number in range(ROUNDS + WIDE_ROUNDS):
            few = number < ROUNDS
            names, inventory = (len(MACHINES), None) if few else (len(MACHINES) + MORE, wide)
            for change in self.round(names, inventory):
                yield change
                if change.problem:
                    return
