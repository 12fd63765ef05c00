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
