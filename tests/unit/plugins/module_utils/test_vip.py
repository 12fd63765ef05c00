"""The VIP's router id and interface."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.vip import interface_for, vrid

IPV4 = st.ip_addresses(v=4).map(str)


@given(IPV4)
def test_vrid_is_one_that_vrrp_takes(vip: str) -> None:
    assert 1 <= vrid(vip) <= 255
    assert vrid(vip) == (int(ipaddress.IPv4Address(vip)) % 256 or 255)


@pytest.mark.parametrize("vip", ["", "10.0.0", "fd00::1", "10.0.0.1/24", "10.0.0.256", "{{ vip }}"])
def test_vrid_refuses_what_is_no_ipv4_address(vip: str) -> None:
    with pytest.raises(InputError):
        vrid(vip)


def row(interface: str, address: str, prefix: int, family: int = 4) -> dict[str, object]:
    return {"interface": interface, "address": address, "prefix": prefix, "family": family}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], None),
        ([row("eth0", "10.0.0.11", 24)], "eth0"),
        ([row("eth0", "10.0.1.11", 24)], None),
        ([row("eth0", "10.0.0.11", 16), row("eth1", "10.0.0.12", 24)], "eth1"),
        ([row("eth0", "10.0.0.100", 32), row("eth1", "10.0.0.12", 24)], "eth1"),
        ([row("eth0", "10.0.0.100", 24), row("eth1", "10.0.0.12", 24)], "eth1"),
        ([row("eth0", "fd00::1", 64, 6)], None),
    ],
)
def test_interface_for(rows: list[dict[str, object]], expected: str | None) -> None:
    assert interface_for("10.0.0.100", rows) == expected
