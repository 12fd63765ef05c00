# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods leave a node through the eviction API: asked side by side, asked again, waited for until they have gone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from . import drain
from .drain import Budget, DrainError, Duty, Held, Pod
from .errors import ApiError
from .kube_api import KubeApi

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0
# What a kubelet may need beyond a pod's grace period, to unmount and to say so.
ENDING_SECONDS = 60.0
# Asked again: another writer, a budget or an overloaded server, and a server's own troubles.
AGAIN = frozenset({409, 429, 500, 502, 503, 504})
CROWDED = "more than one PodDisruptionBudget"
ENDING_NAMESPACE = "NamespaceTerminating"
Object = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """How a node is drained. seconds: how long a refused eviction is tried again."""

    policy: str = "fail"
    seconds: float = 300.0
    grace: int | None = None
    unmanaged: str = "fail"


@dataclass(frozen=True)
class Clock:
    """The time, and how it passes."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(frozen=True)
class Look:
    """What the cluster says once and what is judged by it."""

    budgets: Sequence[Budget]
    daemon_sets: frozenset[str]

    @staticmethod
    def take(api: KubeApi) -> Look:
        """Read the budgets and the DaemonSets."""
        sets = api.list("/apis/apps/v1/daemonsets")
        return Look(budgets_of(api), frozenset(item["metadata"]["uid"] for item in sets))

    def duty(self, api: KubeApi, node: str) -> Duty:
        """The pods of this node, sorted."""
        found = api.list("/api/v1/pods", {"fieldSelector": f"spec.nodeName={node}"})
        return drain.duty([Pod.parse(raw) for raw in found], self.daemon_sets)


def budgets_of(api: KubeApi) -> list[Budget]:
    """All PodDisruptionBudgets."""
    return [Budget.parse(raw) for raw in api.list("/apis/policy/v1/poddisruptionbudgets")]


def evict(api: KubeApi, pod: Pod, grace: int | None) -> str:
    """Ask for the eviction of this very pod: "" when it leaves or has left, the refusal's words otherwise."""
    options: Object = {"preconditions": {"uid": pod.uid}, **_graceful(grace)}
    body: Object = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"namespace": pod.namespace, "name": pod.name},
        "deleteOptions": options,
    }
    path = f"{_pod_path(pod)}/eviction"
    response = api.raw("POST", path, body, retry=False)
    if response.status < 300 or response.status == 404:
        return ""
    message, causes = _words(response.body)
    if response.status in AGAIN or (response.status == 403 and ENDING_NAMESPACE in causes):
        return message or f"{response.status} {response.reason}"
    raise ApiError(
        f"The eviction of {pod.title} was answered with {response.status} {response.reason}",
        status=response.status,
        where=api.endpoint,
        found=message,
        next_step="Use the admin.conf of a control plane, and look at the webhooks that judge evictions",
    )


def delete(api: KubeApi, pod: Pod, grace: int | None) -> None:
    """Delete this very pod, whatever its budget says."""
    path = _pod_path(pod)
    body: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": pod.uid}, **_graceful(grace)}
    response = api.raw("DELETE", path, body)
    if response.status >= 300 and response.status not in (404, 409):
        message, _causes = _words(response.body)
        what = f"{pod.title} was not deleted: {response.status} {response.reason}"
        raise ApiError(what, status=response.status, where=api.endpoint, found=message)


def _pod_path(pod: Pod) -> str:
    return f"/api/v1/namespaces/{quote(pod.namespace, safe='')}/pods/{quote(pod.name, safe='')}"


def _graceful(grace: int | None) -> Object:
    return {} if grace is None else {"gracePeriodSeconds": grace}


def _words(body: bytes) -> tuple[str, list[str]]:
    """The message of a Status object and the reasons of its causes."""
    try:
        status = json.loads(body)
        causes = (status.get("details") or {}).get("causes") or []
        return str(status.get("message", "")), [str(cause.get("reason")) for cause in causes]
    except (ValueError, AttributeError):
        return body[:200].decode("utf-8", "replace"), []


class Emptying:
    """The pods of one cordoned node on their way out. A dry run asks once for each."""

    def __init__(self, api: KubeApi, node: str, look: Look, options: Options, clock: Clock) -> None:
        self.api = api
        self.node = node
        self.look = look
        self.options = options
        self.clock = clock
        self.until = clock.now() + options.seconds
        self.evicted: dict[str, str] = {}
        self.forced: dict[str, Held] = {}
        self.refusals: dict[str, str] = {}
        self._first: set[str] | None = None
        self._leave_by: dict[str, float] = {}

    def run(self) -> list[Held]:
        """Until all have gone. In a dry run: those whose eviction is refused now; a real run would try it again."""
        pause = FIRST_PAUSE
        while True:
            pods = self._left()
            if not pods:
                return []
            progress = self._round(pods)
            if self.api.dry_run:
                return self._held([pod for pod in pods if pod.uid in self.refusals])
            pause = FIRST_PAUSE if progress else min(2 * pause, LONGEST_PAUSE)
            self.clock.sleep(pause)

    def steps(self) -> list[str]:
        """What was done, in the words and the order that a dry run says it."""
        steps = sorted(f"evict {title}" for title in self.evicted.values())
        return steps + sorted(f"delete {row.pod} against its PDB {row.pdb}" for row in self.forced.values())

    def result(self) -> Object:
        """Who left, and how."""
        gone = sorted(title for uid, title in self.evicted.items() if uid not in self.refusals)
        return {"evicted": gone, "forced": [row.as_dict() for row in self.forced.values()]}

    def _left(self) -> list[Pod]:
        duty = self.look.duty(self.api, self.node)
        pods = [*duty.leaving, *duty.ending]
        pods += duty.unmanaged if self.options.unmanaged == "delete" else ()
        if self._first is None:
            self._first = {pod.uid for pod in pods}
        # A pod that the scheduler was just placing goes too. One that tolerates the cordon would come for ever.
        late = self.clock.now() >= self.until
        return [pod for pod in pods if pod.uid in self._first or not (late or pod.stays_put)]

    def _round(self, pods: list[Pod]) -> bool:
        """Ask for each that was not yet told to go; whether one more was."""
        told = len(self._leave_by)
        for pod in pods:
            if pod.terminating:
                self._told(pod)
            elif pod.uid not in self._leave_by:
                self._ask(pod)
        if not self.api.dry_run:
            self._judge(pods)
        return len(self._leave_by) > told

    def _ask(self, pod: Pod) -> None:
        refusal = evict(self.api, pod, self.options.grace)
        if refusal:
            self.refusals[pod.uid] = refusal
        else:
            self.refusals.pop(pod.uid, None)
        if not refusal or self.api.dry_run:
            self.evicted[pod.uid] = pod.title
            self._told(pod)

    def _told(self, pod: Pod) -> None:
        if pod.uid not in self._leave_by:
            asked = self.options.grace
            grace = pod.grace if asked is None or pod.terminating else max(asked, 0)
            self._leave_by[pod.uid] = max(self.until, self.clock.now() + grace + ENDING_SECONDS)

    def _judge(self, pods: list[Pod]) -> None:
        """End what cannot go on."""
        refused = [pod for pod in pods if pod.uid in self.refusals and pod.uid not in self._leave_by]
        now = self.clock.now()
        late = now >= self.until
        hopeless = [pod for pod in refused if late or CROWDED in self.refusals[pod.uid]]
        if hopeless and self.options.policy != "force":
            seconds = f" within {self.options.seconds:g} s" if late else ""
            raise self._given_up(f"{self.node} was not drained: evictions were refused{seconds}", self._held(hopeless))
        if late:
            for pod, row in zip(refused, self._held(refused)):
                delete(self.api, pod, self.options.grace)
                self.forced[pod.uid] = row
                self._told(pod)
        stuck = [pod for pod in pods if self._leave_by.get(pod.uid, now) < now]
        if stuck:
            rows = [drain.ending_row(self.node, pod) for pod in stuck]
            raise self._given_up(f"{self.node} was not drained: pods that were told to end are still there", rows)

    def _held(self, pods: list[Pod]) -> list[Held]:
        budgets = budgets_of(self.api) if pods else []
        return [drain.blocked_row(self.node, pod, budgets, self.refusals[pod.uid]) for pod in pods]

    def _given_up(self, what: str, rows: list[Held]) -> DrainError:
        return DrainError(what, where=f"node {self.node}", held=rows)
