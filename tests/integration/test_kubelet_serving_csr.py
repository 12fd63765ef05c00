# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubelet_serving_csr against a real API server: more than 100 forged requests, none approved."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.csr_maker import ADDRESSES, LONGER, NODE, OTHER, Wish, forged, honest
from tests.integration.conftest import Run
from tests.integration.servers import Cluster, client_context

MAKER: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "csr-maker"},
            "rules": [
                {"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests"], "verbs": ["create"]}
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "csr-maker"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "csr-maker"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"}],
        },
        *({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}} for name in (NODE, OTHER, LONGER)),
    ],
}


@pytest.fixture(scope="module")
def asks(cluster: Cluster) -> Iterator[Any]:
    """Create a request as somebody; the HTTP status."""
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(MAKER))
    context = client_context(cluster.authority.pair, cluster.admin)
    host, _colon, port = cluster.url.partition("://")[2].partition(":")
    connection = http.client.HTTPSConnection(host, int(port), timeout=30, context=context)

    def create(wish: Wish, name: str) -> int:
        body = json.dumps(wish.body(name)).encode()
        connection.putrequest("POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests")
        connection.putheader("Impersonate-User", wish.user)
        for group in wish.groups:
            connection.putheader("Impersonate-Group", group)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        response.read()
        return response.status

    yield create
    connection.close()
    cluster.kubectl("delete", "-f", "-", stdin=json.dumps(MAKER))
    cluster.kubectl("delete", "csr", "--all")


def conditions(cluster: Cluster) -> dict[str, list[str]]:
    found = cluster.kubectl_json("get", "csr")["items"]
    return {
        one["metadata"]["name"]: [each["type"] for each in one["status"].get("conditions") or []]
        for one in found
        if one["spec"]["signerName"] == "kubernetes.io/kubelet-serving"
    }


def test_forged_requests_stay_pending_honest_ones_are_approved(cluster: Cluster, module: Run, asks: Any) -> None:
    # A header has no white space at its end: that one would be asked by the honest requester.
    wishes = {f"forged-{number}": wish for number, wish in enumerate(forged()) if wish.user == wish.user.strip()}
    # What the API server itself refuses has not even come so far.
    created = {name for name, wish in wishes.items() if asks(wish, name) == 201}
    assert len(created) >= 100
    result = module("kubelet_serving_csr", nodes=ADDRESSES)
    assert (result["changed"], result["approved"]) == (False, [])
    assert {one["name"] for one in result["refused"]} == created
    assert all(one["why"] for one in result["refused"])
    assert set(map(tuple, conditions(cluster).values())) == {()}

    good = {f"honest-{number}": wish for number, wish in enumerate(honest())}
    assert [asks(wish, name) for name, wish in good.items()] == [201] * len(good)
    checked = module("kubelet_serving_csr", check=True, nodes=ADDRESSES)
    assert set(map(tuple, conditions(cluster).values())) == {()}, "check mode approves nothing"
    real = module("kubelet_serving_csr", nodes=ADDRESSES, expect=[NODE, OTHER])
    assert (checked["changed"], checked["approved"]) == (real["changed"], real["approved"]) == (True, [NODE, OTHER])
    assert real["missing"] == []
    assert {name for name, found in conditions(cluster).items() if found == ["Approved"]} == set(good)
    again = module("kubelet_serving_csr", nodes=ADDRESSES)
    assert (again["changed"], again["approved"]) == (False, [])

    denied = module("kubelet_serving_csr", nodes=ADDRESSES, others="denied")
    assert denied["changed"]
    after = conditions(cluster)
    assert {name for name, found in after.items() if found == ["Denied"]} == created
    assert {name for name, found in after.items() if found == ["Approved"]} == set(good)
    assert not module("kubelet_serving_csr", nodes=ADDRESSES, others="denied")["changed"]


def test_who_was_expected_and_has_not_asked_is_told(module: Run) -> None:
    result = module("kubelet_serving_csr", nodes=ADDRESSES, expect=["serve3"], wait_seconds=2)
    assert (result["missing"], result["approved"]) == (["serve3"], [])
