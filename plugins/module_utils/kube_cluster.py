# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster as the API shows it, in the collection's own words. Pure: objects in, plain values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from . import tokens
from .drain import ANNOTATION
from .errors import InputError
from .kubeconfig import load_yaml

Object = Mapping[str, Any]
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_ZONE = "topology.kubernetes.io/zone"


def node(obj: Object) -> dict[str, Any]:
    """One node."""
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    labels = metadata.get("labels") or {}
    conditions = {entry["type"]: _condition(entry) for entry in status.get("conditions") or []}
    return {
        "name": metadata["name"],
        "role": "control_plane" if _CONTROL_PLANE in labels else "worker",
        "ready": conditions.get("Ready", {}).get("status") == "True",
        "kubelet_version": str((status.get("nodeInfo") or {}).get("kubeletVersion", "")).lstrip("v"),
        "addresses": [{"type": entry["type"], "address": entry["address"]} for entry in status.get("addresses") or []],
        "zone": labels.get(_ZONE, ""),
        "labels": dict(labels),
        "taints": [
            {"key": taint["key"], "value": taint.get("value", ""), "effect": taint["effect"]}
            for taint in spec.get("taints") or []
        ],
        "unschedulable": bool(spec.get("unschedulable")),
        "cordoned": ANNOTATION in (metadata.get("annotations") or {}),
        "conditions": conditions,
    }


def _condition(entry: Object) -> dict[str, str]:
    keys = {"status": "status", "reason": "reason", "message": "message", "since": "lastTransitionTime"}
    return {ours: str(entry.get(theirs) or "") for ours, theirs in keys.items()}


def bootstrap_tokens(secrets: Iterable[Object], now: datetime) -> list[dict[str, Any]]:
    """IDs and expiries of tokens, never the tokens. One whose Secret is malformed is no token to the API server."""
    found = []
    for secret in secrets:
        try:
            token = tokens.from_secret(secret)
        except InputError:
            continue
        expires = tokens.format_time(token.expires) if token.expires else ""
        words = {"token_id": token.token_id, "expires": expires, "description": token.description}
        found.append({**words, "expired": token.expired(now), "usages": list(token.usages)})
    return sorted(found, key=lambda entry: str(entry["token_id"]))


def cluster_configuration(config_map: Object | None) -> dict[str, Any] | None:
    """kubeadm's ClusterConfiguration from ConfigMap kubeadm-config; None without one, or when it cannot be read."""
    text = ((config_map or {}).get("data") or {}).get("ClusterConfiguration")
    try:
        value = load_yaml(text) if text else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
