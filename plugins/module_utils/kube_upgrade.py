# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade must know of the cluster: static pods, add-ons, and deprecated APIs that are asked for. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .findings import FATAL, WARNING, Finding
from .version import Version

Object = Mapping[str, Any]
METRIC = "apiserver_requested_deprecated_apis"
MIRROR = "kubernetes.io/config.mirror"
SERIES = re.compile(rf"^{METRIC}\{{([^}}]*)\}} (\S+)", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
RELEASE = re.compile(r"(\d{1,4})\.(\d{1,4})", re.ASCII)
# The order in which rows are told.
KEYS = ("group", "version", "resource", "subresource", "removed_release")
COUNTS = {
    "Deployment": ("replicas", "updatedReplicas", "readyReplicas"),
    "DaemonSet": ("desiredNumberScheduled", "updatedNumberScheduled", "numberReady"),
}


def control_plane_pods(pods: Iterable[Object]) -> dict[str, dict[str, str]]:
    """Node to component to image, from the mirror pods: what each kubelet says that it runs."""
    found: dict[str, dict[str, str]] = {}
    for pod in pods:
        metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
        component = (metadata.get("labels") or {}).get("component")
        node, containers = spec.get("nodeName"), spec.get("containers") or []
        if component and node and containers and MIRROR in (metadata.get("annotations") or {}):
            found.setdefault(str(node), {})[str(component)] = str(containers[0].get("image") or "")
    return {node: dict(sorted(images.items())) for node, images in sorted(found.items())}


def addon(kind: str, obj: Object | None) -> dict[str, Any] | None:
    """A Deployment or DaemonSet: its image, and how far its pods are; None when it is not there."""
    if obj is None:
        return None
    status, template = obj.get("status") or {}, ((obj.get("spec") or {}).get("template") or {}).get("spec") or {}
    containers = template.get("containers") or [{}]
    wanted, updated, ready = (int(status.get(key) or 0) for key in COUNTS[kind])
    if kind == "Deployment":
        # status.replicas counts old pods too, while they are being replaced.
        wanted = int((obj.get("spec") or {}).get("replicas", 1))
    seen = status.get("observedGeneration", 0) >= (obj.get("metadata") or {}).get("generation", 0)
    return {
        "image": str(containers[0].get("image") or ""),
        "wanted": wanted,
        "updated": updated,
        "ready": ready,
        "complete": bool(seen and wanted <= min(updated, ready)),
    }


def parse_deprecated(text: str) -> list[dict[str, str]]:
    """The deprecated APIs that one API server was asked for since it was started, from its /metrics."""
    rows = []
    for labels, value in SERIES.findall(text):
        if value not in ("0", "0.0"):
            known = dict(LABEL.findall(labels))
            rows.append({key: known.get(key, "") for key in KEYS})
    return rows


def merge_deprecated(by_endpoint: Mapping[str, Iterable[Mapping[str, str]]]) -> list[dict[str, Any]]:
    """Each API once, with the endpoints that were asked for it."""
    found: dict[tuple[str, ...], list[str]] = {}
    for endpoint, rows in by_endpoint.items():
        for row in rows:
            found.setdefault(tuple(row[key] for key in KEYS), []).append(endpoint)
    return [{**dict(zip(KEYS, row)), "endpoints": sorted(set(urls))} for row, urls in sorted(found.items())]


def _is_gone(removed_release: str, target: Version) -> bool:
    found = RELEASE.fullmatch(removed_release)
    return found is not None and (int(found[1]), int(found[2])) <= (target.major, target.minor)


def deprecated_findings(
    rows: Iterable[Mapping[str, Any]], target: Version, *, allow_deprecated: bool = False
) -> list[Finding]:
    """Clients that the target would break; each resource once. allow_deprecated: told, and no longer in the way."""
    found = set()
    for row in rows:
        release = str(row.get("removed_release") or "")
        if _is_gone(release, target):
            api = "/".join(part for part in (row.get("group"), row.get("version")) if part)
            text = f"clients still use {row.get('resource')} of {api}, which is removed in {release}"
            step = (
                "move them to the newer version: the API server's audit log (annotation k8s.io/deprecated) names them, "
                "and its restart forgets old requests; or set upgrade_allow_deprecated_apis: true"
            )
            found.add(Finding("", "deprecated-api", WARNING if allow_deprecated else FATAL, text, step))
    return sorted(found)
