# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is due on a host, what is refused, and the laws of a plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_places import places
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.renewal import (
    Authority,
    Certificate,
    Kubelet,
    Wish,
    validity_of,
    why_due,
)
from tests.unit.renewal_world import NOW, PODS, World

API = next(place for place in places(["control_plane"]) if place.name == "apiserver")
RENEWED = [
    "apiserver", "apiserver-kubelet-client", "front-proxy-client", "admin.conf", "super-admin.conf",
    "controller-manager.conf", "scheduler.conf", "apiserver-etcd-client", "etcd-server", "etcd-peer",
    "etcd-healthcheck-client",
]  # fmt: skip


def test_everything_that_kubeadm_renews_is_in_the_plan_and_what_uses_it_is_restarted() -> None:
    plan = World().plan()
    assert sorted(due.place.name for due in plan.renew) == sorted(RENEWED)
    assert plan.restarts == PODS
    assert plan.refusals == ()


def test_nothing_is_due_while_there_is_time() -> None:
    assert World(left=timedelta(days=200)).plan().steps() == []


def test_only_what_is_due_is_renewed_and_only_what_uses_that_is_restarted() -> None:
    world = World(left=timedelta(days=200))
    soon = world.certificates["scheduler.conf"]
    world.certificates["scheduler.conf"] = replace(soon, ends=NOW + timedelta(days=5))
    assert world.plan().steps() == [
        "renew scheduler.conf (ends on 2026-12-03 12:00 UTC, in 5 days)",
        "restart kube-scheduler",
    ]


def test_a_kubeconfig_of_a_person_restarts_nothing() -> None:
    world = World(left=timedelta(days=200))
    world.certificates["admin.conf"] = replace(world.certificates["admin.conf"], ends=NOW)
    assert world.plan().steps() == ["renew admin.conf (expired on 2026-11-28 12:00 UTC)"]


def test_with_external_etcd_the_client_certificate_is_carried_here() -> None:
    plan = World(roles=("control_plane",)).plan()
    assert [due.place.name for due in plan.carried] == ["apiserver-etcd-client"]
    assert "apiserver-etcd-client" not in [due.place.name for due in plan.renew]
    machine = World(roles=("etcd",)).plan()
    assert sorted(due.place.name for due in machine.renew) == [
        "apiserver-etcd-client", "etcd-healthcheck-client", "etcd-peer", "etcd-server",
    ]  # fmt: skip
    assert machine.restarts == ("etcd",)


@given(
    validity=st.timedeltas(min_value=timedelta(minutes=1), max_value=timedelta(days=20000)),
    within=st.integers(min_value=0, max_value=100000),
)
def test_what_has_just_been_made_is_never_due(validity: timedelta, within: int) -> None:
    """Else a second run would renew it again, whatever was configured."""
    wish = Wish(NOW, timedelta(days=within), validity)
    assert why_due(Certificate(API, NOW + validity), wish) == ""


@given(late=st.timedeltas(min_value=timedelta(), max_value=timedelta(days=10000)))
def test_what_has_expired_is_always_due(late: timedelta) -> None:
    assert why_due(Certificate(API, NOW - late), Wish(NOW, timedelta())).startswith("expired")


def test_a_process_older_than_its_files_is_restarted() -> None:
    """A run that was killed between the two."""
    world = World(left=timedelta(days=200))
    world.certificates["controller-manager.conf"] = replace(world.certificates["controller-manager.conf"], written=11.0)
    assert world.plan().steps() == ["restart kube-controller-manager (it runs with older certificates than the files)"]


def test_a_pair_that_does_not_belong_together_is_renewed() -> None:
    world = World(left=timedelta(days=200))
    world.certificates["apiserver"] = replace(world.certificates["apiserver"], whole=False)
    assert world.plan().steps() == ["renew apiserver (the key beside it is not its own)", "restart kube-apiserver"]


@pytest.mark.parametrize(
    ("authority", "words"),
    [
        (Authority(NOW - timedelta(days=1), True), "the CA ca expired on 2026-11-27 12:00 UTC: nothing that it signs"),
        (
            Authority(NOW + timedelta(days=30), True),
            "in 30 days, and a certificate that it signs now would be said to live for 365 days",
        ),
        (Authority(NOW + timedelta(days=3000), False), "the key of the CA ca is not on this host"),
    ],
)  # fmt: skip
def test_a_ca_that_cannot_sign_is_refused_with_the_reason(authority: Authority, words: str) -> None:
    world = World()
    world.authorities["ca"] = authority
    (refusal,) = world.plan().refusals
    assert words in refusal


def test_a_ca_that_ends_soon_says_how_to_win_time() -> None:
    world = World()
    world.authorities["etcd-ca"] = Authority(NOW + timedelta(days=30), True)
    (refusal,) = world.plan().refusals
    assert "-e renew_valid_days=30" in refusal


def test_a_ca_that_nothing_due_needs_is_no_reason() -> None:
    world = World(left=timedelta(days=200))
    world.authorities["ca"] = Authority(NOW - timedelta(days=1), True)
    assert world.plan().refusals == ()


def test_a_ca_that_is_not_there_is_refused() -> None:
    world = World()
    del world.authorities["front-proxy-ca"]
    assert world.plan().refusals == (
        "the CA front-proxy-ca is not on this host, so nothing that it signs can be renewed here",
    )


def test_pods_that_somebody_else_holds_are_left_to_them() -> None:
    world = World()
    world.held = ("etcd",)
    assert "by a recovery: finish that first" in world.plan().refusals[0]
    world.marker = "upgrade"
    assert "by an unfinished upgrade: finish that first" in world.plan().refusals[0]
    world.marker = "renew"
    assert world.plan().refusals == ()
    assert "end the restart that an earlier run has begun" in world.plan().steps()


def test_the_kubelet_is_left_alone_while_it_can_renew_its_certificate_itself() -> None:
    soon = Kubelet(conf=True, rotated=True, ends=NOW + timedelta(hours=1))
    assert World(left=timedelta(days=200), kubelet=soon).plan().kubelet == ""


@pytest.mark.parametrize(("roles", "what"), [(("control_plane", "etcd"), "renew"), (("worker",), "join")])
def test_a_kubelet_whose_certificate_has_expired(roles: tuple[str, ...], what: str) -> None:
    ended = Kubelet(conf=True, rotated=True, ends=NOW - timedelta(hours=1))
    assert World(roles=roles, left=timedelta(days=200), kubelet=ended).plan().kubelet == what


@pytest.mark.parametrize(
    ("roles", "kubelet", "marker", "what"),
    [
        (("control_plane",), Kubelet(moved=True), "", "renew"),
        (("control_plane",), Kubelet(True, embedded=True, ends=NOW + timedelta(days=9), moved=True), "", "finalize"),
        (("control_plane",), Kubelet(True, embedded=True, ends=NOW + timedelta(days=9)), "", ""),
        (("control_plane",), Kubelet(), "", ""),
        (("worker",), Kubelet(moved=True), "join", "join"),
        (("worker",), Kubelet(True, rotated=True, ends=NOW + timedelta(days=9), moved=True), "join", "join"),
        (("worker",), Kubelet(True, rotated=True, ends=NOW + timedelta(days=9), moved=True), "", ""),
        (("worker",), Kubelet(), "join", ""),
    ],
)
def test_what_a_killed_run_has_begun_with_a_kubelet(
    roles: tuple[str, ...], kubelet: Kubelet, marker: str, what: str
) -> None:
    world = World(roles=roles, left=timedelta(days=200), kubelet=kubelet)
    world.marker = marker
    world.folders = {"/kept": {"/etc/kubernetes/kubelet.conf": "moved"}} if kubelet.moved else {}
    assert world.plan().kubelet == what


def test_a_worker_under_a_ca_that_has_expired_is_not_sent_to_join_again() -> None:
    ended = Kubelet(conf=True, rotated=True, ends=NOW - timedelta(hours=1))
    world = World(roles=("worker",), kubelet=ended)
    world.authorities["ca"] = Authority(NOW, False)
    assert "a renewal cannot help" in world.plan().refusals[0]


def test_how_long_a_certificate_lives_is_read_as_kubeadm_writes_it() -> None:
    cluster = {"kind": "ClusterConfiguration"}
    assert validity_of([{"kind": "InitConfiguration"}, cluster]) == timedelta(days=365)
    assert validity_of([{**cluster, "certificateValidityPeriod": "720h30m0s"}]) == timedelta(hours=720, minutes=30)
    with pytest.raises(InputError):
        validity_of([{**cluster, "certificateValidityPeriod": "a year"}])
