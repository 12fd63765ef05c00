# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node leaves an API in memory: what is deleted, in which order, and what is refused."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.https import Request, Response
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import KubeApi
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_departure import forget

NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=timezone.utc)
Object = dict[str, Any]


class Api:
    """Nodes w1 and w10, each with a Lease and a pod."""

    def __init__(self, ready: bool = True, cordoned: bool = False, renewed: str = "11:59:55") -> None:
        self.deleted: list[tuple[str, Object]] = []
        self.objects: dict[str, Object] = {}
        self.changes_before_deletion = ""
        for name in ("w1", "w10"):
            status = {"conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}]}
            self.objects[f"{NODES}/{name}"] = {
                "metadata": {"name": name, "uid": f"node-{name}"},
                "spec": {"unschedulable": True} if cordoned else {},
                "status": status,
            }
            self.objects[f"{LEASES}/{name}"] = {
                "metadata": {"name": name, "uid": f"lease-{name}"},
                "spec": {"renewTime": f"2026-01-01T{renewed}.000000Z"},
            }
            pod = {"metadata": {"namespace": "shop", "name": f"db-{name}", "uid": f"pod-{name}"}}
            self.objects[f"/api/v1/namespaces/shop/pods/db-{name}"] = {**pod, "spec": {"nodeName": name}}

    def send(self, _endpoint: str, request: Request) -> Response:
        parts = urlsplit(request.target)
        headers = {"date": NOW.strftime("%a, %d %b %Y %H:%M:%S GMT")}
        if parts.path == "/api/v1/pods":
            name = parse_qs(parts.query)["fieldSelector"][0].removeprefix("spec.nodeName=")
            pods = [one for one in self.objects.values() if one.get("spec", {}).get("nodeName") == name]
            return Response(200, "OK", json.dumps({"items": pods}).encode(), headers)
        found = self.objects.get(parts.path)
        if found is None:
            return Response(404, "Not Found", b"{}", headers)
        if request.method == "DELETE":
            body = json.loads(request.body or b"{}")
            if self.changes_before_deletion == parts.path:
                return Response(409, "Conflict", b'{"message": "the UID in the precondition"}', headers)
            self.deleted.append((parts.path, body))
            if not body.get("dryRun"):
                del self.objects[parts.path]
        return Response(200, "OK", json.dumps(found).encode(), headers)

    def forget(self, name: str, *, dry_run: bool = False, drained: bool = False, dead: bool = False) -> Object:
        api = KubeApi(self, ["https://192.0.2.1:6443"], dry_run=dry_run)
        return forget(api, name, drained=drained, dead=dead)


def test_a_drained_node_and_its_lease_the_very_ones_that_were_seen() -> None:
    api = Api(cordoned=True)
    result = api.forget("w1", drained=True)
    assert result["steps"] == ["delete the Node w1", "delete the Lease w1"]
    assert (result["changed"], result["forced"], result["left"]) == (True, [], ["shop/db-w1"])
    assert [(path, body["preconditions"]["uid"]) for path, body in api.deleted] == [
        (f"{NODES}/w1", "node-w1"),
        (f"{LEASES}/w1", "lease-w1"),
    ]
    assert f"{NODES}/w10" in api.objects
    again = api.forget("w1", drained=True)
    assert (again["changed"], again["steps"], again["diff"]["before"]) == (False, [], "")


def test_a_dead_nodes_pods_are_deleted_by_force() -> None:
    api = Api(ready=False)
    result = api.forget("w1", dead=True)
    assert result["steps"][-1] == "delete the pod shop/db-w1 by force"
    path, body = api.deleted[-1]
    assert (path, body["gracePeriodSeconds"]) == ("/api/v1/namespaces/shop/pods/db-w1", 0)
    assert body["preconditions"] == {"uid": "pod-w1"}
    assert "/api/v1/namespaces/shop/pods/db-w10" in api.objects


def test_check_mode_tells_the_same_and_deletes_nothing() -> None:
    api = Api(ready=False)
    before = dict(api.objects)
    predicted = api.forget("w1", dry_run=True, dead=True)
    assert api.objects == before
    assert all(body["dryRun"] == ["All"] for _path, body in api.deleted)
    assert predicted == api.forget("w1", dead=True)


@pytest.mark.parametrize(
    ("api", "drained", "dead"),
    [
        (Api(), False, False),
        (Api(), False, True),  # somebody thinks that it is dead, and it lives
        (Api(), True, False),  # uncordoned again meanwhile
        (Api(cordoned=True), False, False),
        (Api(cordoned=True), True, True),
        (Api(ready=False), False, False),
    ],
)
def test_refused_and_nothing_deleted(api: Api, drained: bool, dead: bool) -> None:
    with pytest.raises(RefusedError, match="nothing was deleted"):
        api.forget("w1", drained=drained, dead=dead)
    assert api.deleted == []


def test_ready_with_an_old_lease_is_dead() -> None:
    assert Api(renewed="11:59:00").forget("w1", dead=True)["changed"]


def test_a_lease_and_pods_without_their_node_go_too() -> None:
    api = Api()
    del api.objects[f"{NODES}/w1"]
    assert api.forget("w1", dead=True)["steps"] == ["delete the Lease w1", "delete the pod shop/db-w1 by force"]


def test_a_node_that_is_another_one_by_now_is_not_deleted() -> None:
    api = Api(ready=False)
    api.changes_before_deletion = f"{NODES}/w1"
    with pytest.raises(ApiError, match="409"):
        api.forget("w1", dead=True)
    assert api.deleted == []


@pytest.mark.parametrize("name", ["", "w1/status", "../pods", "w*", "W1"])
def test_what_is_no_name_deletes_nothing(name: str) -> None:
    api = Api(ready=False)
    with pytest.raises(InputError):
        api.forget(name, dead=True)
    assert api.deleted == []
