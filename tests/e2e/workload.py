# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A workload as users have it (two replicas, a Service, a budget), and a client that asks it ten times a second."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from lab.podman import exec_argv
from lab.shell import output, run, wait_for
from tests.e2e.support import Site

NAME = "shop"
PORT = 8080
RATE = 10
# It serves on for a while after it was told to end: until then every node has taken it out of the Service.
LEAVES_SECONDS = 5
CLIENT = """
import json, sys, time, urllib.request
url, rate, path = sys.argv[1], float(sys.argv[2]), sys.argv[3]
asked, failed, worst, since = 0, [], 0.0, None
began = time.monotonic()
while True:
    now = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            good = answer.status == 200
    except OSError as exc:
        good = False
        failed.append([round(now - began, 2), str(exc)[:120]])
    asked += 1
    if good:
        since = None
    elif since is None:
        since = now
    if since is not None:
        worst = max(worst, time.monotonic() - since)
    with open(path + ".new", "w") as stream:
        json.dump({"asked": asked, "failed": failed, "worst": round(worst, 2)}, stream)
    import os
    os.replace(path + ".new", path)
    time.sleep(max(0.0, 1 / rate - (time.monotonic() - now)))
"""


def manifests(image: str, budget: int = 1) -> list[dict[str, Any]]:
    """Deployment, Service, PodDisruptionBudget."""
    labels = {"app": NAME}
    container = {
        "name": NAME,
        "image": image,
        "args": ["netexec", f"--http-port={PORT}", f"--delay-shutdown={LEAVES_SECONDS}"],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": PORT}, "periodSeconds": 1},
    }
    spread = {
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }  # fmt: skip
    pod = {"containers": [container], "topologySpreadConstraints": [spread]}
    return [
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME, "namespace": "default"},
            "spec": {
                "replicas": 2, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME, "namespace": "default"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": PORT}]},
        },
        {
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": NAME, "namespace": "default"},
            "spec": {"minAvailable": budget, "selector": {"matchLabels": labels}},
        },
    ]  # fmt: skip


@dataclass
class Workload:
    """The workload on a lab, and its client on one of the nodes."""

    site: Site
    # One that no campaign kills.
    node: str = "cp1"

    def start(self, image: str, budget: int = 1) -> None:
        """Create it, and wait until both replicas serve."""
        for manifest in manifests(image, budget):
            self.apply(manifest)
        self.site.kubectl("rollout", "status", f"deployment/{NAME}", "--timeout=120s")

    def apply(self, manifest: dict[str, Any]) -> None:
        """Create or change one object."""
        argv = exec_argv(self.site.settings, self.site.admin, [
            "sh", "-c", 'printf %s "$1" | kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f -', "x",
            json.dumps(manifest),
        ])  # fmt: skip
        output(argv)

    def ask(self) -> subprocess.Popen[bytes]:
        """Begin to ask, from a node, at the Service's own address."""
        address = self.site.kubectl("get", "service", NAME, "-o", "jsonpath={.spec.clusterIP}")
        # Both replicas are ready a moment before this node's kube-proxy knows: what is measured begins after that.
        answers = f"import urllib.request; urllib.request.urlopen('http://{address}/', timeout=2)"
        known = exec_argv(self.site.settings, self.node, ["python3", "-c", answers])
        wait_for(f"the Service {NAME} on {self.node}", lambda: run(known, check=False).returncode == 0, 60)
        argv = exec_argv(
            self.site.settings, self.node, ["python3", "-c", CLIENT, f"http://{address}/", str(RATE), self.path]
        )
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def leave(self, client: subprocess.Popen[bytes]) -> None:
        """Ask no longer. On the node the client would go on when nobody here waits for it."""
        run(exec_argv(self.site.settings, self.node, ["pkill", "-KILL", "-f", self.path]), check=False)
        client.kill()
        client.wait()

    @property
    def path(self) -> str:
        """Where the client keeps its result, on its node."""
        return f"/run/{NAME}-asked.json"

    def told(self) -> dict[str, Any]:
        """What the client has seen so far."""
        found: dict[str, Any] = json.loads(self.site.on(self.node, "cat", self.path))
        return found
