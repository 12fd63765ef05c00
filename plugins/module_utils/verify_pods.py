# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe pods: does the network carry what pods send? From pod to pod, through a Service, by its name in DNS.

The pods stand on nodes chosen here, not by the scheduler, so that a full or tainted cluster can be probed as well.
They are asked through the API server's proxy, so nothing but the API has to be reachable from here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol
from urllib.parse import urlencode

from .errors import ApiError, KubeadmError, UnreachableError
from .verify import PATIENCE, SHORT_PATIENCE, NodeSeen, Row, names
from .verify_objects import LABEL, PORT, SERVICE, Object, namespace_object, pod_object, service_object

UNREACHED = "the API server cannot reach the pod"
# How many questions are under way at the same time.
DIALS = 6
BAD_REQUEST = 400
CONFLICT = 409
# Namespaces of runs that were killed are swept when they are this old.
LEFTOVER_SECONDS = 600
_NAMESPACES = "/api/v1/namespaces"


class Api(Protocol):
    """What is needed of the Kubernetes API."""

    def get(self, path: str) -> Object: ...

    def create(self, path: str, body: Object) -> Object: ...

    def delete(self, path: str) -> object: ...


@dataclass(frozen=True)
class Spec:
    """What to start. at_once: how many pods may be starting at the same time."""

    namespace: str
    image: str
    dns_domain: str = "cluster.local"
    at_once: int = 6


@dataclass(frozen=True)
class Pod:
    """A probe pod as the API shows it. `address` is "" until it serves; `waiting` says why it does not."""

    name: str
    node: str
    address: str = ""
    waiting: str = ""

    @staticmethod
    def parse(raw: Mapping[str, Any]) -> Pod:
        """Parse a Pod object of the API."""
        status = raw.get("status") or {}
        container: Mapping[str, Any] = next(iter(status.get("containerStatuses") or []), {})
        state = (container.get("state") or {}).get("waiting") or {}
        reason = state.get("message") or state.get("reason") or status.get("message") or status.get("phase")
        address = str(status.get("podIP", "")) if container.get("ready") else ""
        return Pod(raw["metadata"]["name"], raw["spec"]["nodeName"], address, str(reason or "nothing is known yet"))

    def row(self, image: str) -> Row:
        """Why it does not serve yet."""
        pulls = "image" in self.waiting.lower() or "pull" in self.waiting.lower()
        step = f"Bring {image} to {self.node}, or name another image with kube_verify_image" if pulls else ""
        found = "the node is not Ready" if self.address else self.waiting
        step = step or f"Look at containerd and the kubelet on {self.node}"
        return Row("probe pods", self.node, "fail", found, step, SHORT_PATIENCE if pulls else PATIENCE)


@dataclass(frozen=True)
class Dial:
    """One question to a probe pod: reach that host from there."""

    check: str
    subject: str
    source: str
    host: str
    port: int
    step: str


def choose(
    nodes: Sequence[NodeSeen], control_planes: Sequence[str], sample: int, joined: Collection[str] = ()
) -> list[str]:
    """Nodes to probe, a sample. joined: those that are new; only they are probed then, and one to talk to."""
    new = [node for node in nodes if node.name in joined]
    if not new:
        return _spread(nodes, control_planes, sample)
    other = _spread([node for node in nodes if node.name not in joined], control_planes, 1)
    return [*_spread(new, control_planes, max(1, sample - len(other))), *other][:sample]


def _spread(nodes: Sequence[NodeSeen], control_planes: Sequence[str], sample: int) -> list[str]:
    """One of every role and zone in turn, so that a small sample still crosses them."""
    pools: dict[tuple[bool, str], list[str]] = {}
    for node in sorted(nodes, key=lambda seen: seen.name):
        pools.setdefault((node.name not in control_planes, node.zone), []).append(node.name)
    # Zone by zone, the roles taking turns: a control plane, a worker, a control plane of the next zone, ...
    order = sorted(pools, key=lambda key: (sorted({zone for _role, zone in pools}).index(key[1]), key[0]))
    chosen: list[str] = []
    while len(chosen) < sample and any(pools.values()):
        for key in order:
            if pools[key] and len(chosen) < sample:
                chosen.append(pools[key].pop(0))
    return chosen


def dials(pods: Sequence[Pod], cluster_ip: str, domain: str, namespace: str) -> list[Dial]:
    """Every question to ask. From pod to pod in a ring, so that every node sends and receives."""
    name = f"{SERVICE}.{namespace}.svc.{domain}."
    asked = []
    for pod, peer in zip(pods, [*pods[1:], *pods[:1]]):
        if pod != peer:
            step = f"Look at the CNI on {pod.node} and {peer.node}, and at firewalls between them (flannel: UDP 8472)"
            asked.append(Dial("pod network", f"{pod.node} -> {peer.node}", pod.name, peer.address, PORT, step))
        asked.append(Dial("service", pod.node, pod.name, cluster_ip, 80, f"Look at kube-proxy on {pod.node}"))
        asked.append(Dial("dns", pod.node, pod.name, name, 80, "Look at CoreDNS, its Service kube-dns and its pods"))
    return asked


def understood(answer: Mapping[str, Any]) -> str:
    """The error in a dialling pod's answer, "" when the dial worked."""
    if answer.get("responses"):
        return ""
    return names(str(error) for error in answer.get("errors") or []) or "no answer"


@dataclass
class ProbePods:
    """Started once, asked again until all is well, deleted in every case."""

    connect: Callable[[], Api]
    spec: Spec
    nodes: tuple[str, ...] = ()
    _created: set[str] = field(default_factory=set)
    _serving: set[str] = field(default_factory=set)
    _done: set[tuple[str, str]] = field(default_factory=set)

    def rows(self, chosen: Sequence[str], ready: Collection[str], late: bool) -> list[Row]:
        """One look. The nodes chosen first are kept; when it is late, those that are not Ready are left out."""
        self.nodes = self.nodes or tuple(chosen)
        if not self.nodes:
            return [Row("probe pods", "nodes", "fail", "no node to put them on", "Run site", SHORT_PATIENCE)]
        api = self.connect()
        try:
            self._create(api, late)
            pods = [Pod.parse(raw) for raw in api.get(self._path("pods")).get("items") or []]
            self._serving = {pod.name for pod in pods if pod.address}
            asked = [pod for pod in pods if pod.node in ready or not late]
            waiting = [pod.row(self.spec.image) for pod in asked if not pod.address or pod.node not in ready]
            waiting += self._later()
            if not asked:
                return [Row("probe pods", names(self.nodes), "fail", "no node is Ready", "Look at the nodes", PATIENCE)]
            return waiting or self._network(api, asked)
        except (ApiError, UnreachableError) as exc:
            step = "Look at the API server; the message says what it refuses"
            return [Row("probe pods", self.spec.namespace, "fail", exc.found or exc.what, step, SHORT_PATIENCE)]

    def close(self, api: Api) -> None:
        """Delete the namespace with everything in it. What cannot be deleted is swept by a later run."""
        if "namespace" in self._created:
            with contextlib.suppress(KubeadmError):
                api.delete(f"{_NAMESPACES}/{self.spec.namespace}")

    def _path(self, kind: str) -> str:
        return f"{_NAMESPACES}/{self.spec.namespace}/{kind}"

    def _later(self) -> list[Row]:
        """Nodes whose pod has not been asked for."""
        later = [node for name, node in self._pods() if name not in self._created]
        return [Row("probe pods", node, "fail", "waits for other pods to start", "", PATIENCE) for node in later]

    def _pods(self) -> list[tuple[str, str]]:
        return [(f"probe-{number}", node) for number, node in enumerate(self.nodes)]

    def _create(self, api: Api, late: bool) -> None:
        """What is missing; when it is late, no pod waits for another one any more."""
        wanted = [("namespace", _NAMESPACES, namespace_object(self.spec.namespace))]
        wanted += [("service", self._path("services"), service_object())]
        missing = [(name, node) for name, node in self._pods() if name not in self._created]
        starting = len(self.nodes) - len(missing) - len(self._serving)
        for name, node in missing if late else missing[: max(0, self.spec.at_once - starting)]:
            wanted.append((name, self._path("pods"), pod_object(name, node, self.spec.image)))
        for name, path, body in wanted:
            if name in self._created:
                continue
            if name == "namespace":
                # Marked first: when the answer gets lost, it may be there all the same, and has to be deleted.
                self._created.add(name)
            try:
                api.create(path, body)
            except ApiError as exc:
                if exc.status != CONFLICT:
                    raise
            self._created.add(name)

    def _network(self, api: Api, pods: Sequence[Pod]) -> list[Row]:
        service = api.get(self._path(f"services/{SERVICE}"))
        cluster_ip = str((service.get("spec") or {}).get("clusterIP", ""))
        asked = dials(pods, cluster_ip, self.spec.dns_domain, self.spec.namespace)
        todo = [dial for dial in asked if (dial.check, dial.subject) not in self._done]
        with ThreadPoolExecutor(max_workers=DIALS) as pool:
            answers = list(zip(todo, pool.map(self._dial, todo)))
        self._done |= {(dial.check, dial.subject) for dial, error in answers if not error}
        rows = [Row("probe pods", names(pod.node for pod in pods), "ok", f"{len(pods)} running")]
        for check in dict.fromkeys(dial.check for dial in asked):
            bad = [
                Row(check, dial.subject, "fail", error, _step(dial, error), PATIENCE)
                for dial, error in answers
                if error and dial.check == check
            ]
            subjects = [dial.subject for dial in asked if dial.check == check]
            rows += bad or [Row(check, names(subjects), "ok", f"{len(subjects)} of {len(subjects)} answered")]
        return rows

    def _dial(self, dial: Dial) -> str:
        """What went wrong, "" when nothing did."""
        query = {"host": dial.host, "port": dial.port, "request": "hostname", "protocol": "http", "tries": 1}
        path = f"{self._path('pods')}/{dial.source}:{PORT}/proxy/dial?{urlencode(query)}"
        try:
            return understood(self.connect().get(path))
        except (ApiError, UnreachableError) as exc:
            if isinstance(exc, ApiError) and exc.status == BAD_REQUEST:
                # The pod's own words: the name did not resolve.
                return exc.found or exc.what
            return f"{UNREACHED}: {exc.found or exc.what}"


def _step(dial: Dial, error: str) -> str:
    unreached = error.startswith(UNREACHED)
    return "Look at the CNI between the control planes and that node" if unreached else dial.step


def leftovers(namespaces: Sequence[Object], now: float) -> list[str]:
    """Probe namespaces of runs that were killed."""
    old = []
    for item in namespaces:
        meta = item.get("metadata") or {}
        born = datetime.strptime(str(meta.get("creationTimestamp")), "%Y-%m-%dT%H:%M:%SZ")
        age = now - born.replace(tzinfo=timezone.utc).timestamp()
        if age > LEFTOVER_SECONDS and (meta.get("labels") or {}).get(LABEL) == "probe":
            old.append(str(meta.get("name")))
    return old


def sweep(api: Api, now: float) -> list[str]:
    """Delete what killed runs left behind."""
    found = api.get(f"{_NAMESPACES}?{urlencode({'labelSelector': LABEL + '=probe'})}").get("items") or []
    old = leftovers(found, now)
    for name in old:
        api.delete(f"{_NAMESPACES}/{name}")
    return old
