# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts have registered, as a renewal's plan takes it, and what a person reads."""

from __future__ import annotations

from typing import Any

from ansible_collections.quorum.kubeadm.plugins.action.renewal_plan import (
    api_error,
    drained_on,
    host_of,
    leader_of,
    text_of,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.renewal_order import decide
from tests.unit.renewal_world import World

STACKED = ["control_plane", "etcd"]


def seen() -> dict[str, Any]:
    plan = World().plan()
    return {
        "__renewal_look": {"skipped": True},
        "__kube_control_plane_renewal": {"plan": plan.as_dict(), "steps": plan.steps()},
        "__renewal_plane": {"control_plane": {"name": "cp1", "api": True}},
    }


def test_registers_become_values() -> None:
    host = host_of("cp1", STACKED, seen(), ("lb1",))
    assert host.api
    assert host.todo[0].startswith("renew apiserver (ends on ")
    assert host.todo[-1] == "come back into service on lb1"


def test_a_host_that_does_not_answer_says_why() -> None:
    host = host_of("cp2", STACKED, {"__kube_control_plane_renewal": {"unreachable": True, "msg": "no route to host"}})
    assert (host.plan, host.why) == (None, "no route to host")


def test_load_balancers_that_send_nothing_are_named() -> None:
    told = {"lb1": {"servers": {"cp1": {"admin": "drain"}, "cp10": {"admin": "ready"}}}, "lb2": {}}
    assert drained_on("cp1", told) == ("lb1",)
    assert drained_on("cp10", told) == ()


def test_the_leader_and_a_silent_api_are_told_by_their_looks() -> None:
    assert (
        leader_of({"etcd": {"members": [{"name": "cp1", "leader": False}, {"name": "cp2", "leader": True}]}}) == "cp2"
    )
    assert leader_of({"failed": True, "msg": "certificate has expired"}) == ""
    assert api_error({"cluster": {"nodes": []}}) == ""
    assert api_error({"failed": True, "msg": "no API server answers"}) == "no API server answers"


def test_the_plan_is_printed_before_it_is_done() -> None:
    outcome = decide([host_of("cp1", STACKED, seen())])
    assert "CERTIFICATES: IS DONE NOW\n  cp1: renew apiserver" in text_of(outcome, effects=True)
    assert "CERTIFICATES: WOULD BE DONE" in text_of(outcome, effects=False)
    assert "REFUSED, NOTHING WAS CHANGED\n  no API server can be used" in text_of(
        decide([host_of("cp1", STACKED, {**seen(), "__renewal_plane": {}})], api_error="silence"), effects=True
    )
