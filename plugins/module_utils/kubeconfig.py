# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubeconfig files: the server, whom to trust, and who we are."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .block_yaml import BlockYamlError, loads
from .errors import InputError

# A path from a kubeconfig -> that file's text.
Read = Callable[[str], str]

_FETCH = "Copy /etc/kubernetes/admin.conf from a control plane"
# Each of these would make the connection something else than a verified one with the credentials in the file.
_UNSUPPORTED = {
    "cluster": {
        "insecure-skip-tls-verify": "Put the cluster's CA into certificate-authority-data",
        "proxy-url": "Set kube_api_via to a host that reaches the API without a proxy",
    },
    "user": {
        "exec": "Use a kubeconfig with a client certificate or a token",
        "auth-provider": "Use a kubeconfig with a client certificate or a token",
        "username": "Use a kubeconfig with a client certificate or a token",
    },
}


@dataclass(frozen=True)
class KubeConfig:
    """What the current context of a kubeconfig says. PEM texts are empty when the file has none."""

    source: str
    server: str
    ca_pem: str = ""
    client_cert_pem: str = ""
    client_key_pem: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    tls_server_name: str = ""


def load(path: str) -> KubeConfig:
    """Read a kubeconfig and the files that it names."""
    base = os.path.dirname(os.path.abspath(path))

    def read(name: str) -> str:
        full = os.path.join(base, name)
        try:
            with open(full, encoding="utf-8") as stream:
                return stream.read()
        except (OSError, UnicodeDecodeError) as exc:
            raise InputError("The kubeconfig cannot be read", where=full, found=str(exc), next_step=_FETCH) from exc

    return parse(read(os.path.basename(path)), path, read)


def parse(text: str, source: str, read: Read) -> KubeConfig:
    """Turn a kubeconfig's text into the values of its current context."""
    tree = _tree(text, source)
    if not isinstance(tree, Mapping):
        raise InputError("The kubeconfig is empty or not a mapping", where=source, next_step=_FETCH)
    context = _named(tree, "contexts", "context", tree.get("current-context"), source)
    cluster = _named(tree, "clusters", "cluster", context.get("cluster"), source)
    user = _named(tree, "users", "user", context.get("user"), source)
    _refuse_unsupported("cluster", cluster, source)
    _refuse_unsupported("user", user, source)
    if not cluster.get("server"):
        raise InputError("The kubeconfig names no server", where=source, next_step=_FETCH)
    token = str(user.get("token") or "")
    if not token and user.get("tokenFile"):
        token = read(str(user["tokenFile"])).strip()
    return KubeConfig(
        source=source,
        server=str(cluster["server"]),
        ca_pem=_pem(cluster, "certificate-authority", source, read),
        client_cert_pem=_pem(user, "client-certificate", source, read),
        client_key_pem=_pem(user, "client-key", source, read),
        token=token,
        tls_server_name=str(cluster.get("tls-server-name") or ""),
    )


def load_yaml(text: str) -> Any:
    """Read JSON or YAML. PyYAML is needed only for what Kubernetes' own programs never write. Raises ValueError."""
    if text.lstrip().startswith("{"):
        return json.loads(text)
    try:
        return loads(text)
    except BlockYamlError as exc:
        return _with_pyyaml(text, exc)


def _with_pyyaml(text: str, reason: BlockYamlError) -> Any:
    try:
        import yaml  # noqa: PLC0415 - it may be missing, and is rarely needed
    except ImportError:
        raise reason from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as exc:
        # PyYAML's message would quote the line, which may be a key.
        mark = getattr(exc, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else "unknown line"
        raise ValueError(f"{place}: not YAML") from None


def _tree(text: str, source: str) -> Any:
    try:
        return load_yaml(text)
    except ValueError as exc:
        # JSON's error would carry the document with it.
        found = "not JSON" if isinstance(exc, json.JSONDecodeError) else str(exc)
        hint = "Copy /etc/kubernetes/admin.conf from a control plane, or install PyYAML where this runs"
        raise InputError("The kubeconfig cannot be understood", where=source, found=found, next_step=hint) from None


def _named(tree: Mapping[str, Any], group: str, kind: str, name: Any, source: str) -> Mapping[str, Any]:
    entries = tree.get(group)
    found = [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []
    for entry in found:
        if name and entry.get("name") == name and isinstance(entry.get(kind), Mapping):
            value: Mapping[str, Any] = entry[kind]
            return value
    known = ", ".join(str(entry.get("name")) for entry in found) or "none"
    raise InputError(
        f"The kubeconfig has no {kind} {name!r}", where=source, found=f"{group}: {known}", next_step=_FETCH
    )


def _refuse_unsupported(kind: str, value: Mapping[str, Any], source: str) -> None:
    for key, hint in _UNSUPPORTED[kind].items():
        if value.get(key):
            raise InputError(
                f"The kubeconfig's {kind} uses {key}, which is not supported", where=source, next_step=hint
            )


def _pem(value: Mapping[str, Any], key: str, source: str, read: Read) -> str:
    data = value.get(f"{key}-data")
    if data:
        try:
            return base64.b64decode(str(data), validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            where = f"{source}, {key}-data"
            raise InputError("The kubeconfig holds data that is not base64 of PEM", where=where) from None
    return read(str(value[key])) if value.get(key) else ""
