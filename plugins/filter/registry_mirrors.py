# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters: registry mirrors to containerd's certs.d directories and hosts.toml files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

CERTS_D = "/etc/containerd/certs.d"
REGISTRY = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?|_default")


def _directory(registry: str) -> str:
    if not REGISTRY.fullmatch(registry):
        raise AnsibleFilterError(
            f"registry mirror: {registry[:80]!r} is no registry's name; use host or host:port, as in registry.k8s.io"
        )
    return f"{CERTS_D}/{registry}"


def mirror_directories(mirrors: Mapping[str, Any]) -> list[dict[str, str]]:
    """One directory for each registry, as host_config takes them."""
    return [{"path": _directory(registry)} for registry in sorted(mirrors)]


def _endpoint(endpoint: Mapping[str, Any]) -> list[str]:
    # A JSON string is a TOML basic string, so nothing that a user writes can leave its quotes.
    lines = ["", f"[host.{json.dumps(endpoint['url'])}]", '  capabilities = ["pull", "resolve"]']
    if endpoint.get("ca_file"):
        lines.append(f"  ca = {json.dumps(endpoint['ca_file'])}")
    if endpoint.get("skip_verify"):
        lines.append("  skip_verify = true")
    return lines


def mirror_files(mirrors: Mapping[str, Any]) -> list[dict[str, str]]:
    """One hosts.toml for each registry, as host_config takes them."""
    files = []
    for registry, mirror in sorted(mirrors.items()):
        lines = ["# Kept by quorum.kubeadm."]
        if registry != "_default":
            lines.append(f"server = {json.dumps(mirror.get('server', 'https://' + registry))}")
        for endpoint in mirror["endpoints"]:
            lines += _endpoint(endpoint)
        files.append({"path": f"{_directory(registry)}/hosts.toml", "content": "\n".join(lines) + "\n"})
    return files


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Any]:
        """Names as Ansible looks them up."""
        return {"mirror_directories": mirror_directories, "mirror_files": mirror_files}
