"""Addresses, routes and listeners: parsers on the kernel's texts."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_net as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok

IP_ADDR = json.dumps(
    [
        {
            "ifname": "lo",
            "link_type": "loopback",
            "address": "00:00:00:00:00:00",
            "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8}],
        },
        {
            "ifname": "eth0",
            "link_type": "ether",
            "address": "02:fc:00:00:00:01",
            "addr_info": [
                {"family": "inet", "local": "192.0.2.100", "prefixlen": 32},
                {"family": "inet", "local": "192.0.2.2", "prefixlen": 24},
                {"family": "inet6", "local": "fe80::1", "prefixlen": 64},
                {"family": "inet6", "local": "2001:db8::2", "prefixlen": 64},
                {},
            ],
        },
        {"ifname": "eth1", "link_type": "ether", "address": "02:fc:00:00:00:02", "addr_info": []},
    ]
)
ROUTE4 = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth1\t00000000\t0101A8C0\t0003\t0\t0\t200\t00000000\t0\t0\t0
eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
"""
ROUTE6 = (
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n"
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"
)
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0
   1: 0100007F:094B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 100 0 0 10 0
   2: 0100007F:192B 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4244 1 0 100 0 0 10 0
"""
TCP6 = """  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:192B 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4245 1 0 100 0
   1: 0000000000000000FFFF00000200A8C0:2803 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4246 1 0 100 0
"""


def addresses() -> list[dict[str, Any]]:
    return subject.parse_addresses(IP_ADDR)[0]


def test_addresses_and_macs() -> None:
    found, macs = subject.parse_addresses(IP_ADDR)
    assert {"interface": "eth0", "address": "192.0.2.2", "prefix": 24, "family": 4} in found
    assert {"interface": "eth0", "address": "2001:db8::2", "prefix": 64, "family": 6} in found
    assert len(found) == 5
    assert macs == {"eth0": "02:fc:00:00:00:01", "eth1": "02:fc:00:00:00:02"}
    assert subject.parse_addresses("not json") == ([], {})


def test_the_default_route_with_the_lowest_metric_wins() -> None:
    assert subject.parse_route4(ROUTE4) == subject.Route("eth0", "192.0.2.1", 4)
    assert subject.parse_route4("Iface\n") is None
    assert subject.parse_route6(ROUTE6) == subject.Route("eth0", "fe80::1", 6)
    assert subject.parse_route6("") is None


def test_a_route_without_gateway() -> None:
    text = "header\nppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n"
    assert subject.parse_route4(text) == subject.Route("ppp0", None, 4)


def test_the_source_address_is_in_the_gateways_subnet_never_the_vip() -> None:
    assert subject.source_address(subject.Route("eth0", "192.0.2.1", 4), addresses()) == "192.0.2.2"
    assert subject.source_address(subject.Route("eth0", "fe80::9", 6), addresses()) == "2001:db8::2"
    assert subject.source_address(subject.Route("eth9", None, 4), addresses()) is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [("192.0.2.55", "eth0"), ("192.0.2.100", "eth0"), ("198.51.100.1", None), ("2001:db8::77", "eth0")],
)
def test_interface_whose_subnet_holds_the_address(address: str, expected: str | None) -> None:
    assert subject.interface_for(address, addresses()) == expected


def test_a_single_address_is_no_subnet() -> None:
    only = [{"interface": "eth0", "address": "192.0.2.100", "prefix": 32, "family": 4}]
    assert subject.interface_for("192.0.2.100", only) is None


def test_listening_sockets_only() -> None:
    assert subject.parse_tcp(TCP) == [
        subject.Listener(6443, "0.0.0.0", 4242),
        subject.Listener(2379, "127.0.0.1", 4243),
    ]
    assert [(s.port, s.address) for s in subject.parse_tcp(TCP6)] == [(6443, "::"), (10243, "192.168.0.2")]


@given(st.integers(0, 2**32 - 1), st.integers(0, 65535))
def test_any_ipv4_listener_is_read_as_the_kernel_meant_it(address: int, port: int) -> None:
    dotted = socket.inet_ntoa(address.to_bytes(4, "big"))
    raw = socket.inet_aton(dotted)[::-1].hex().upper()
    line = f"0: {raw}:{port:04X} 00000000:0000 0A 0:0 00:0 0 0 0 7 1"
    assert subject.parse_tcp("header\n" + line) == [subject.Listener(port, dotted, 7)]


def test_who_listens(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/proc/net/tcp", TCP)
    host.write("/proc/net/tcp6", TCP6)
    host.write("/proc/77/comm", "kube-apiserver\n")
    (tmp_path / "proc/77/fd").mkdir()
    os.symlink("socket:[4242]", tmp_path / "proc/77/fd/3")
    os.symlink("/dev/null", tmp_path / "proc/77/fd/4")
    found = subject.read_listening(host, [6443, 2380])
    assert found == [
        {"port": 6443, "address": "0.0.0.0", "process": "kube-apiserver"},
        {"port": 6443, "address": "::", "process": None},
    ]
    assert subject.read_listening(host, []) == []


def test_a_real_listener_of_this_process_is_found() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        found = subject.read_listening(Host(), [port])
    assert [(row["port"], row["address"]) for row in found] == [(port, "127.0.0.1")]
    assert found[0]["process"] == Path("/proc/self/comm").read_text().strip()


def test_network_of_a_host(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, {"ip -j addr": ok(IP_ADDR)})
    host.write("/proc/net/route", ROUTE4)
    found = subject.read_network(host)
    assert found["default_route"] == {"interface": "eth0", "address": "192.0.2.2", "gateway": "192.0.2.1"}
    assert len(host.calls) == 1, "one program for everything"
    host.write("/proc/net/route", "Iface\n")
    host.write("/proc/net/ipv6_route", ROUTE6)
    assert subject.read_network(host)["default_route"]["address"] == "2001:db8::2"


def test_a_host_without_network(tmp_path: Path) -> None:
    assert subject.read_network(FakeHost(tmp_path)) == {"addresses": [], "macs": {}, "default_route": None}
