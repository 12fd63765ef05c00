# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_settled: one look at everything, and when the kubelet is restarted."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.settling import MIRROR, Seen
from ansible_collections.quorum.kubeadm.plugins.modules import node_settled as subject
from tests.unit.plugins.modules.support import run_module

PARAMS = {"node": "cp1", "version": "1.36.3", "restart": False, "stable_seconds": 0.0, "timeout": 5.0}


class Pods:
    def __init__(self, **files: str) -> None:
        self.files = files
        self.found: dict[str, str] = {}

    def manifests(self) -> dict[str, str]:
        return {name: f"    image: {image}\n" for name, image in self.files.items()}

    def answers(self, component: str, manifest: str) -> str:
        return self.found.get(component, "")


class Api:
    """The API as the kubelet sees it."""

    def __init__(self) -> None:
        self.beat = "2026-01-01T00:00:00Z"
        self.image = "etcd:2"
        self.ready = "True"
        self.asked: list[tuple[str, Any]] = []
        self.opened: list[dict[str, Any]] = []
        self.broken = False

    def open(self, params: dict[str, Any], dry_run: bool) -> Api:
        assert dry_run
        self.opened.append(params)
        return self

    def get(self, path: str) -> dict[str, Any]:
        self.asked.append((path, None))
        if self.broken:
            raise UnreachableError("no endpoint answered")
        conditions = [{"type": "Ready", "status": "True", "lastHeartbeatTime": self.beat}]
        return {"status": {"nodeInfo": {"kubeletVersion": "v1.36.3"}, "conditions": conditions}}

    def list(self, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
        self.asked.append((path, query))
        metadata = {"annotations": {MIRROR: "x"}, "labels": {"component": "etcd"}}
        status = {"conditions": [{"type": "Ready", "status": self.ready}]}
        return [{"metadata": metadata, "spec": {"containers": [{"image": self.image}]}, "status": status}]


class World:
    def __init__(self) -> None:
        self.pods, self.api = Pods(etcd="etcd:2"), Api()
        self.reason = ""
        self.restarts = 0

    def out_of_date(self) -> str:
        return self.reason

    def restart(self) -> None:
        self.restarts += 1
        self.reason = ""
        # Without an argument gmtime reads a coarser clock, which may still be in the second before.
        self.api.beat = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time()))

    def why(self) -> str:
        return "its log"


@pytest.fixture(name="world")
def world_in_place_of_the_host(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(subject, "PodHost", lambda: world.pods)
    monkeypatch.setattr(subject, "KubeletHost", lambda: world)
    monkeypatch.setattr(subject, "open_api", world.api.open)
    monkeypatch.setattr(subject, "processes", lambda name: [len(name)])
    return world


def test_a_control_plane_that_is_well(world: World) -> None:
    seen = subject.Look("cp1", "1.36.3", 0.0)()
    assert seen == Seen((), {"kubelet": (7,), "etcd": (4,)})
    assert world.api.asked == [
        ("/api/v1/nodes/cp1", None),
        ("/api/v1/pods", {"fieldSelector": "spec.nodeName=cp1"}),
    ]
    assert world.api.opened == [{"kubeconfig": "/etc/kubernetes/kubelet.conf", "endpoints": [], "timeout": 5}]


def test_what_is_silent_here_is_told_and_the_api_not_asked(world: World) -> None:
    world.pods.found = {"etcd": "it does not run"}
    assert subject.Look("cp1", "1.36.3", 0.0)().lacks == ("etcd: it does not run",)
    assert world.api.asked == []


def test_what_the_api_shows_counts_too(world: World) -> None:
    world.api.image = "etcd:1"
    assert subject.Look("cp1", "1.36.3", 0.0)().lacks == ("etcd is shown with etcd:1, not etcd:2",)
    assert subject.Look("cp1", "1.36.4", 0.0)().lacks == ("the node's kubelet is 1.36.3, not 1.36.4",)


def test_what_the_api_shows_as_ready_may_come_late(world: World) -> None:
    world.api.ready = "False"
    assert subject.Look("cp1", "1.36.3", 0.0)() == Seen(
        (), {"kubelet": (7,), "etcd": (4,)}, ("etcd is not shown as ready",)
    )


def test_a_worker_has_no_static_pods(world: World) -> None:
    world.pods.files = {}
    assert subject.Look("w1", "1.36.3", 0.0)() == Seen((), {"kubelet": (7,)})
    assert world.api.asked == [("/api/v1/nodes/w1", None)]


def test_the_credentials_are_read_again_after_a_failure(world: World) -> None:
    look = subject.Look("cp1", "1.36.3", 0.0)
    world.api.broken = True
    assert look().lacks == ("no endpoint answered.",)
    world.api.broken = False
    assert look().lacks == look().lacks == ()
    assert len(world.api.opened) == 2


def test_a_kubelet_that_is_out_of_date_is_restarted_once_and_has_to_report(world: World) -> None:
    world.reason = "/usr/bin/kubelet changed"
    predicted = subject.ensure(PARAMS, check_mode=True)
    assert (predicted["changed"], predicted["restarted"], world.restarts) == (True, "/usr/bin/kubelet changed", 0)
    assert world.api.asked == []
    result = subject.ensure(PARAMS, check_mode=False)
    assert (result["changed"], result["restarted"], world.restarts) == (True, "/usr/bin/kubelet changed", 1)
    again = subject.ensure(PARAMS, check_mode=False)
    assert (again["changed"], again["restarted"], world.restarts) == (False, "", 1)


def test_a_restart_in_any_case(world: World) -> None:
    assert subject.ensure({**PARAMS, "restart": True}, check_mode=False)["restarted"] == "it was asked for"
    assert world.restarts == 1


def test_a_report_from_before_the_restart_proves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "restart", lambda: None)
    with pytest.raises(CommandError) as caught:
        subject.ensure({**PARAMS, "restart": True, "timeout": 0.0}, check_mode=False)
    assert caught.value.found == "the kubelet has not reported since its restart\nits log"


def test_as_ansible_calls_it() -> None:
    assert "node, version" in run_module("node_settled", {})["msg"]
