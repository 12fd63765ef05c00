# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run lock on a real API: keepers as processes, as if each ran on a controller of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import run_lease, run_lock
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import open_api
from ansible_collections.quorum.kubeadm.plugins.module_utils.run_lock import Holder
from ansible_collections.quorum.kubeadm.plugins.plugin_utils import run_keeper, run_state
from tests.integration.servers import Cluster

PAIRS = 30


@dataclass
class Controllers:
    """Runs that hold, or ask for, the lock of one cluster."""

    cluster: Cluster
    kubeconfig: Path
    path: Path
    runs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def state(self, name: str) -> str:
        return str(self.path / name / "state")

    def begin(self, name: str) -> dict[str, Any]:
        """Start a run that takes the lock: the answer of its keeper."""
        os.makedirs(self.state(name))
        run = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
        self.runs.append(run)
        return run_keeper.start(
            {
                "run": f"alice@{name}:{run.pid}:aaaa",
                "playbook": "site.yml",
                "since": "2026-01-01T00:00:00Z",
                "cluster": self.cluster.url,
                "kubeconfig": str(self.kubeconfig),
                "endpoints": [self.cluster.url],
                "locks": str(self.path / name / "locks"),
                "state": self.state(name),
                "watched": run.pid,
                "started": run_state.started(run.pid),
            }
        )

    def kill_runs(self) -> None:
        for run in self.runs:
            run.kill()
            run.wait()
        self.runs.clear()

    def holder(self) -> Holder | None:
        params = {"kubeconfig": str(self.kubeconfig), "endpoints": [], "timeout": 5}
        return run_lease.look(open_api(params, dry_run=True))

    def token(self) -> int:
        lease = self.cluster.kubectl_json("-n", "kube-system", "get", "lease", "quorum-kubeadm")
        return int(lease["spec"]["leaseTransitions"])

    def is_free(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self.holder() and time.monotonic() < until:
            time.sleep(0.1)
        return self.holder() is None


@pytest.fixture(name="controllers")
def _controllers(cluster: Cluster, tmp_path: Path) -> Iterator[Controllers]:
    # A file of its own: each call of kubectl writes the cluster's anew.
    made = Controllers(cluster, cluster.kubeconfig("run-lock.conf"), tmp_path)
    yield made
    made.kill_runs()
    assert made.is_free(run_lock.DURATION + 5)


def test_of_two_runs_started_together_exactly_one_goes_on(controllers: Controllers) -> None:
    token = 0
    for number in range(PAIRS):
        names = [f"{side}{number}" for side in ("left", "right")]
        began = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(controllers.begin, names))
        assert time.monotonic() - began < 5
        (winner,) = [answer for answer in answers if "error" not in answer]
        (loser,) = [answer for answer in answers if "error" in answer]
        assert (winner["level"], winner["warning"]) == ("lease", "")
        who, _colon, process = winner["run"].rpartition(":")[0].partition(":")
        assert f"{who} (process {process}), playbook site.yml, since 20" in loser["error"]["found"]
        assert winner["token"] > token
        token = winner["token"]
        controllers.kill_runs()
        assert controllers.is_free(2), "a killed run gives it back"
    assert controllers.token() == token


def test_a_holder_of_which_nothing_is_left_is_taken_over_when_its_lease_ends(controllers: Controllers) -> None:
    first = controllers.begin("first")
    os.kill(first["keeper"], signal.SIGKILL)
    controllers.runs[0].kill()
    refused = controllers.begin("second")
    assert "unless it is renewed" in refused["error"]["found"]
    assert controllers.is_free(run_lock.DURATION + 1)
    second = controllers.begin("third")
    assert (second["level"], second["token"]) == ("lease", first["token"] + 1)


def test_a_stale_holders_next_change_is_refused(controllers: Controllers) -> None:
    """Its keeper is frozen for longer than the Lease holds, as a controller that sleeps; another run goes on."""
    first = controllers.begin("first")
    os.kill(first["keeper"], signal.SIGSTOP)
    assert run_state.require(controllers.state("first"))
    assert controllers.is_free(run_lock.DURATION + 1)
    second = controllers.begin("second")
    assert "error" not in second
    os.kill(first["keeper"], signal.SIGCONT)
    began = time.monotonic()
    with pytest.raises(RefusedError, match=r"no longer holds the lock of the cluster.*held by alice@second"):
        run_state.require(controllers.state("first"))
    assert time.monotonic() - began < 5
    assert run_state.require(controllers.state("second"))
    time.sleep(run_lock.RENEWAL + 1)
    held = run_state.read(controllers.state("second"))
    assert held
    assert (held["lost"], held["confirmed"] > second["confirmed"]) == ("", True)


def test_what_kubectl_shows_of_it(controllers: Controllers) -> None:
    held = controllers.begin("first")
    lease = controllers.cluster.kubectl_json("-n", "kube-system", "get", "lease", "quorum-kubeadm")
    assert lease["spec"]["holderIdentity"] == held["run"]
    assert lease["spec"]["leaseDurationSeconds"] == 30
    assert lease["metadata"]["annotations"]["quorum.kubeadm/playbook"] == "site.yml"
    assert lease["spec"]["acquireTime"][:10] == time.strftime("%Y-%m-%d", time.gmtime())
