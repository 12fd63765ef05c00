"""Checks of single machines (fault 34 and 41): each with what breaks it and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.preflight_world import WORKERS, blank, disk, existing


def test_a_healthy_blank_inventory_has_no_finding() -> None:
    assert blank().ask().findings == ()


def test_a_healthy_cluster_has_no_finding() -> None:
    assert existing().ask().findings == ()


@pytest.mark.parametrize(
    ("system", "version"), [("debian", "11"), ("ubuntu", "20.04"), ("alpine", "3.20"), ("rocky", "8.9")]
)
def test_fault_34_unsupported_os(system: str, version: str) -> None:
    world = blank()
    world.nodes["lb1"]["os"].update(id=system, version=version)
    assert world.only_finding("os").host == "lb1"
    world.rules["allow_unsupported_os"] = True
    assert not world.findings("os")


@pytest.mark.parametrize(
    ("system", "version"), [("debian", "12"), ("ubuntu", "24.04"), ("rocky", "9.4"), ("almalinux", "9")]
)
def test_fault_34_supported_os(system: str, version: str) -> None:
    world = blank()
    world.nodes["w1"]["os"].update(id=system, version=version)
    assert not world.findings("os")


def test_fault_34_architecture_and_init() -> None:
    world = blank()
    world.nodes["w1"]["os"]["arch"] = "riscv64"
    world.nodes["w2"]["init"] = "runit"
    assert world.only_finding("arch").host == "w1"
    assert "runit" in world.only_finding("init").found


def test_fault_34_cgroup_v1() -> None:
    world = blank()
    world.nodes["w1"]["cgroup"] = "v1"
    world.nodes["lb1"]["cgroup"] = "v1"
    assert world.only_finding("cgroup").host == "w1"
    world.rules["allow_cgroup_v1"] = True
    assert not world.findings("cgroup")


def test_fault_34_kernel_features() -> None:
    world = blank()
    world.nodes["w1"]["kernel"]["features"].update(br_netfilter=False, vxlan=False)
    assert "br_netfilter, vxlan" in world.only_finding("kernel").found


def test_fault_34_vxlan_is_flannels_need_and_unknown_is_not_missing() -> None:
    world = blank()
    world.cluster["kube_cni"] = "manifest"
    world.nodes["w1"]["kernel"]["features"].update(overlay=None, vxlan=False)
    assert not world.findings("kernel")


@pytest.mark.parametrize(
    ("host", "mib", "found"), [("cp1", 1699, 1), ("cp1", 1700, 0), ("w1", 699, 1), ("w1", 700, 0), ("lb1", 200, 0)]
)
def test_fault_34_memory(host: str, mib: int, found: int) -> None:
    world = blank()
    world.nodes[host]["memory_mib"] = mib
    assert len(world.findings("memory")) == found


def test_fault_34_memory_of_a_running_node_is_only_told() -> None:
    world = existing()
    world.nodes["cp1"]["memory_mib"] = 512
    assert world.only_finding("memory", "warning").host == "cp1"


def test_fault_34_memory_threshold_is_a_variable() -> None:
    world = blank()
    world.rules["min_memory_worker"] = 8192
    assert {finding.host for finding in world.findings("memory")} == set(WORKERS)


def test_fault_34_cpu() -> None:
    world = blank()
    world.nodes["cp1"]["cpu_count"] = 1
    world.nodes["w1"]["cpu_count"] = 1
    assert world.only_finding("cpu").host == "cp1"


def test_fault_34_disk_space() -> None:
    world = blank()
    world.nodes["w1"]["disks"]["/var/lib/containerd"] = disk(free_gib=3.9)
    assert "3993 MiB free, 4096 MiB" in world.only_finding("disk").found
    world.nodes["w1"]["disks"]["/var/lib/containerd"] = disk(free_gib=4)
    assert not world.findings("disk")


def test_fault_34_and_38_read_only_etc() -> None:
    world = blank()
    world.nodes["lb2"]["disks"]["/etc"] = disk(writable=False)
    assert world.only_finding("read-only").host == "lb2"


def test_fault_41_eviction_with_both_numbers() -> None:
    world = blank()
    world.nodes["w1"]["disks"]["/var/lib/kubelet"] = disk(free_gib=9.5)
    finding = world.only_finding("disk-eviction")
    assert "9.5 GiB free" in finding.found
    assert "10.0 GiB (nodefs.available 10%)" in finding.found
    world.rules["kubelet_config"] = {"evictionHard": {"nodefs.available": "1Gi"}}
    assert not world.findings("disk-eviction")


def test_fault_41_eviction_on_a_running_node_is_told() -> None:
    world = existing()
    world.nodes["w1"]["disks"]["/var/lib/containerd"] = disk(free_gib=14)
    assert "imagefs.available 15%" in world.only_finding("disk-eviction", "warning").found


def test_fault_41_image_gc_with_both_numbers() -> None:
    world = existing()
    world.rules["kubelet_config"] = {"evictionHard": {}, "imageGCHighThresholdPercent": 85}
    world.nodes["w1"]["disks"]["/var/lib/containerd"] = disk(free_gib=14)
    assert "86 % full, the kubelet deletes images above 85 %" in world.only_finding("disk-images", "warning").found
    world.rules["kubelet_config"] = {"evictionHard": {}, "imageGCHighThresholdPercent": 100}
    assert not world.findings("disk-images")


@pytest.mark.parametrize(
    ("policy", "fails", "levels"),
    [("off", True, ["warning"]), ("keep", True, ["fatal"]), ("keep", False, [])],
)
def test_fault_34_swap(policy: str, fails: bool, levels: list[str]) -> None:
    world = blank()
    world.nodes["w1"]["swap"] = ["/dev/sda2"]
    world.nodes["lb1"]["swap"] = ["/dev/sda2"]
    world.rules |= {"swap": policy, "kubelet_config": {"failSwapOn": fails}}
    assert [finding.level for finding in world.findings("swap")] == levels


def listening(port: int, process: str | None, address: str = "0.0.0.0") -> dict[str, Any]:
    return {"port": port, "address": address, "process": process}


@pytest.mark.parametrize(
    ("host", "port", "process"),
    [
        ("cp1", 6443, "k3s-server"),
        ("cp1", 6443, "kube-apiserver"),
        ("cp2", 2379, "etcd"),
        ("cp3", 10250, None),
        ("w1", 10250, "kubelet"),
        ("lb1", 6443, "nginx"),
        ("lb1", 8405, "nginx"),
    ],
)
def test_fault_34_port_taken(host: str, port: int, process: str | None) -> None:
    world = blank()
    world.nodes[host]["listening"] = [listening(port, process)]
    finding = world.only_finding("port")
    assert finding.host == host
    assert str(port) in finding.found
    assert (process or "an unknown process") in finding.found


@pytest.mark.parametrize(
    ("host", "port", "process"),
    [("w1", 6443, "nginx"), ("w1", 2379, "etcd"), ("lb1", 6443, "haproxy"), ("lb1", 10250, "x"), ("w1", 8405, "x")],
)
def test_fault_34_port_that_the_host_does_not_need(host: str, port: int, process: str) -> None:
    world = blank()
    world.nodes[host]["listening"] = [listening(port, process)]
    assert not world.findings("port")


def test_fault_34_ports_of_a_running_node_are_its_own() -> None:
    world = existing()
    world.nodes["cp1"]["listening"] = [
        listening(6443, "kube-apiserver", "::"),
        listening(10257, "kube-controller"),
        listening(10250, "kubelet"),
    ]
    assert not world.findings("port")


def test_fault_34_an_interrupted_join_left_its_processes() -> None:
    world = existing()
    world.kubernetes("cp3")["marker"] = {"action": "join", "started": 1}
    world.nodes["cp3"]["listening"] = [listening(10257, "kube-controller"), listening(2379, "etcd")]
    assert not world.findings("port")
    world.nodes["cp3"]["listening"] = [listening(2379, "redis")]
    assert "redis" in world.only_finding("port").found


def test_colocated_load_balancer_keeps_its_port_on_a_running_control_plane() -> None:
    world = existing()
    world.cluster["kube_api_port"] = 8443
    world.hosts["cp1"]["groups"] = ["control_plane", "lb"]
    world.nodes["cp1"]["listening"] = [listening(8443, "haproxy"), listening(6443, "kube-apiserver")]
    assert not world.findings("port")
    world.nodes["cp1"]["listening"] = [listening(8443, "nginx")]
    assert "haproxy's" in world.only_finding("port").found


def test_fault_34_runtime_packages_are_told() -> None:
    world = blank()
    world.nodes["w1"]["packages"] |= {"docker.io": "26.1.5", "containerd": None}
    assert "docker.io 26.1.5" in world.only_finding("packages", "warning").found


def test_fault_34_clock_skew_names_the_host_that_is_off() -> None:
    world = blank()
    world.nodes["w2"]["time"]["epoch"] = 1010.0
    finding = world.only_finding("clock")
    assert finding.host == "w2"
    assert "9.8 s ahead of" in finding.found


def test_fault_34_clock_skew_that_the_measurement_cannot_tell() -> None:
    world = blank()
    world.nodes["w2"]["time"]["epoch"] = 1010.0
    world.hosts["w2"] |= {"sent": 995.0, "received": 1012.0}
    assert not world.findings("clock")


def test_fault_34_hosts_asked_minutes_apart_have_no_skew() -> None:
    world = blank()
    for number, name in enumerate(world.hosts):
        world.hosts[name] |= {"sent": 1000.0 + 60 * number, "received": 1000.4 + 60 * number}
        world.nodes[name]["time"]["epoch"] = 1000.2 + 60 * number
    assert not world.findings("clock")


def test_fault_34_controllers_own_clock_is_told() -> None:
    world = blank()
    for name in world.hosts:
        world.hosts[name] |= {"sent": 500.0, "received": 500.4}
    assert "500 s ahead of this controller's" in world.only_finding("clock", "warning").found


def test_fault_34_no_time_service() -> None:
    world = blank()
    world.nodes["w1"]["time"]["synchronized"] = False
    world.nodes["w2"]["time"]["synchronized"] = None
    assert world.only_finding("clock-sync", "warning").host == "w1"


def test_fault_34_everything_in_one_report() -> None:
    world = blank()
    world.cluster["kube_version"] = "latest"
    world.nodes["cp1"]["cgroup"] = "v1"
    world.nodes["w1"]["memory_mib"] = 100
    world.nodes["w2"]["os"]["id"] = "gentoo"
    world.unreachable("lb2")
    checks = {(finding.host, finding.check) for finding in world.ask().findings}
    assert {("", "input"), ("cp1", "cgroup"), ("w1", "memory"), ("w2", "os"), ("lb2", "unreachable")} <= checks


def test_a_host_on_which_kubeadm_still_runs_is_left_alone() -> None:
    world = existing()
    world.kubernetes("cp2").update(busy=True, marker={"action": "join"})
    finding = world.only_finding("busy")
    assert (finding.host, finding.level) == ("cp2", "fatal")
    assert "kubeadm join" in finding.found
