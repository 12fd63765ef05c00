# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The renewal of a whole cluster: order, gates, refusals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.renewal import Kubelet
from ansible_collections.quorum.kubeadm.plugins.module_utils.renewal_order import (
    EXPIRED,
    NOTHING,
    ROLLING,
    Host,
    decide,
)
from tests.unit.renewal_world import NOW, STACKED, World

PLANES = ("cp1", "cp2", "cp3")
DEAD = "no API server answers"


def host(name: str, days: float = 10, roles: tuple[str, ...] = STACKED, **more: Any) -> Host:
    """A host whose certificates end in so many days."""
    world = World(roles=roles, left=timedelta(days=days), kubelet=more.pop("kubelet", None))
    plan = world.plan()
    return Host(name, roles, plan.as_dict(), tuple(plan.steps()), **{"api": True, **more})


def away(name: str) -> Host:
    return Host(name, STACKED, why="no route to host")


def test_nothing_due_is_nothing_to_do() -> None:
    outcome = decide([host(name, 200) for name in PLANES])
    assert (outcome.mode, outcome.works, dict(outcome.groups)) == (NOTHING, False, {})
    assert outcome.told == ("nothing is due",)


def test_one_after_another_the_leader_last_and_whoever_was_left_out_of_service_first() -> None:
    outcome = decide([host("cp1"), host("cp2"), host("cp3", drained=("lb1",))], leader="cp1")
    assert outcome.mode == ROLLING
    assert outcome.groups["kube_renew_control_plane"] == ("cp3", "cp2", "cp1")
    assert outcome.groups["kube_renew_files"] == ()
    assert "cp3: come back into service on lb1" in outcome.told


def test_a_control_plane_that_only_has_to_come_back_into_service_is_work() -> None:
    outcome = decide([host("cp1", 200), host("cp2", 200, drained=("lb2",)), host("cp3", 200)])
    assert outcome.works
    assert outcome.groups["kube_renew_control_plane"] == ("cp2",)


def test_where_some_have_expired_all_files_come_before_any_restart() -> None:
    outcome = decide([host("cp1", -1), host("cp2"), host("cp3", 200)])
    assert (outcome.mode, outcome.dead) == (EXPIRED, False)
    assert outcome.groups["kube_renew_files"] == ("cp1", "cp2")


def test_an_api_that_others_can_use_keeps_its_gates() -> None:
    """Only the administrator's certificate has expired: the API does not answer us, and serves."""
    assert not decide([host("cp1", -1), host("cp2", 200), host("cp3", 200)], api_error="401 Unauthorized").dead


def test_an_api_server_with_an_expired_certificate_is_no_api() -> None:
    outcome = decide([host(name, -1) for name in PLANES], api_error=DEAD)
    assert (outcome.mode, outcome.dead, outcome.refusals) == (EXPIRED, True, ())
    assert outcome.groups["kube_renew_files"] == PLANES


def test_a_dead_api_with_valid_certificates_has_another_cause() -> None:
    outcome = decide([host(name, api=False) for name in PLANES], api_error=DEAD)
    assert not outcome.works
    assert "no certificate has expired" in outcome.refusals[0]


@pytest.mark.parametrize(("gone", "refused"), [(1, False), (2, True)])
def test_a_dead_cluster_needs_a_majority_of_its_hosts(gone: int, refused: bool) -> None:
    hosts = [host(name, -1) for name in PLANES[gone:]] + [away(name) for name in PLANES[:gone]]
    outcome = decide(hosts, api_error=DEAD)
    assert bool(outcome.refusals) == refused
    assert outcome.works != refused


def test_one_hosts_refusal_is_everybodys_with_its_name() -> None:
    bad = host("cp2")
    assert bad.plan is not None
    refusing = Host("cp2", STACKED, {**bad.plan, "refusals": ["the CA ca expired"]}, bad.steps, api=True)
    outcome = decide([host("cp1"), refusing, host("cp3")])
    assert outcome.refusals == ("cp2: the CA ca expired",)
    assert not outcome.works


def test_kubelets_come_when_the_api_is_back() -> None:
    ended = Kubelet(conf=True, rotated=True, ends=NOW - timedelta(days=1))
    workers = [host("w1", 200, ("worker",), kubelet=ended), host("w2", 200, ("worker",))]
    outcome = decide([host("cp1", 200, kubelet=ended), host("cp2", 200), host("cp3", 200), *workers])
    assert outcome.groups["kube_renew_kubelet"] == ("cp1",)
    assert outcome.groups["kube_renew_worker"] == ("w1",)
    assert outcome.groups["kube_renew_control_plane"] == ()
    assert outcome.mode == ROLLING, "a kubelet harms nobody else"


def test_machines_of_an_external_etcd_come_before_the_control_planes_that_take_from_them() -> None:
    hosts = [host(name, roles=("control_plane",)) for name in PLANES] + [
        host(n, roles=("etcd",)) for n in ("e1", "e2", "e3")
    ]
    outcome = decide(hosts, leader="e1")
    assert outcome.groups["kube_renew_etcd"] == ("e2", "e3", "e1")
    assert list(outcome.groups).index("kube_renew_etcd") < list(outcome.groups).index("kube_renew_control_plane")


def test_a_host_that_was_not_looked_at_is_told() -> None:
    outcome = decide([host("cp1"), host("cp2"), away("cp3")])
    assert "cp3: not looked at: no route to host" in outcome.told
    assert "cp3" not in outcome.groups["kube_renew_control_plane"]
