"""What an upgrade must know of the cluster, from objects and metrics as an API server gives them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import kube_upgrade as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.version import Version

TARGET = Version(1, 36, 3)
METRICS = """# HELP apiserver_requested_deprecated_apis [STABLE] Gauge of deprecated APIs that have been requested.
# TYPE apiserver_requested_deprecated_apis gauge
apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="a.k8s.io",removed_release="1.36",resource="b",subresource="status",version="v1beta1"} 1
apiserver_requested_deprecated_apis{group="c",removed_release="1.37",resource="d",subresource="",version="v1alpha1"} 0
apiserver_request_total{code="200",group="apps",resource="x",verb="GET",version="v1"} 7
"""  # noqa: E501 - as the API server writes it


def pod(
    component: str = "etcd", node: str = "cp1", image: str = "a/etcd:3.6.16-0", **annotations: str
) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"component": component}, "annotations": annotations or {subject.MIRROR: "x"}},
        "spec": {"nodeName": node, "containers": [{"image": image}, {"image": "sidecar:1"}]},
    }


def test_only_mirror_pods_tell_what_runs() -> None:
    pods = [pod(), pod("kube-apiserver", image="a:1"), pod(node="cp2"), pod(node="cp3", other="y")]
    assert subject.control_plane_pods([*pods, pod(component=""), pod(node=""), {}]) == {
        "cp1": {"etcd": "a/etcd:3.6.16-0", "kube-apiserver": "a:1"},
        "cp2": {"etcd": "a/etcd:3.6.16-0"},
    }


def daemonset(wanted: int, updated: int, ready: int, seen: int = 2) -> dict[str, Any]:
    return {
        "metadata": {"generation": 2},
        "spec": {"template": {"spec": {"containers": [{"image": "kube-proxy:1"}]}}},
        "status": {
            "desiredNumberScheduled": wanted,
            "updatedNumberScheduled": updated,
            "numberReady": ready,
            "observedGeneration": seen,
        },
    }


@pytest.mark.parametrize(
    ("obj", "complete"),
    [
        (daemonset(5, 5, 5), True),
        (daemonset(5, 4, 5), False),
        (daemonset(5, 5, 4), False),
        (daemonset(5, 5, 5, seen=1), False),
    ],
)
def test_a_daemonset_is_complete_when_all_pods_are_new_and_ready(obj: dict[str, Any], complete: bool) -> None:
    found = subject.addon("DaemonSet", obj)
    assert found is not None
    assert (found["image"], found["wanted"], found["complete"]) == ("kube-proxy:1", 5, complete)


def test_a_deployment_counts_the_replicas_that_are_wanted() -> None:
    status = {"replicas": 3, "updatedReplicas": 2, "readyReplicas": 2, "observedGeneration": 1}
    obj = {"metadata": {"generation": 1}, "spec": {"replicas": 2, "template": {}}, "status": status}
    expected = {"image": "", "wanted": 2, "updated": 2, "ready": 2, "complete": True}
    assert subject.addon("Deployment", obj) == expected
    assert subject.addon("Deployment", None) is None
    bare = subject.addon("Deployment", {})
    assert bare is not None
    assert bare["complete"] is False


def test_deprecated_apis_from_metrics() -> None:
    rows = subject.parse_deprecated(METRICS)
    assert [(row["resource"], row["subresource"], row["removed_release"]) for row in rows] == [
        ("endpoints", "", ""),
        ("b", "status", "1.36"),
    ]
    assert subject.parse_deprecated("") == []


@given(st.text())
def test_metrics_may_hold_anything(text: str) -> None:
    assert isinstance(subject.parse_deprecated(f"{subject.METRIC}{{{text}}} 1"), list)


def test_what_several_api_servers_say_is_one_list() -> None:
    row = {"group": "a", "version": "v1", "resource": "b", "subresource": "", "removed_release": "1.36"}
    merged = subject.merge_deprecated({"https://2": [row, row], "https://1": [row], "https://3": []})
    assert merged == [{**row, "endpoints": ["https://1", "https://2"]}]


@pytest.mark.parametrize(
    ("release", "gone"),
    [("1.36", True), ("1.35", True), ("1.9", True), ("1.37", False), ("2.0", False), ("", False), ("soon", False)],
)
def test_only_what_the_target_removed_stands_in_the_way(release: str, gone: bool) -> None:
    rows = [{"group": "a", "version": "v1beta1", "resource": "b", "removed_release": release, "subresource": ""}]
    found = subject.deprecated_findings(rows, TARGET)
    assert [finding.level for finding in found] == (["fatal"] if gone else [])
    allowed = subject.deprecated_findings(rows, TARGET, allow_deprecated=True)
    assert [finding.level for finding in allowed] == (["warning"] if gone else [])
    for finding in found:
        assert f"clients still use b of a/v1beta1, which is removed in {release}" in finding.found
        assert "upgrade_allow_deprecated_apis" in finding.next_step


def test_subresources_of_one_resource_are_one_finding() -> None:
    row = {"group": "", "version": "v1", "resource": "b", "removed_release": "1.36"}
    found = subject.deprecated_findings([{**row, "subresource": ""}, {**row, "subresource": "status"}], TARGET)
    assert len(found) == 1
    assert "b of v1," in found[0].found
