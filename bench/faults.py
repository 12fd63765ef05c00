# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines and processes killed under the prober: the longest gap, and no acknowledged write lost."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cluster import Cluster, wait_quiet
from bench.goals import SCENARIOS, Scenario
from bench.store import Results
from lab import faults
from lab.errors import LabError
from lab.podman import inside
from lab.probefiles import PROBES, load_lines
from lab.probereport import longest_gap
from lab.settings import CHECKOUT
from lab.shell import output, parallel, run, say, wait_for

WARM_UP = 5.0
HEALTHY_TIMEOUT = 240.0
# Every backend up at each load balancer, as HAProxy itself says.
BACKENDS = "echo 'show stat' | socat - UNIX-CONNECT:/run/haproxy/admin.sock | grep -c '^kube_api,[^,]*,.*,UP,'"
ADMIN = "KUBECONFIG=/etc/kubernetes/admin.conf kubectl --request-timeout=5s"


class Faults:
    """Injects a scenario's fault and puts it right again."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.settings = cluster.settings
        self.control_planes = cluster.groups["control_plane"]
        self.balancers = cluster.groups["lb"]
        self._inject: dict[str, Callable[[str], object]] = {
            "control-plane-killed": lambda node: faults.kill(self.settings, [node]),
            "control-plane-frozen": lambda node: faults.freeze(self.settings, [node]),
            "api-server-killed": lambda node: faults.signal_process(self.settings, node, "kube-apiserver"),
            "balancer-killed": lambda node: faults.kill(self.settings, [node]),
            "haproxy-killed": lambda node: faults.signal_process(self.settings, node, "haproxy"),
        }

    def victim(self, scenario: Scenario, number: int) -> str:
        """A control plane in turn, or the load balancer that holds the VIP now."""
        if scenario.name in ("balancer-killed", "haproxy-killed"):
            return self.vip_holder()
        return self.control_planes[number % len(self.control_planes)]

    def inject(self, scenario: Scenario, node: str) -> None:
        """Make it go wrong."""
        self._inject[scenario.name](node)

    def restore(self, scenario: Scenario, node: str) -> None:
        """Make it right again. Killed processes come back by themselves."""
        if scenario.name.endswith("-frozen"):
            faults.thaw(self.settings, [node])
        elif scenario.name in ("control-plane-killed", "balancer-killed"):
            faults.start(self.settings, [node])

    def vip_holder(self) -> str:
        """The one machine with the VIP."""
        holders = self.cluster.vip_holders(self.balancers)
        if len(holders) != 1:
            raise LabError(f"The VIP is on {holders or 'no machine'}.")
        return holders[0]

    def etcd_leader(self) -> str:
        """The control plane whose etcd leads, "" when nobody says."""
        pki = "/etc/kubernetes/pki/etcd"
        script = (
            f"etcdctl --endpoints=https://127.0.0.1:2379 --cacert={pki}/ca.crt --cert={pki}/healthcheck-client.crt "
            f"--key={pki}/healthcheck-client.key endpoint status --cluster -w json"
        )
        try:
            rows = json.loads(inside(self.settings, self.control_planes[0], script))
        except (LabError, ValueError):
            return ""
        names = {self.settings.node(name).address: name for name in self.control_planes}
        leading = [row for row in rows if row["Status"]["leader"] == row["Status"]["header"]["member_id"]]
        return names.get(leading[0]["Endpoint"].split("//")[1].split(":")[0], "") if leading else ""

    def unhealthy(self) -> list[str]:
        """What is not as it should be, empty when all is well."""
        checks = parallel(self._check_node, self.control_planes) + parallel(self._check_balancer, self.balancers)
        found = [problem for problem in checks if problem]
        if len(self.cluster.vip_holders(self.balancers)) != 1:
            found.append("the VIP is not on exactly one machine")
        return found

    def _check_node(self, name: str) -> str:
        server = f"https://{self.settings.node(name).address}:6443"
        script = (
            f"{ADMIN} --server={server} get --raw /readyz && {ADMIN} --server={server} get node {name} --no-headers"
        )
        with contextlib.suppress(LabError):
            answer = inside(self.settings, name, script)
            if answer.startswith("ok") and " Ready " in answer:
                return ""
        return f"{name} is not ready"

    def _check_balancer(self, name: str) -> str:
        with contextlib.suppress(LabError):
            up = inside(self.settings, name, BACKENDS, check=False)
            # The backend's own line counts as well.
            if up == str(len(self.control_planes) + 1):
                return ""
        return f"{name} does not have every backend up"

    def wait_healthy(self) -> float:
        """Wait until all is well, twice in a row; returns the seconds."""
        began = time.monotonic()
        last: list[str] = ["not looked yet"]

        def well() -> bool:
            nonlocal last
            last = self.unhealthy()
            if not last:
                time.sleep(2.0)
                last = self.unhealthy()
            return not last

        try:
            wait_for("the cluster", well, HEALTHY_TIMEOUT, pause=0.5)
        except LabError as exc:
            raise LabError(f"The cluster did not become healthy: {'; '.join(last)}.") from exc
        return round(time.monotonic() - began, 1)


def prefer(pid: int) -> None:
    """Where the kernel groups programs by their session, only the session's own priority counts."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("-10", encoding="ascii")


@contextlib.contextmanager
def probing(
    cluster: Cluster, out: Path, rate: float = 10.0, kinds: Sequence[str] = (), words: Sequence[str] = ()
) -> Iterator[None]:
    """The prober runs, so often a second, until the block ends, then reads its objects a last time.

    It goes before everything else on this machine: what is measured is the cluster, not the prober's turn.
    """
    shutil.rmtree(out, ignore_errors=True)
    argv = ["nice", "-n", "-10", sys.executable, "-m", "lab", "probe", "--kubeconfig", str(cluster.kubeconfig)]
    argv += ["--out", str(out), "--rate", str(rate), *(f"--kind={kind}" for kind in kinds), *words]
    with subprocess.Popen(
        [*argv, "--seconds", "0"],
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as prober:
        prefer(prober.pid)
        try:
            wait_for("the prober", lambda: (out / "meta.json").exists() or prober.poll() is not None, 90)
            yield
        finally:
            prober.send_signal(signal.SIGINT)
            try:
                prober.wait(timeout=120)
            except subprocess.TimeoutExpired:
                prober.kill()


def report(out: Path) -> dict[str, Any]:
    """The prober's own judgement of what it wrote down."""
    text = run([sys.executable, "-m", "lab", "probe-report", str(out), "--json"], cwd=CHECKOUT, check=False).stdout
    found: dict[str, Any] = json.loads(text)
    return found


def once(cluster: Cluster, scenario: Scenario, number: int) -> dict[str, Any]:
    """One repetition of one scenario."""
    things = Faults(cluster)
    out = cluster.work / "probes" / f"{scenario.name}-{number + 1}"
    out.parent.mkdir(parents=True, exist_ok=True)
    things.wait_healthy()
    idle = wait_quiet(10)
    node = things.victim(scenario, number)
    leader = things.etcd_leader()
    facts: dict[str, Any] = {"scenario": scenario.name, "number": number, "node": node, "etcd_leader": leader == node}
    with probing(cluster, out):
        # Checks and adverts come once in a while: the fault comes at any moment between them.
        time.sleep(WARM_UP + random.random())  # noqa: S311 - no secret
        injected = time.monotonic()
        things.inject(scenario, node)
        time.sleep(scenario.hold)
        restored = time.monotonic()
        things.restore(scenario, node)
        recovered = things.wait_healthy()
    started = float(json.loads((out / "meta.json").read_text(encoding="utf-8"))["started"])
    seen = judged(report(out), started, injected)
    during = gap_between(load_lines(out / PROBES), injected, restored)
    return {**facts, "idle_before": idle, "recovered": recovered, "fault_gap": during, **seen, "failed": False}


def gap_between(probes: Sequence[Mapping[str, Any]], begin: float, end: float) -> float:
    """The longest time without a success in any stream between these moments of the prober's clock."""
    streams: dict[tuple[str, str], list[float]] = {}
    for probe in probes:
        moments = streams.setdefault((probe["kind"], probe["connection"]), [])
        if probe["outcome"] == "ok":
            moments.append(float(probe["end"]))
    return round(max((longest_gap(moments, begin, end).seconds for moments in streams.values()), default=0.0), 3)


def judged(found: dict[str, Any], started: float, injected: float) -> dict[str, Any]:
    """What is kept of the prober's report. started, injected: when the prober began, when the fault came."""
    name, worst = max(found["probes"].items(), key=lambda item: float(item[1]["longest_gap"]))
    pauses = [one["longest_pause"] for stream, one in found["probes"].items() if stream.endswith("/new")]
    problems = found["ledger"]["problems"]
    return {
        "gap": worst["longest_gap"],
        "gap_of": name,
        # Well above zero: it was the recovery that clients felt, not the fault.
        "gap_begins": round(started + worst["longest_gap_after"] - injected, 2),
        "gaps": {stream: one["longest_gap"] for stream, one in found["probes"].items()},
        "failed_share": found["failed_share"],
        # The prober's own longest pause: where it is as long as the gap, the machine was too slow to measure.
        "prober_pause": max(pauses, default=0.0),
        "acknowledged": found["ledger"]["acknowledged"],
        "lost": len(problems),
        "problems": problems,
    }


def campaign(cluster: Cluster, times: int, names: list[str]) -> None:
    """Every scenario, `times` times, the scenarios in turn so that the machine's moods meet all of them."""
    results = Results("faults", f"python3 -m bench faults --times {times}")
    chosen = [scenario for scenario in SCENARIOS if not names or scenario.name in names]
    for number in range(times):
        for scenario in chosen:
            say(f"{scenario.name}, {number + 1} of {times} ...")
            try:
                result = once(cluster, scenario, number)
                say(f"{scenario.name}: longest gap {result['gap']:.2f} s")
            except (LabError, ValueError, KeyError) as exc:
                result = {"scenario": scenario.name, "number": number, "failed": True, "error": str(exc)}
                say(f"{scenario.name}: {exc}")
                heal(cluster)
            results.add(result)


def heal(cluster: Cluster) -> None:
    """After a repetition that failed: every machine runs again."""
    for name in cluster.names:
        container = cluster.settings.container(name)
        state = output(["podman", "inspect", "--format", "{{.State.Status}}", container])
        if state == "paused":
            faults.thaw(cluster.settings, [name])
        elif state != "running":
            faults.start(cluster.settings, [name])
