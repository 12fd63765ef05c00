# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter: the inputs of role etcd to the file with etcd's constant configuration."""

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


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Any]:
        """Names as Ansible looks them up."""
        return {"etcd_environment": etcd_environment}
