# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods leave a node, and what is said about those that cannot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.drain import (
    ANNOTATION,
    SHOWN,
    Budget,
    DrainError,
    Pod,
    blocked_row,
    cordon_patch,
    crowded_row,
    duty,
    ending_row,
    uncordon_patch,
    unmanaged_row,
)

WEB = Pod("shop", "web-1", "u1", {"app": "web"}, "ReplicaSet web")
BUDGET = Budget("shop", "web", {"matchLabels": {"app": "web"}}, allowed=0, healthy=2, desired=2, expected=3)
PODS = st.lists(
    st.builds(
        Pod,
        namespace=st.just("n"),
        name=st.text("ab", min_size=1, max_size=3),
        uid=st.uuids().map(str),
        controller=st.sampled_from(["", "ReplicaSet x", "DaemonSet y"]),
        daemon=st.sampled_from(["", "there", "gone"]),
        mirror=st.booleans(),
        phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed"]),
        terminating=st.booleans(),
    )
)
LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"))


def raw_pod(**metadata: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": "web-1", "uid": "u1", **metadata}, "spec": {}, "status": {}}


def owner(kind: str, version: str = "apps/v1", controller: bool = True) -> dict[str, Any]:
    return {"kind": kind, "name": "o", "uid": "o1", "apiVersion": version, "controller": controller}


def test_what_is_read_from_a_pod() -> None:
    raw = raw_pod(
        ownerReferences=[owner("Node", "v1", controller=False), owner("DaemonSet")],
        annotations={"kubernetes.io/config.mirror": "x"},
        deletionTimestamp="2026-01-01T00:00:00Z",
        deletionGracePeriodSeconds=7,
        finalizers=["f"],
    )
    raw["spec"] = {"terminationGracePeriodSeconds": 9, "tolerations": [{"operator": "Exists"}]}
    raw["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    pod = Pod.parse(raw)
    assert (pod.controller, pod.daemon, pod.mirror, pod.terminating) == ("DaemonSet o", "o1", True, True)
    assert (pod.grace, pod.stays_put, pod.ready, pod.finalizers) == (7, True, True, ("f",))


def test_what_a_pod_does_not_say() -> None:
    pod = Pod.parse(raw_pod())
    assert (pod.controller, pod.mirror, pod.terminating, pod.phase, pod.grace) == ("", False, False, "Pending", 30)
    assert (pod.ready, pod.stays_put) == (False, False)


@pytest.mark.parametrize(
    ("toleration", "stays"),
    [
        ({"operator": "Exists"}, True),
        ({"operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}, True),
        ({"operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "node.kubernetes.io/not-ready", "operator": "Exists"}, False),
    ],
)
def test_who_would_come_back_to_a_cordoned_node(toleration: dict[str, str], stays: bool) -> None:
    raw = raw_pod()
    raw["spec"]["tolerations"] = [toleration]
    assert Pod.parse(raw).stays_put is stays


def test_a_daemon_set_of_another_api_is_an_ordinary_controller() -> None:
    raw = raw_pod(ownerReferences=[owner("DaemonSet", "apps.example.org/v1")])
    assert duty([Pod.parse(raw)], []).leaving


@given(PODS)
def test_every_pod_has_exactly_one_lot(pods: list[Pod]) -> None:
    lots = duty(pods, {"there"})
    for pod in pods:
        found = [pod in lot for lot in (lots.leaving, lots.ending, lots.unmanaged)]
        stays = pod.mirror or pod.finished or pod.daemon == "there"
        assert sum(found) == (0 if stays else 1)
        if pod in lots.unmanaged:
            assert not pod.controller or pod.daemon == "gone"
        assert (pod in lots.ending) == (pod.terminating and not stays)


@pytest.mark.parametrize(
    ("selector", "covers"),
    [
        ({}, True),
        (None, False),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "x"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "x"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_what_a_budget_covers(selector: dict[str, Any] | None, covers: bool) -> None:
    budget = replace(BUDGET, selector=selector)
    assert budget.covers(WEB) is covers
    assert not budget.covers(replace(WEB, namespace="other"))


@given(LABELS, LABELS)
def test_labels_in_words_of_sets_cover_the_same(labels: dict[str, str], wanted: dict[str, str]) -> None:
    pod = replace(WEB, labels=labels)
    rules = [{"key": key, "operator": "In", "values": [value]} for key, value in wanted.items()]
    exact = replace(BUDGET, selector={"matchLabels": wanted})
    assert exact.covers(pod) == replace(BUDGET, selector={"matchExpressions": rules}).covers(pod)
    opposite = [{**rule, "operator": "NotIn"} for rule in rules[:1]]
    if opposite:
        first = replace(BUDGET, selector={"matchExpressions": rules[:1]})
        assert replace(BUDGET, selector={"matchExpressions": opposite}).covers(pod) != first.covers(pod)


def test_what_is_read_from_a_budget() -> None:
    raw: dict[str, Any] = {"metadata": {"namespace": "shop", "name": "web", "generation": 2}, "spec": {}}
    assert Budget.parse(raw) == Budget("shop", "web", None, current=False)
    raw["status"] = {
        "observedGeneration": 2,
        "disruptionsAllowed": 1,
        "currentHealthy": 3,
        "desiredHealthy": 2,
        "expectedPods": 4,
        "conditions": [{"reason": "SyncFailed", "message": "no scale"}],
    }
    assert Budget.parse(raw) == Budget("shop", "web", None, 1, 3, 2, 4, trouble="no scale")


@pytest.mark.parametrize(
    ("changes", "found", "step"),
    [
        ({}, "2 of 3 pods healthy, 2 needed; 1 not ready now, with all ready it would allow 1", "Repair or wait"),
        ({"expected": 2}, "2 of 2 pods healthy, 2 needed; it never allows any", "one replica more"),
        ({"healthy": 1, "expected": 2}, "it never allows any", "policy: force"),
        ({"current": False}, "has not looked since it changed", "kube-controller-manager"),
        ({"trouble": "no scale"}, "its controller failed: no scale", "Correct the PDB"),
        ({"allowed": 1}, "allows 1 disruption: 2 of 3", "Run this again"),
        ({"healthy": 3}, "3 of 3 pods healthy, 2 needed", "Run this again"),
    ],
)
def test_why_a_budget_holds_a_pod(changes: dict[str, Any], found: str, step: str) -> None:
    row = blocked_row("w1", WEB, [replace(BUDGET, namespace="other"), replace(BUDGET, **changes)])
    assert (row.node, row.pod, row.pdb) == ("w1", "shop/web-1", "shop/web")
    assert found in row.found
    assert step in row.next


def test_a_pod_that_is_not_ready_itself_is_said() -> None:
    assert "this pod among them" in blocked_row("w1", replace(WEB, ready=False), [BUDGET]).found


@given(
    st.builds(
        replace, st.just(BUDGET), healthy=st.integers(0, 5), desired=st.integers(0, 5), expected=st.integers(0, 5)
    )
)
def test_never_is_said_exactly_when_all_pods_together_would_not_do(budget: Budget) -> None:
    row = blocked_row("w1", WEB, [budget])
    assert ("never" in row.found) == (budget.expected <= budget.desired)


def test_two_budgets_are_a_mistake_unless_the_pod_has_not_started() -> None:
    both = [BUDGET, replace(BUDGET, name="all", selector={})]
    row = crowded_row("w1", WEB, both)
    assert row is not None
    assert (row.pdb, "more than one PDB" in row.found) == ("shop/web, shop/all", True)
    assert crowded_row("w1", WEB, [BUDGET]) is None
    assert crowded_row("w1", replace(WEB, phase="Pending"), both) is None


def test_a_refusal_without_a_budget_is_the_servers_own_word() -> None:
    row = blocked_row("w1", WEB, [], "a webhook said no")
    assert (row.pdb, row.found) == ("", "the API said: a webhook said no")


def test_other_reasons() -> None:
    assert "no controller" in unmanaged_row("w1", WEB).found
    assert "DaemonSet is gone" in unmanaged_row("w1", replace(WEB, daemon="x")).found
    assert "finalizers a, b" in ending_row("w1", replace(WEB, finalizers=("a", "b"))).found


def test_an_error_names_many_pods_briefly_and_all_in_its_rows() -> None:
    rows = [ending_row("w1", replace(WEB, name=f"web-{number}")) for number in range(SHOWN + 2)]
    error = DrainError("no", where="node w1", held=rows)
    error.done = {"steps": ["cordon w1"]}
    result = error.result()
    assert "and 2 more pods" in str(result["msg"])
    assert len(result["blocked"]) == SHOWN + 2
    assert result["steps"] == ["cordon w1"]


def node(unschedulable: bool, ours: bool) -> dict[str, Any]:
    annotations = {ANNOTATION: "true"} if ours else {"x": "y"}
    return {
        "metadata": {"annotations": annotations, "resourceVersion": "7"},
        "spec": {"unschedulable": True} if unschedulable else {},
    }


@pytest.mark.parametrize(
    ("unschedulable", "ours", "cordons", "uncordons"),
    [(False, False, True, False), (True, False, False, False), (True, True, False, True), (False, True, True, True)],
)
def test_whose_cordon_it_is(unschedulable: bool, ours: bool, cordons: bool, uncordons: bool) -> None:
    found = node(unschedulable, ours)
    assert (cordon_patch(found) is not None) is cordons
    assert (uncordon_patch(found) is not None) is uncordons


def test_patches_hold_for_what_was_read_only() -> None:
    metadata = {"annotations": {ANNOTATION: "true"}, "resourceVersion": "7"}
    assert cordon_patch(node(False, False)) == {"metadata": metadata, "spec": {"unschedulable": True}}
    metadata = {"annotations": {ANNOTATION: None}, "resourceVersion": "7"}
    assert uncordon_patch(node(True, True)) == {"metadata": metadata, "spec": {"unschedulable": None}}
