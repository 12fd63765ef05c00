# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe pods: where they stand, what they are asked, and that nothing is left behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import verify_pods as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify import NodeSeen

NAMESPACE = "quorum-verify-1"
BASE = f"/api/v1/namespaces/{NAMESPACE}"
SPEC = subject.Spec(NAMESPACE, "example.test/agnhost:1")
READY = {"cp1", "w1", "w2"}
OLD = "2026-01-01T00:00:00Z"
OLD_EPOCH = 1767225600.0


def node(name: str, zone: str = "") -> NodeSeen:
    return NodeSeen(name, True, "v1.36.3", zone=zone)


@pytest.mark.parametrize(
    ("nodes", "sample", "chosen"),
    [
        ([node("w1"), node("cp1"), node("w2")], 6, ["cp1", "w1", "w2"]),
        ([node("w1"), node("cp1"), node("w2")], 2, ["cp1", "w1"]),
        ([node(f"w{n}") for n in range(1, 1000)] + [node("cp1")], 3, ["cp1", "w1", "w10"]),
        ([node("cp1", "a"), node("cp2", "b"), node("w1", "a"), node("w2", "b")], 3, ["cp1", "w1", "cp2"]),
        ([], 6, []),
        ([node("w1")], 0, []),
    ],
)
def test_the_sample_crosses_roles_and_zones(nodes: list[NodeSeen], sample: int, chosen: list[str]) -> None:
    assert subject.choose(nodes, ["cp1", "cp2"], sample) == chosen


@pytest.mark.parametrize(
    ("sample", "joined", "chosen"),
    [
        (6, ["w999"], ["w999", "cp1"]),
        (6, ["cp1", "w998", "w999"], ["cp1", "w998", "w999", "w1"]),
        (2, ["w997", "w998", "w999"], ["w997", "cp1"]),
        (1, ["w999"], ["w999"]),
        (2, ["elsewhere"], ["cp1", "w1"]),
    ],
)
def test_where_nodes_have_joined_only_they_are_probed_and_one_to_talk_to(
    sample: int, joined: list[str], chosen: list[str]
) -> None:
    nodes = [node(f"w{number}") for number in range(1, 1000)] + [node("cp1")]
    assert subject.choose(nodes, ["cp1"], sample, joined) == chosen


def test_every_pod_asks_the_next_one_the_service_and_its_name() -> None:
    pods = [subject.Pod(f"probe-{n}", name, f"10.244.{n}.2") for n, name in enumerate(["cp1", "w1"])]
    asked = subject.dials(pods, "10.96.0.9", "cluster.test", NAMESPACE)
    assert [(dial.check, dial.subject, dial.source, dial.host, dial.port) for dial in asked] == [
        ("pod network", "cp1 -> w1", "probe-0", "10.244.1.2", 8080),
        ("service", "cp1", "probe-0", "10.96.0.9", 80),
        ("dns", "cp1", "probe-0", f"probe.{NAMESPACE}.svc.cluster.test.", 80),
        ("pod network", "w1 -> cp1", "probe-1", "10.244.0.2", 8080),
        ("service", "w1", "probe-1", "10.96.0.9", 80),
        ("dns", "w1", "probe-1", f"probe.{NAMESPACE}.svc.cluster.test.", 80),
    ]
    alone = subject.dials(pods[:1], "10.96.0.9", "cluster.test", NAMESPACE)
    assert [dial.check for dial in alone] == ["service", "dns"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"responses": ["probe-1"]}, ""),
        ({"errors": ["connection refused"]}, "connection refused"),
        ({}, "no answer"),
        ({"responses": [], "errors": ["a", "b"]}, "a, b"),
    ],
)
def test_what_a_pod_says_about_a_dial(answer: Mapping[str, Any], error: str) -> None:
    assert subject.understood(answer) == error


class FakeApi:
    """Holds what is created; pods serve at once unless their node is in `stuck`; dials answer by `deaf`."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.deleted: list[str] = []
        self.dialled: list[tuple[str, str]] = []
        self.stuck: dict[str, str] = {}
        self.deaf: dict[tuple[str, str], Exception | dict[str, Any]] = {}
        self.undeletable: Exception | None = None
        self.refuse: dict[str, Exception] = {}

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if body["kind"] in self.refuse:
            raise self.refuse[body["kind"]]
        self.objects[f"{path}/{body['metadata']['name']}"] = body
        return body

    def delete(self, path: str) -> object:
        if self.undeletable:
            raise self.undeletable
        self.deleted.append(path)
        return True

    def get(self, path: str) -> dict[str, Any]:
        parts = urlsplit(path)
        if parts.path.endswith("/proxy/dial"):
            return self.dial(parts.path.split("/")[6].partition(":")[0], parse_qs(parts.query)["host"][0])
        if path == f"{BASE}/pods":
            return {"items": [self.shown(obj) for obj in self.objects.values() if obj["kind"] == "Pod"]}
        if path == f"{BASE}/services/probe":
            return {**self.objects[path], "spec": {"clusterIP": "10.96.0.9"}}
        return {"items": list(self.objects.values())}

    def shown(self, pod: dict[str, Any]) -> dict[str, Any]:
        where = pod["spec"]["nodeName"]
        if where in self.stuck:
            waiting = {"state": {"waiting": {"reason": self.stuck[where]}}, "ready": False}
            return {**pod, "status": {"phase": "Pending", "containerStatuses": [waiting]}}
        address = f"10.244.0.{pod['metadata']['name'][-1]}"
        return {**pod, "status": {"phase": "Running", "podIP": address, "containerStatuses": [{"ready": True}]}}

    def dial(self, source: str, host: str) -> dict[str, Any]:
        self.dialled.append((source, host))
        answer = self.deaf.get((source, host), {"responses": [host]})
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def start(api: FakeApi) -> subject.ProbePods:
    return subject.ProbePods(lambda: api, SPEC)


def test_all_is_well(api: FakeApi) -> None:
    probe = start(api)
    rows = probe.rows(["cp1", "w1", "w2"], READY, late=False)
    assert [(row.check, row.status) for row in rows] == [
        ("probe pods", "ok"),
        ("pod network", "ok"),
        ("service", "ok"),
        ("dns", "ok"),
    ]
    assert rows[1].subject == "cp1 -> w1, w1 -> w2, w2 -> cp1"
    assert {obj["spec"]["nodeName"] for obj in api.objects.values() if obj["kind"] == "Pod"} == READY
    probe.close(api)
    assert api.deleted == [BASE]


def placed(api: FakeApi) -> list[str]:
    return [obj["spec"]["nodeName"] for obj in api.objects.values() if obj["kind"] == "Pod"]


def test_no_more_pods_start_at_the_same_time_than_may(api: FakeApi) -> None:
    probe = subject.ProbePods(lambda: api, replace(SPEC, at_once=1))
    api.stuck["cp1"] = "ContainerCreating"
    for _look in range(2):
        rows = probe.rows(["cp1", "w1", "w2"], READY, late=False)
        assert [(row.subject, row.found) for row in rows] == [
            ("cp1", "ContainerCreating"),
            ("w1", "waits for other pods to start"),
            ("w2", "waits for other pods to start"),
        ]
        assert placed(api) == ["cp1"]
    del api.stuck["cp1"]
    assert [row.subject for row in probe.rows([], READY, late=False)] == ["w1", "w2"]
    assert [row.subject for row in probe.rows([], READY, late=False)] == ["w2"]
    rows = probe.rows([], READY, late=False)
    assert placed(api) == ["cp1", "w1", "w2"]
    assert all(row.status == "ok" for row in rows)


def test_a_pod_that_hangs_does_not_keep_the_others_for_ever(api: FakeApi) -> None:
    probe = subject.ProbePods(lambda: api, replace(SPEC, at_once=1))
    api.stuck["cp1"] = "ContainerCreating"
    probe.rows(["cp1", "w1", "w2"], READY, late=False)
    (row,) = probe.rows([], READY, late=True)
    assert (row.subject, placed(api)) == ("cp1", ["cp1", "w1", "w2"])


def test_what_worked_is_not_asked_again_and_nothing_is_created_twice(api: FakeApi) -> None:
    probe = start(api)
    broken = ("probe-1", f"probe.{NAMESPACE}.svc.cluster.local.")
    api.deaf[broken] = {"errors": ["no such host"]}
    rows = probe.rows(["cp1", "w1"], READY, late=False)
    assert [(row.check, row.subject, row.found) for row in rows if row.status == "fail"] == [
        ("dns", "w1", "no such host")
    ]
    assert rows[-1].patience > 600
    del api.deaf[broken]
    api.dialled.clear()
    created = dict(api.objects)
    rows = probe.rows(["other"], READY, late=False)
    assert all(row.status == "ok" for row in rows)
    assert api.dialled == [broken]
    assert api.objects == created


def test_a_pod_that_does_not_start_says_why(api: FakeApi) -> None:
    api.stuck["w1"] = "ContainerCreating"
    (row,) = start(api).rows(["cp1", "w1"], READY, late=False)
    assert (row.check, row.subject, row.status, row.found) == ("probe pods", "w1", "fail", "ContainerCreating")
    assert row.patience > 600
    assert not api.dialled


def test_a_missing_image_is_not_waited_for(api: FakeApi) -> None:
    api.stuck["w1"] = "ImagePullBackOff"
    (row,) = start(api).rows(["cp1", "w1"], READY, late=False)
    assert row.patience < 60
    assert "example.test/agnhost:1" in row.next_step
    assert "kube_verify_image" in row.next_step


def test_a_node_that_is_not_ready_is_waited_for_but_not_for_ever(api: FakeApi) -> None:
    api.stuck["w2"] = "ContainerCreating"
    probe = start(api)
    chosen = ["cp1", "w1", "w2"]
    assert [row.subject for row in probe.rows(chosen, {"cp1", "w1"}, late=False)] == ["w2"]
    rows = probe.rows(chosen, {"cp1", "w1"}, late=True)
    assert all(row.status == "ok" for row in rows)
    assert rows[0].subject == "cp1, w1"


def test_no_node_at_all(api: FakeApi) -> None:
    assert start(api).rows([], set(), late=False)[0].status == "fail"
    (row,) = start(api).rows(["w1"], set(), late=True)
    assert (row.status, row.found) == ("fail", "no node is Ready")


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (ApiError("x", status=400, found="lookup: no such host"), "lookup: no such host"),
        (ApiError("x", status=503, found="no route"), "the API server cannot reach the pod: no route"),
        (UnreachableError("x", found="refused"), "the API server cannot reach the pod: refused"),
    ],
)
def test_a_dial_that_cannot_be_asked_for(api: FakeApi, error: Exception, found: str) -> None:
    api.deaf["probe-0", "10.96.0.9"] = error
    rows = start(api).rows(["cp1", "w1"], READY, late=False)
    assert [(row.check, row.subject, row.found) for row in rows if row.status == "fail"] == [("service", "cp1", found)]


def test_creation_goes_on_where_it_was_refused(api: FakeApi) -> None:
    api.refuse["Pod"] = ApiError("refused", status=403, found="serviceaccount default not found")
    probe = start(api)
    (row,) = probe.rows(["cp1", "w1"], READY, late=False)
    assert (row.status, row.found) == ("fail", "serviceaccount default not found")
    assert 0 < row.patience < 60
    del api.refuse["Pod"]
    assert all(row.status == "ok" for row in probe.rows(["cp1", "w1"], READY, late=False))


def test_a_namespace_whose_creation_got_no_answer_is_deleted_all_the_same(api: FakeApi) -> None:
    api.refuse["Namespace"] = UnreachableError("x", found="connection reset")
    probe = start(api)
    assert probe.rows(["cp1"], READY, late=False)[0].status == "fail"
    probe.close(api)
    assert api.deleted == [BASE]


def test_what_cannot_be_deleted_now_is_left_to_a_later_run(api: FakeApi) -> None:
    probe = start(api)
    probe.rows(["cp1"], READY, late=False)
    api.undeletable = UnreachableError("x", found="refused")
    probe.close(api)


def test_nothing_is_deleted_that_was_not_created(api: FakeApi) -> None:
    start(api).close(api)
    assert api.deleted == []


def namespace(name: str, created: str, label: str | None = "probe") -> dict[str, Any]:
    labels = {subject.LABEL: label} if label else {}
    return {"kind": "Namespace", "metadata": {"name": name, "creationTimestamp": created, "labels": labels}}


@pytest.mark.parametrize(
    ("item", "seconds", "left"),
    [
        (namespace("quorum-verify-1", OLD), 601, ["quorum-verify-1"]),
        (namespace("quorum-verify-1", OLD), 599, []),
        (namespace("somebody's", OLD, None), 601, []),
    ],
)
def test_what_a_killed_run_left_is_swept_when_it_is_old(item: dict[str, Any], seconds: int, left: list[str]) -> None:
    assert subject.leftovers([item], OLD_EPOCH + seconds) == left
    api = FakeApi()
    api.objects["x"] = item
    assert subject.sweep(api, OLD_EPOCH + seconds) == left
    assert api.deleted == [f"/api/v1/namespaces/{name}" for name in left]
