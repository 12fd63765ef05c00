# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drains against a cluster in memory with a clock of its own: what takes long, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.drain import ANNOTATION, DrainError
from ansible_collections.quorum.kubeadm.plugins.module_utils.drain_evict import CROWDED, Clock, Options
from ansible_collections.quorum.kubeadm.plugins.module_utils.drain_run import check, drained, marked
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, RefusedError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.https import Request, Response, SendError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import KubeApi

Object = dict[str, Any]
OWNER = [{"kind": "ReplicaSet", "name": "web", "uid": "o", "apiVersion": "apps/v1", "controller": True}]
PDB = "This would violate the pod's disruption budget."


class Cluster:
    """Pods of node w1. `refuse` says how an eviction is answered: None accepts, else status, message and cause."""

    def __init__(self, *pods: str, cordoned: bool = False, ours: bool = False) -> None:
        self.time = 0.0
        self.node: Object = {
            "metadata": {"name": "w1", "resourceVersion": "1", "annotations": {ANNOTATION: "true"} if ours else {}},
            "spec": {"unschedulable": True} if cordoned or ours else {},
        }
        self.pods: dict[str, Object] = {}
        self.budgets: list[Object] = []
        self.refuse: Callable[[str], tuple[int, str, str] | None] = lambda _name: None
        self.ends_after = 1.0
        self.asked: list[str] = []
        self.events: list[tuple[float, Callable[[], object]]] = []
        self.conflicts = 0
        self.broken = ""
        for name in pods:
            self.add(name)

    def add(self, name: str, **more: Any) -> None:
        spec = {"terminationGracePeriodSeconds": 30, **more.pop("spec", {})}
        meta: Object = {"namespace": "shop", "name": name, "uid": f"uid-{name}", "labels": {"app": "web"}}
        meta = {**meta, "ownerReferences": OWNER, **more}
        self.pods[name] = {"metadata": meta, "spec": spec, "status": {"phase": "Running"}}

    def end(self, name: str) -> None:
        pod = self.pods[name]
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self.events.append((self.time + self.ends_after, lambda: self.pods.pop(name, None)))

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        due = [event for event in self.events if event[0] <= self.time]
        self.events = [event for event in self.events if event[0] > self.time]
        for _when, act in due:
            act()

    def send(self, _endpoint: str, request: Request) -> Response:
        target = urlsplit(request.target)
        dry, body = "dryRun" in parse_qs(target.query), json.loads(request.body or b"{}")
        words = f"{request.method} {target.path}"
        self.asked.append(words + (" dry" if dry else ""))
        if self.broken and self.broken in words:
            raise SendError("connection refused")
        return self.answer(words, target.query, body, dry or bool(body.get("dryRun")))

    def answer(self, words: str, query: str, body: Object, dry: bool) -> Response:
        lists = {
            "GET /apis/apps/v1/daemonsets": [],
            "GET /apis/policy/v1/poddisruptionbudgets": self.budgets,
            "GET /api/v1/pods": list(self.pods.values()),
        }
        if words in lists:
            assert words != "GET /api/v1/pods" or parse_qs(query)["fieldSelector"] == ["spec.nodeName=w1"]
            return say(200, {"items": lists[words]})
        if words == "GET /api/v1/nodes/w1":
            return say(200, self.node)
        if words == "PATCH /api/v1/nodes/w1":
            return self.patch(body, dry)
        if words.startswith(("POST /api/v1/namespaces/shop/pods/", "DELETE /api/v1/namespaces/shop/pods/")):
            return self.leave(words, body, dry)
        return say(404, {})

    def patch(self, body: Object, dry: bool) -> Response:
        if self.conflicts:
            self.conflicts -= 1
            return say(409, {"message": "the object has been modified"})
        annotations = {**self.node["metadata"]["annotations"], **body["metadata"]["annotations"]}
        metadata = {**self.node["metadata"], "annotations": {k: v for k, v in annotations.items() if v is not None}}
        after = {"metadata": metadata, "spec": {k: v for k, v in body["spec"].items() if v is not None}}
        if not dry:
            self.node = after
        return say(200, after)

    def leave(self, words: str, body: Object, dry: bool) -> Response:
        name = words.split("/")[6]
        if name not in self.pods:
            return say(404, {})
        options = body.get("deleteOptions", body)
        assert options["preconditions"]["uid"] == f"uid-{name}"
        refusal = self.refuse(name) if words.startswith("POST") else None
        if refusal:
            status, message, cause = refusal
            return say(status, {"message": message, "details": {"causes": [{"reason": cause}]}})
        if not dry:
            self.end(name)
        return say(201, {})

    def drain(self, dry_run: bool = False, **options: Any) -> Object:
        return drained(self.api(dry_run), "w1", Options(**options), self.clock())

    def api(self, dry_run: bool = False) -> KubeApi:
        return KubeApi(
            self, ["https://192.0.2.1:6443"], dry_run=dry_run, timeout=5, clock=lambda: self.time, sleep=self.sleep
        )

    def clock(self) -> Clock:
        return Clock(lambda: self.time, self.sleep)

    @property
    def cordon(self) -> tuple[bool, bool]:
        return bool(self.node["spec"].get("unschedulable")), ANNOTATION in self.node["metadata"]["annotations"]


def say(status: int, body: Object) -> Response:
    return Response(status, "Reason", json.dumps(body).encode())


def test_all_are_asked_before_the_first_has_gone() -> None:
    cluster = Cluster("a", "b", "c")
    cluster.ends_after = 20
    assert cluster.drain()["evicted"] == ["shop/a", "shop/b", "shop/c"]
    assert 20 <= cluster.time < 25


def test_one_that_is_refused_does_not_hold_up_the_others() -> None:
    cluster = Cluster("a", "b")
    cluster.refuse = lambda name: (429, PDB, "DisruptionBudget") if name == "a" and "b" in cluster.pods else None
    assert cluster.drain()["evicted"] == ["shop/a", "shop/b"]
    assert cluster.time < 10


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_answers_that_pass_are_asked_again(status: int) -> None:
    cluster = Cluster("a")
    cluster.refuse = lambda _name: (status, "not now", "") if cluster.time < 40 else None
    assert cluster.drain()["evicted"] == ["shop/a"]
    # Not in a hurry: pauses grow to 2 s.
    assert cluster.asked.count("POST /api/v1/namespaces/shop/pods/a/eviction") < 30


def test_a_namespace_that_is_ending_takes_its_pods_along() -> None:
    cluster = Cluster("a")
    cluster.refuse = lambda _name: (403, "namespace shop is being terminated", "NamespaceTerminating")
    cluster.events.append((5, cluster.pods.clear))
    assert cluster.drain()["evicted"] == []


def test_given_up_after_the_time_and_not_before() -> None:
    cluster = Cluster("a")
    cluster.refuse = lambda _name: (429, PDB, "DisruptionBudget")
    with pytest.raises(DrainError) as caught:
        cluster.drain(seconds=60)
    assert 60 <= cluster.time < 63
    assert "within 60 s" in caught.value.what
    assert caught.value.done["steps"] == ["cordon w1", "uncordon w1"]
    assert cluster.cordon == (False, False)


@pytest.mark.parametrize("policy", ["fail", "wait"])
def test_two_budgets_that_appear_meanwhile_are_not_waited_for(policy: str) -> None:
    cluster = Cluster("a")
    cluster.refuse = lambda _name: (500, f"This pod has {CROWDED}, which the eviction subresource does not support", "")
    with pytest.raises(DrainError):
        cluster.drain(policy=policy)
    assert cluster.time < 1


def test_forced_only_after_the_time() -> None:
    cluster = Cluster("a", "b")
    cluster.refuse = lambda name: (429, PDB, "DisruptionBudget") if name == "a" else None
    result = cluster.drain(policy="force", seconds=60)
    assert [row["pod"] for row in result["forced"]] == ["shop/a"]
    assert result["evicted"] == ["shop/b"]
    assert 60 <= cluster.time < 66


def test_an_error_that_does_not_pass_ends_it_and_the_cordon_with_it() -> None:
    cluster = Cluster("a")
    cluster.refuse = lambda _name: (403, "pods/eviction is forbidden", "")
    with pytest.raises(ApiError) as caught:
        cluster.drain()
    assert (caught.value.status, caught.value.found) == (403, "pods/eviction is forbidden")
    assert cluster.cordon == (False, False)


def test_a_pod_that_never_ends_is_given_its_grace_and_a_minute() -> None:
    cluster = Cluster()
    cluster.add("a", spec={"terminationGracePeriodSeconds": 100}, finalizers=["example.org/keep"])
    cluster.ends_after = 10_000
    with pytest.raises(DrainError) as caught:
        cluster.drain(seconds=10)
    assert 160 <= cluster.time < 165
    assert "example.org/keep" in caught.value.found
    assert cluster.cordon == (False, False)


def test_a_grace_period_that_was_asked_for_shortens_that() -> None:
    cluster = Cluster()
    cluster.add("a", spec={"terminationGracePeriodSeconds": 100})
    cluster.ends_after = 10_000
    with pytest.raises(DrainError):
        cluster.drain(seconds=10, grace=5)
    assert 65 <= cluster.time < 70


def test_a_pod_that_was_just_being_placed_goes_too_and_one_that_ignores_the_cordon_is_not_chased() -> None:
    cluster = Cluster("a")
    cluster.ends_after = 5

    def place() -> None:
        cluster.add("late")
        cluster.add("stubborn", spec={"tolerations": [{"operator": "Exists"}]})

    cluster.events.append((1, place))
    assert cluster.drain()["evicted"] == ["shop/a", "shop/late"]
    assert list(cluster.pods) == ["stubborn"]


def test_another_writer_of_the_node_is_no_error() -> None:
    cluster = Cluster("a")
    cluster.conflicts = 3
    assert cluster.drain()["steps"][0] == "cordon w1"
    cluster.conflicts = 5
    with pytest.raises(ApiError):
        marked(cluster.api(), "w1", "uncordoned")


def test_a_refusal_takes_the_cordon_of_a_killed_run_away_but_nobody_elses() -> None:
    for ours, after in ((True, (False, False)), (False, (True, False))):
        cluster = Cluster(cordoned=True, ours=ours)
        cluster.add("alone", ownerReferences=[])
        with pytest.raises(DrainError):
            cluster.drain()
        assert cluster.cordon == after
        assert not [words for words in cluster.asked if words.startswith(("POST", "DELETE"))]


def test_a_cordon_that_cannot_be_taken_back_is_said() -> None:
    cluster = Cluster("a")

    def refuse(_name: str) -> tuple[int, str, str]:
        cluster.broken = "PATCH"
        return 403, "forbidden", ""

    cluster.refuse = refuse
    with pytest.raises(ApiError) as caught:
        cluster.drain()
    assert "w1 is still cordoned" in caught.value.next_step
    assert cluster.cordon == (True, True)


def test_a_killed_run_is_gone_on_with() -> None:
    cluster = Cluster("a", ours=True)
    result = cluster.drain()
    assert (result["steps"], result["kept_cordoned"], cluster.cordon) == (["evict shop/a"], False, (True, True))


def test_an_api_that_goes_away_for_good_is_an_error() -> None:
    cluster = Cluster("a")
    cluster.broken = "POST"
    with pytest.raises(UnreachableError):
        cluster.drain()
    assert cluster.cordon == (False, False)


def test_check_mode_asks_once_and_only_in_dry_run() -> None:
    cluster = Cluster("a", "b")
    cluster.refuse = lambda name: (429, PDB, "DisruptionBudget") if name == "a" else None
    result = cluster.drain(dry_run=True)
    assert result["steps"] == ["cordon w1", "evict shop/a", "evict shop/b"]
    assert (result["evicted"], [row["pod"] for row in result["blocked"]]) == (["shop/b"], ["shop/a"])
    assert cluster.time == 0
    assert all(words.startswith("GET") or words.endswith("dry") for words in cluster.asked)
    assert (len(cluster.pods), cluster.cordon) == (2, (False, False))


def test_checked_names_what_would_hold_each_node() -> None:
    cluster = Cluster("a", "b")
    cluster.add("alone", ownerReferences=[])
    cluster.refuse = lambda name: (429, PDB, "DisruptionBudget") if name == "a" else None
    rows = check(cluster.api(dry_run=True), ["w1"], Options())
    assert [(row.node, row.pod) for row in rows] == [("w1", "shop/alone"), ("w1", "shop/a")]
    assert [row.pod for row in check(cluster.api(dry_run=True), ["w1"], Options(unmanaged="delete"))] == ["shop/a"]
    with pytest.raises(RefusedError, match="does not have this node"):
        check(cluster.api(dry_run=True), ["w1", "w10"], Options())


def test_a_node_that_somebody_else_cordoned_is_kept() -> None:
    cluster = Cluster(cordoned=True)
    assert marked(cluster.api(), "w1", "uncordoned") == {"changed": False, "steps": [], "kept_cordoned": True}
    assert cluster.drain()["kept_cordoned"]
    assert cluster.cordon == (True, False)
