# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube_node against a real API server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.conftest import Run
from tests.integration.servers import Cluster

ANNOTATION = "quorum.kubeadm/managed"
ZONE = "topology.kubernetes.io/zone"


@pytest.fixture
def make(cluster: Cluster) -> Callable[..., None]:
    """Register nodes as kubelets would."""

    def create(*names: str, labels: dict[str, str] | None = None, taints: list[dict[str, str]] | None = None) -> None:
        items = [
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": labels or {}},
                "spec": {"taints": taints or []},
            }
            for name in names
        ]
        cluster.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    return create


def node(cluster: Cluster, name: str) -> dict[str, Any]:
    return cluster.kubectl_json("get", "node", name)


def taints(cluster: Cluster, name: str) -> list[tuple[str, str, str]]:
    found = node(cluster, name)["spec"].get("taints") or []
    # The API server adds this one to every new node.
    own = [taint for taint in found if taint["key"] != "node.kubernetes.io/not-ready"]
    return [(taint["key"], taint.get("value", ""), taint["effect"]) for taint in own]


def test_from_nothing_to_set_to_changed_to_removed(cluster: Cluster, module: Run, make: Callable[..., None]) -> None:
    foreign = {"key": "theirs", "effect": "NoExecute"}
    make("life1", "life10", labels={"theirs": "yes"}, taints=[foreign])
    first = {
        "labels": {ZONE: "a", "example.org/gpu": True, "count": 3},
        "taints": [{"key": "db", "value": "pg", "effect": "NoSchedule"}, {"key": "db", "effect": "NoExecute"}],
    }
    predicted = module("kube_node", check=True, nodes={"life1": first})
    assert ZONE not in node(cluster, "life1")["metadata"]["labels"]
    real = module("kube_node", nodes={"life1": first})
    assert (predicted["changed_nodes"], predicted["diff"]) == (["life1"], real["diff"])
    labels = node(cluster, "life1")["metadata"]["labels"]
    assert (labels[ZONE], labels["example.org/gpu"], labels["count"], labels["theirs"]) == ("a", "true", "3", "yes")
    assert taints(cluster, "life1") == [
        ("theirs", "", "NoExecute"),
        ("db", "", "NoExecute"),
        ("db", "pg", "NoSchedule"),
    ]
    assert taints(cluster, "life10") == [("theirs", "", "NoExecute")]
    assert not module("kube_node", nodes={"life1": first})["changed"]

    second = {"labels": {ZONE: "b"}, "taints": [{"key": "db", "value": "my", "effect": "NoSchedule"}]}
    module("kube_node", nodes={"life1": second})
    labels = node(cluster, "life1")["metadata"]["labels"]
    assert labels[ZONE] == "b"
    assert {"count", "example.org/gpu"}.isdisjoint(labels)
    assert taints(cluster, "life1") == [("theirs", "", "NoExecute"), ("db", "my", "NoSchedule")]

    last = module("kube_node", nodes={"life1": {}})
    assert last["changed"]
    after = node(cluster, "life1")["metadata"]
    assert ZONE not in after["labels"]
    assert after["labels"]["theirs"] == "yes"
    assert ANNOTATION not in after.get("annotations", {})
    assert taints(cluster, "life1") == [("theirs", "", "NoExecute")]
    assert not module("kube_node", nodes={"life1": {}})["changed"]


def test_nothing_to_do_leaves_the_nodes_as_they_are(cluster: Cluster, module: Run, make: Callable[..., None]) -> None:
    make("idle1", "idle2")
    wanted = {"idle1": {"labels": {"a": "b"}}, "idle2": {"labels": {"a": "b"}}}
    assert module("kube_node", nodes=wanted)["changed_nodes"] == ["idle1", "idle2"]
    before = [node(cluster, name)["metadata"]["resourceVersion"] for name in wanted]
    result = module("kube_node", nodes=wanted)
    assert (result["changed"], result["diff"]) == (False, {"before": {}, "after": {}})
    assert [node(cluster, name)["metadata"]["resourceVersion"] for name in wanted] == before


def test_missing_nodes_are_listed_and_none_is_changed(cluster: Cluster, module: Run, make: Callable[..., None]) -> None:
    make("there")
    wanted = {"there": {"labels": {"x": "y"}}, "ther": {}, "gone": {}}
    result = module("kube_node", nodes=wanted)
    assert result["failed"]
    assert result["error"]["found"] == "gone, ther"
    assert "x" not in node(cluster, "there")["metadata"].get("labels", {})
    ignored = module("kube_node", nodes=wanted, missing="ignore")
    assert (ignored["changed_nodes"], ignored["missing"]) == (["there"], ["gone", "ther"])


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"labels": {"bad key": "x"}}, "A label key is not valid"),
        ({"labels": {"a": "x" * 64}}, "A label value is not valid"),
        ({"labels": {"a": "$(reboot)"}}, "A label value is not valid"),
        ({"labels": {"a": ["x"]}}, "A label value is not valid"),
        ({"label": {}}, "A node takes labels and taints"),
        ({"taints": [{"key": "a", "effect": "Never"}]}, "A taint's effect is unknown"),
        ({"taints": {"a": "b"}}, "taints a list"),
    ],
)
def test_bad_values_are_refused_before_any_node_is_changed(
    cluster: Cluster, module: Run, make: Callable[..., None], spec: dict[str, Any], words: str
) -> None:
    if not cluster.kubectl("get", "node", "aaa", "--ignore-not-found"):
        make("aaa", "bbb")
    result = module("kube_node", nodes={"aaa": {"labels": {"fine": "yes"}}, "bbb": spec})
    assert result["failed"]
    assert words in result["msg"]
    assert "node bbb" in result["msg"]
    assert "fine" not in node(cluster, "aaa")["metadata"].get("labels", {})
