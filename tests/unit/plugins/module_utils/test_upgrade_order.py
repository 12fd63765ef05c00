# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of an upgrade: what is done, what comes when, what is left meanwhile, and where a killed run goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.quorum import Cluster
from ansible_collections.quorum.kubeadm.plugins.module_utils.upgrade_order import (
    DONE,
    FINISH,
    TODO,
    NodeState,
    Order,
    Target,
    arrange,
    is_at,
    state_of,
)
from tests.unit.upgrade_world import NEW, NEW_ETCD, OLD, OLD_ETCD, PLANES, TARGET, Run, etcd, images, plane, worker

THREE = etcd(PLANES)


# What is done


@pytest.mark.parametrize(
    ("image", "version", "at"),
    [
        ("registry.k8s.io/kube-proxy:v1.36.3", "1.36.3", True),
        ("registry.example:5000/kube-proxy:v1.36.30", "1.36.3", False),
        ("registry.k8s.io/etcd:3.6.16-0", "3.6.16", True),
        ("registry.k8s.io/etcd:3.6.16-0", "3.6.16-0", True),
        ("registry.k8s.io/etcd:3.6.16-0@sha256:00", "3.6.16", True),
        ("registry.k8s.io/etcd:3.6.1", "3.6.16", False),
        ("", "1.36.3", False),
    ],
)
def test_versions_of_images_are_exact(image: str, version: str, at: bool) -> None:
    assert is_at(image, version) is at


UP = plane("cp1", NEW)


@pytest.mark.parametrize(
    ("node", "state"),
    [
        (UP, DONE),
        (plane("cp1", OLD), TODO),
        (replace(UP, kubelet=OLD), TODO),
        (replace(UP, api=OLD), TODO),
        (replace(UP, api=""), TODO),
        (replace(UP, ready=False), TODO),
        (replace(UP, interrupted=True), TODO),
        (replace(UP, images=images(NEW, OLD_ETCD)), TODO),
        (replace(UP, images={**UP.images, "kube-scheduler": f"registry.k8s.io/kube-scheduler:v{OLD}"}), TODO),
        (replace(UP, images={}), TODO),
        (replace(UP, cordoned=True), FINISH),
        (replace(UP, out_of_service=("lb2",)), FINISH),
        (worker("w1", NEW), DONE),
        (worker("w1", OLD), TODO),
        (worker("w1", NEW, ready=False), TODO),
        (worker("w1", NEW, cordoned=True), FINISH),
        (worker("w1", ""), TODO),
    ],
)
def test_what_runs_tells_what_is_done(node: NodeState, state: str) -> None:
    assert state_of(node, TARGET) == state


def test_an_external_etcd_is_not_asked_for() -> None:
    node = plane("cp1", NEW, images=images(NEW, ""))
    assert state_of(node, Target.of(NEW, external_etcd=True)) == DONE
    assert state_of(node, Target.of(NEW, external_etcd=False)) == TODO


def test_the_target_of_a_version() -> None:
    assert Target.of(NEW, external_etcd=False) == TARGET
    assert Target.of(NEW, external_etcd=True).etcd == ""
    assert Target.of(NEW, external_etcd=False, etcd_tag="3.6.17-0").etcd == "3.6.17-0"


# The order


def test_control_planes_first_the_leaders_last_in_natural_order() -> None:
    names = [f"cp{n}" for n in (10, 2, 1)]
    nodes = [worker("w10"), worker("w9"), *map(plane, names)]
    order = arrange(nodes, TARGET, etcd(names, leader="cp2"))
    assert order.control_planes == ("cp1", "cp10", "cp2")
    assert order.workers == ("w9", "w10")
    assert order.first == "cp1"
    assert order.todo == ("cp1", "cp10", "cp2", "w9", "w10")


def test_what_was_begun_comes_first_the_leaders_too() -> None:
    nodes = [plane("cp1"), plane("cp2", cordoned=True), plane("cp3"), worker("w1"), worker("w2", cordoned=True)]
    order = arrange(nodes, TARGET, etcd(PLANES, leader="cp2"))
    assert order.control_planes == ("cp2", "cp1", "cp3")
    assert order.workers == ("w2", "w1")


def test_what_is_done_is_not_in_the_order_and_what_is_out_of_service_comes_back() -> None:
    nodes = [plane("cp1", NEW), plane("cp2", NEW, out_of_service=("lb1",)), plane("cp3"), worker("w1")]
    order = arrange(nodes, TARGET, THREE)
    assert (order.done, order.finishing, order.control_planes, order.workers) == (("cp1",), ("cp2",), ("cp3",), ("w1",))
    assert order.todo[0] == "cp2"
    assert order.steps[0].node == "cp2"
    assert "comes back into service" in order.steps[0].does


def test_at_the_target_there_is_nothing_to_do() -> None:
    order = arrange([*(plane(name, NEW) for name in PLANES), worker("w1", NEW)], TARGET, THREE)
    assert order == Order(done=("cp1", "cp2", "cp3", "w1"))
    assert (order.first, order.todo) == ("", ())


NODES = [*map(plane, PLANES), worker("w1"), worker("w2")]


@pytest.mark.parametrize(
    ("until", "planes", "workers", "later"),
    [
        ("", PLANES, ("w1", "w2"), ()),
        ("cp1", ("cp1",), (), ("cp2", "cp3", "w1", "w2")),
        ("cp3", PLANES, (), ("w1", "w2")),
        ("w1", PLANES, ("w1",), ("w2",)),
        ("w2", PLANES, ("w1", "w2"), ()),
    ],
)
def test_until_is_the_last_node(
    until: str, planes: tuple[str, ...], workers: tuple[str, ...], later: tuple[str, ...]
) -> None:
    order = arrange(NODES, TARGET, THREE, until)
    assert (order.control_planes, order.workers, order.later) == (planes, workers, later)
    assert {step.node for step in order.steps} == {*planes, *workers}


def test_until_a_node_that_is_done_goes_no_further() -> None:
    """The canary's command once more."""
    nodes = [plane("cp1", NEW), *map(plane, PLANES[1:]), worker("w1")]
    order = arrange(nodes, TARGET, THREE, "cp1")
    assert (order.todo, order.steps) == ((), ())
    assert order.later == ("cp2", "cp3", "w1")


@pytest.mark.parametrize("until", ["cp1", "cp2"])
def test_until_keeps_no_node_out_of_service(until: str) -> None:
    away = ("lb1",)
    nodes = [plane("cp1", NEW, out_of_service=away), plane("cp2", NEW, out_of_service=away), plane("cp3")]
    order = arrange(nodes, TARGET, THREE, until)
    assert (order.finishing, order.later, order.control_planes) == (("cp1", "cp2"), ("cp3",), ())


# The steps


def test_the_steps_with_versions_and_what_is_left() -> None:
    order = arrange(NODES, TARGET, etcd(PLANES, leader="cp3"))
    told = [(step.does, step.before, step.after, step.left) for step in order.steps if step.node == "cp1"]
    assert told == [
        ("leave HAProxy, cordon, drain", "", "", "2 of 3 API servers"),
        (
            "etcd: move the leadership away, restart",
            OLD_ETCD,
            NEW_ETCD,
            "etcd 2 of 3 voters, 0 may fail",
        ),
        ("API server, controller manager, scheduler", OLD, NEW, "2 of 3 API servers"),
        ("kubeadm upgrade apply, kubelet, kubectl", OLD, NEW, "2 of 3 API servers"),
        ("stable, back into HAProxy, uncordon", "", "", "3 of 3 API servers"),
    ]
    assert [step.does for step in order.steps if "kubeadm upgrade" in step.does and step.node in PLANES[1:]] == [
        "kubeadm upgrade node, kubelet, kubectl"
    ] * 2
    assert [step.does for step in order.steps if step.node == "w1"] == [
        "cordon, drain",
        "kubeadm upgrade node, kubelet, kubectl",
        "stable, uncordon",
    ]


def test_etcd_at_its_version_is_no_step() -> None:
    nodes = [plane(name, etcd=NEW_ETCD) for name in PLANES]
    assert not [step for step in arrange(nodes, TARGET, THREE).steps if "etcd" in step.does]


def test_what_is_unknown_is_told_as_unknown() -> None:
    step = next(s for s in arrange([worker("w1", "")], TARGET, THREE).steps if s.after)
    assert step.before == "?"
    assert "?" in [s.before for s in arrange([plane("cp1", images={})], TARGET, THREE).steps]


@pytest.mark.parametrize(
    ("count", "down", "left"),
    [
        (3, [], "etcd 2 of 3 voters, 0 may fail"),
        (3, ["cp2"], "etcd 1 of 3 voters, 0 may fail"),
        (5, [], "etcd 4 of 5 voters, 1 may fail"),
        (5, ["cp2"], "etcd 3 of 5 voters, 0 may fail"),
        (5, ["cp1"], "etcd 4 of 5 voters, 1 may fail"),
        (7, [], "etcd 6 of 7 voters, 2 may fail"),
        (1, [], "etcd 0 of 1 voters, 0 may fail"),
    ],
)
def test_tolerance_while_a_member_restarts(count: int, down: list[str], left: str) -> None:
    names = [f"cp{n}" for n in range(1, count + 1)]
    order = arrange([plane(name) for name in names], TARGET, etcd(names, down=down))
    assert next(step.left for step in order.steps if "etcd" in step.does) == left


# Properties

VERSIONS = st.sampled_from([OLD, NEW])


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[NodeState], Cluster]:
    planes = [f"cp{n}" for n in range(1, draw(st.integers(1, 5)) + 1)]
    workers = [f"w{n}" for n in range(1, draw(st.integers(0, 4)) + 1)]
    nodes: list[NodeState] = []
    for name in planes:
        out = draw(st.sampled_from([(), ("lb1",)]))
        more: dict[str, Any] = {"out_of_service": out, "interrupted": draw(st.booleans())}
        nodes.append(plane(name, draw(VERSIONS), cordoned=draw(st.booleans()), ready=draw(st.booleans()), **more))
    nodes += [worker(name, draw(VERSIONS), cordoned=draw(st.booleans())) for name in workers]
    return draw(st.permutations(nodes)), etcd(planes, leader=draw(st.sampled_from(planes)))


@given(clusters(), st.sampled_from(["", "cp1", "cp2", "w1", "w3"]))
def test_every_node_is_somewhere_once_and_none_before_its_turn(
    cluster: tuple[list[NodeState], Cluster], until: str
) -> None:
    nodes, members = cluster
    order = arrange(nodes, TARGET, members, until)
    parts = (*order.done, *order.finishing, *order.control_planes, *order.workers, *order.later)
    assert sorted(parts) == sorted(node.name for node in nodes)
    by_name = {node.name: node for node in nodes}
    assert all(by_name[name].is_control_plane for name in order.control_planes)
    assert not any(by_name[name].is_control_plane for name in order.workers)
    if order.workers:
        assert not any(by_name[name].is_control_plane for name in order.later), "workers only after all control planes"
    leader = next(member.name for member in members.voters if member.leader)
    for names in (order.control_planes, order.workers):
        begun = [by_name[name].begun for name in names]
        assert begun == sorted(begun, reverse=True), "what was begun comes first"
    if leader in order.control_planes:
        after = order.control_planes[order.control_planes.index(leader) + 1 :]
        assert not [name for name in after if by_name[name].begun == by_name[leader].begun]
    assert {step.node for step in order.steps} == set(order.todo), "what is done is never touched"
    assert arrange(list(reversed(nodes)), TARGET, members, until) == order


@given(
    st.integers(1, 5), st.integers(0, 4), st.lists(st.integers(0, 12), max_size=5), st.sampled_from(["", "cp1", "w2"])
)
def test_killed_anywhere_it_goes_on_with_the_first_that_is_not_done(
    planes: int, workers: int, kills: list[int], until: str
) -> None:
    names = [f"cp{n}" for n in range(1, planes + 1)]
    run = Run({name: plane(name) for name in names} | {f"w{n}": worker(f"w{n}") for n in range(1, workers + 1)})
    members = etcd(names, leader=names[0])
    for kill in kills:
        order = arrange(list(run.nodes.values()), TARGET, members)
        done = {name for name, node in run.nodes.items() if state_of(node, TARGET) == DONE}
        run.touched.clear()
        run.carry_out(order, kill)
        assert not done & set(run.touched)
    half = [name for name, node in run.nodes.items() if node.begun]
    assert len(half) <= 1, "one node at a time"
    order = arrange(list(run.nodes.values()), TARGET, members)
    if half and state_of(run.nodes[half[0]], TARGET) == TODO:
        group = order.control_planes if run.nodes[half[0]].is_control_plane else order.workers
        assert group[0] == half[0]
    assert run.carry_out(order)
    end = arrange(list(run.nodes.values()), TARGET, members, until)
    assert (end.todo, end.later, end.steps) == ((), (), ())


@given(clusters(), st.sampled_from(["cp1", "w1"]))
def test_until_twice_is_until_once(cluster: tuple[list[NodeState], Cluster], until: str) -> None:
    nodes, members = cluster
    run = Run({node.name: replace(node, interrupted=False, ready=True) for node in nodes})
    if until not in run.nodes:
        return
    order = arrange(list(run.nodes.values()), TARGET, members, until)
    run.carry_out(order)
    again = arrange(list(run.nodes.values()), TARGET, members, until)
    assert (again.todo, again.later) == ((), order.later)
