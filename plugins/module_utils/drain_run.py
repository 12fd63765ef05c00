# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes nodes out of service and back: cordon, evict, uncordon; what cannot go on leaves no cordon of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import drain
from .drain import DrainError, Duty, Held
from .drain_evict import Clock, Emptying, Look, Options, evict
from .errors import ApiError, KubeadmError, RefusedError
from .kube_api import KubeApi, node_path

TRIES = 5
Object = dict[str, Any]


def node_of(api: KubeApi, name: str) -> Object:
    """The node with exactly this name."""
    node = api.find(node_path(name))
    if node is None:
        step = "Correct the name; kubectl get nodes lists them"
        raise RefusedError("The cluster does not have this node", where=api.endpoint, found=name, next_step=step)
    return node


def settle(api: KubeApi, name: str, plan: Callable[[Mapping[str, Any]], Object | None]) -> tuple[Object, bool]:
    """Patch the node as planned; the node then, and whether something changed."""
    for attempt in range(1, TRIES + 1):
        node = node_of(api, name)
        patch = plan(node)
        if patch is None:
            return node, False
        try:
            return api.patch(node_path(name), patch), True
        except ApiError as exc:
            # The kubelet and the node controller change nodes all the time: plan again from what is there.
            if exc.status != 409 or attempt == TRIES:
                raise
    raise AssertionError("unreachable")


def refuse(node: str, pods: Duty, look: Look, options: Options) -> None:
    """What is known to fail is refused before anything changes."""
    alone = pods.unmanaged if options.unmanaged == "fail" else ()
    rows = [drain.unmanaged_row(node, pod) for pod in alone]
    if options.policy != "force":
        moving = pods.leaving + (pods.unmanaged if options.unmanaged == "delete" else ())
        rows += [row for pod in moving if (row := drain.crowded_row(node, pod, look.budgets))]
    if rows:
        raise DrainError(f"{node} cannot be drained; no pod was evicted", where=f"node {node}", held=rows)


def drained(api: KubeApi, name: str, options: Options, clock: Clock) -> Object:
    """Cordon and empty the node. Whatever fails, a cordon of ours is taken away again."""
    perhaps_ours = drain.is_ours(node_of(api, name))
    look = Look.take(api)
    emptying = Emptying(api, name, look, options, clock)
    steps: list[str] = []
    try:
        refuse(name, look.duty(api, name), look, options)
        # From here on: the answer may be lost although the cordon is stored.
        perhaps_ours = True
        node, cordoned = settle(api, name, drain.cordon_patch)
        steps += [f"cordon {name}"] if cordoned else []
        held = emptying.run()
    except KubeadmError as exc:
        back = perhaps_ours and put_back(api, name, exc)
        if isinstance(exc, DrainError):
            steps += emptying.steps() + ([f"uncordon {name}"] if back else [])
            exc.done = {"changed": bool(steps), "steps": steps, **emptying.result()}
        raise
    steps += emptying.steps()
    blocked = [row.as_dict() for row in held]
    changes: Object = {"changed": bool(steps), "steps": steps, "kept_cordoned": not drain.is_ours(node)}
    return {**changes, **emptying.result(), "blocked": blocked}


def marked(api: KubeApi, name: str, state: str) -> Object:
    """Cordon the node, or take our own cordon away."""
    plan = drain.cordon_patch if state == "cordoned" else drain.uncordon_patch
    node, changed = settle(api, name, plan)
    steps = [f"{state[:-2]} {name}"] if changed else []
    kept = drain.is_cordoned(node) and not drain.is_ours(node)
    return {"changed": changed, "steps": steps, "kept_cordoned": kept}


def put_back(api: KubeApi, node: str, error: KubeadmError) -> bool:
    """After a failure: take our own cordon away, and say so in the error when that is not possible."""
    try:
        return settle(api, node, drain.uncordon_patch)[1]
    except KubeadmError as exc:
        error.next_step += f". {node} is still cordoned ({exc.what}): run this again, or kubectl uncordon {node}"
        return False


def check(api: KubeApi, names: Sequence[str], options: Options) -> list[Held]:
    """What would hold the pods of these nodes now. The API has to be in dry run."""
    for name in names:
        node_of(api, name)
    look, rows = Look.take(api), []
    for name in names:
        pods = look.duty(api, name)
        moving = pods.leaving
        if options.unmanaged == "delete":
            moving += pods.unmanaged
        else:
            rows += [drain.unmanaged_row(name, pod) for pod in pods.unmanaged]
        for pod in moving:
            refusal = evict(api, pod, options.grace)
            if refusal:
                rows.append(drain.blocked_row(name, pod, look.budgets, refusal))
    return rows
