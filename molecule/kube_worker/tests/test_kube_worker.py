"""A worker: it joined through the VIP with a CA that was pinned, carries its labels and taints, and no secret stays."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from lab import settings as lab_settings
from tests.lanes import scenario_lab

testinfra_hosts = ["ssh://w1", "ssh://w2"]
LAB = lab_settings.load({**os.environ, "LAB_NAME": scenario_lab("kube_worker")})


@pytest.fixture(scope="module")
def nodes() -> dict[str, Any]:
    config = os.path.join(os.environ["SCENARIO_DIRECTORY"], "ssh_config")
    first = testinfra.get_host("ssh://cp1", ssh_config=config)
    text = first.check_output("kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes -o json")
    return {node["metadata"]["name"]: node for node in json.loads(text)["items"]}


def test_it_is_a_ready_node(host: Host, nodes: dict[str, Any]) -> None:
    node = nodes[host.backend.get_hostname()]
    (ready,) = [item for item in node["status"]["conditions"] if item["type"] == "Ready"]
    assert ready["status"] == "True"
    assert not [taint for taint in node["spec"].get("taints", []) if taint["key"].startswith("node.kubernetes.io/")]


def test_the_labels_of_the_inventory_are_on_it(nodes: dict[str, Any]) -> None:
    zones = {name: node["metadata"]["labels"].get("topology.kubernetes.io/zone") for name, node in nodes.items()}
    assert zones == {"cp1": "zone-a", "w1": "zone-a", "w2": "zone-b"}


def test_taints_of_a_pool_are_on_its_nodes_alone(nodes: dict[str, Any]) -> None:
    wanted = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
    assert wanted in nodes["w2"]["spec"].get("taints", [])
    assert wanted not in nodes["w1"]["spec"].get("taints", [])


def test_the_kubelet_talks_to_the_vip(host: Host) -> None:
    assert host.service("kubelet").is_running
    assert f"server: https://{LAB.vip}:6443" in host.file("/etc/kubernetes/kubelet.conf").content_string


def test_the_kubelet_s_read_only_port_is_off(host: Host) -> None:
    assert not host.socket("tcp://0.0.0.0:10255").is_listening
    assert host.run("curl -ks -m 2 -o /dev/null -w '%{http_code}' https://127.0.0.1:10250/pods").stdout in {
        "401",
        "403",
    }


def test_no_secret_of_the_join_is_left(host: Host) -> None:
    assert not host.file("/etc/kubernetes/bootstrap-kubelet.conf").exists
    assert not host.file("/etc/kubernetes/admin.conf").exists
    assert host.check_output("find /run /tmp -name 'kubeadm*' -type f") == ""
    found = host.file("/etc/kubernetes/kubelet.conf")
    assert (found.user, found.mode) == ("root", 0o600)
