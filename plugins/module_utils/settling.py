# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When is a node that was restarted back for good? When everything on it has answered for a while without a change.

The kubelet starts static pods again late, and more than once: one good look proves nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .errors import CommandError

PAUSE = 0.5
MIRROR = "kubernetes.io/config.mirror"


@dataclass(frozen=True)
class Seen:
    """One look. lacks: what is not as it should be, in words. processes: program to process numbers.

    late: what has to be there in the end and comes by itself, so that the good time may begin before.
    """

    lacks: tuple[str, ...] = ()
    processes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    late: tuple[str, ...] = ()


def node_lacks(node: Mapping[str, Any], version: str, since: float) -> list[str]:
    """Why the Node object is not that of a kubelet of this version which has reported since then (epoch)."""
    status = node.get("status") or {}
    runs = str((status.get("nodeInfo") or {}).get("kubeletVersion") or "").lstrip("v")
    conditions: list[Mapping[str, Any]] = status.get("conditions") or []
    ready: Mapping[str, Any] = next((entry for entry in conditions if entry.get("type") == "Ready"), {})
    lacks = []
    if runs != version:
        lacks.append(f"the node's kubelet is {runs or 'unknown'}, not {version}")
    if ready.get("status") != "True":
        lacks.append(f"the node is not Ready: {ready.get('message') or 'unknown'}")
    elif _epoch(ready.get("lastHeartbeatTime")) < int(since):
        lacks.append("the kubelet has not reported since its restart")
    return lacks


def _mirrors(pods: list[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The static pods as the API shows them, by component."""
    mirrors = {}
    for pod in pods:
        metadata = pod.get("metadata") or {}
        if MIRROR in (metadata.get("annotations") or {}):
            mirrors[str((metadata.get("labels") or {}).get("component", ""))] = pod
    return mirrors


def pods_lack(pods: list[Mapping[str, Any]], images: Mapping[str, str]) -> list[str]:
    """Why the API does not show the static pods with these images (component to image)."""
    mirrors, lacks = _mirrors(pods), []
    for component, image in images.items():
        containers = ((mirrors.get(component) or {}).get("spec") or {}).get("containers") or [{}]
        shown = containers[0].get("image")
        if shown != image:
            lacks.append(f"{component} is shown with {shown or 'no image'}, not {image}")
    return lacks


def pods_unready(pods: list[Mapping[str, Any]], images: Mapping[str, str]) -> list[str]:
    """Static pods that the API does not show as ready. The kubelet first looks at their startup probes after 10 s."""
    mirrors = _mirrors(pods)
    return [f"{name} is not shown as ready" for name in images if not _is_ready(mirrors.get(name) or {})]


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)


def _epoch(text: Any) -> float:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0


def _replaced(before: Mapping[str, tuple[int, ...]], now: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    return tuple(f"{name} was started again" for name in sorted(now) if name in before and now[name] != before[name])


def settle(
    look: Callable[[], Seen],
    stable: float,
    timeout: float,
    why: Callable[[], str],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Look until nothing has been lacking, no process has been another one for `stable` seconds, and nothing is late.

    Returns the seconds until the good time began. CommandError with what was lacking last when it does not come.
    """
    began = clock()
    since = began
    before: Mapping[str, tuple[int, ...]] | None = None
    lacks: tuple[str, ...] = ("nothing was seen",)
    while True:
        seen = look()
        now = clock()
        lacks = seen.lacks or _replaced(before or {}, seen.processes) or seen.late or lacks
        if seen.lacks:
            before = None
        elif seen.processes != before:
            since, before = now, seen.processes
        if not seen.lacks and not seen.late and now - since >= stable:
            return round(since - began, 1)
        if now - began >= timeout + (0 if seen.lacks else stable):
            raise CommandError(
                f"the node has not settled within {timeout:.0f} s",
                where="kubelet and static pods",
                found="; ".join(lacks) + "\n" + why(),
                next_step="mend what is named and run the same playbook again: it goes on with this node",
            )
        sleep(PAUSE)
