# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters: registry mirrors to containerd's certs.d directories and hosts.toml files."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

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


def _ca_path(registry: str, number: int) -> str:
    return f"{_directory(registry)}/ca-{number}.pem"


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def _endpoint(endpoint: Mapping[str, Any], ca_path: str, login: Mapping[str, str] | None) -> list[str]:
    # A JSON string is a TOML basic string, so nothing that a user writes can leave its quotes.
    host = f"host.{json.dumps(endpoint['url'])}"
    lines = ["", f"[{host}]", '  capabilities = ["pull", "resolve"]']
    if endpoint.get("ca") or endpoint.get("ca_file"):
        lines.append(f"  ca = {json.dumps(ca_path if endpoint.get('ca') else endpoint['ca_file'])}")
    if endpoint.get("skip_verify"):
        lines.append("  skip_verify = true")
    if login:
        text = base64.b64encode(f"{login['username']}:{login['password']}".encode()).decode()
        lines += [f"  [{host}.header]", f"    Authorization = [{json.dumps(f'Basic {text}')}]"]
    return lines


def mirror_files(
    mirrors: Mapping[str, Any], logins: Mapping[str, Mapping[str, str]] | None = None
) -> list[dict[str, str]]:
    """One hosts.toml for each registry, and the certificates that endpoints bring, as host_config takes them.

    logins: host, with its port where the URL has one, to username and password. A file with a login is a secret.
    """
    files = []
    for registry, mirror in sorted(mirrors.items()):
        lines, secret = ["# Kept by quorum.kubeadm."], False
        if registry != "_default":
            lines.append(f"server = {json.dumps(mirror.get('server', 'https://' + registry))}")
        for number, endpoint in enumerate(mirror["endpoints"]):
            login = (logins or {}).get(_host_of(str(endpoint["url"])))
            lines += _endpoint(endpoint, _ca_path(registry, number), login)
            secret = secret or bool(login)
            if endpoint.get("ca"):
                files.append({"path": _ca_path(registry, number), "content": endpoint["ca"]})
        text, path = "\n".join(lines) + "\n", f"{_directory(registry)}/hosts.toml"
        content = {"secret_b64": base64.b64encode(text.encode()).decode()} if secret else {"content": text}
        files.append({"path": path, **content})
    return files


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Any]:
        """Names as Ansible looks them up."""
        return {"mirror_directories": mirror_directories, "mirror_files": mirror_files}
