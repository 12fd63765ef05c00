# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster_info against a real API server."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

from kubernetes import client as official
from kubernetes import config as official_config

from tests.integration.conftest import Run
from tests.integration.servers import LOOPBACK, VERSION, Cluster, free_port

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": "cp-info",
        "labels": {"node-role.kubernetes.io/control-plane": "", "topology.kubernetes.io/zone": "zone-b"},
    },
    "spec": {"unschedulable": True, "taints": [{"key": "db", "value": "x", "effect": "NoSchedule"}]},
}
STATUS = {
    "status": {
        "addresses": [{"type": "InternalIP", "address": "192.0.2.11"}],
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "fine"}],
        "nodeInfo": {"kubeletVersion": "v1.36.1"},
    }
}
CONFIGURATION = """\
apiServer:
  certSANs:
  - 192.0.2.100
  extraArgs:
  - name: authorization-mode
    value: Node,RBAC
apiVersion: kubeadm.k8s.io/v1beta4
controlPlaneEndpoint: 192.0.2.100:6443
kind: ClusterConfiguration
kubernetesVersion: v1.36.3
networking:
  podSubnet: 10.244.0.0/16
scheduler: {}
"""


MIRROR_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "kube-scheduler-cp-info",
        "namespace": "kube-system",
        "labels": {"component": "kube-scheduler", "tier": "control-plane"},
        "annotations": {"kubernetes.io/config.mirror": "abc"},
    },
    "spec": {
        "nodeName": "cp-info",
        "priority": 2000001000,
        "priorityClassName": "system-node-critical",
        "containers": [{"name": "kube-scheduler", "image": "registry.k8s.io/kube-scheduler:v1.36.3"}],
    },
}
COREDNS = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "coredns", "namespace": "kube-system"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"k8s-app": "kube-dns"}},
        "template": {
            "metadata": {"labels": {"k8s-app": "kube-dns"}},
            "spec": {"containers": [{"name": "coredns", "image": "registry.k8s.io/coredns/coredns:v1.14.2"}]},
        },
    },
}
PODS_READY = {
    "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
}


def test_what_an_upgrade_must_know(cluster: Cluster, module: Run) -> None:
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(MIRROR_POD))
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(COREDNS))
    # v1 Endpoints are deprecated since 1.33, and no release is to remove them.
    cluster.kubectl("get", "endpoints", "-A")
    dead = f"https://{LOOPBACK}:{free_port()}"

    info = module("cluster_info", endpoints=[cluster.url, dead], upgrade=True)["cluster"]
    assert info["control_plane_pods"]["cp-info"] == {"kube-scheduler": "registry.k8s.io/kube-scheduler:v1.36.3"}
    coredns = {"image": "registry.k8s.io/coredns/coredns:v1.14.2", "wanted": 2, "updated": 0, "ready": 0}
    assert info["addons"] == {"coredns": {**coredns, "complete": False}, "kube-proxy": None}
    assert {
        "group": "",
        "version": "v1",
        "resource": "endpoints",
        "subresource": "",
        "removed_release": "",
        "endpoints": [cluster.url],
    } in info["deprecated_apis"]
    assert list(info["metrics_errors"]) == [dead]

    patch = ("patch", "deployment", "coredns", "-n", "kube-system", "--subresource=status", "-p")
    cluster.kubectl(*patch, json.dumps(PODS_READY))
    again = module("cluster_info", endpoints=[cluster.url], upgrade=True)["cluster"]
    assert again["addons"]["coredns"]["complete"] is True
    assert again["metrics_errors"] == {}

    addons = module("cluster_info", endpoints=[cluster.url], addons=True)["cluster"]
    assert addons["addons"] == again["addons"]
    assert addons["control_plane_pods"] is addons["deprecated_apis"] is None
    unasked = module("cluster_info", endpoints=[cluster.url])["cluster"]
    assert unasked["control_plane_pods"] is unasked["addons"] is unasked["deprecated_apis"] is None
    assert set(unasked) == set(info)


def test_the_cluster_in_our_words(cluster: Cluster, module: Run) -> None:
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(NODE))
    cluster.kubectl("patch", "node", "cp-info", "--subresource=status", "-p", json.dumps(STATUS))
    settings = f"--from-literal=ClusterConfiguration={CONFIGURATION}"
    cluster.kubectl("-n", "kube-system", "create", "configmap", "kubeadm-config", settings)
    made = module("bootstrap_token", description="for info")
    dead = f"https://{LOOPBACK}:{free_port()}"

    result = module("cluster_info", endpoints=[dead, cluster.url])
    info = result["cluster"]
    assert not result["changed"]
    node = next(node for node in info["nodes"] if node["name"] == "cp-info")
    assert (node["role"], node["ready"], node["kubelet_version"]) == ("control_plane", True, "1.36.1")
    assert (node["zone"], node["unschedulable"]) == ("zone-b", True)
    assert node["addresses"] == [{"type": "InternalIP", "address": "192.0.2.11"}]
    assert {"key": "db", "value": "x", "effect": "NoSchedule"} in node["taints"]
    assert node["conditions"]["Ready"]["reason"] == "KubeletReady"
    assert info["endpoint"] == cluster.url
    assert info["api_versions"][cluster.url] == {"version": VERSION, "error": ""}
    assert info["api_versions"][dead]["version"] == ""
    assert "refused" in info["api_versions"][dead]["error"]
    assert info["cluster_configuration"]["apiServer"]["extraArgs"][0] == {
        "name": "authorization-mode",
        "value": "Node,RBAC",
    }
    token = next(token for token in info["tokens"] if token["token_id"] == made["token_id"])
    assert (token["expires"], token["expired"], token["description"]) == (made["expires"], False, "for info")
    assert made["token"].partition(".")[2] not in str(result)
    clock = datetime.fromisoformat(info["server_time"].replace("Z", "+00:00"))
    assert abs(datetime.now(timezone.utc) - clock) < timedelta(seconds=5)

    official_config.load_kube_config(str(cluster.kubeconfig()))
    theirs = {item.metadata.name: item.metadata.labels or {} for item in official.CoreV1Api().list_node().items}
    assert {node["name"]: node["labels"] for node in info["nodes"]} == theirs
