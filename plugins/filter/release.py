# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters: a Kubernetes version to what belongs to it, and to where that is published."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.quorum.kubeadm.plugins.module_utils import publishers, versions
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError


def _told(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except KubeadmError as exc:
        raise AnsibleFilterError(str(exc)) from exc


def release_component(kube_version: str, name: str) -> str:
    """The component's version or image tag for a Kubernetes version, for example pause for 1.36.3."""
    return str(_told(versions.component, kube_version, name))


def release_downloads(
    kube_version: str,
    arch: str,
    roles: list[str],
    *,
    packaged: bool = False,
    base: str = "",
    checksums: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """What hosts with these roles fetch, as release_files takes it."""
    rows: list[dict[str, Any]] = _told(
        publishers.files_of, kube_version, arch, roles, packaged=packaged, base=base, checksums=checksums
    )
    return rows


def release_images(kube_version: str, roles: list[str], repository: str = "registry.k8s.io") -> list[str]:
    """The references of the images that hosts with these roles need; machines for etcd alone need none."""
    if not publishers.takes_packages(roles):
        return []
    found: list[str] = _told(versions.images, kube_version, "control_plane" in roles, repository)
    return found


def release_repository(kube_version: str, kind: str, base: str = "") -> dict[str, Any]:
    """The url and the key_urls of the repository with Kubernetes' packages."""
    found: dict[str, Any] = _told(publishers.repository_of, kube_version, kind, base)
    return found


def release_logins(logins: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Host -> username and secret_b64, from host -> username and password."""
    try:
        return {
            host: {
                "username": str(login["username"]),
                "secret_b64": base64.b64encode(str(login["password"]).encode()).decode(),
            }
            for host, login in logins.items()
        }
    except (KeyError, TypeError, AttributeError) as exc:
        raise AnsibleFilterError("a login needs username and password, under the host's name") from exc


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Any]:
        """Names as Ansible looks them up."""
        return {
            "release_component": release_component,
            "release_downloads": release_downloads,
            "release_images": release_images,
            "release_logins": release_logins,
            "release_repository": release_repository,
        }
