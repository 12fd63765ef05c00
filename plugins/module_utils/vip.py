# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual address of the API: its VRRP router id and the interface it belongs on."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import InputError

# 0 is reserved by VRRP, and a VIP may end in .0 in a network larger than /24.
ID_FOR_ZERO = 255


def _ipv4(vip: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(vip)
    except ValueError as exc:
        raise InputError(
            "the VIP is not an IPv4 address",
            where="kube_vip",
            found=repr(vip)[:60],
            next_step="write it like 192.0.2.10",
        ) from exc


def vrid(vip: str) -> int:
    """The VRRP router id for a VIP: its last octet, so that two clusters on a segment differ as their VIPs do."""
    return _ipv4(vip).packed[-1] or ID_FOR_ZERO


def interface_for(vip: str, addresses: Iterable[Mapping[str, Any]]) -> str | None:
    """The interface whose network holds the VIP, from node_info's addresses; the narrowest network wins.

    An address of the VIP itself counts last: it is there only while this machine holds the VIP.
    """
    wanted = _ipv4(vip)
    found = []
    for entry in addresses:
        if int(entry["family"]) != 4 or int(entry["prefix"]) >= 32:
            continue
        network = ipaddress.IPv4Network(f"{entry['address']}/{entry['prefix']}", strict=False)
        if wanted in network:
            found.append((str(entry["address"]) == vip, -network.prefixlen, str(entry["interface"])))
    return min(found)[2] if found else None
