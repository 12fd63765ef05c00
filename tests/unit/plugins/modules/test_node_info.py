"""node_info as Ansible runs it, on the machine that runs the tests."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_probe, host_questions
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.modules import node_info as subject
from tests.unit.plugins.modules.support import run_module

KEYS = {
    "hostname", "machine_id", "product_uuid", "boot_id", "container", "python", "time", "os", "cpu_count",
    "memory_mib", "swap", "cgroup", "init", "disks", "addresses", "default_route", "macs", "listening", "packages",
    "kernel", "units", "kubernetes", "arp", "vrrp", "receipts", "etcd", "upgrade",
}  # fmt: skip
KUBERNETES = {
    "kubelet_version", "kubeadm_version", "containerd_version", "ca_pem", "etcd_ca_pem", "kubelet_conf", "admin_conf",
    "bootstrap_conf", "manifests", "marker", "etcd_data", "etcd_initial", "etcd_servers", "pods_dir", "api", "busy",
}  # fmt: skip


def test_one_call_tells_everything() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        result = run_module(
            "node_info",
            {
                "packages": ["no-such-package"],
                "disk_paths": ["/var/lib/etcd/deep/down"],
                "watch_ports": [port],
                "api_urls": ["https://127.0.0.1:1"],
                "arp_probe": {"address": "203.0.113.77"},
                "vrrp_listen_seconds": 0.1,
            },
            check=True,
        )
    assert not result["failed"], result.get("msg")
    assert result["changed"] is False
    node = result["node"]
    assert set(node) == KEYS
    assert set(node["kubernetes"]) == KUBERNETES
    assert node["hostname"] == os.uname().nodename
    assert node["python"] == platform.python_version()
    assert node["os"]["arch"] == os.uname().machine
    assert node["cpu_count"] >= 1
    assert node["memory_mib"] > 100
    assert node["packages"] == {"no-such-package": None}
    assert node["disks"]["/var/lib/etcd/deep/down"]["total_bytes"] > 0
    assert [row["port"] for row in node["listening"]] == [port]
    assert node["kubernetes"]["api"]["https://127.0.0.1:1"]["status"] is None
    assert node["arp"]["answered"] is False
    assert node["vrrp"] == []
    assert set(node["units"]) == {"containerd", "kubelet", "haproxy", "keepalived", "etcd"}
    assert {"active", "enabled", "main_pid", "started_at"} == set(node["units"]["kubelet"])
    assert node["kernel"]["features"]["overlay"] in (True, False)


def test_without_questions_all_keys_are_there() -> None:
    node = run_module("node_info", {})["node"]
    assert set(node) == KEYS
    assert (node["arp"], node["vrrp"], node["listening"], node["packages"], node["disks"]) == (None, [], [], {}, {})
    assert node["kubernetes"]["api"] == {}
    assert node["upgrade"] is None


def test_what_an_upgrade_must_know() -> None:
    found = run_module("node_info", {"upgrade": True}, check=True)["node"]["upgrade"]
    assert set(found) == {"static_pods", "kubelet", "certificates", "disks"}
    assert set(found["kubelet"]) == {"environment", "config", "config_present", "args", "running_version"}
    assert set(found["disks"]) == {"/var/lib/containerd", "/var/lib/kubelet", "/var/lib/etcd"}
    assert all(disk["inodes_total"] >= disk["inodes_free"] for disk in found["disks"].values())


@pytest.mark.parametrize(
    "arguments",
    [
        {"disk_paths": ["relative"]},
        {"disk_paths": ["/a/../b"]},
        {"arp_probe": {"address": "192.0.2.1; reboot"}},
        {"arp_probe": {"address": "2001:db8::1"}},
        {"watch_ports": ["http"]},
        {"vrrp_listen_seconds": "long"},
    ],
)
def test_a_bad_input_is_refused(arguments: dict[str, object]) -> None:
    result = run_module("node_info", arguments)
    assert result["failed"]
    assert "Traceback" not in json.dumps(result)


def test_few_programs_are_started(tmp_path: Path) -> None:
    """The budget is programs, not seconds: on a blank host one `ip` and one `systemctl`."""
    started: list[str] = []

    class Counting(Host):
        def start(self, argv: list[str]) -> subprocess.Popen[str] | None:
            started.append(argv[0])
            return super().start(argv)

    host = Counting(str(tmp_path))
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text("")
    params = {
        "packages": ["haproxy"],
        "disk_paths": ["/var/lib"],
        "api_urls": [],
        "watch_ports": [6443],
        "arp_probe": None,
        "vrrp_listen_seconds": 0.0,
        "receipts": True,
        "etcd": False,
        "settled": "",
        "settle_seconds": 0.0,
        "upgrade": True,
    }
    subject.collect(host, params)
    assert sorted(started) == ["ip", "systemctl"]


@pytest.mark.parametrize(("settled", "listens"), [("kube_lb", False), ("kube_host", True), ("", True)])
def test_a_settled_host_does_not_look_for_strangers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: str, listens: bool
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(subject.receipts, "proven", lambda *_: {"kube_lb": {"digest": "d", "inputs": "i"}})
    monkeypatch.setattr(host_probe, "listen_vrrp", lambda *_: asked.append("vrrp") or [])
    monkeypatch.setattr(host_questions, "ask_arp", lambda *_: asked.append("arp"))
    params = {name: option.get("default") for name, option in subject.SPEC.items()}
    wanted = {"address": "192.0.2.1", "interface": None}
    given = {"receipts": True, "settled": settled, "vrrp_listen_seconds": 0.1, "arp_probe": wanted}
    node = subject.collect(Host(str(tmp_path)), {**params, **given})
    assert sorted(asked) == (["arp", "vrrp"] if listens else [])
    assert (node["arp"], node["vrrp"]) == (None, [])
