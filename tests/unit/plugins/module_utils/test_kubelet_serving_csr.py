# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which serving certificates a kubelet may have: every forged request has a reason, no honest one has."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import csr, verify_serving
from ansible_collections.quorum.kubeadm.plugins.module_utils import kubelet_serving as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError
from tests.csr_maker import ADDRESSES, LONGER, NODE, OTHER, Wish, forged, honest

NODES = {NODE, OTHER, LONGER}
FORGED = list(forged())


def why(wish: Wish) -> list[str]:
    return subject.reasons(csr.asked(wish.seen("x")), subject.machines(ADDRESSES), NODES)


@pytest.mark.parametrize("wish", honest(), ids=lambda wish: wish.label)
def test_an_honest_request_has_no_reason_against_it(wish: Wish) -> None:
    assert why(wish) == []


@pytest.mark.parametrize("wish", FORGED, ids=lambda wish: wish.label)
def test_a_forged_request_has_one(wish: Wish) -> None:
    found = why(wish)
    assert found
    assert all(reason.isprintable() and len(reason) < 700 for reason in found)


def test_there_are_more_than_a_hundred_of_them() -> None:
    assert len({wish.label for wish in FORGED}) == len(FORGED) > 100


@given(st.text(max_size=40), st.lists(st.text(max_size=20), max_size=4), st.lists(st.text(max_size=20), max_size=4))
def test_only_the_exact_requester_is_the_node(user: str, groups: list[str], names: list[str]) -> None:
    request = subject.Request((("CN", user), ("O", "system:nodes")), tuple(names), (), (), (), "secp256r1", 256, True)
    asked = subject.Asked("x", user, tuple(groups), ("digital signature", "server auth"), request)
    found = subject.reasons(asked, subject.machines(ADDRESSES), NODES)
    own = user == f"system:node:{NODE}" and set(groups) == subject.GROUPS and set(names) == {NODE}
    assert bool(found) is not own


def test_a_name_or_address_that_two_nodes_would_have_is_refused() -> None:
    for shared in ({"a": ["192.0.2.1"], "b": ["192.0.2.1"]}, {"a": [], "b": ["a"]}, {"a": ["x.org"], "b": ["x.org"]}):
        with pytest.raises(InputError, match="two nodes"):
            subject.machines(shared)


@pytest.mark.parametrize(
    "request_b64", ["", "!", "bm90IGEgcmVxdWVzdA==", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0=", "A" * 40000]
)
def test_what_cannot_be_read_is_no_request(request_b64: str) -> None:
    assert csr.parse(request_b64) is None


def test_what_was_decided_is_not_pending() -> None:
    found: dict[str, Any] = Wish("x").seen("x")
    assert subject.pending(found)
    assert not subject.pending(
        {**found, "spec": {**found["spec"], "signerName": "kubernetes.io/kube-apiserver-client"}}
    )
    for kind in subject.DECIDED:
        assert not subject.pending({**found, "status": {"conditions": [{"type": kind}]}})
    assert not subject.pending({**found, "status": {"certificate": "x"}})


def test_a_decision_is_bound_to_what_was_read() -> None:
    found = Wish("x").seen("x")
    for patch, kind in ((subject.approval(found, "me"), "Approved"), (subject.denial(found, ["no"], "me"), "Denied")):
        assert patch["metadata"] == {"uid": "uid-x", "resourceVersion": "1"}
        assert [one["type"] for one in patch["status"]["conditions"]] == [kind]


def test_verify_tells_who_waits() -> None:
    ours, foreign = Wish("x").seen("a"), Wish("x", user="somebody\n").seen("b")
    approved: dict[str, Any] = {**Wish("x").seen("c"), "status": {"conditions": [{"type": "Approved"}]}}
    signed = {**approved, "status": {**approved["status"], "certificate": "x"}}
    judge = verify_serving.judge_serving
    assert judge([], [NODE]) == []
    assert [(row.status, row.subject) for row in judge([ours], [NODE])] == [("fail", NODE)]
    assert [(row.status, row.subject) for row in judge([foreign], [NODE])] == [("warn", "somebody\\n")]
    assert ["not signed" in row.found for row in judge([approved], [NODE])] == [True]
    assert [row.status for row in judge([signed], [NODE])] == ["ok"]
