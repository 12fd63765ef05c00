# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters: the inputs of role etcd to the file with etcd's constant configuration, and addresses to URLs of members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_settings
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError


def etcd_environment(inputs: Mapping[str, Any]) -> str:
    """The file's text. Every value that cannot be used is named in one error."""
    try:
        return etcd_settings.env_file(etcd_settings.environment(etcd_settings.etcd_inputs(inputs)))
    except KubeadmError as exc:
        raise AnsibleFilterError(str(exc)) from exc


def etcd_peer_urls(addresses: Mapping[str, str]) -> dict[str, str]:
    """Name to peer URL, from name to address: members as etcd_initial_members takes them."""
    return {name: etcd_settings.url(address, etcd_settings.PEER_PORT) for name, address in addresses.items()}


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Any]:
        """Names as Ansible looks them up."""
        return {"etcd_environment": etcd_environment, "etcd_peer_urls": etcd_peer_urls}
