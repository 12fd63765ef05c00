# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter: a Kubernetes version to the version of a component that belongs to it."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.versions import component


def release_component(kube_version: str, name: str) -> str:
    """The component's version or image tag for a Kubernetes version, for example pause for 1.36.3."""
    try:
        return component(kube_version, name)
    except KubeadmError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Any]:
        """Names as Ansible looks them up."""
        return {"release_component": release_component}
