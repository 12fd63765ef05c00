"""A control plane: both members vote, the API serves through the VIP, and the defaults are the safe ones."""

from __future__ import annotations

import json
import os

import pytest
from testinfra.host import Host

from lab import settings as lab_settings
from tests.consistency.repo import defaults
from tests.lanes import scenario_lab

testinfra_hosts = ["ssh://cp1", "ssh://cp2"]
LAB = lab_settings.load({**os.environ, "LAB_NAME": scenario_lab("kube_control_plane")})
PKI = "/etc/kubernetes/pki"
ETCDCTL = (
    f"ETCDCTL_API=3 etcdctl --cacert {PKI}/etcd/ca.crt --cert {PKI}/etcd/healthcheck-client.crt "
    f"--key {PKI}/etcd/healthcheck-client.key --endpoints https://127.0.0.1:2379"
)


def kubectl(host: Host, words: str) -> str:
    return str(host.check_output(f"kubectl --kubeconfig /etc/kubernetes/admin.conf {words}"))


def flags(host: Host, component: str) -> dict[str, str]:
    """The arguments of the process that runs, not of a file."""
    # By its command line, because the kernel keeps 15 letters of a name.
    pid = host.check_output(f"pgrep -f '^{component} --'")
    words = host.file(f"/proc/{pid}/cmdline").content_string.split("\0")
    return {name: value for name, _equals, value in (word.partition("=") for word in words[1:])}


def test_both_members_vote_and_are_healthy(host: Host) -> None:
    members = json.loads(host.check_output(f"{ETCDCTL} member list -w json"))["members"]
    assert {member["name"] for member in members} == {"cp1", "cp2"}
    assert not any(member.get("isLearner") for member in members)
    assert host.run(f"{ETCDCTL} endpoint health --cluster").rc == 0


def test_nodes_are_ready_at_the_version(host: Host) -> None:
    nodes = json.loads(kubectl(host, "get nodes -o json"))["items"]
    assert {node["metadata"]["name"] for node in nodes} == {"cp1", "cp2"}
    for node in nodes:
        assert node["status"]["nodeInfo"]["kubeletVersion"] == f"v{defaults('kube')['kube_version']}"
        assert {"type": "Ready", "status": "True"}.items() <= condition(node, "Ready").items()
        assert node["metadata"]["labels"]["topology.kubernetes.io/zone"].startswith("zone-")


def condition(node: dict[str, object], kind: str) -> dict[str, str]:
    (found,) = [item for item in node["status"]["conditions"] if item["type"] == kind]  # type: ignore[index]  # - JSON
    return dict(found)


def test_the_kubeconfig_points_at_the_vip(host: Host) -> None:
    assert f"server: https://{LAB.vip}:6443" in host.file("/etc/kubernetes/admin.conf").content_string
    assert kubectl(host, "get --raw /readyz") == "ok"


def test_safe_defaults_of_the_api_server_that_runs(host: Host) -> None:
    given = flags(host, "kube-apiserver")
    assert given["--profiling"] == "false"
    assert given["--audit-log-path"]
    assert given["--audit-policy-file"]
    assert given["--encryption-provider-config"]
    assert flags(host, "kube-controller-manager")["--profiling"] == "false"
    assert flags(host, "kube-scheduler")["--profiling"] == "false"


def test_secrets_are_encrypted_at_rest(host: Host) -> None:
    name = f"probe-{host.backend.get_hostname()}"
    kubectl(host, f"-n default create secret generic {name} --from-literal=word=plainly")
    try:
        stored = host.run(f"{ETCDCTL} get /registry/secrets/default/{name} --print-value-only").stdout_bytes
        assert stored.startswith(b"k8s:enc:"), "what etcd holds is under a key"
        assert b"plainly" not in stored
        assert "cGxhaW5seQ" in kubectl(host, f"-n default get secret {name} -o json")
    finally:
        kubectl(host, f"-n default delete secret {name}")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/kubernetes/admin.conf",
        "/etc/kubernetes/encryption/config.yaml",
        "/etc/kubernetes/manifests/kube-apiserver.yaml",
        "/etc/kubernetes/manifests/etcd.yaml",
        f"{PKI}/ca.key",
        f"{PKI}/etcd/ca.key",
    ],
)
def test_only_root_reads_secrets(host: Host, path: str) -> None:
    found = host.file(path)
    assert (found.user, found.group, found.mode) == ("root", "root", 0o600)


def test_requests_are_audited(host: Host) -> None:
    path = flags(host, "kube-apiserver")["--audit-log-path"]
    line = host.check_output(f"tail -n 1 {path}")
    assert json.loads(line)["kind"] == "Event"


def test_nothing_that_a_join_needs_is_left(host: Host) -> None:
    assert "bootstrap.kubernetes.io/token" not in kubectl(
        host, "-n kube-system get secrets -o jsonpath={.items[*].type}"
    )
    assert "kubeadm-certs" not in kubectl(host, "-n kube-system get secrets -o name")
    assert host.check_output("find /run /tmp -name 'kubeadm*' -type f") == ""
