# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube_node_absent against a real API server. There is no kubelet, so the tests play it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import KubeApi, open_api
from tests.integration.conftest import Run

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
NUMBERS = itertools.count(1)


class World:
    """Two nodes whose names contain one another, with a Lease and a pod each."""

    def __init__(self, api: KubeApi, run: Run) -> None:
        number = next(NUMBERS)
        self.api, self.run = api, run
        self.node, self.other = f"gone{number}", f"gone{number}0"
        self.namespace = f"gone-{number}"
        for name in (self.namespace, "kube-node-lease"):
            if api.find(f"/api/v1/namespaces/{name}") is None:
                api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        api.create(f"/api/v1/namespaces/{self.namespace}/serviceaccounts", {"metadata": {"name": "default"}})
        for name in (self.node, self.other):
            api.create("/api/v1/nodes", {"metadata": {"name": name}})
            self.renew(name)
            self.ready(name)
            spec = {
                "nodeName": name,
                "terminationGracePeriodSeconds": 600,
                "containers": [{"name": "c", "image": "example.org/x"}],
            }
            pod = {"metadata": {"name": f"on-{name}"}, "spec": spec}
            api.create(f"/api/v1/namespaces/{self.namespace}/pods", pod)

    def renew(self, name: str, ago: float = 0) -> None:
        """The kubelet's Lease."""
        moment = datetime.now(timezone.utc) - timedelta(seconds=ago)
        spec = {"holderIdentity": name, "renewTime": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        if self.api.find(f"{LEASES}/{name}"):
            self.api.patch(f"{LEASES}/{name}", {"spec": spec})
        else:
            self.api.create(LEASES, {"metadata": {"name": name}, "spec": spec})

    def ready(self, name: str, status: str = "True") -> None:
        """What the kubelet, or the node controller, says."""
        self.api.patch(
            f"/api/v1/nodes/{name}/status", {"status": {"conditions": [{"type": "Ready", "status": status}]}}
        )

    def forget(self, **args: Any) -> dict[str, Any]:
        return self.run("kube_node_absent", node=self.node, **args)

    def there(self, name: str) -> tuple[bool, bool, bool]:
        """Node, Lease and pod."""
        paths = (f"/api/v1/nodes/{name}", f"{LEASES}/{name}", f"/api/v1/namespaces/{self.namespace}/pods/on-{name}")
        node, lease, pod = (self.api.find(path) is not None for path in paths)
        return node, lease, pod


@pytest.fixture
def world(kubeconfig: Path, module: Run) -> Iterator[World]:
    api = open_api({"kubeconfig": str(kubeconfig), "endpoints": [], "timeout": 30}, dry_run=False)
    made = World(api, module)
    yield made
    for name in (made.node, made.other):
        api.delete(f"/api/v1/nodes/{name}")
        api.delete(f"{LEASES}/{name}")


def test_a_node_that_serves_is_refused_and_nothing_goes(world: World) -> None:
    for args in ({}, {"dead": True}, {"drained": True}):
        result = world.forget(**args)
        assert result["failed"], args
        assert "served by a kubelet; nothing was deleted" in result["msg"]
    assert world.there(world.node) == (True, True, True)


def test_a_drained_node_goes_with_its_lease(world: World) -> None:
    world.run("kube_drain", node=world.node, state="cordoned")
    predicted = world.forget(check=True, drained=True)
    assert world.there(world.node) == (True, True, True)
    real = world.forget(drained=True)
    assert (predicted["steps"], predicted["diff"]) == (real["steps"], real["diff"])
    assert real["left"] == [f"{world.namespace}/on-{world.node}"]
    # Its pods are the cluster's to end.
    assert world.there(world.node) == (False, False, True)
    assert world.there(world.other) == (True, True, True)
    again = world.forget(drained=True)
    assert (again["changed"], again["steps"]) == (False, [])


def test_a_dead_node_goes_with_its_pods_at_once(world: World) -> None:
    world.ready(world.node, "Unknown")
    predicted = world.forget(check=True, dead=True)
    assert world.there(world.node) == (True, True, True)
    real = world.forget(dead=True)
    assert predicted["steps"] == real["steps"]
    assert real["forced"] == [f"{world.namespace}/on-{world.node}"]
    assert world.there(world.node) == (False, False, False)
    assert world.there(world.other) == (True, True, True)


def test_one_that_is_ready_by_name_only_is_dead(world: World) -> None:
    world.renew(world.node, ago=60)
    assert world.forget(dead=True)["changed"]
    assert world.there(world.node) == (False, False, False)


def test_what_an_interrupted_run_left_is_finished(world: World) -> None:
    world.api.delete(f"/api/v1/nodes/{world.node}")
    assert world.forget(dead=True)["changed"]
    assert world.there(world.node) == (False, False, False)


def test_a_node_that_nobody_called_dead_is_left_alone(world: World) -> None:
    world.ready(world.node, "Unknown")
    assert "Whether this node's machine is dead was not said" in world.forget()["msg"]
    assert world.there(world.node) == (True, True, True)


def test_cluster_info_tells_the_age_of_leases_when_asked(world: World) -> None:
    world.renew(world.node, ago=60)
    told = world.run("cluster_info", leases=True)["cluster"]["leases"]
    assert 55 < told[world.node] < 120
    assert told[world.other] < 30
    assert world.run("cluster_info")["cluster"]["leases"] is None
