# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a cluster through its API, again and again until all is well or waiting cannot help any more."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from .errors import ApiError, UnreachableError
from .kube_life import LEASES
from .verify import (
    SHORT_PATIENCE,
    Answer,
    NodeSeen,
    Row,
    TokenSeen,
    Want,
    failed,
    judge_apis,
    judge_certs_secret,
    judge_tokens,
    node_seen,
)
from .verify_nodes import judge_nodes, judge_zones
from .verify_orphans import judge_leases, strict
from .verify_pods import Api, ProbePods, choose
from .verify_serving import CSRS, judge_serving

NOT_FOUND = 404
TOKENS = "/api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken"
CERTS = "/api/v1/namespaces/kube-system/secrets/kubeadm-certs"
# From then on probe pods are only asked on nodes that are Ready.
LATE = 30.0
LEAST_LOOKS = 3

# subject, base URL -> what /readyz answered there
Ask = Callable[[str, str], Answer]


@dataclass
class ClusterChecks:
    """Everything that can be seen through the API. `look` reads once and judges. joined: nodes that are new."""

    connect: Callable[[], Api]
    ask: Ask
    want: Want
    vip_url: str
    api_port: int
    now: Callable[[], float]
    probe: ProbePods | None = None
    sample: int = 6
    joined: tuple[str, ...] = ()
    nodes: tuple[NodeSeen, ...] = ()

    def look(self, elapsed: float) -> list[Row]:
        """One look at everything."""
        try:
            api = self.connect()
            self.nodes = tuple(node_seen(raw) for raw in api.get("/api/v1/nodes").get("items") or [])
            tokens = [token_seen(raw) for raw in api.get(TOKENS).get("items") or []]
            certs = _exists(api, CERTS)
            requests = api.get(CSRS).get("items") or []
            leases = [str(raw["metadata"]["name"]) for raw in api.get(LEASES).get("items") or []]
        except (ApiError, UnreachableError) as exc:
            step = exc.next_step or "Look at the API servers and at the load balancers"
            lost = Row("api", exc.where or "cluster", "fail", f"{exc.what}: {exc.found}", step, SHORT_PATIENCE)
            return [lost, *self._apis()]
        rows = judge_nodes(self.nodes, self.want) + judge_zones(self.nodes, self.want) + self._apis()
        rows = strict(rows + judge_leases(leases, [node.name for node in self.nodes]), self.want.absent)
        rows += judge_serving(requests, self.want.nodes)
        rows += self._probes(elapsed)
        return rows + judge_tokens(tokens, self.now()) + judge_certs_secret(certs)

    def _apis(self) -> list[Row]:
        addresses = {node.name: node.address for node in self.nodes if node.name in self.want.control_planes}
        asked = [
            (name, f"https://{f'[{address}]' if ':' in address else address}:{self.api_port}")
            for name, address in sorted(addresses.items())
            if address
        ]
        asked.append(("VIP", self.vip_url))
        with ThreadPoolExecutor(max_workers=len(asked)) as pool:
            answers = list(pool.map(lambda item: self.ask(*item), asked))
        return judge_apis(answers[:-1], answers[-1])

    def _probes(self, elapsed: float) -> list[Row]:
        if self.probe is None:
            return []
        late = elapsed >= LATE
        present = {node.name for node in self.nodes}
        ready = {node.name for node in self.nodes if node.ready}
        if not late and not present.issuperset(self.joined or self.want.nodes):
            return []
        candidates = [node for node in self.nodes if node.ready or not late]
        chosen = choose(candidates, self.want.control_planes, self.sample, self.joined)
        return self.probe.rows(chosen, ready, late)


@dataclass(frozen=True)
class Outcome:
    """The last look's rows, and how many seconds it took each check to become green."""

    rows: list[Row]
    seconds: Mapping[str, float]


@dataclass
class Progress:
    """Which checks are in order since when, and which are not for how long."""

    green: dict[str, float] = field(default_factory=dict)
    red: dict[str, tuple[float, int]] = field(default_factory=dict)

    def note(self, rows: Sequence[Row], elapsed: float) -> None:
        """Take in one look."""
        for check in {row.check for row in rows}:
            if failed(row for row in rows if row.check == check):
                self.green.pop(check, None)
                since, looks = self.red.get(check, (elapsed, 0))
                self.red[check] = since, looks + 1
            else:
                self.red.pop(check, None)
                self.green.setdefault(check, round(elapsed, 1))

    def hopes(self, row: Row, elapsed: float) -> bool:
        """Whether waiting may still heal this. On a busy machine one look may take longer than the patience."""
        if row.status != "fail" or row.patience <= 0:
            return False
        since, looks = self.red[row.check]
        return elapsed - since < row.patience or looks < LEAST_LOOKS


def watch(
    look: Callable[[float], list[Row]],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    timeout: float,
) -> Outcome:
    """Look until nothing fails that waiting could heal, at most `timeout` seconds."""
    start, progress = clock(), Progress()
    while True:
        began = clock()
        rows = look(began - start)
        elapsed = clock() - start
        progress.note(rows, elapsed)
        if elapsed >= timeout or not any(progress.hopes(row, elapsed) for row in rows):
            return Outcome(rows, dict(sorted(progress.green.items())))
        # A large cluster's nodes are a long answer: leave the API server more time than one look took.
        sleep(min(max(0.5, 2 * (clock() - began)), 5.0))


def token_seen(raw: Mapping[str, Any]) -> TokenSeen:
    """Parse a bootstrap token's Secret; the secret part is not kept."""
    data = raw.get("data") or {}
    name = str((raw.get("metadata") or {}).get("name", ""))
    return TokenSeen(
        id=_text(data, "token-id") or name.replace("bootstrap-token-", "", 1),
        description=_text(data, "description"),
        expires=_time(_text(data, "expiration")),
    )


def _text(data: Mapping[str, Any], key: str) -> str:
    return base64.b64decode(str(data.get(key, ""))).decode("utf-8", "replace")


def _time(text: str) -> float | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _exists(api: Api, path: str) -> bool:
    try:
        api.get(path)
    except ApiError as exc:
        if exc.status == NOT_FOUND:
            return False
        raise
    return True


def summary(nodes: Sequence[NodeSeen]) -> list[dict[str, Any]]:
    """The nodes, as they are returned by cluster_verify."""
    return [
        {"name": node.name, "ready": node.ready, "kubelet_version": node.version, "zone": node.zone}
        for node in sorted(nodes, key=lambda seen: seen.name)
    ]
