# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube_drain against a real API server. There is no kubelet, so the pods are objects, and the tests play the rest."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import KubeApi, open_api
from tests.integration.conftest import Run
from tests.integration.servers import Cluster

ANNOTATION = "quorum.kubeadm/cordoned"
NUMBERS = itertools.count(1)


class World:
    """A namespace and a node of its own for each test."""

    def __init__(self, cluster: Cluster, api: KubeApi, run: Run) -> None:
        number = next(NUMBERS)
        self.cluster, self.api, self.run = cluster, api, run
        self.node, self.namespace = f"drain{number}", f"drain-{number}"
        self.base = f"/api/v1/namespaces/{self.namespace}"
        api.create("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        # Its controller would make it.
        api.create(f"{self.base}/serviceaccounts", {"metadata": {"name": "default"}})
        for name in (self.node, f"{self.node}0"):
            api.create("/api/v1/nodes", {"metadata": {"name": name}})

    def controller(self, kind: str, name: str) -> dict[str, Any]:
        """A controller as the owner of its pods."""
        labels = {"app": name}
        containers = [{"name": "c", "image": "example.org/x"}]
        template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
        metadata = {"name": name}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        made = self.api.create(self.of(f"{kind.lower()}s", "apps"), {"metadata": metadata, "spec": spec})
        uid = made["metadata"]["uid"]
        return {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": True}

    def pod(
        self,
        name: str,
        owner: dict[str, Any] | None,
        *,
        node: str = "",
        phase: str = "Running",
        grace: int = 0,
        ready: bool = True,
        **metadata: Any,
    ) -> str:
        """A pod on the node; its namespace and name."""
        labels = {"app": owner["name"] if owner else name}
        meta = {"name": name, "labels": labels, **metadata}
        meta["ownerReferences"] = [owner] if owner else []
        spec = {
            "nodeName": node or self.node,
            "terminationGracePeriodSeconds": grace,
            "containers": [{"name": "c", "image": "example.org/x"}],
        }
        self.api.create(self.of("pods"), {"metadata": meta, "spec": spec})
        status = {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]}
        self.status(self.of("pods"), name, status)
        return f"{self.namespace}/{name}"

    def of(self, plural: str, group: str = "") -> str:
        return f"/apis/{group}/v1/namespaces/{self.namespace}/{plural}" if group else f"{self.base}/{plural}"

    def status(self, path: str, name: str, status: dict[str, Any]) -> None:
        self.api.patch(f"{path}/{name}/status", {"status": status})

    def budget(self, name: str, app: str, allowed: int, healthy: int, desired: int, expected: int) -> str:
        """A PDB, with the status that its controller would set."""
        spec = {"minAvailable": desired, "selector": {"matchLabels": {"app": app}}}
        metadata = {"name": name}
        self.api.create(self.of("poddisruptionbudgets", "policy"), {"metadata": metadata, "spec": spec})
        self.allow(name, allowed, healthy, desired, expected)
        return f"{self.namespace}/{name}"

    def allow(self, name: str, allowed: int, healthy: int, desired: int, expected: int) -> None:
        numbers = {"disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": desired}
        status = {**numbers, "expectedPods": expected, "observedGeneration": 1, "disruptedPods": None}
        self.status(self.of("poddisruptionbudgets", "policy"), name, status)

    def kubectl(self, *args: str) -> str:
        return self.cluster.kubectl("-n", self.namespace, *args)

    def drain(self, **args: Any) -> dict[str, Any]:
        if args.get("state") == "checked":
            return self.run("kube_drain", **args)
        return self.run("kube_drain", node=self.node, **args)

    def pods(self) -> list[str]:
        return sorted(pod["metadata"]["name"] for pod in self.api.list(self.of("pods")))

    def seen(self) -> tuple[bool, bool]:
        """Whether the node is cordoned, and whether by us."""
        found = self.api.get(f"/api/v1/nodes/{self.node}")
        annotations = found["metadata"].get("annotations") or {}
        return bool(found["spec"].get("unschedulable")), ANNOTATION in annotations


@pytest.fixture
def world(cluster: Cluster, kubeconfig: Path, module: Run) -> Iterator[World]:
    api = open_api({"kubeconfig": str(kubeconfig), "endpoints": [], "timeout": 30}, dry_run=False)
    made = World(cluster, api, module)
    yield made
    for name in (made.node, f"{made.node}0"):
        api.delete(f"/api/v1/nodes/{name}")


def later(seconds: float, action: Callable[[], object]) -> threading.Thread:
    def wait() -> None:
        time.sleep(seconds)
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_drained_and_back_and_what_check_mode_said(world: World) -> None:
    app, daemons = world.controller("ReplicaSet", "web"), world.controller("DaemonSet", "net")
    first, second = world.pod("web-1", app), world.pod("web-2", app)
    world.pod("net-1", daemons)
    world.pod("etcd", None, annotations={"kubernetes.io/config.mirror": "x"})
    world.pod("job-1", None, phase="Succeeded")
    world.pod("web-3", app, node=f"{world.node}0")
    predicted = world.drain(check=True)
    assert world.seen() == (False, False)
    assert len(world.pods()) == 6
    real = world.drain()
    assert world.seen() == (True, True)
    assert world.pods() == ["etcd", "job-1", "net-1", "web-3"]
    assert real["steps"] == [f"cordon {world.node}", f"evict {first}", f"evict {second}"]
    assert {key: predicted[key] for key in predicted if key != "seconds"} == {
        key: real[key] for key in real if key != "seconds"
    }
    again = world.drain()
    assert (again["changed"], again["steps"], again["kept_cordoned"]) == (False, [], False)
    assert world.drain(state="uncordoned", check=True)["steps"] == [f"uncordon {world.node}"]
    assert world.drain(state="uncordoned")["changed"]
    assert world.seen() == (False, False)
    assert not world.drain(state="uncordoned")["changed"]


def test_what_an_administrator_cordoned_stays_cordoned(world: World) -> None:
    world.cluster.kubectl("cordon", world.node)
    world.pod("web-1", world.controller("ReplicaSet", "web"))
    drained = world.drain()
    assert (drained["changed"], drained["kept_cordoned"], world.pods()) == (True, True, [])
    assert world.seen() == (True, False)
    back = world.drain(state="uncordoned")
    assert (back["changed"], back["kept_cordoned"]) == (False, True)
    assert not world.drain(state="cordoned")["changed"]
    assert world.seen() == (True, False)


def test_cordoned_only(world: World) -> None:
    world.pod("web-1", world.controller("ReplicaSet", "web"))
    assert world.drain(state="cordoned", check=True)["steps"] == [f"cordon {world.node}"]
    assert world.seen() == (False, False)
    assert world.drain(state="cordoned")["changed"]
    assert not world.drain(state="cordoned")["changed"]
    assert (world.seen(), world.pods()) == ((True, True), ["web-1"])


def test_a_pdb_that_allows_nothing_is_named_and_the_node_is_uncordoned(world: World) -> None:
    pod = world.pod("web-1", world.controller("ReplicaSet", "web"))
    other = world.pod("free-1", world.controller("ReplicaSet", "free"))
    pdb = world.budget("web", "web", allowed=0, healthy=2, desired=2, expected=2)
    result = world.drain(drain_seconds=2)
    assert result["failed"]
    for words in (world.node, pod, pdb, "allows 0 disruptions: 2 of 2 pods healthy, 2 needed", "never allows any"):
        assert words in result["msg"]
    assert "one replica more" in result["error"]["next"]
    assert [row["pdb"] for row in result["blocked"]] == [pdb]
    assert result["evicted"] == [other]
    assert result["steps"] == [f"cordon {world.node}", f"evict {other}", f"uncordon {world.node}"]
    assert world.seen() == (False, False)
    assert world.pods() == ["web-1"]


def test_a_node_that_an_administrator_cordoned_is_not_uncordoned_by_a_failure(world: World) -> None:
    world.cluster.kubectl("cordon", world.node)
    world.pod("web-1", world.controller("ReplicaSet", "web"))
    world.budget("web", "web", allowed=0, healthy=1, desired=1, expected=1)
    assert world.drain(drain_seconds=0)["failed"]
    assert world.seen() == (True, False)


def test_a_replica_that_is_not_ready_is_the_cause_and_is_said_with_numbers(world: World) -> None:
    pod = world.pod("web-1", world.controller("ReplicaSet", "web"))
    pdb = world.budget("web", "web", allowed=0, healthy=2, desired=2, expected=3)
    checked = world.drain(state="checked", nodes=[f"{world.node}0", world.node])
    assert not checked["changed"]
    assert checked["blocked"] == [
        {
            "node": world.node,
            "pod": pod,
            "pdb": pdb,
            "found": f"PDB {pdb} allows 0 disruptions: 2 of 3 pods healthy, 2 needed; 1 not ready now, "
            "with all ready it would allow 1",
            "next": f"Repair or wait for the app's other pods: kubectl -n {world.namespace} get pods",
        }
    ]
    assert (world.seen(), world.pods()) == ((False, False), ["web-1"])
    predicted = world.drain(check=True)
    assert predicted["blocked"] == checked["blocked"]
    assert (predicted["evicted"], f"evict {pod}" in predicted["steps"]) == ([], True)


def test_an_eviction_that_is_refused_for_a_while_succeeds(world: World) -> None:
    app = world.controller("ReplicaSet", "web")
    world.pod("web-1", app)
    world.pod("web-2", app)
    world.budget("web", "web", allowed=1, healthy=3, desired=2, expected=3)
    thread = later(2, lambda: world.allow("web", allowed=1, healthy=3, desired=2, expected=3))
    result = world.drain(drain_seconds=30)
    thread.join()
    assert (len(result["evicted"]), result["blocked"], world.pods()) == (2, [], [])
    assert result["seconds"] >= 1


def test_wait_goes_on_after_drain_seconds(world: World) -> None:
    world.pod("web-1", world.controller("ReplicaSet", "web"))
    world.budget("web", "web", allowed=0, healthy=1, desired=1, expected=2)
    assert world.drain(policy="wait", drain_wait_seconds=1)["failed"]
    thread = later(2, lambda: world.allow("web", allowed=1, healthy=2, desired=1, expected=2))
    assert world.drain(policy="wait", drain_seconds=0, drain_wait_seconds=30)["changed"]
    thread.join()


def test_force_deletes_against_the_pdb_and_says_so(world: World) -> None:
    pod = world.pod("web-1", world.controller("ReplicaSet", "web"))
    pdb = world.budget("web", "web", allowed=0, healthy=1, desired=1, expected=1)
    result = world.drain(policy="force", drain_seconds=1)
    assert (world.pods(), result["evicted"], result["blocked"]) == ([], [], [])
    assert [(row["pod"], row["pdb"]) for row in result["forced"]] == [(pod, pdb)]
    assert result["steps"] == [f"cordon {world.node}", f"delete {pod} against its PDB {pdb}"]
    assert result["seconds"] >= 1


def test_two_pdbs_for_one_pod_are_refused_before_anything_changes(world: World) -> None:
    app = world.controller("ReplicaSet", "web")
    pod = world.pod("web-1", app)
    world.pod("free-1", world.controller("ReplicaSet", "free"))
    for name in ("one", "two"):
        world.budget(name, "web", allowed=1, healthy=2, desired=1, expected=2)
    (row,) = world.drain(state="checked", nodes=[world.node])["blocked"]
    result = world.drain()
    assert result["failed"]
    assert "more than one PDB" in result["msg"]
    assert [held["pod"] for held in result["blocked"]] == [pod] == [row["pod"]]
    assert row["found"] == result["blocked"][0]["found"]
    assert (world.seen(), world.pods()) == ((False, False), ["free-1", "web-1"])
    assert [held["pod"] for held in world.drain(policy="force", drain_seconds=0)["forced"]] == [pod]


@pytest.mark.parametrize("earlier", [False, True], ids=["fresh", "after a run that was killed"])
def test_a_pod_that_nothing_brings_back_is_refused_or_deleted(world: World, earlier: bool) -> None:
    if earlier:
        world.drain(state="cordoned")
    alone = world.pod("alone", None)
    gone = world.controller("DaemonSet", "gone")
    orphan = world.pod("gone-1", gone)
    world.kubectl("delete", "daemonset", "gone")
    world.pod("web-1", world.controller("ReplicaSet", "web"))
    checked = world.drain(state="checked", nodes=[world.node])["blocked"]
    for check in (True, False):
        result = world.drain(check=check)
        assert result["failed"]
        assert result["blocked"] == checked
        assert [row["pod"] for row in checked] == [alone, orphan]
    assert (world.seen(), world.pods()) == ((False, False), ["alone", "gone-1", "web-1"])
    assert len(world.drain(unmanaged="delete")["evicted"]) == 3
    assert world.pods() == []


def test_pods_on_their_way_out_are_waited_for_and_only_theirs(world: World) -> None:
    app = world.controller("ReplicaSet", "web")
    world.pod("web-1", app, grace=30)
    world.kubectl("delete", "pod", "web-1", "--wait=false")
    thread = later(2, lambda: world.kubectl("delete", "pod", "web-1", "--force", "--grace-period=0"))
    result = world.drain()
    thread.join()
    assert (result["evicted"], world.pods()) == ([], [])
    assert result["seconds"] >= 1


def test_an_evicted_pod_is_waited_for(world: World) -> None:
    pod = world.pod("web-1", world.controller("ReplicaSet", "web"), finalizers=["example.org/keep"])
    world.drain(check=True)
    thread = later(3, lambda: world.kubectl("patch", "pod", "web-1", "-p", '{"metadata":{"finalizers":null}}'))
    result = world.drain(grace_period=0)
    thread.join()
    assert (result["evicted"], result["seconds"] >= 2) == ([pod], True)


def test_a_node_that_is_not_there_is_said_and_nothing_else_touched(world: World) -> None:
    for args in ({"node": "drain"}, {"state": "checked", "nodes": [world.node, "drain"]}):
        result = world.run("kube_drain", **args)
        assert result["failed"]
        assert result["error"]["found"] == "drain"
    assert world.seen() == (False, False)
