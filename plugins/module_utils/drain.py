# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods leave a node when it is drained, and what holds those that do not. Pods and PDBs in, words out. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .errors import KubeadmError

# Remembers, on the node, that we cordoned it: what an administrator cordoned stays cordoned.
ANNOTATION = "quorum.kubeadm/cordoned"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
MIRROR = "kubernetes.io/config.mirror"
DEFAULT_GRACE = 30.0
SHOWN = 10


@dataclass(frozen=True)
class Pod:
    """A pod as far as a drain looks at it. `controller` is "" when nothing would make it again."""

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str] = field(default_factory=dict)
    controller: str = ""
    daemon: str = ""
    mirror: bool = False
    phase: str = "Running"
    terminating: bool = False
    ready: bool = True
    grace: float = DEFAULT_GRACE
    stays_put: bool = False
    finalizers: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}"

    @property
    def finished(self) -> bool:
        """Whether its containers have ended for good."""
        return self.phase in ("Succeeded", "Failed")

    @staticmethod
    def parse(raw: Mapping[str, Any]) -> Pod:
        """Parse a Pod object of the API. `daemon` is the UID of the DaemonSet that it says it belongs to."""
        meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
        owner: Mapping[str, Any] = next((ref for ref in meta.get("ownerReferences") or [] if ref.get("controller")), {})
        daemon = owner.get("kind") == "DaemonSet" and str(owner.get("apiVersion")).startswith("apps/")
        grace = meta.get("deletionGracePeriodSeconds")
        grace = spec.get("terminationGracePeriodSeconds") if grace is None else grace
        return Pod(
            namespace=meta["namespace"],
            name=meta["name"],
            uid=meta["uid"],
            labels=meta.get("labels") or {},
            controller=f"{owner['kind']} {owner['name']}" if owner else "",
            daemon=str(owner["uid"]) if daemon else "",
            mirror=MIRROR in (meta.get("annotations") or {}),
            phase=str(status.get("phase") or "Pending"),
            terminating=bool(meta.get("deletionTimestamp")),
            ready=any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or []),
            grace=DEFAULT_GRACE if grace is None else float(grace),
            stays_put=any(_tolerates_cordon(entry) for entry in spec.get("tolerations") or []),
            finalizers=tuple(meta.get("finalizers") or ()),
        )


def _tolerates_cordon(toleration: Mapping[str, Any]) -> bool:
    key, effect = toleration.get("key") or "", toleration.get("effect") or "NoSchedule"
    everything = not key and toleration.get("operator") == "Exists"
    return effect == "NoSchedule" and (everything or key == UNSCHEDULABLE)


@dataclass(frozen=True)
class Budget:
    """A PodDisruptionBudget and its controller's last word. `selector` is None when it selects nothing."""

    namespace: str
    name: str
    selector: Mapping[str, Any] | None
    allowed: int = 0
    healthy: int = 0
    desired: int = 0
    expected: int = 0
    current: bool = True
    trouble: str = ""

    @property
    def title(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}"

    @property
    def numbers(self) -> str:
        """The numbers behind its answer."""
        plural = "" if self.allowed == 1 else "s"
        return (
            f"allows {self.allowed} disruption{plural}: {self.healthy} of {self.expected} pods healthy, "
            f"{self.desired} needed"
        )

    @staticmethod
    def parse(raw: Mapping[str, Any]) -> Budget:
        """Parse a PodDisruptionBudget object of the API."""
        meta, status = raw["metadata"], raw.get("status") or {}
        failed = [c for c in status.get("conditions") or [] if c.get("reason") == "SyncFailed"]
        return Budget(
            namespace=meta["namespace"],
            name=meta["name"],
            selector=(raw.get("spec") or {}).get("selector"),
            allowed=status.get("disruptionsAllowed") or 0,
            healthy=status.get("currentHealthy") or 0,
            desired=status.get("desiredHealthy") or 0,
            expected=status.get("expectedPods") or 0,
            current=(status.get("observedGeneration") or 0) >= (meta.get("generation") or 0),
            trouble=str(failed[0].get("message") or "SyncFailed") if failed else "",
        )

    def covers(self, pod: Pod) -> bool:
        """Whether it selects the pod."""
        if self.selector is None or pod.namespace != self.namespace:
            return False
        exact = self.selector.get("matchLabels") or {}
        rules = self.selector.get("matchExpressions") or []
        return all(pod.labels.get(key) == value for key, value in exact.items()) and all(
            _fits(rule, pod.labels) for rule in rules
        )


def _fits(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = rule["key"], rule.get("values") or []
    return {
        "In": key in labels and labels[key] in values,
        "NotIn": key not in labels or labels[key] not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[rule["operator"]]


@dataclass(frozen=True)
class Held:
    """A pod that cannot leave, and why."""

    node: str
    pod: str
    pdb: str
    found: str
    next: str

    def as_dict(self) -> dict[str, str]:
        """For a result."""
        return asdict(self)


class DrainError(KubeadmError):
    """A drain that was given up. Carries what had been done until then."""

    def __init__(self, what: str, *, where: str, held: Sequence[Held]) -> None:
        found = [f"{row.pod}: {row.found}" for row in held[:SHOWN]]
        more = [f"and {len(held) - SHOWN} more pods"] if len(held) > SHOWN else []
        steps = list(dict.fromkeys(row.next for row in held[:SHOWN]))
        super().__init__(what, where=where, found="; ".join(found + more), next_step=". ".join(steps))
        self.held = tuple(held)
        self.done: dict[str, Any] = {}

    def result(self) -> dict[str, object]:
        """The error, the pods that are held, and what had been done."""
        return {**super().result(), **self.done, "blocked": [row.as_dict() for row in self.held]}


@dataclass(frozen=True)
class Duty:
    """The pods of one node: who is evicted, who is only waited for, and who nothing would bring back."""

    leaving: tuple[Pod, ...]
    ending: tuple[Pod, ...]
    unmanaged: tuple[Pod, ...]


def duty(pods: Collection[Pod], daemon_sets: Collection[str]) -> Duty:
    """Sort the pods of a node. daemon_sets: UIDs of those that exist. Their pods, mirror and finished pods stay."""
    moves = [pod for pod in pods if not (pod.mirror or pod.finished or (pod.daemon and pod.daemon in daemon_sets))]
    moves.sort(key=lambda pod: pod.title)
    alive = [pod for pod in moves if not pod.terminating]
    # A pod of a DaemonSet that is gone is nobody's.
    alone = [pod for pod in alive if not pod.controller or pod.daemon]
    return Duty(
        leaving=tuple(pod for pod in alive if pod not in alone),
        ending=tuple(pod for pod in moves if pod.terminating),
        unmanaged=tuple(alone),
    )


def unmanaged_row(node: str, pod: Pod) -> Held:
    """Why a pod that nothing would bring back is not evicted without being asked to."""
    found = "its DaemonSet is gone" if pod.daemon else "no controller would bring it back"
    step = "Delete it, give it a controller, or allow its loss with unmanaged: delete"
    return Held(node, pod.title, "", found, step)


def crowded_row(node: str, pod: Pod, budgets: Sequence[Budget]) -> Held | None:
    """The API refuses to evict a pod with two budgets, whatever they allow. One that has not started needs none."""
    covering = [budget for budget in budgets if budget.covers(pod)]
    return blocked_row(node, pod, budgets) if len(covering) > 1 and pod.phase != "Pending" else None


def blocked_row(node: str, pod: Pod, budgets: Sequence[Budget], answer: str = "") -> Held:
    """What holds a pod whose eviction was refused. answer: the API server's own words."""
    covering = [budget for budget in budgets if budget.covers(pod)]
    names = ", ".join(budget.title for budget in covering)
    if len(covering) > 1:
        found = f"more than one PDB covers it ({names}), and the API never evicts such a pod"
        return Held(node, pod.title, names, found, "Leave one PDB for each pod: narrow the selectors")
    if not covering:
        return Held(
            node, pod.title, "", f"the API said: {answer}", "Remove what refuses the eviction, and run this again"
        )
    (budget,) = covering
    reason, step = _why(budget, pod)
    return Held(node, pod.title, names, f"PDB {names} {budget.numbers}{reason}", step)


def _why(budget: Budget, pod: Pod) -> tuple[str, str]:
    missing = budget.expected - budget.healthy
    spare = budget.expected - budget.desired
    if budget.trouble:
        return f"; its controller failed: {budget.trouble}", "Correct the PDB or the owner of its pods"
    if not budget.current:
        return "; its controller has not looked since it changed", "See that kube-controller-manager runs"
    if budget.allowed > 0:
        return "", "Run this again: it allows a disruption by now"
    if spare < 1:
        step = f"Give the app one replica more, or let PDB {budget.title} lose one (policy: force overrules it)"
        return "; it never allows any", step
    if missing > 0:
        own = ", this pod among them" if not pod.ready else ""
        step = f"Repair or wait for the app's other pods: kubectl -n {budget.namespace} get pods"
        return f"; {missing} not ready now{own}, with all ready it would allow {spare}", step
    return "", "Run this again: its pods are healthy by now"


def ending_row(node: str, pod: Pod) -> Held:
    """A pod that was told to end and is still there."""
    holds = f", held by finalizers {', '.join(pod.finalizers)}" if pod.finalizers else ""
    step = f"Look at the kubelet on {node} and at the pod: kubectl -n {pod.namespace} describe pod {pod.name}"
    return Held(node, pod.title, "", f"told to end, but it is still there{holds}", step)


def is_ours(node: Mapping[str, Any]) -> bool:
    """Whether we cordoned the node."""
    return ANNOTATION in (node["metadata"].get("annotations") or {})


def is_cordoned(node: Mapping[str, Any]) -> bool:
    """Whether new pods are kept off the node."""
    return bool((node.get("spec") or {}).get("unschedulable"))


def cordon_patch(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """The patch that cordons and remembers it; None for a node that is cordoned, whoever did it."""
    return None if is_cordoned(node) else _patch(node, "true", True)


def uncordon_patch(node: Mapping[str, Any]) -> dict[str, Any] | None:
    """The patch that takes our cordon away; None when there is none of ours."""
    return _patch(node, None, None) if is_ours(node) else None


def _patch(node: Mapping[str, Any], note: str | None, unschedulable: bool | None) -> dict[str, Any]:
    version = node["metadata"]["resourceVersion"]
    return {
        "metadata": {"annotations": {ANNOTATION: note}, "resourceVersion": version},
        "spec": {"unschedulable": unschedulable},
    }
