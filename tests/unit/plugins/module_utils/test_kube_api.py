# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API client's decisions: which endpoint, when to try again, what to say. No network."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.https import Request, Response, SendError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import KubeApi, api_for
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeconfig import KubeConfig

VIP, CP1, CP2 = "https://192.0.2.100:6443", "https://192.0.2.11:6443", "https://192.0.2.12:6443"
# What an endpoint does when it is asked: an answer, or an error.
Act = Callable[[Request], Response]


def says(status: int = 200, body: Any = None, **headers: str) -> Act:
    return lambda _request: Response(status, "Reason", json.dumps(body or {"kind": "Status"}).encode(), headers)


def fails(reason: str = "connection refused", certificate: bool = False) -> Act:
    def act(_request: Request) -> Response:
        raise SendError(reason, certificate)

    return act


class World:
    """Endpoints with scripted behaviour (the last act of a script repeats), and a clock that only sleep moves."""

    def __init__(self, **scripts: list[Act]) -> None:
        self.scripts = {{"vip": VIP, "cp1": CP1, "cp2": CP2}[name]: list(acts) for name, acts in scripts.items()}
        self.asked: list[str] = []
        self.requests: list[Request] = []
        self.slept = 0.0

    def send(self, endpoint: str, request: Request) -> Response:
        self.asked.append({VIP: "vip", CP1: "cp1", CP2: "cp2"}[endpoint.partition("/k8s")[0]])
        self.requests.append(request)
        script = self.scripts[endpoint.partition("/k8s")[0]]
        return (script.pop(0) if len(script) > 1 else script[0])(request)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def api(self, timeout: float = 30, **options: Any) -> KubeApi:
        urls = options.pop("urls", list(self.scripts))
        return KubeApi(self, urls, timeout=timeout, clock=lambda: self.slept, sleep=self.sleep, **options)


def test_endpoints_in_order_and_then_the_one_that_answered() -> None:
    world = World(vip=[fails()], cp1=[fails("no answer in time")], cp2=[says(body={"a": 1})])
    api = world.api()
    assert api.get("/version") == {"a": 1}
    assert world.asked == ["vip", "cp1", "cp2"]
    api.get("/version")
    assert world.asked[3:] == ["cp2"]
    assert (api.endpoint, world.slept) == (CP2, 0)


def test_when_the_one_that_answered_dies_the_others_are_asked_again() -> None:
    world = World(vip=[fails(), says()], cp1=[says(), fails()])
    api = world.api()
    api.get("/a")
    api.get("/b")
    assert world.asked == ["vip", "cp1", "cp1", "vip"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_an_http_error_is_final_for_the_first_that_answers(status: int) -> None:
    world = World(vip=[says(status, {"message": "because"})], cp1=[says()])
    with pytest.raises(ApiError) as caught:
        world.api().get("/x")
    assert (caught.value.status, caught.value.found, caught.value.where) == (status, "because", VIP)
    assert world.asked == ["vip"]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_is_just_starting_is_asked_again(status: int) -> None:
    world = World(vip=[says(status), says(status), says(body={"ready": True})])
    assert world.api().get("/x") == {"ready": True}
    assert 0 < world.slept < 1


def test_one_that_is_starting_is_passed_over_for_one_that_is_ready() -> None:
    world = World(vip=[says(503)], cp1=[says(body={"ready": True})])
    assert world.api().get("/x") == {"ready": True}
    assert world.slept == 0


@pytest.mark.parametrize("act", [says(503, {"message": "not yet"}), fails()])
def test_retries_end_with_the_timeout(act: Act) -> None:
    world = World(vip=[act])
    with pytest.raises((ApiError, UnreachableError)):
        world.api(timeout=10).get("/x")
    assert 7 < world.slept <= 10
    # Pauses grow to 2 s and stay there.
    assert 5 < len(world.asked) < 12


def test_a_timeout_of_zero_asks_every_endpoint_once() -> None:
    world = World(vip=[fails("one")], cp1=[fails("two")])
    with pytest.raises(UnreachableError) as caught:
        world.api(timeout=0).get("/x")
    assert world.asked == ["vip", "cp1"]
    assert caught.value.found == f"{VIP}: one; {CP1}: two"
    assert caught.value.where == f"{VIP}, {CP1}"


def test_only_wrong_certificates_end_it_at_once() -> None:
    world = World(vip=[fails("foreign", certificate=True)], cp1=[fails("foreign", certificate=True)])
    with pytest.raises(UnreachableError, match="another cluster"):
        world.api().get("/x")
    assert (world.slept, world.asked) == (0, ["vip", "cp1"])


def test_a_wrong_certificate_beside_a_dead_server_is_retried() -> None:
    world = World(vip=[fails("foreign", certificate=True)], cp1=[fails(), says(body={"a": 1})])
    assert world.api().get("/x") == {"a": 1}


def test_without_retry_the_first_answer_counts() -> None:
    world = World(vip=[says(429)])
    assert world.api().raw("POST", "/eviction", {}, retry=False).status == 429
    assert world.asked == ["vip"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_dry_run_is_told_to_the_server_with_every_change(dry_run: bool) -> None:
    world = World(vip=[says(body={"metadata": {}})])
    api = world.api(dry_run=dry_run)
    api.get("/x")
    api.create("/x", {"metadata": {"name": "a"}})
    api.patch("/x/a", {})
    api.delete("/x/a", uid="1")
    read, create, patch, delete = world.requests
    assert "dryRun" not in read.target
    assert ("dryRun=All" in create.target, "dryRun=All" in patch.target) == (dry_run, dry_run)
    # A body makes the API server ignore the query of a deletion.
    assert json.loads(delete.body or b"").get("dryRun") == (["All"] if dry_run else None)
    assert json.loads(delete.body or b"")["preconditions"] == {"uid": "1"}


def test_a_base_path_stands_before_every_path() -> None:
    world = World(vip=[says()])
    world.api(urls=[VIP + "/k8s/c-1/"]).get("/version")
    assert world.requests[0].target == "/k8s/c-1/version"


@pytest.mark.parametrize(("there", "ours"), [({"a": "1", "more": "x"}, True), ({"a": "2"}, False), (None, False)])
def test_a_creation_recognises_its_own_object(there: dict[str, str] | None, ours: bool) -> None:
    found = says(200, {"data": there, "metadata": {"name": "n", "uid": "7"}}) if there else says(404)
    world = World(vip=[says(409), found])
    body = {"data": {"a": "1"}, "metadata": {"name": "n"}}
    if ours:
        assert world.api().create("/x", body)["metadata"]["uid"] == "7"
    else:
        with pytest.raises(ApiError, match="409"):
            world.api().create("/x", body)


def test_deleting_what_is_gone_is_no_error() -> None:
    assert World(vip=[says(404)]).api().delete("/x/a") is False
    assert World(vip=[says(200)]).api().delete("/x/a") is True


def test_the_servers_clock() -> None:
    world = World(vip=[says(date="Sat, 31 Jan 2026 12:00:00 GMT")])
    assert world.api().now() == datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
    assert World(vip=[says(date="soon")]).api().now().tzinfo is timezone.utc


@pytest.mark.parametrize("body", [b"", b"<html>not an API server</html>", b"[1]"])
def test_an_answer_that_is_no_object_is_an_error(body: bytes) -> None:
    world = World(vip=[lambda _request: Response(200, "OK", body)])
    with pytest.raises(ApiError, match="answered 200 OK to GET /x"):
        world.api().get("/x")


def test_a_token_travels_in_the_header_and_is_never_shown() -> None:
    world = World(cp1=[says()])
    config = KubeConfig("x", CP1, token="very-secret")
    api_for(config, [], world, timeout=0, dry_run=False).get("/x")
    assert world.requests[0].headers["Authorization"] == "Bearer very-secret"
    assert "very-secret" not in repr(world.requests[0])
