# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking again and again: what is waited for, for how long, and what is seen through the API."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import verify_cluster as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify import Answer, Row, TokenSeen, Want
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify_pods import ProbePods, Spec


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def fail(check: str, patience: float) -> Row:
    return Row(check, "w1", "fail", "x", patience=patience)


def well(check: str) -> Row:
    return Row(check, "w1", "ok", "x")


def watch(look: Callable[[float], list[Row]], timeout: float = 60) -> tuple[subject.Outcome, Time]:
    time = Time()
    return subject.watch(look, time.clock, time.sleep, timeout), time


def test_nothing_is_waited_for_when_all_is_well() -> None:
    outcome, time = watch(lambda _elapsed: [well("nodes")])
    assert time.slept == []
    assert outcome.seconds == {"nodes": 0.0}


def test_what_may_heal_is_looked_at_until_it_has() -> None:
    outcome, time = watch(lambda elapsed: [well("api"), fail("nodes", 999) if elapsed < 3 else well("nodes")])
    assert sum(time.slept) == pytest.approx(3, abs=0.5)
    assert outcome.seconds["api"] == 0.0
    assert outcome.seconds["nodes"] >= 3
    assert all(row.status == "ok" for row in outcome.rows)


def test_what_cannot_heal_is_not_waited_for() -> None:
    outcome, time = watch(lambda _elapsed: [fail("tokens", 0), well("api")])
    assert time.slept == []
    assert outcome.seconds == {"api": 0.0}


@pytest.mark.parametrize(("patience", "timeout", "waited"), [(999, 10, 10), (20, 60, 20)])
def test_waiting_ends_with_the_patience_or_the_timeout(patience: float, timeout: float, waited: float) -> None:
    outcome, time = watch(lambda _elapsed: [fail("nodes", patience)], timeout)
    assert sum(time.slept) == pytest.approx(waited, abs=0.5)
    assert outcome.rows[0].status == "fail"


def test_a_slow_look_is_not_the_last_one() -> None:
    time = Time()
    looks = []

    def look(_elapsed: float) -> list[Row]:
        time.now += 30
        looks.append(time.now)
        return [fail("api", 20)]

    subject.watch(look, time.clock, time.sleep, 600)
    assert len(looks) == subject.LEAST_LOOKS


def test_patience_begins_when_the_trouble_begins() -> None:
    def look(elapsed: float) -> list[Row]:
        if elapsed < 30:
            return [well("api"), fail("nodes", 999)]
        return [fail("api", 20) if elapsed < 45 else well("api"), well("nodes")]

    outcome, _time = watch(look)
    assert all(row.status == "ok" for row in outcome.rows)


def test_a_check_that_fails_again_was_not_in_order() -> None:
    script = iter([[well("api"), fail("nodes", 9)], [fail("api", 9), well("nodes")], [well("api"), well("nodes")]])
    outcome, _time = watch(lambda _elapsed: next(script))
    assert outcome.seconds == {"api": 1.0, "nodes": 0.5}


def encoded(**values: str) -> dict[str, str]:
    return {key.replace("_", "-"): base64.b64encode(value.encode()).decode() for key, value in values.items()}


def test_a_token_is_parsed_without_its_secret() -> None:
    data = encoded(token_id="abcdef", token_secret="0123456789abcdef", description="quorum.kubeadm",
                   expiration="1970-01-01T00:01:00Z")  # fmt: skip
    seen = subject.token_seen({"metadata": {"name": "bootstrap-token-abcdef"}, "data": data})
    assert seen == TokenSeen("abcdef", "quorum.kubeadm", 60.0)
    assert "0123456789abcdef" not in repr(seen)
    assert subject.token_seen({"metadata": {"name": "bootstrap-token-abcdef"}}) == TokenSeen("abcdef")
    offset = encoded(expiration="1970-01-01T02:01:00+02:00")
    assert subject.token_seen({"data": offset}).expires == 60.0


class FakeApi:
    """Nodes, tokens and Secrets; `lost` raises instead."""

    def __init__(self, nodes: list[dict[str, Any]], *, tokens: list[dict[str, Any]] | None = None) -> None:
        self.nodes, self.tokens = nodes, tokens or []
        self.certs: Exception | None = ApiError("x", status=404)
        self.lost: Exception | None = None
        self.leases: list[dict[str, Any]] = []

    def get(self, path: str) -> dict[str, Any]:
        if self.lost:
            raise self.lost
        if path == subject.CERTS and self.certs:
            raise self.certs
        if path.startswith("/api/v1/nodes"):
            return {"items": self.nodes}
        return {"items": self.tokens if path == subject.TOKENS else self.leases if path == subject.LEASES else []}

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError(f"nothing is created here: {path} {body}")

    def delete(self, path: str) -> object:
        raise AssertionError(f"nothing is deleted here: {path}")


def node(name: str, address: str, ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "nodeInfo": {"kubeletVersion": "v1.36.3"},
        },
    }


def checks(api: FakeApi, probe: ProbePods | None = None) -> tuple[subject.ClusterChecks, list[tuple[str, str]]]:
    asked: list[tuple[str, str]] = []

    def ask(name: str, url: str) -> Answer:
        asked.append((name, url))
        return Answer(name, url, 200, "ready")

    want = Want("1.36.3", ("cp1", "cp2"), ("w1",))
    return subject.ClusterChecks(lambda: api, ask, want, "https://192.0.2.10:8443", 6443, lambda: 0.0, probe), asked


NODES = [node("cp1", "192.0.2.11"), node("cp2", "2001:db8::12"), node("w1", "192.0.2.21")]


def test_one_look_at_a_cluster_that_is_in_order() -> None:
    made, asked = checks(FakeApi(NODES))
    rows = made.look(0)
    assert {row.status for row in rows} == {"ok"}
    assert [row.check for row in rows] == ["nodes", "api", "api", "api", "leases", "tokens", "kubeadm-certs"]
    assert sorted(asked) == [
        ("VIP", "https://192.0.2.10:8443"),
        ("cp1", "https://192.0.2.11:6443"),
        ("cp2", "https://[2001:db8::12]:6443"),
    ]
    assert [one["name"] for one in subject.summary(made.nodes)] == ["cp1", "cp2", "w1"]


def test_leftovers_are_seen() -> None:
    api = FakeApi(NODES, tokens=[{"data": encoded(token_id="abcdef", description="quorum.kubeadm")}])
    api.certs = None
    rows = checks(api)[0].look(0)
    assert [(row.check, row.status) for row in rows if row.status == "fail"] == [
        ("tokens", "fail"),
        ("kubeadm-certs", "fail"),
    ]


def test_what_a_removed_machine_left_is_wrong_and_what_others_left_is_odd() -> None:
    api = FakeApi([*NODES, node("w2", "192.0.2.22"), node("w20", "192.0.2.23")])
    api.leases = [{"metadata": {"name": name}} for name in ("cp1", "w3", "w30")]
    made, _asked = checks(api)
    made.want = replace(made.want, absent=("w2", "w3"))
    rows = [row for row in made.look(0) if row.status != "ok"]
    assert [(row.check, row.subject, row.status) for row in rows] == [
        ("nodes", "w2", "fail"),
        ("nodes", "w20", "warn"),
        ("leases", "w3", "fail"),
        ("leases", "w30", "warn"),
    ]


@pytest.mark.parametrize(
    "lost",
    [UnreachableError("No API endpoint answered", where="https://x", found="refused"), ApiError("x", status=403)],
)
def test_an_api_that_does_not_answer_is_one_row_and_the_servers_are_asked_all_the_same(lost: Exception) -> None:
    api = FakeApi(NODES)
    made, asked = checks(api)
    made.look(0)
    api.lost = lost
    asked.clear()
    rows = made.look(1)
    assert [row.check for row in rows] == ["api"] * 4
    assert rows[0].status == "fail"
    assert rows[0].next_step
    assert len(asked) == 3


class Seen(ProbePods):
    """Notes on which nodes pods would be put."""

    def rows(self, chosen: Any, ready: Any, late: bool) -> list[Row]:
        self.called = (list(chosen), set(ready), late)
        return [well("probe pods")]


def probed(nodes: list[dict[str, Any]], elapsed: float, *joined: str) -> Any:
    api = FakeApi(nodes)
    probe = Seen(lambda: api, Spec("x", "y"))
    made = checks(api, probe)[0]
    made.joined = joined
    made.look(elapsed)
    return getattr(probe, "called", None)


def test_probe_pods_wait_until_all_nodes_are_there_but_not_for_ever() -> None:
    assert probed(NODES, 0) == (["cp1", "w1", "cp2"], {"cp1", "cp2", "w1"}, False)
    assert probed(NODES[:2], 0) is None
    assert probed(NODES[:2], subject.LATE) == (["cp1", "cp2"], {"cp1", "cp2"}, True)


def test_a_node_that_never_becomes_ready_gets_no_pod_later_on() -> None:
    nodes = [*NODES[:2], node("w1", "192.0.2.21", ready=False)]
    assert probed(nodes, 0)[0] == ["cp1", "w1", "cp2"]
    assert probed(nodes, subject.LATE)[0] == ["cp1", "cp2"]


def test_a_node_that_has_joined_is_probed_without_waiting_for_others() -> None:
    assert probed([NODES[0], NODES[2]], 0, "w1") == (["w1", "cp1"], {"cp1", "w1"}, False)
    assert probed(NODES[:2], 0, "w1") is None
