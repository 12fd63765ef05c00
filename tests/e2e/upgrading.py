# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade as somebody sees it who uses the cluster meanwhile: the API at ten hertz, and a workload at ten hertz."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.faults import probing, report
from lab.probefiles import SUMMARY
from tests.e2e.support import Site
from tests.e2e.workload import RATE, Workload

# How often the prober's files are judged while it runs, so that the record of an upgrade can take it in.
JUDGED_SECONDS = 60.0
# On new connections and on kept ones.
ASKED = ("read", "write")
# Seven machines share two processors here: what each does for itself elsewhere is done by two of them at a time.
GENTLY = ("--forks", "2", "-e", "verify_pods_at_once=1")


@dataclass
class Watched:
    """What was seen from outside while the block ran. api: the prober's judgement; shop: the workload's client."""

    out: Path
    api: dict[str, Any] = field(default_factory=dict)
    shop: dict[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> Path:
        """The judgement in a file, renewed every few seconds."""
        return self.out / SUMMARY

    @property
    def problems(self) -> list[str]:
        """What an upgrade must not do."""
        found = []
        if self.api["longest_gap"] > 1.0:
            found.append(f"the API's longest gap is {self.api['longest_gap']} s")
        if self.api["failed_share"] > 0.001:
            found.append(f"{self.api['failed_share']:.2%} of the probes failed")
        return found + self.lost

    @property
    def lost(self) -> list[str]:
        """What must not happen whatever is done to the cluster: a write that is lost, a workload that is away."""
        return self.ledger + self.unserved

    @property
    def ledger(self) -> list[str]:
        """Writes that are lost, and reads that say so."""
        return [f"the ledger: {problem}" for problem in self.api["ledger"]["problems"]]

    @property
    def unserved(self) -> list[str]:
        """Requests to the workload that failed."""
        failed = self.shop["failed"]
        return [f"{len(failed)} requests to the workload failed: {failed[:3]}"] if failed else []


@contextmanager
def watched(site: Site, workload: Workload, name: str, rate: float = RATE) -> Iterator[Watched]:
    """Ask the API, so often a second, and the workload until the block ends."""
    out = site.cluster.work / "probes" / name
    shutil.rmtree(out, ignore_errors=True)
    seen, ended = Watched(out), threading.Event()

    def judge() -> None:
        while not ended.wait(JUDGED_SECONDS):
            report(out)

    client = workload.ask()
    judging = threading.Thread(target=judge, daemon=True)
    try:
        with probing(site.cluster, out, rate, ASKED):
            judging.start()
            yield seen
            seen.shop = workload.told()
            ended.set()
            judging.join()
    finally:
        ended.set()
        workload.leave(client)
    seen.api = report(out)


def state(site: Site) -> dict[str, Any]:
    """What two ends of an upgrade must have in common: versions, manifests, members, nobody out of service."""
    nodes = json.loads(site.kubectl("get", "nodes", "-o", "json"))["items"]
    planes = [name for name in site.cluster.names if name.startswith("cp")]
    balancers = [name for name in site.cluster.names if name.startswith("lb")]
    show = "echo 'show stat' | socat - UNIX-CONNECT:/run/haproxy/admin.sock | grep '^kube_api,cp' | cut -d, -f2,18"
    images = "jsonpath={range .items[*]}{.metadata.name}={.spec.template.spec.containers[0].image} {end}"
    return {
        "nodes": {
            node["metadata"]["name"]: (
                node["status"]["nodeInfo"]["kubeletVersion"],
                bool(node["spec"].get("unschedulable")),
                "quorum.kubeadm/cordoned" in node["metadata"].get("annotations", {}),
            )
            for node in nodes
        },
        "manifests": {
            name: site.on(name, "sh", "-c", "cd /etc/kubernetes/manifests && sha256sum *.yaml | grep -v etcd")
            for name in planes
        },
        "left behind": {
            name: site.on(
                name, "sh", "-c", "ls -d /var/lib/quorum-kubeadm/manifests /etc/kubernetes/quorum-kubeadm.json 2>&1 | "
                "grep -v 'No such' || true"
            )
            for name in planes
        },
        "backends": {name: sorted(site.on(name, "sh", "-c", show).split()) for name in balancers},
        "addons": sorted(site.kubectl("-n", "kube-system", "get", "deploy,ds", "-o", images).split()),
    }  # fmt: skip


def members(site: Site, node: str = "") -> dict[str, str]:
    """The members of etcd by name, with their IDs, as etcdctl tells them on this machine."""
    pki = "/etc/kubernetes/pki/etcd"
    words = ["etcdctl", "--endpoints=https://127.0.0.1:2379", f"--cacert={pki}/ca.crt", "-w", "json", "member", "list"]
    words += [f"--cert={pki}/healthcheck-client.crt", f"--key={pki}/healthcheck-client.key", "--hex"]
    listed = json.loads(site.on(node or site.admin, *words))["members"]
    return {row.get("name", ""): str(row["ID"]) for row in listed}
