"""Checks of networks and addresses (faults 32 and 33): each with what breaks it and what does not."""

from __future__ import annotations

import pytest

from tests.unit.preflight_world import BALANCERS, VIP, World, blank, existing


def test_fault_33_pod_and_service_networks_overlap() -> None:
    world = blank()
    world.cluster["kube_service_cidr"] = "10.244.128.0/17"
    assert "10.244.0.0/16 and kube_service_cidr 10.244.128.0/17 overlap" in world.only_finding("overlap").found


def test_fault_33_neighbouring_networks_do_not_overlap() -> None:
    world = blank()
    world.cluster |= {"kube_pod_cidr": "10.244.0.0/16", "kube_service_cidr": "10.245.0.0/16"}
    assert not world.findings("overlap")


def test_fault_33_node_network_touches_the_pods() -> None:
    world = blank()
    world.cluster["kube_pod_cidr"] = "10.0.0.128/25"
    found = world.findings("overlap")
    assert {finding.host for finding in found} == {*world.hosts}
    assert "its network 10.0.0.0/24 (eth0) touches kube_pod_cidr" in found[0].found


def test_fault_33_node_address_inside_of_the_services() -> None:
    world = blank()
    world.hosts["w2"]["kube_node_ip"] = "10.96.0.7"
    world.nodes["w2"]["addresses"].append({"interface": "eth1", "address": "10.96.0.7", "prefix": 32, "family": 4})
    assert [finding.host for finding in world.findings("overlap") if finding.level == "fatal"] == ["w2"]


def test_fault_33_vip_inside_of_the_services() -> None:
    world = blank()
    world.cluster["kube_vip"] = "10.96.0.10"
    assert any("kube_vip 10.96.0.10 is inside of kube_service_cidr" in f.found for f in world.findings("overlap"))


def test_fault_33_another_interface_is_told_and_names_it() -> None:
    world = blank()
    world.nodes["w1"]["addresses"].append({"interface": "cni0", "address": "10.244.1.1", "prefix": 24, "family": 4})
    assert "cni0" in world.only_finding("overlap", "warning").found


def test_fault_33_the_pod_network_of_a_running_node_is_its_own() -> None:
    world = existing()
    world.nodes["w1"]["addresses"].append({"interface": "cni0", "address": "10.244.1.1", "prefix": 24, "family": 4})
    assert not world.findings("overlap")


@pytest.mark.parametrize("name", ["kube_pod_cidr", "kube_service_cidr"])
def test_fault_33_mixed_families(name: str) -> None:
    world = blank()
    world.cluster[name] = "fd00:10::/108"
    assert name in world.only_finding("family").found


def test_fault_33_node_with_the_other_family() -> None:
    world = blank()
    world.hosts["w1"]["ansible_host"] = "fd00::41"
    assert "w1 fd00::41" in world.only_finding("family").found


@pytest.mark.parametrize(("cidr", "found"), [("10.244.0.0/22", 1), ("10.244.0.0/21", 0), ("10.244.0.0/25", 1)])
def test_fault_33_pod_network_too_small_for_five_nodes(cidr: str, found: int) -> None:
    world = blank()
    world.cluster["kube_pod_cidr"] = cidr
    assert len(world.findings("network-size")) == found


@pytest.mark.parametrize(
    ("cidr", "found"), [("172.16.0.0/11", 1), ("172.16.0.0/12", 0), ("172.16.0.0/28", 0), ("172.16.0.0/29", 1)]
)
def test_fault_33_service_network_that_the_api_server_takes(cidr: str, found: int) -> None:
    world = blank()
    world.cluster["kube_service_cidr"] = cidr if not cidr.endswith("/11") else "172.0.0.0/11"
    assert len(world.findings("network-size")) == found


def test_fault_33_node_ip_that_is_not_on_the_node() -> None:
    world = blank()
    world.hosts["w1"]["kube_node_ip"] = "10.0.0.99"
    finding = world.only_finding("node-ip")
    assert "10.0.0.99 is on none of its interfaces (10.0.0.41)" in finding.found


def test_fault_33_node_ip_that_is_the_vip() -> None:
    world = blank()
    world.cluster["kube_vip"] = "10.0.0.41"
    assert any("is the VIP" in finding.found for finding in world.findings("node-ip"))


@pytest.mark.parametrize("server", ["https://10.0.0.99:6443", "https://10.0.0.21:7443"])
def test_fault_33_changed_advertise_address(server: str) -> None:
    world = existing()
    world.kubernetes("cp1")["kubelet_conf"]["server"] = server
    assert world.only_finding("address-changed").host == "cp1"


@pytest.mark.parametrize(
    "server",
    ["https://10.0.0.21:6443", f"https://{VIP}:6443", "https://127.0.0.1:6443", "https://api.example.org:6443"],
)
def test_fault_33_same_advertise_address(server: str) -> None:
    world = existing()
    world.kubernetes("cp1")["kubelet_conf"]["server"] = server
    assert not world.findings("address-changed")


def test_fault_33_changed_vip_on_a_running_worker() -> None:
    world = existing()
    world.kubernetes("w1")["kubelet_conf"]["server"] = "https://10.0.0.200:6443"
    assert (
        "its kubelet talks to 10.0.0.200:6443, the inventory says 10.0.0.100:6443"
        in world.only_finding("address-changed").found
    )


@pytest.mark.parametrize(("address", "found"), [("10.0.9.9", 1), ("::", 0), ("10.0.0.21", 0)])
def test_fault_33_api_server_bound_to_another_address(address: str, found: int) -> None:
    world = existing()
    world.nodes["cp1"]["listening"] = [{"port": 6443, "address": address, "process": "kube-apiserver"}]
    assert len(world.findings("address-changed")) == found


def answered_by(world: World, mac: str) -> None:
    world.nodes["lb1"]["arp"] = {"address": VIP, "interface": "eth0", "answered": True, "mac": mac, "error": None}


def test_fault_32_vip_answered_by_a_foreign_machine() -> None:
    world = blank()
    answered_by(world, "DE:AD:BE:EF:00:01")
    assert "de:ad:be:ef:00:01" in world.only_finding("vip").found


def test_fault_32_vip_answered_by_the_other_load_balancer() -> None:
    world = blank()
    answered_by(world, "02:00:00:00:00:0C")
    assert not world.findings("vip")


def test_fault_32_vip_not_answered() -> None:
    world = blank()
    world.nodes["lb1"]["arp"] = {"address": VIP, "interface": "eth0", "answered": False, "mac": None, "error": None}
    assert not world.findings("vip")


def test_fault_32_vip_answered_while_a_load_balancer_is_unknown_is_told() -> None:
    world = existing()
    answered_by(world, "de:ad:be:ef:00:01")
    world.outside("lb2")
    assert "lb2" in world.only_finding("vip", "warning").next_step


def advert(source: str, vrid: int) -> dict[str, object]:
    return {"source": source, "vrid": vrid, "priority": 100, "vip": ["10.0.0.77"]}


def test_fault_32_vrid_used_by_a_foreign_router() -> None:
    world = blank()
    world.nodes["lb2"]["vrrp"] = [advert("10.0.0.5", 100)]
    finding = world.only_finding("vrid")
    assert "10.0.0.5 speaks VRRP with router id 100 for 10.0.0.77" in finding.found
    assert "kube_lb_vrid" in finding.next_step


@pytest.mark.parametrize(("source", "vrid"), [("10.0.0.5", 99), ("10.0.0.11", 100), ("10.0.0.12", 100)])
def test_fault_32_other_vrids_and_our_own_routers(source: str, vrid: int) -> None:
    world = blank()
    world.nodes["lb2"]["vrrp"] = [advert(source, vrid)]
    assert not world.findings("vrid")


def test_fault_32_own_router_outside_of_the_limit() -> None:
    world = existing()
    world.outside("lb1")
    world.nodes["lb2"]["vrrp"] = [advert("10.0.0.11", 100)]
    assert not world.findings("vrid")


def test_fault_32_a_chosen_vrid_is_the_one_that_counts() -> None:
    world = blank()
    for name in BALANCERS:
        world.hosts[name]["kube_lb_vrid"] = 7
    world.nodes["lb2"]["vrrp"] = [advert("10.0.0.5", 100)]
    assert not world.findings("vrid")
    world.nodes["lb2"]["vrrp"] = [advert("10.0.0.5", 7)]
    assert world.only_finding("vrid").host == "lb2"


def test_no_load_balancer() -> None:
    world = blank()
    for name in BALANCERS:
        world.drop(name)
    assert "kube_lb has no host" in world.only_finding("lb").found
    world.rules["allow_no_lb"] = True
    assert "load balancer of your own" in world.only_finding("lb", "warning").next_step


def test_somebody_elses_load_balancer_serves_the_vip() -> None:
    world = existing()
    for name in BALANCERS:
        world.drop(name)
    assert "served by somebody else" in world.only_finding("lb", "warning").found


def test_one_load_balancer_is_told() -> None:
    world = blank()
    world.drop("lb2")
    assert "lb1" in world.only_finding("lb", "warning").found


def test_no_load_balancer_answers() -> None:
    world = blank()
    world.unreachable(*BALANCERS)
    assert "no load balancer answers: lb1, lb2" in world.only_finding("lb").found


def test_colocated_load_balancer_needs_a_port_of_its_own() -> None:
    world = blank()
    world.hosts["cp1"]["groups"] = ["control_plane", "lb"]
    assert "8443" in world.only_finding("lb").next_step
    world.cluster["kube_api_port"] = 8443
    assert not world.findings("lb")


def test_haproxy_does_not_listen_twice_on_a_port() -> None:
    world = blank()
    world.hosts["lb2"]["kube_lb_health_port"] = 6443
    finding = world.only_finding("lb")
    assert (finding.host, finding.level) == ("lb2", "fatal")
    assert "kube_lb_health_port" in finding.next_step


def test_vip_on_no_network_of_the_load_balancer() -> None:
    world = blank()
    world.cluster["kube_vip"] = "192.0.2.10"
    assert {finding.host for finding in world.findings("vip")} == set(BALANCERS)
    world.cluster["kube_vip_interface"] = "eth0"
    assert not world.findings("vip")
    world.cluster["kube_vip_interface"] = "eth7"
    assert {finding.found for finding in world.findings("vip")} == {"it has no interface eth7"}


def test_a_node_without_a_default_route_is_named() -> None:
    world = blank()
    assert not world.findings("route")
    world.nodes["w2"]["default_route"] = None
    world.nodes["lb1"]["default_route"] = None
    found = world.only_finding("route", "warning")
    assert found.host == "w2"
    assert "no default route" in found.found
    assert "10.96.0.0/12" in found.next_step
    world.nodes["w2"]["addresses"] = []
    assert not world.findings("route"), "nothing is said of what is not known"
