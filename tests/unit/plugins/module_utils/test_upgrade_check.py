# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaks against an upgrade, and that an unfinished one is never refused for being unfinished."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.findings import FATAL, WARNING, Finding
from ansible_collections.quorum.kubeadm.plugins.module_utils.quorum import Cluster, Member
from ansible_collections.quorum.kubeadm.plugins.module_utils.upgrade_check import (
    BalancerState,
    Case,
    blocked,
    check,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.upgrade_order import NodeState, Target, arrange
from tests.unit.upgrade_world import NEW, NEW_ETCD, OLD, PLANES, TARGET, Run, etcd, images, member, plane, worker

UP = dict.fromkeys(PLANES, True)


def case(*nodes: NodeState, target: Target = TARGET, **more: Any) -> Case:
    """A cluster that may be upgraded, except for what is given."""
    given_nodes = {node.name: node for node in nodes}
    default = {name: plane(name) for name in PLANES} | {"w1": worker("w1")}
    made = Case(
        nodes=tuple({**default, **given_nodes}.values()),
        target=target,
        etcd=etcd(PLANES, leader="cp1"),
        balancers=(BalancerState("lb1", UP), BalancerState("lb2", UP)),
        inventory="hosts.yml",
    )
    return replace(made, **more)


def every(*, version: str, **more: Any) -> list[NodeState]:
    return [*(plane(name, version, **more) for name in PLANES), worker("w1", version)]


def fatals(found: list[Finding]) -> list[Finding]:
    return [item for item in found if item.level == FATAL]


def only(found: list[Finding]) -> Finding:
    assert len(found) == 1, found
    return found[0]


def test_nothing_speaks_against_it() -> None:
    assert check(case()) == []
    assert check(case(*every(version="1.36.0"))) == []


def test_at_the_target_only_hosts_and_versions_are_looked_at() -> None:
    silent = (BalancerState("lb1", silent="no socket"),)
    assert check(case(*every(version=NEW), etcd=Cluster(()), balancers=silent)) == []


# Versions


def test_fault_30_a_minor_version_that_is_skipped_is_refused_with_the_path() -> None:
    found = only(check(case(*every(version="1.34.4", etcd="3.6.5"))))
    assert (found.level, found.host, found.check) == (FATAL, "cp1, cp2, cp3", "version")
    assert found.found == "the API server: 1.34.4 to 1.36.3 skips 1 minor version(s)"
    assert found.next_step == (
        "go 1.35.4 -> 1.36.3: ansible-playbook playbooks/upgrade.yml -i hosts.yml -e kube_version=1.35.4, then "
        "ansible-playbook playbooks/upgrade.yml -i hosts.yml -e kube_version=1.36.3"
    )


def test_fault_30_a_downgrade_is_refused() -> None:
    found = fatals(check(case(*every(version=NEW), target=Target(OLD, NEW_ETCD))))
    api = only([item for item in found if item.check == "version"])
    assert api.found == "the API server: 1.35.4 is older than 1.36.3, which runs: Kubernetes cannot be downgraded"
    assert api.next_step.startswith("set kube_version to 1.36.3 or newer")
    assert {item.host for item in found if item.check == "skew"} == {*PLANES, "w1"}


def test_fault_30_one_api_server_that_is_newer_is_enough() -> None:
    found = fatals(check(case(plane("cp2", "1.36.3"), target=Target("1.36.1", NEW_ETCD))))
    assert {(item.host, item.check) for item in found} == {("cp2", "version"), ("cp2", "skew")}


@pytest.mark.parametrize(
    ("node", "words", "step"),
    [
        (
            worker("w1", "1.36.0"),
            "the kubelet (1.36.0) is newer than the API server (1.35.4)",
            "bring the kubelet back to 1.35.4",
        ),
        (
            plane("cp2", kubelet="1.36.0"),
            "the kubelet (1.36.0) is newer than the API server (1.35.4)",
            "bring the kubelet back to 1.35.4",
        ),
        (
            worker("w1", "1.32.9"),
            "the kubelet (1.32.9) is 4 minor versions older than the API server (1.36.3)",
            "upgrade this node first, one version after another: 1.32.x -> 1.33.x -> 1.34.4 -> 1.35.4",
        ),
        (
            worker("w1", "1.36.4"),
            "1.36.3 is older than the kubelet (1.36.4), which runs",
            "set kube_version to 1.36.4 or newer",
        ),
    ],
)
def test_fault_30_kubelets(node: NodeState, words: str, step: str) -> None:
    found = only(fatals(check(case(node))))
    assert (found.host, found.check) == (node.name, "skew")
    assert words in found.found
    assert step in found.next_step


def test_a_kubelet_three_minors_behind_may_be_upgraded() -> None:
    assert check(case(worker("w1", "1.33.9"))) == []


def test_a_control_plane_that_is_done_is_no_newer_kubelet() -> None:
    """Half of an upgrade: its kubelet works with its own API server."""
    assert check(case(plane("cp1", NEW))) == []
    assert (
        check(case(plane("cp1", NEW), plane("cp2", NEW, kubelet=OLD, cordoned=True, ready=False)))[0].level == WARNING
    )


@pytest.mark.parametrize(
    ("running", "target", "words", "step"),
    [
        (
            "3.5.31",
            "3.6.16-0",
            "etcd 3.5.31 must be 3.5.32 or newer before it becomes 3.6.16",
            "set kube_control_plane_etcd_image_tag: 3.5.32 -> 3.6.16, one upgrade each",
        ),
        (
            "3.4.30",
            "3.6.16",
            "etcd 3.4.30 to 3.6.16 skips 1 minor version(s)",
            "set kube_control_plane_etcd_image_tag: 3.5.x -> 3.6.16, one upgrade each",
        ),
        (
            "3.6.17",
            "3.6.16",
            "etcd 3.6.16 is older than 3.6.17, which runs: etcd cannot be downgraded",
            "set kube_control_plane_etcd_image_tag to 3.6.17-0 or newer",
        ),
    ],
)
def test_fault_30_an_etcd_that_cannot_become_the_targets(running: str, target: str, words: str, step: str) -> None:
    found = fatals(check(case(target=Target(NEW, target), etcd=etcd(PLANES, version=running))))
    assert [item.host for item in found] == list(PLANES)
    assert {(item.check, item.found, item.next_step) for item in found} == {("etcd-version", words, step)}


def test_fault_30_the_running_member_counts_and_not_the_manifest() -> None:
    members = Cluster((member("cp1", version="3.5.31"), member("cp2"), member("cp3", version="")))
    assert only(fatals(check(case(etcd=members)))).host == "cp1"


def external(version: str, *, healthy: int = 3) -> dict[str, Any]:
    members = tuple(member(f"e{n}", healthy=n <= healthy, version=version) for n in range(1, 4))
    nodes = tuple(plane(name, images=images(OLD, "")) for name in PLANES)
    return {"nodes": nodes, "target": Target(NEW), "etcd": Cluster(members)}


def test_fault_30_an_external_etcd_that_is_too_old() -> None:
    found = fatals(check(Case(**external("3.5.23"))))
    assert [item.host for item in found] == ["e1", "e2", "e3"]
    assert found[0].found == "etcd 3.5.23 is too old for Kubernetes 1.36.3, which needs 3.5.24 or newer"
    assert "upgrade etcd first" in found[0].next_step
    assert check(Case(**external("3.5.24"))) == []


def test_an_external_etcd_needs_a_quorum_and_loses_no_member() -> None:
    assert check(Case(**external("3.6.16", healthy=2))) == []
    found = only(check(Case(**external("3.6.16", healthy=1))))
    assert found.found == "the quorum is lost (1 of 3 voters healthy, quorum 2, tolerance 1)"


# Hosts and nodes


def test_hosts_that_are_away_and_hosts_that_are_no_nodes() -> None:
    found = check(case(away={"w2": "no route to host"}, missing=("w3",)))
    away, missing = found
    assert (away.level, away.host, away.check) == (FATAL, "w2", "unreachable")
    assert "no route to host" in away.found
    assert (missing.level, missing.host, missing.check) == (FATAL, "w3", "node")
    assert "run site first" in missing.next_step


def test_a_node_that_is_not_ready_is_refused_at_whatever_version() -> None:
    for version in (OLD, NEW):
        found = only(fatals(check(case(*every(version=version)[:3], worker("w1", version, ready=False)))))
        assert (found.host, found.check) == ("w1", "ready")
        assert "kubectl describe node w1" in found.next_step


def test_an_api_server_that_does_not_answer() -> None:
    found = only(check(case(plane("cp2", api=""))))
    assert (found.host, found.check) == ("cp2", "api")


def test_one_control_plane_down_is_refused_with_the_arithmetic() -> None:
    found = check(
        case(
            plane("cp3", api="", ready=False),
            etcd=etcd(PLANES, leader="cp1", down=["cp3"]),
            balancers=(BalancerState("lb1", {**UP, "cp3": False}),),
            away={"cp3": "no route to host"},
        )
    )
    assert all(item.level == FATAL for item in found)
    by_check = {item.check: item for item in found}
    assert set(by_check) == {"unreachable", "ready", "etcd", "haproxy"}
    assert by_check["etcd"].host == "cp1, cp2"
    assert by_check["etcd"].found == (
        "without the member that restarts: 1 of 3 voters healthy, quorum 2 "
        "(2 of 3 voters healthy, quorum 2, tolerance 1)"
    )
    assert by_check["haproxy"].found == "it has cp3 out of service"


def test_of_five_one_may_be_down_for_etcd() -> None:
    names = [f"cp{n}" for n in range(1, 6)]
    nodes = [plane(name) for name in names]
    found = check(Case(nodes=tuple(nodes), target=TARGET, etcd=etcd(names, down=["cp5"])))
    assert found == []
    found = check(Case(nodes=tuple(nodes), target=TARGET, etcd=etcd(names, down=["cp4", "cp5"])))
    assert "2 of 5 voters healthy, quorum 3" in only(found).found


# What is begun


@pytest.mark.parametrize(
    ("begun", "words"),
    [
        ({"interrupted": True}, "its static pods are being changed"),
        ({"cordoned": True}, "it is out of service"),
        ({"out_of_service": ("lb1",)}, "it is out of service"),
    ],
)
def test_a_node_that_was_begun_is_only_told(begun: dict[str, Any], words: str) -> None:
    node = plane("cp2", ready=False, api="", **begun)
    found = only(check(case(node, balancers=(BalancerState("lb1", {**UP, "cp2": False}),))))
    assert (found.level, found.host, found.check) == (WARNING, "cp2", "resume")
    assert words in found.found


def test_a_member_that_an_unfinished_run_has_stopped_does_not_refuse_the_next_run() -> None:
    """Killed while etcd was out: its node comes first, and no other one is touched before it is back."""
    node = plane("cp1", ready=False, api="", interrupted=True, cordoned=True, out_of_service=("lb1",))
    down = etcd(PLANES, leader="cp2", down=["cp1"])
    assert fatals(check(case(node, etcd=down))) == []
    assert arrange(case(node).nodes, TARGET, down).first == "cp1"


def test_another_member_that_is_down_besides_it_refuses() -> None:
    node = plane("cp1", interrupted=True)
    found = only(fatals(check(case(node, etcd=etcd(PLANES, down=["cp1", "cp3"])))))
    assert found.host == "cp1, cp2"
    assert "1 of 3 voters healthy, quorum 2, tolerance 1" in found.found


# etcd


def test_an_etcd_that_is_not_seen() -> None:
    found = only(check(case(etcd=Cluster(()), silent="connection refused")))
    assert (found.level, found.found) == (FATAL, "etcd cannot be seen: connection refused")


def test_the_leader_is_no_reason_it_is_moved_away() -> None:
    for leader in PLANES:
        assert check(case(etcd=etcd(PLANES, leader=leader))) == []


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (Member("9", "cp9", ("https://cp9:2380",), learner=True), 'a learner is joining: "cp9"'),
        (Member("9", "", ("https://cp9:2380",), learner=True), "a member was added and never started"),
    ],
)
def test_an_unfinished_change_of_members_comes_first(odd: Member, words: str) -> None:
    found = fatals(check(case(etcd=Cluster((*etcd(PLANES).members, odd)))))
    assert any(words in item.found for item in found)
    assert {item.host for item in found} == {"cp1, cp2, cp3"}


# Load balancers


@pytest.mark.parametrize(
    ("balancer", "words"),
    [
        (BalancerState("lb1", silent="no such file"), "HAProxy does not answer: no such file"),
        (BalancerState("lb1", {"cp1": True, "cp2": True}), "it does not know cp3"),
        (BalancerState("lb1", {**UP, "cp2": False}), "it has cp2 out of service"),
        (BalancerState("lb1", {**UP, "cp9": False}), "it has cp9 out of service"),
    ],
)
def test_load_balancers(balancer: BalancerState, words: str) -> None:
    found = only(check(case(balancers=(balancer, BalancerState("lb2", UP)))))
    assert (found.level, found.host, found.check, found.found) == (FATAL, "lb1", "haproxy", words)


def test_without_load_balancers_none_is_asked() -> None:
    assert check(case(balancers=())) == []


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_control_planes_have_a_gap(count: int) -> None:
    names = PLANES[:count]
    alone = Case(nodes=tuple(plane(name) for name in names), target=TARGET, etcd=etcd(names))
    found = fatals(check(alone))
    assert {item.check for item in found} == {"gap", "etcd"}
    gap = only([item for item in found if item.check == "gap"])
    assert gap.found == f"{count} control plane(s): the API is away while one restarts"
    assert "upgrade_allow_downtime=true" in gap.next_step
    accepted = check(replace(alone, allow_downtime=True))
    assert [(item.level, item.check) for item in accepted] == [(WARNING, "gap")]


def test_a_worker_alone_has_no_gap() -> None:
    one = Case(nodes=(plane("cp1", NEW), worker("w1")), target=TARGET, etcd=etcd(["cp1"], version=NEW_ETCD))
    assert check(one) == []


# Pods that cannot leave


ROWS = [
    {"node": name, "pod": f"shop/{name}-pod", "found": "budget web allows 0", "next": "scale it"}
    for name in ("w1", "w2")
]


@pytest.mark.parametrize(("policy", "level"), [("fail", FATAL), ("wait", WARNING), ("force", WARNING)])
def test_fault_8_pods_that_are_held_are_named_where_they_matter(policy: str, level: str) -> None:
    found = only(blocked(ROWS, ["w1"], policy))
    assert found == Finding("w1", "drain", level, "shop/w1-pod: budget web allows 0", "scale it")
    assert blocked(ROWS, [], policy) == []


# Properties


@given(st.integers(0, 30), st.booleans())
def test_a_healthy_cluster_is_never_refused_in_the_middle(kill: int, stopped: bool) -> None:
    """Every state that a killed run leaves may be gone on with, its stopped etcd member included."""
    run = Run({name: plane(name) for name in PLANES} | {"w1": worker("w1")})
    run.carry_out(arrange(list(run.nodes.values()), TARGET, etcd(PLANES, leader="cp1")), kill)
    down = [name for name, node in run.nodes.items() if node.begun and stopped]
    for name in down:
        run.nodes[name] = replace(run.nodes[name], ready=False, api="", interrupted=True)
    balancer = BalancerState("lb1", {name: name not in down for name in PLANES})
    left = Case(nodes=tuple(run.nodes.values()), target=TARGET, etcd=etcd(PLANES, "cp2", down), balancers=(balancer,))
    assert fatals(check(left)) == []


@given(st.sets(st.sampled_from(PLANES), min_size=1), st.sampled_from(PLANES))
def test_a_member_that_is_down_by_itself_always_refuses(down: set[str], leader: str) -> None:
    found = fatals(check(case(etcd=etcd(PLANES, leader=leader, down=down))))
    assert [item for item in found if item.check == "etcd" and "voters healthy, quorum 2" in item.found]
