# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters about the VIP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.quorum.kubeadm.plugins.module_utils import vip as core
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError


def vrid(address: str) -> int:
    """The VRRP router id that belongs to a VIP, 1 to 255."""
    try:
        return core.vrid(address)
    except KubeadmError as exc:
        raise AnsibleFilterError(str(exc)) from exc


def vip_interface(address: str, addresses: list[Mapping[str, Any]], chosen: str) -> str:
    """The interface that was chosen, else the one whose network holds the VIP, from node_info's addresses."""
    try:
        return chosen or core.interface_for(address, addresses) or ""
    except KubeadmError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Any]:
        """Names as Ansible looks them up."""
        return {"vrid": vrid, "vip_interface": vip_interface}
