# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node leaves the API: its Node, its Lease, and of a dead machine the pods that nobody can end any more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from .drain import Pod
from .drain_evict import delete
from .errors import InputError, RefusedError
from .input_types import DNS
from .kube_api import KubeApi, node_path
from .kube_life import LEASES, SILENT_SECONDS, is_served, lease_age

Object = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """What the cluster has of one name."""

    name: str
    node: Object | None
    lease: Object | None
    pods: tuple[Pod, ...] = field(default=())


def find(api: KubeApi, name: str) -> Found:
    """Exactly what has this name, and the pods that are bound to it."""
    pods = api.list("/api/v1/pods", {"fieldSelector": f"spec.nodeName={name}"})
    return Found(name, api.find(node_path(name)), api.find(_lease_path(name)), tuple(map(Pod.parse, pods)))


def refuse(api: KubeApi, found: Found, *, drained: bool, dead: bool) -> None:
    """A node that serves is not deleted, unless it was taken out of service before."""
    if found.node is None:
        return
    served = _is_ready(found.node) and is_served(True, lease_age(found.lease, api.now()))
    if not served:
        if not (dead or drained):
            raise RefusedError(
                "Whether this node's machine is dead was not said; nothing was deleted",
                where=f"node {found.name}",
                found="it is not Ready",
                next_step="drain it, or say that it is dead: its pods are then deleted by force",
            )
        return
    cordoned = bool((found.node.get("spec") or {}).get("unschedulable"))
    if drained and cordoned and not dead:
        return
    raise RefusedError(
        "The node is served by a kubelet; nothing was deleted",
        where=f"node {found.name}",
        found=f"Ready, its Lease not older than {SILENT_SECONDS:g} s, {'cordoned' if cordoned else 'not cordoned'}",
        next_step="power the machine off when it is dead, or drain the node first (kube_drain) and say so with drained",
    )


def forget(api: KubeApi, name: str, *, drained: bool, dead: bool) -> Object:
    """Delete it; what was deleted, in order. Each object only when it is still the one that was looked at."""
    if not DNS.fullmatch(name):
        # An empty name would be the path of all nodes.
        raise InputError("This is no node's name", found=repr(name[:80]), next_step="give the exact name of one node")
    found = find(api, name)
    refuse(api, found, drained=drained, dead=dead)
    steps: list[str] = []
    if found.node is not None and api.delete(node_path(name), found.node["metadata"]["uid"]):
        steps.append(f"delete the Node {name}")
    if found.lease is not None and api.delete(_lease_path(name), found.lease["metadata"]["uid"]):
        steps.append(f"delete the Lease {name}")
    forced = found.pods if dead else ()
    for pod in sorted(forced, key=lambda pod: pod.title):
        delete(api, pod, 0)
        steps.append(f"delete the pod {pod.title} by force")
    titles = sorted(pod.title for pod in forced)
    return {
        "changed": bool(steps),
        "steps": steps,
        "forced": titles,
        "left": sorted(pod.title for pod in found.pods if pod.title not in titles),
        "diff": _diff(name, found, forced),
    }


def _diff(name: str, found: Found, forced: tuple[Pod, ...]) -> Object:
    there = [f"Node {name}"] * (found.node is not None) + [f"Lease {name}"] * (found.lease is not None)
    there += sorted(f"Pod {pod.title}" for pod in forced)
    return {"before": "".join(f"{line}\n" for line in there), "after": ""}


def _is_ready(node: Object) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)


def _lease_path(name: str) -> str:
    return f"{LEASES}/{quote(name, safe='')}"
