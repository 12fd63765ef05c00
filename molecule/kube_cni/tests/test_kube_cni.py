"""The pod network: a daemon on every node, pods with addresses of the pod network, and pods that other nodes reach."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from tests.consistency.repo import defaults

testinfra_hosts = ["ssh://cp1", "ssh://w1"]
POD_NETWORK = ".".join(defaults("kube")["kube_pod_cidr"].split(".")[:2]) + "."


@pytest.fixture(scope="module")
def first() -> Host:
    return testinfra.get_host("ssh://cp1", ssh_config=os.path.join(os.environ["SCENARIO_DIRECTORY"], "ssh_config"))


def get(first: Host, words: str) -> Any:
    return json.loads(first.check_output(f"kubectl --kubeconfig /etc/kubernetes/admin.conf get {words} -o json"))


def wait_for(first: Host, namespace: str, what: str) -> None:
    first.check_output(
        f"kubectl --kubeconfig /etc/kubernetes/admin.conf -n {namespace} rollout status {what} --timeout=120s"
    )


@pytest.fixture(scope="module")
def dns_pods(first: Host) -> list[Any]:
    """The pods of CoreDNS: they wait for the pod network, which is ready some time after its manifest was applied."""
    wait_for(first, "kube-system", "deployment/coredns")
    pods: list[Any] = get(first, "pods -n kube-system -l k8s-app=kube-dns")["items"]
    assert pods
    return pods


def test_flannel_runs_on_every_node(first: Host) -> None:
    (daemon,) = [item for item in get(first, "daemonsets -A")["items"] if "flannel" in item["metadata"]["name"]]
    # A daemon that began before its node had its part of the network begins again, later each time.
    name, namespace = daemon["metadata"]["name"], daemon["metadata"]["namespace"]
    wait_for(first, namespace, f"daemonset/{name}")
    daemon = get(first, f"-n {namespace} daemonset {name}")
    assert daemon["status"]["numberReady"] == daemon["status"]["desiredNumberScheduled"] == 2


def test_the_node_is_configured_and_has_its_own_part_of_the_pod_network(host: Host) -> None:
    (name,) = [path for path in host.check_output("ls /etc/cni/net.d").split() if path.endswith(".conflist")]
    plugins = json.loads(host.file(f"/etc/cni/net.d/{name}").content_string)["plugins"]
    assert [plugin["type"] for plugin in plugins] == ["flannel", "portmap"]
    assert f"FLANNEL_SUBNET={POD_NETWORK}" in host.file("/run/flannel/subnet.env").content_string
    assert host.interface("flannel.1").exists, "the vxlan device"


def test_pods_have_addresses_of_the_pod_network(dns_pods: list[Any]) -> None:
    assert all(item["status"]["podIP"].startswith(POD_NETWORK) for item in dns_pods)


def test_every_node_reaches_a_pod_on_another_node(host: Host, dns_pods: list[Any]) -> None:
    for address in [item["status"]["podIP"] for item in dns_pods]:
        assert host.check_output(f"curl -fsS -m 5 http://{address}:8181/ready") == "OK"


def test_a_manifest_of_the_user_s_own_is_applied(first: Host) -> None:
    assert get(first, "-n own-network configmap own-network")["data"] == {"applied": "by-kube_cni"}
