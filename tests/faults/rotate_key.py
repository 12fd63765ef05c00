# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key for Secrets at rest rotated under the prober, then rotated again and killed at many points.

What is stored is read from etcd with its own client, and every Secret through every API server.
"""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.faults import probing, report
from lab.errors import LabError
from lab.podman import exec_argv
from lab.settings import CHECKOUT
from lab.shell import output
from tests.e2e.support import Run, Site
from tests.faults.killing import Point, kill_at
from tests.faults.steps import problem_of

MACHINES = ("lb1", "lb2", "cp1", "cp2", "cp3", "w1")
PLANES = ("cp1", "cp2", "cp3")
ROTATE = "playbooks/rotate_encryption_key.yml"
LOGS = Path(CHECKOUT, ".build", "logs")
SECRETS = 300
LONGEST_GAP = 1.0
RATE = 10.0
ASKED = ("read", "write")
ETCDCTL = (
    "etcdctl", "--endpoints=https://127.0.0.1:2379", "--cacert=/etc/kubernetes/pki/etcd/ca.crt",
    "--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt", "--key=/etc/kubernetes/pki/etcd/healthcheck-client.key",
)  # fmt: skip
WRITE, START = r"TASK .*encryption_key \| Give its configuration", r"TASK .*encryption_key \| Start the API server"
# One rotation: each run goes on from where the one before it was killed; `nth` counts in the run that goes on.
POINTS = (
    Point("the first API server is stopped and no key is made yet", r"TASK .*encryption_key \| Stop the API server", 6),
    Point("the first API server starts with the new key", START, 0.5),
    Point("the second API server is stopped", WRITE, 0.1),
    Point("the first API server is promoted", START, 0.5, 3),
    Point("everything is written again", r"TASK .*Rewrite \| Write every object", 0.4),
    Point("the first API server drops the old key", START, 0.5),
)


@dataclass
class Step:
    """One step. gap and acknowledged: what the prober saw, where it looked."""

    name: str
    problem: str = ""
    seconds: float = 0.0
    gap: float = 0.0
    acknowledged: int = 0
    stored: str = ""


class Rotations:
    """The steps, on one lab."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def build(self) -> str:
        """A cluster with Secrets."""
        self.site.cluster.recreate()
        problem = problem_of(self.site.play("site.yml"), unchanged=False)
        if not problem:
            items = [
                {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"kept-{n}"}, "stringData": {"n": str(n)}}
                for n in range(SECRETS)
            ]
            script = 'printf %s "$1" | kubectl --kubeconfig /etc/kubernetes/admin.conf create -f -'
            text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
            output(exec_argv(self.site.settings, "cp2", ["sh", "-c", script, "x", text]))
        return problem

    def stored(self) -> Counter[str]:
        """How many Secrets in etcd are under which provider and key, by etcd's own client."""
        found = json.loads(self.site.on("cp1", *ETCDCTL, "get", "--prefix", "/registry/secrets/", "-w", "json"))
        heads = [base64.b64decode(pair["value"])[:60] for pair in found["kvs"]]
        return Counter(b":".join(head.split(b":")[:5]).decode("ascii", "replace") for head in heads)

    def keys(self) -> dict[str, list[str]]:
        """The keys in every control plane's file; their modes have to be private."""
        told = {}
        for name in PLANES:
            text = self.site.on(name, "sh", "-c", "cat /etc/kubernetes/encryption/config.yaml")
            (entry,) = json.loads(text)["resources"]
            told[name] = [key["name"] for key in entry["providers"][0]["secretbox"]["keys"]]
        return told

    def unreadable(self) -> str:
        """Every API server that runs reads every Secret."""
        for name in PLANES:
            running = self.site.on(name, "sh", "-c", "pidof kube-apiserver || true").strip()
            if not running:
                continue
            server = ("--server", "https://127.0.0.1:6443")
            words = ("get", "secrets", "-n", "default", "-o", "jsonpath={range .items[*]}{.data.n} {end}")
            try:
                found = self.site.kubectl_from(name, *server, *words).split()
            except LabError as exc:
                return f"{name} cannot read all Secrets: {str(exc)[:200]}"
            if len(found) != SECRETS:
                return f"{name} reads {len(found)} of {SECRETS} Secrets"
        return ""

    def ends_with(self, key: str) -> str:
        """One key on all of them, everything under it, private files, nothing of ours left."""
        wrong = [f"{name} has {had}" for name, had in self.keys().items() if had != [key]]
        if set(self.stored()) != {f"k8s:enc:secretbox:v1:{key}"}:
            wrong.append(f"etcd has {dict(self.stored())}")
        for name in PLANES:
            modes = self.site.on(name, "sh", "-c", "stat -c '%a %n' /etc/kubernetes/encryption/*")
            wrong += [f"{name}: {line}" for line in modes.splitlines() if not line.startswith("600 ")]
            left = self.site.on(name, "sh", "-c", "ls -d /var/lib/quorum-kubeadm/manifests 2>/dev/null || true").strip()
            wrong += [f"{name}: {left}"] if left else []
        return "; ".join([*wrong, *filter(None, [self.unreadable()])])

    def keep(self, name: str, run: Run) -> str:
        """The run's output, for a person; its problem."""
        LOGS.mkdir(parents=True, exist_ok=True)
        (LOGS / f"rotate-{name}.log").write_text(run.text, encoding="utf-8")
        return problem_of(run, unchanged=False)

    def step(self, name: str, work: Callable[[], str]) -> Step:
        """One step, and what etcd has afterwards."""
        began = time.monotonic()
        try:
            problem = work()
            stored = ", ".join(f"{count} {prefix}" for prefix, count in sorted(self.stored().items()))
        except LabError as exc:
            problem, stored = str(exc)[:300], ""
        return Step(name, problem, round(time.monotonic() - began, 1), stored=stored)

    def planned(self) -> str:
        """`--check` prints the plan and changes nothing."""
        run = self.site.play(ROTATE, "--check")
        wrong = [] if "make key2" in run.text and not run.status else [f"status {run.status}, or no plan"]
        return "; ".join(wrong) or (f"changed {run.changed()}" if run.changed() else "")

    def watched(self) -> Step:
        """A whole rotation under the prober."""
        out = self.site.cluster.work / "probes" / "rotate-key"

        def work() -> str:
            with probing(self.site.cluster, out, RATE, ASKED):
                return self.keep("whole", self.site.play(ROTATE)) or self.ends_with("key2")

        step = self.step("a rotation, undisturbed", work)
        api: dict[str, Any] = report(out)
        step.gap, step.acknowledged = api["longest_gap"], api["ledger"]["acknowledged"]
        problems = [f"the ledger: {problem}" for problem in api["ledger"]["problems"]]
        if step.gap > LONGEST_GAP:
            problems.append(f"the API's longest gap is {step.gap} s")
        step.problem = "; ".join(filter(None, [step.problem, *problems]))
        return step

    def kill(self, point: Point) -> str:
        """Killed there; what runs afterwards reads everything."""
        if not kill_at(self.site, ROTATE, point).reached:
            return "the point was not reached: this says nothing"
        time.sleep(5)
        return self.unreadable()

    def steps(self) -> Iterator[Step]:
        """Every step; the first that fails is the last."""
        works: list[Callable[[], Step]] = [
            lambda: self.step("`site` from blank machines, 300 Secrets", self.build),
            lambda: self.step("`--check`: the plan, nothing changes", self.planned),
            self.watched,
        ]
        works += [partial(self.step, f"killed while {point.name}", partial(self.kill, point)) for point in POINTS]
        works.append(
            lambda: self.step(
                f"the rotation that was killed {len(POINTS)} times, to its end",
                lambda: self.keep("killed", self.site.play(ROTATE)) or self.ends_with("key3"),
            )
        )
        for work in works:
            done = work()
            yield done
            if done.problem:
                return
