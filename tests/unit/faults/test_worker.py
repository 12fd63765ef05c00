# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of many more workers."""

from __future__ import annotations

import ipaddress
from typing import Any

from tests.faults.worker import MORE, more_workers


def test_each_of_the_many_has_an_address_of_its_own_where_nobody_is() -> None:
    children: dict[str, Any] = {"kube_node": {"hosts": {"w1": {"ansible_host": "10.0.0.1"}}}}
    more_workers(children)
    added = {name: ipaddress.ip_address(one["ansible_host"]) for name, one in children["kube_node"]["hosts"].items()}
    assert added.pop("w1")
    assert len(set(added.values())) == len(added) == MORE
    assert all(address.is_private and not address.is_loopback for address in added.values())
