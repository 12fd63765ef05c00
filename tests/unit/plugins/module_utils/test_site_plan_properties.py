"""Laws of the plan that hold for any mixture of hosts."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.preflight_world import CA, ETCD_CA, FOREIGN_CA, MACHINES, PLANES, VIP, WORKERS, World

NODES = (*PLANES, *WORKERS)
TRACES: dict[str, dict[str, Any]] = {
    "blank": {},
    "ca": {"ca_pem": CA},
    "foreign ca": {"ca_pem": FOREIGN_CA},
    "etcd data": {"etcd_data": "present"},
    "kubelet.conf": {"kubelet_conf": {"server": "https://10.0.0.100:6443", "ca_pem": CA}},
    "admin.conf": {"admin_conf": True},
    "bootstrap": {"bootstrap_conf": True},
    "manifests": {"manifests": {"kube-apiserver": "registry.k8s.io/kube-apiserver:v1.36.3"}},
    "join marker": {"marker": {"action": "join", "started": 1}},
    "init marker": {"marker": {"action": "init", "started": 1}},
}
STATES = st.one_of(st.just("blank"), st.just("node"), st.sampled_from(["unreachable", "outside", *TRACES]))
PAST = ("etcd data", "kubelet.conf", "admin.conf", "bootstrap", "manifests", "join marker")


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, dict[str, str]]:
    """Each host in some state, each API address answering or not."""
    states = {name: draw(STATES) for name in NODES}
    world = World()
    for name, state in states.items():
        if state == "node":
            world.node_of(name)
        elif state in TRACES:
            world.kubernetes(name).update(copy.deepcopy(TRACES[state]))
    answering = [world.hosts[name]["ansible_host"] for name in PLANES if draw(st.booleans())]
    world.answers(*answering, *([VIP] if draw(st.booleans()) else []))
    world.outside(*(name for name, state in states.items() if state == "outside"))
    world.unreachable(*(name for name, state in states.items() if state == "unreachable"))
    return world, states


def inits(world: World) -> list[str]:
    return [name for name, action in world.ask().plan.hosts.items() if action == "init"]


@settings(max_examples=300)
@given(worlds())
def test_a_cluster_never_begins_beside_evidence(drawn: tuple[World, dict[str, str]]) -> None:
    """At most one init, and none at all where a host has a past, a control plane is unknown, or an API answers."""
    world, states = drawn
    started = inits(world)
    assert len(started) <= 1
    if not started:
        return
    known = [states[name] for name in NODES if name in world.nodes]
    assert all(name in world.nodes for name in PLANES)
    begun = states[started[0]]
    live = set(world.ask().plan.live) - {started[0]}
    assert not live
    if begun == "blank":
        assert set(known) == {"blank"}
    else:
        assert begun in ("init marker", "ca", "foreign ca")
        assert not set(PAST) & set(known)
        assert "node" not in known


@settings(max_examples=200)
@given(worlds(), st.permutations(list(World().hosts)))
def test_the_order_of_the_inventory_means_nothing_beside_evidence(
    drawn: tuple[World, dict[str, str]], order: list[str]
) -> None:
    world, states = drawn
    one, other = world.ask(), world.reordered(order).ask()
    if all(states[name] == "blank" for name in NODES if name in world.nodes) and one.plan.state == "new":
        return
    assert one.plan.as_dict() == other.plan.as_dict()
    assert [f.level for f in one.findings] == [f.level for f in other.findings]


@settings(max_examples=100)
@given(st.sets(st.sampled_from(NODES), min_size=2), st.data())
def test_removing_a_host_never_leads_to_init(members: set[str], data: st.DataObject) -> None:
    """A cluster of two or more nodes, running or dead, and any one host taken out of the inventory."""
    world = World().running(*sorted(members), vip=data.draw(st.booleans()))
    if data.draw(st.booleans()):
        world.answers(*(world.hosts[name]["ansible_host"] for name in PLANES), VIP, status=None)
    world.drop(data.draw(st.sampled_from(NODES)))
    assert not inits(world)


@settings(max_examples=100)
@given(worlds())
def test_every_host_of_the_play_has_an_action_and_a_refusal_joins_nobody(drawn: tuple[World, dict[str, str]]) -> None:
    world, _states = drawn
    plan = world.ask().plan
    assert set(plan.hosts) == {name for name, host in world.hosts.items() if host["in_play"]}
    assert all((action == "unreachable") == (name not in world.nodes) for name, action in plan.hosts.items())
    if not plan.seed:
        assert not {"init", "join_control_plane", "join_worker"} & set(plan.hosts.values())


@settings(max_examples=100)
@given(worlds())
def test_a_kept_host_stays_kept_when_asked_again(drawn: tuple[World, dict[str, str]]) -> None:
    """The same facts give the same plan: nothing of one answer leaks into the next."""
    world, _states = drawn
    assert world.ask() == world.ask()


ETCD_STATES = st.sampled_from(
    ["blank", "ca", "data", "first start", "begun", "joining", "runs", "unreachable", "outside"]
)
ETCD_TRACES: dict[str, dict[str, Any]] = {
    "ca": {"etcd_ca_pem": ETCD_CA},
    "data": {"etcd_data": "present"},
    "first start": {"etcd_initial": "new", "etcd_ca_pem": ETCD_CA},
    "begun": {"etcd_initial": "new", "etcd_data": "present", "etcd_ca_pem": ETCD_CA},
    "joining": {"etcd_initial": "existing", "etcd_ca_pem": ETCD_CA},
}


@st.composite
def external_worlds(draw: st.DrawFn) -> tuple[World, dict[str, str], bool | None]:
    """The mixtures above with an etcd of machines of its own, each in some state; whether that etcd is empty."""
    world, _states = draw(worlds())
    world.with_etcd()
    states = {name: draw(ETCD_STATES) for name in MACHINES}
    for name, state in states.items():
        world.kubernetes(name).update(copy.deepcopy(ETCD_TRACES.get(state, {})))
    empty = draw(st.sampled_from([True, False, None]))
    running = [name for name, state in states.items() if state == "runs"]
    # Who does not run is a member that never started, one that is down, or none.
    others = [name for name in MACHINES if name not in running and draw(st.booleans())]
    rows = [world.member(name) for name in running]
    rows += [world.member(name, client_urls=[] if draw(st.booleans()) else ["x"], healthy=False) for name in others]
    world.etcd_runs(*running, empty=empty, members=rows)
    for name, state in states.items():
        if state == "outside":
            world.outside(name)
        elif state == "unreachable":
            world.unreachable(name)
    world.answers(*answering(world))
    return world, states, empty


def answering(world: World) -> list[str]:
    """The API addresses that any host got an answer from."""
    found = {
        url.split("/")[2].split(":")[0]
        for node in world.nodes.values()
        for url, answer in node["kubernetes"]["api"].items()
        if answer["status"]
    }
    return sorted(found)


@settings(max_examples=120)
@given(external_worlds())
def test_no_etcd_begins_beside_another(drawn: tuple[World, dict[str, str], bool | None]) -> None:
    """Where no etcd was found, or as a member of the very etcd that was found; never beside foreign data."""
    world, states, _empty = drawn
    answer = world.ask()
    plan = answer.plan.etcd
    begun = [name for name, action in plan.actions.items() if action == "bootstrap"]
    if not begun or answer.fatal:
        return
    runs = [name for name in MACHINES if states[name] == "runs"]
    members = {row["name"] for name in runs for row in world.nodes[name]["etcd"]["etcd"]["members"]}
    if runs:
        assert set(begun) <= members
        assert all(states[name] in ("first start", "begun") or states[name] in ("blank", "ca") for name in begun)
    else:
        assert not {"data", "joining", "unreachable", "outside"} & set(states.values())
        assert answer.plan.state == "new"
        assert not answer.plan.live


@settings(max_examples=120)
@given(external_worlds())
def test_no_cluster_begins_on_an_etcd_that_holds_one(drawn: tuple[World, dict[str, str], bool | None]) -> None:
    world, states, empty = drawn
    answer = world.ask()
    started = [name for name, action in answer.plan.hosts.items() if action == "init"]
    assert len(started) <= 1
    if answer.fatal or not started:
        return
    holds = "runs" in states.values() and not empty
    begun = any((world.kubernetes(name)["marker"] or {}).get("action") == "init" for name in started)
    assert begun or not holds
    assert begun or "data" not in states.values() or (empty and "runs" in states.values())


@settings(max_examples=80)
@given(external_worlds(), st.permutations(list(World().with_etcd().hosts)))
def test_the_order_of_etcd_machines_means_nothing(
    drawn: tuple[World, dict[str, str], bool | None], order: list[str]
) -> None:
    world, _states, _empty = drawn
    one, other = world.ask(), world.reordered(order).ask()
    assert one.plan.etcd.as_dict() == other.plan.etcd.as_dict()


@settings(max_examples=50)
@given(external_worlds())
def test_a_refused_plan_changes_no_etcd(drawn: tuple[World, dict[str, str], bool | None]) -> None:
    world, _states, _empty = drawn
    plan = world.ask().plan
    if not plan.seed:
        assert not {"bootstrap", "join", "leave"} & set(plan.etcd.actions.values())
