# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster_verify against a real API server. There are no kubelets here, so probe pods never start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.servers import LOOPBACK, Cluster, free_port
from tests.integration.support import COLLECTIONS, MODULES

VERSION = "1.36.3"
NAMES = ("cp1", "w1")
Run = Callable[..., dict[str, Any]]


def set_ready(cluster: Cluster, name: str, ready: bool) -> None:
    status = {
        "addresses": [{"type": "InternalIP", "address": LOOPBACK}],
        "conditions": [{"type": "Ready", "status": str(ready), "reason": "x", "message": "cni not ready"}],
        "nodeInfo": {"kubeletVersion": f"v{VERSION}"},
    }
    cluster.kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))


@pytest.fixture(scope="module")
def nodes(cluster: Cluster) -> Iterator[None]:
    """Two nodes that say they are Ready, and nothing that other tests left."""
    secrets = ("-n", "kube-system", "delete", "secret", "--ignore-not-found")
    cluster.kubectl(*secrets, "--field-selector=type=bootstrap.kubernetes.io/token")
    cluster.kubectl(*secrets, "kubeadm-certs")
    cluster.kubectl("delete", "node", "--all")
    for name in NAMES:
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(node))
        set_ready(cluster, name, True)
    yield
    cluster.kubectl("delete", "node", *NAMES)


@pytest.fixture
def verify(cluster: Cluster, nodes: None, module: Run) -> Run:
    """Run the module; the API server's own address stands in for the virtual one."""

    def run(**more: Any) -> dict[str, Any]:
        return module("cluster_verify", **arguments(cluster, **more))

    return run


def arguments(cluster: Cluster, **more: Any) -> dict[str, Any]:
    base = {
        "endpoints": [cluster.url],
        "vip_url": cluster.url,
        "api_port": int(cluster.url.rpartition(":")[2]),
        "version": VERSION,
        "control_planes": ["cp1"],
        "workers": ["w1"],
        "probe_pods": False,
        "timeout": 30,
    }
    return {**base, **more}


def statuses(result: dict[str, Any]) -> dict[tuple[str, str], str]:
    assert not result.get("failed"), result
    assert result["changed"] is False
    return {(row["check"], row["subject"]): row["status"] for row in result["rows"]}


def failing(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(row["check"], row["subject"], row["found"]) for row in result["rows"] if row["status"] == "fail"]


def probe_namespaces(cluster: Cluster) -> list[dict[str, Any]]:
    found = cluster.kubectl_json("get", "namespaces", "-l", "quorum.kubeadm/verify=probe")["items"]
    assert isinstance(found, list)
    return found


def test_in_order(verify: Run) -> None:
    result = verify()
    assert statuses(result) == {
        ("nodes", "cp1, w1"): "ok",
        ("api", "cp1"): "ok",
        ("api", "VIP"): "ok",
        ("leases", "node leases"): "ok",
        ("tokens", "bootstrap tokens"): "ok",
        ("kubeadm-certs", "Secret"): "ok",
    }
    assert result["nodes"][0] == {"name": "cp1", "ready": True, "kubelet_version": "v1.36.3", "zone": ""}
    assert set(result["seconds"]) == {"nodes", "api", "leases", "tokens", "kubeadm-certs"}


def test_names_are_compared_exactly(verify: Run) -> None:
    result = verify(workers=["w10"], timeout=1)
    assert failing(result) == [("nodes", "w10", "not in the cluster")]
    assert statuses(result)["nodes", "w1"] == "warn"


def test_another_version_is_not_waited_for(verify: Run) -> None:
    began = time.monotonic()
    assert [row[0] for row in failing(verify(version="1.36.4"))] == ["nodes", "nodes"]
    assert time.monotonic() - began < 20


def test_a_node_that_becomes_ready_is_waited_for(verify: Run, cluster: Cluster) -> None:
    set_ready(cluster, "w1", False)
    later = threading.Timer(3, set_ready, (cluster, "w1", True))
    later.start()
    try:
        result = verify(timeout=60)
    finally:
        later.join()
    assert failing(result) == []
    assert result["seconds"]["nodes"] > result["seconds"]["tokens"]


def test_a_node_that_stays_unready_ends_with_the_timeout(verify: Run, cluster: Cluster) -> None:
    set_ready(cluster, "w1", False)
    try:
        assert failing(verify(timeout=2)) == [("nodes", "w1", "not Ready: cni not ready")]
    finally:
        set_ready(cluster, "w1", True)


def test_leftovers_of_a_join_are_found_and_their_secrets_are_not_shown(verify: Run, cluster: Cluster) -> None:
    secret = "0123456789abcdef"
    token = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
        "stringData": {"token-id": "abcdef", "token-secret": secret, "description": "quorum.kubeadm"},
    }
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(token))
    cluster.kubectl("-n", "kube-system", "create", "secret", "generic", "kubeadm-certs", "--from-literal=a=b")
    try:
        result = verify()
    finally:
        cluster.kubectl("-n", "kube-system", "delete", "secret", "bootstrap-token-abcdef", "kubeadm-certs")
    assert [(check, subject) for check, subject, _found in failing(result)] == [
        ("tokens", "abcdef"),
        ("kubeadm-certs", "Secret"),
    ]
    assert secret not in json.dumps(result)


def test_a_dead_vip_over_a_living_api_server(verify: Run, cluster: Cluster) -> None:
    nobody = f"https://{LOOPBACK}:{free_port()}"
    (row,) = failing(verify(vip_url=nobody, endpoints=[nobody, cluster.url], timeout=2))
    assert row[:2] == ("api", "VIP")
    assert "VIP fault, the API servers are fine" in row[2]


def test_nobody_answers(verify: Run, cluster: Cluster) -> None:
    nobody = f"https://{LOOPBACK}:{free_port()}"
    rows = failing(verify(vip_url=nobody, endpoints=[nobody], timeout=2))
    assert {check for check, _subject, _found in rows} == {"api"}
    assert "No API endpoint answered" in rows[0][2]


def test_a_missing_kubeconfig_is_named(verify: Run, tmp_path: Path) -> None:
    result = verify(kubeconfig=str(tmp_path / "none.conf"))
    assert result["failed"] is True
    assert result["error"]["where"] == str(tmp_path / "none.conf")
    assert "admin.conf" in result["error"]["next"]


def test_probe_pods_are_deleted_when_they_never_start(verify: Run, cluster: Cluster) -> None:
    before = len(probe_namespaces(cluster))
    result = verify(probe_pods=True, timeout=3)
    assert [check for check, _subject, _found in failing(result)] == ["probe pods"]
    made = probe_namespaces(cluster)
    assert len(made) == before + 1
    # Nobody finalises namespaces here; that it is being deleted is all there is to see.
    assert all("deletionTimestamp" in item["metadata"] for item in made)


def test_check_mode_starts_no_pods(cluster: Cluster, nodes: None, module: Run) -> None:
    before = len(probe_namespaces(cluster))
    result = module("cluster_verify", check=True, **arguments(cluster, probe_pods=True))
    assert failing(result) == []
    assert result["notes"] == ["probe pods: not started in check mode"]
    assert len(probe_namespaces(cluster)) == before


def test_a_run_that_is_ended_deletes_its_pods(cluster: Cluster, nodes: None, kubeconfig: Path) -> None:
    before = len(probe_namespaces(cluster))
    args = arguments(cluster, kubeconfig=str(kubeconfig), probe_pods=True, timeout=100)
    process = subprocess.Popen(
        [sys.executable, str(MODULES / "cluster_verify.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": args}).encode())
    process.stdin.close()
    deadline = time.monotonic() + 60
    while len(probe_namespaces(cluster)) == before:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stdout and process.stdout.read()
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert all("deletionTimestamp" in item["metadata"] for item in probe_namespaces(cluster))
