"""What becomes of each machine of an external etcd; and of what interrupted joins left, in either topology."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_plan import EtcdPlan
from tests.unit.preflight_world import CA, ETCD_CA, FOREIGN_CA, MACHINES, PLANES, WORKERS, World, blank, external

ALL = {"etcd1", "etcd2", "etcd3"}


def plan_of(world: World) -> EtcdPlan:
    answer = world.ask()
    assert not answer.fatal, answer.fatal
    return answer.plan.etcd


def refusal(world: World) -> str:
    fatal = world.ask().fatal
    assert fatal
    return "; ".join(f"{finding.host}: {finding.found}" for finding in fatal)


def test_stacked_has_nothing_of_this() -> None:
    plan = plan_of(blank())
    assert (plan.topology, plan.actions, plan.endpoints, plan.groups()) == ("stacked", {}, (), {})


def test_the_group_etcd_may_be_the_control_planes() -> None:
    world = blank()
    for name in PLANES:
        world.hosts[name]["groups"].append("etcd")
    assert plan_of(world).topology == "stacked"


def test_partial_overlap_is_refused_with_both_lists() -> None:
    world = blank().with_etcd(2)
    world.hosts["cp1"]["groups"].append("etcd")
    found = world.only_finding("groups").found
    assert "cp1 in both etcd (cp1, etcd1, etcd2) and kube_control_plane (cp1, cp2, cp3)" in found


def test_a_worker_is_no_etcd_machine() -> None:
    world = blank().with_etcd(2)
    world.hosts["w1"]["groups"].append("etcd")
    assert world.only_finding("groups").host == "w1"


def test_blank_machines_begin_together() -> None:
    plan = plan_of(blank().with_etcd())
    assert plan.topology == "external"
    assert plan.actions == dict.fromkeys(ALL, "bootstrap")
    assert plan.ca_host == "etcd1"
    assert plan.endpoints == tuple(f"https://10.0.0.6{number}:2379" for number in (1, 2, 3))
    assert plan.initial == {f"etcd{number}": f"https://10.0.0.6{number}:2380" for number in (1, 2, 3)}
    groups = plan.groups()
    assert groups["etcd1"] == ["kube_site_etcd_begin", "kube_site_etcd_ca", "kube_site_etcd_bootstrap"]
    assert groups["etcd2"] == ["kube_site_etcd_begin", "kube_site_etcd_bootstrap"]


def test_a_running_cluster_keeps_its_members() -> None:
    plan = plan_of(external())
    assert plan.actions == dict.fromkeys(ALL, "keep")
    assert (plan.outdated, plan.sweeper, plan.leave, plan.initial) == ((), "", (), {})
    assert plan.reader == "etcd1"
    assert plan.order == ("etcd2", "etcd3", "etcd1")


@pytest.mark.parametrize("stage", ["ca", "starting", "some run", "all run"])
def test_an_interrupted_first_run_goes_on(stage: str) -> None:
    """At every stage between the CA and the first object of Kubernetes."""
    world = blank().with_etcd()
    wanted = dict.fromkeys(ALL, "bootstrap")
    if stage == "ca":
        world.kubernetes("etcd2")["etcd_ca_pem"] = ETCD_CA
    elif stage == "starting":
        world.kubernetes("etcd1").update(etcd_data="present", etcd_initial="new", etcd_ca_pem=ETCD_CA)
    elif stage == "some run":
        rows = [world.member("etcd1"), world.member("etcd2"), world.member("etcd3", client_urls=[], healthy=False)]
        world.etcd_runs("etcd1", "etcd2", empty=True, members=rows)
        world.kubernetes("etcd1")["etcd_initial"] = "new"
        wanted["etcd2"] = "keep"
    else:
        world.etcd_runs(*MACHINES, empty=True)
        wanted = dict.fromkeys(ALL, "keep")
    answer = world.ask()
    assert not answer.fatal, answer.fatal
    assert answer.plan.state == "new"
    assert answer.plan.etcd.actions == wanted
    if stage == "ca":
        assert answer.plan.etcd.ca_host == "etcd2"


def test_a_first_start_without_a_majority_goes_on() -> None:
    world = blank().with_etcd()
    rows = [
        world.member("etcd1", healthy=False),
        *(world.member(n, client_urls=[], healthy=False) for n in MACHINES[1:]),
    ]
    world.etcd_runs("etcd1", empty=None, linearizable=False, members=rows)
    world.kubernetes("etcd1")["etcd_initial"] = "new"
    assert plan_of(world).actions == dict.fromkeys(ALL, "bootstrap")


def test_an_init_that_was_interrupted_goes_on_with_what_it_had_written() -> None:
    world = blank().with_etcd().etcd_runs(*MACHINES, empty=False)
    world.kubernetes("cp2").update(marker={"action": "init", "started": 1}, ca_pem=CA, etcd_ca_pem=ETCD_CA)
    answer = world.ask()
    assert not answer.fatal, answer.fatal
    assert answer.plan.hosts["cp2"] == "init"
    assert answer.plan.etcd.actions == dict.fromkeys(ALL, "keep")


@pytest.mark.parametrize("empty", [False, None])
@pytest.mark.parametrize("ca", [False, True])
def test_data_of_a_cluster_and_no_control_plane_is_refused(empty: bool | None, ca: bool) -> None:
    """Fault 14: a CA that somebody put there does not make it our own beginning."""
    world = blank().with_etcd().etcd_runs(*MACHINES, empty=empty)
    if ca:
        world.kubernetes("cp1")["ca_pem"] = CA
    assert "etcd1: etcd data in /var/lib/etcd" in refusal(world)


def test_data_without_a_living_cluster_is_refused() -> None:
    world = blank().with_etcd()
    world.kubernetes("etcd2")["etcd_data"] = "present"
    assert "a cluster exists" in refusal(world)


def test_an_unfinished_join_without_a_cluster_is_no_beginning() -> None:
    world = blank().with_etcd()
    world.kubernetes("etcd2")["etcd_initial"] = "existing"
    assert "etcd2: an unfinished join, and no etcd answers" in refusal(world)


def test_an_etcd_machine_about_which_nothing_is_known_may_hold_a_cluster() -> None:
    world = blank().with_etcd()
    world.unreachable("etcd3")
    assert "etcd3: no API answers, and nothing is known about this host" in refusal(world)


def test_a_new_machine_joins() -> None:
    plan = plan_of(external().with_etcd(5).external(*MACHINES).etcd_runs(*MACHINES))
    assert plan.actions == {**dict.fromkeys(ALL, "keep"), "etcd4": "join", "etcd5": "join"}
    assert plan.groups()["etcd4"] == ["kube_site_etcd_begin", "kube_site_etcd_join"]
    assert "kube_site_etcd_ca" in plan.groups()["etcd1"]
    assert len(plan.endpoints) == 5
    assert len(plan.members) == 3
    assert plan.outdated == PLANES
    assert plan.groups()["cp1"] == ["kube_site_etcd_outdated"]


def test_the_order_of_the_members_outdates_nobody() -> None:
    world = external().external(*reversed(MACHINES))
    assert plan_of(world).outdated == ()


def test_an_even_number_is_refused_when_one_joins_and_told_when_it_runs() -> None:
    world = external().with_etcd(4).external(*MACHINES).etcd_runs(*MACHINES)
    assert "4 members of etcd tolerate the loss of 1, as 3 do" in world.only_finding("etcd-members").found
    world.rules["allow_even"] = True
    assert world.only_finding("etcd-members", "warning")


def test_an_even_number_of_control_planes_is_allowed_with_external_etcd() -> None:
    world = blank().with_etcd()
    world.drop("cp3")
    assert not world.findings("control-planes")


def test_one_member_is_told() -> None:
    assert "its loss is the loss" in blank().with_etcd(1).only_finding("etcd-members", "warning").found


def test_a_blank_machine_when_nothing_of_etcd_is_seen() -> None:
    """The API lives, so its etcd does; beside it nothing is begun."""
    world = external()
    for name in MACHINES:
        world.nodes[name]["etcd"] = None
        world.kubernetes(name).update(etcd_data="absent", etcd_ca_pem=None)
    assert "a blank etcd machine, and of the running cluster's etcd nothing is seen" in refusal(world)


def member_case(world: World, **row: Any) -> World:
    """etcd3 is blank again, and the others tell this of it."""
    world.nodes["etcd3"]["etcd"] = None
    world.kubernetes("etcd3").update(etcd_data="absent", etcd_ca_pem=None)
    rows = [world.member("etcd1"), world.member("etcd2"), world.member("etcd3", **row)]
    return world.etcd_runs("etcd1", "etcd2", members=rows)


def test_a_member_that_lost_its_data_is_refused() -> None:
    found = refusal(member_case(external(), healthy=False))
    assert found == "etcd3: a member of etcd without its data: /var/lib/etcd is empty"


@pytest.mark.parametrize("row", [{"name": "", "client_urls": []}, {"learner": True}])
def test_an_interrupted_join_goes_on(row: dict[str, Any]) -> None:
    plan = plan_of(member_case(external(), **row))
    assert plan.actions["etcd3"] == "join"
    assert plan.sweeper == "etcd1"
    assert plan.unfinished == (row.get("name", "etcd3") or "https://10.0.0.63:2380",)
    assert "kube_site_etcd_sweep" in plan.groups()["etcd1"]


def test_an_interrupted_join_with_its_data_goes_on_and_is_not_swept() -> None:
    world = member_case(external(), learner=True)
    world.kubernetes("etcd3").update(etcd_data="present", etcd_initial="existing")
    plan = plan_of(world)
    assert plan.actions["etcd3"] == "join"
    assert plan.joining == ("etcd3",)


def test_a_member_whose_etcd_does_not_answer_is_kept() -> None:
    world = external()
    world.nodes["etcd2"]["etcd"] = {"msg": "timed out"}
    plan = plan_of(world)
    assert plan.actions["etcd2"] == "keep"
    assert world.only_finding("etcd", "warning").host == "etcd2"


def test_fault_35_data_on_a_new_machine() -> None:
    world = external().with_etcd(5).external(*MACHINES).etcd_runs(*MACHINES)
    world.kubernetes("etcd5")["etcd_data"] = "present"
    assert world.only_finding("etcd-data").host == "etcd5"
    world.kubernetes("etcd5")["etcd_initial"] = "existing"
    assert plan_of(world).actions["etcd5"] == "join"


def test_a_members_name_at_another_address() -> None:
    world = external()
    rows = [world.member(name) for name in MACHINES]
    world.hosts["etcd3"]["ansible_host"] = "10.0.0.99"
    world.nodes["etcd3"]["addresses"][1]["address"] = "10.0.0.99"
    world.nodes["etcd3"]["etcd"] = None
    world.etcd_runs("etcd1", "etcd2", members=rows)
    assert "the member etcd3 is at https://10.0.0.63:2380, the inventory says 10.0.0.99" in refusal(world)


def test_a_stopped_member_is_prepared_again_and_a_slow_one_is_not() -> None:
    world = external()
    for name in MACHINES:
        world.hosts[name]["inputs"] = "today"
        receipts = ("kube_host", "kube_bundle_files", "etcd")
        world.nodes[name]["receipts"] = {receipt: {"inputs": "today"} for receipt in receipts}
    world.nodes["etcd2"]["etcd"] = world.nodes["etcd3"]["etcd"] = None
    world.nodes["etcd2"]["units"] = {"etcd": {"active": "failed"}}
    world.nodes["etcd3"]["units"] = {"etcd": {"active": "active"}}
    assert set(world.ask().plan.prepared) == {"etcd1", "etcd3"}


def test_two_clusters_among_the_machines() -> None:
    world = external().etcd_runs("etcd3", cluster_id="c2")
    assert "etcd1, etcd2: cluster c1; etcd3: cluster c2" in refusal(world)


@pytest.mark.parametrize("host", ["etcd3", "cp2"])
def test_another_etcds_ca(host: str) -> None:
    world = external()
    world.kubernetes(host)["etcd_ca_pem"] = FOREIGN_CA
    assert world.only_finding("foreign-etcd-ca").host == host


def test_an_unreachable_member_is_left_out_and_stays_an_endpoint() -> None:
    world = external()
    world.unreachable("etcd3")
    plan = plan_of(world)
    assert plan.actions["etcd3"] == "unreachable"
    assert plan.outdated == ()
    assert world.only_finding("unreachable", "warning").host == "etcd3"


def test_a_limited_run_of_a_worker_says_nothing_of_etcd() -> None:
    world = external()
    world.only("w1")
    world.ca_pem, world.api_version = CA, "v1.36.3"
    plan = plan_of(world)
    assert (plan.actions, plan.outdated, plan.groups()) == ({}, (), {})


def test_a_control_plane_that_joins_in_a_limited_run_uses_the_external_etcd() -> None:
    world = external()
    world.add("cp4", "control_plane", "10.0.0.24")
    world.only("cp1", "cp4", "lb1", "lb2")
    world.answers(*(f"10.0.0.2{number}" for number in (1, 2, 3)), "10.0.0.100")
    plan = plan_of(world)
    assert plan.endpoints == tuple(f"https://10.0.0.6{number}:2379" for number in (1, 2, 3))
    assert plan.outdated == ()


def test_the_topology_of_a_running_cluster_stays() -> None:
    world = World().running(*PLANES, *WORKERS).with_etcd()
    assert "etcd runs on cp1, cp2, cp3, and the group etcd has machines of its own" in refusal(world)


def test_who_leaves_is_removed_through_one_that_stays() -> None:
    world = five()
    for name in ("etcd1", "etcd2", "etcd3"):
        world.nodes[name]["etcd"] = None
    world.rules["etcd_remove"] = ["etcd4", "etcd5"]
    assert "etcd answers on no machine that stays" in refusal(world)


def five() -> World:
    names = (*MACHINES, "etcd4", "etcd5")
    return external().with_etcd(5).external(*names).etcd_runs(*names)


def test_machines_leave_the_broken_one_first_and_the_leader_last() -> None:
    world = five()
    rows = [world.member(f"etcd{number}", healthy=number != 5, leader=number == 1) for number in range(1, 6)]
    world.etcd_runs(*(f"etcd{number}" for number in range(1, 6)), members=rows)
    world.rules["etcd_remove"] = ["etcd1", "etcd5"]
    plan = plan_of(world)
    assert plan.leave == ("etcd5", "etcd1")
    assert plan.actions["etcd1"] == "leave"
    assert plan.reader == "etcd2"
    assert plan.outdated == PLANES
    assert plan.endpoints == tuple(f"https://10.0.0.6{number}:2379" for number in (2, 3, 4))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["etcd5"], "4 members of etcd without etcd5 tolerate the loss of 1"),
        (["etcd4", "etcd6"], "etcd_remove names etcd6, which the group etcd does not have"),
        (["etcd4", "cp1"], "etcd_remove names cp1, which the group etcd does not have"),
        ([f"etcd{number}" for number in range(1, 6)], "no member of etcd is left"),
    ],
)
def test_what_may_not_leave(names: list[str], words: str) -> None:
    """Fault 23."""
    world = five()
    world.rules["etcd_remove"] = names
    assert words in refusal(world)


def test_who_is_no_member_cannot_leave() -> None:
    world = external().with_etcd(5).external(*MACHINES).etcd_runs(*MACHINES)
    world.rules["etcd_remove"] = ["etcd4", "etcd5"]
    assert 'etcd4: it is no member of etcd (members "etcd1", "etcd2", "etcd3")' in refusal(world)


def test_what_has_left_stays_as_it_is() -> None:
    world = external().with_etcd(5).external(*MACHINES).etcd_runs(*MACHINES)
    for name in ("etcd4", "etcd5"):
        world.kubernetes(name).update(etcd_ca_pem=ETCD_CA, etcd_data="empty")
    world.rules["etcd_remove"] = ["etcd4", "etcd5"]
    answer = world.ask()
    assert not answer.fatal
    assert answer.plan.etcd.actions["etcd4"] == "gone"
    assert (answer.plan.etcd.leave, answer.plan.etcd.outdated) == ((), ())
    assert {"etcd4", "etcd5"} <= set(answer.plan.prepared)


def test_an_interrupted_removal_goes_on() -> None:
    world = external().with_etcd(5).external(*MACHINES).etcd_runs(*MACHINES)
    world.kubernetes("etcd4").update(etcd_ca_pem=ETCD_CA, etcd_data="present")
    world.kubernetes("etcd5").update(etcd_ca_pem=ETCD_CA, etcd_data="empty")
    world.rules["etcd_remove"] = ["etcd4", "etcd5"]
    assert plan_of(world).leave == ("etcd4",)


def test_fault_13_a_dead_machine_is_replaced_by_another() -> None:
    world = external().with_etcd(4).external(*MACHINES)
    rows = [world.member("etcd1"), world.member("etcd2"), world.member("etcd3", healthy=False)]
    world.etcd_runs("etcd1", "etcd2", members=rows)
    world.unreachable("etcd3")
    world.rules["etcd_remove"] = ["etcd3"]
    plan = plan_of(world)
    assert plan.leave == ()
    assert plan.lost == {"etcd3": "https://10.0.0.63:2380"}
    assert plan.groups()["etcd1"][-1] == "kube_site_etcd_forget"
    assert plan.groups()["etcd3"] == ["kube_site_etcd_lost"]
    assert plan.actions["etcd4"] == "join"
    assert plan.endpoints == tuple(f"https://10.0.0.6{number}:2379" for number in (1, 2, 4))
    assert world.only_finding("etcd-remove", "warning").host == "etcd3"


def test_stacked_members_are_not_taken_out_by_name() -> None:
    world = World().running(*PLANES, *WORKERS)
    world.rules["etcd_remove"] = ["cp3"]
    assert "cp3: etcd is on the control planes" in refusal(world)


def stacked_with(*rows: dict[str, Any]) -> World:
    world = World().running("cp1", "cp2", *WORKERS)
    members = [world.member("cp1"), world.member("cp2"), *rows]
    world.nodes["cp1"]["etcd"] = {"etcd": {"cluster_id": "c1", "linearizable": True, "members": members}}
    return world


def test_fault_3_what_a_join_of_stacked_etcd_left_is_swept_before_the_next_one() -> None:
    left = World().member("cp3", name="", client_urls=[], healthy=False)
    plan = plan_of(stacked_with(left))
    assert plan.unfinished == ("https://10.0.0.23:2380",)
    assert plan.sweeper == "cp1"
    assert plan.groups() == {"cp1": ["kube_site_etcd_sweep"]}


def test_nothing_is_swept_when_nobody_joins_or_nothing_is_left() -> None:
    assert plan_of(stacked_with()).sweeper == ""
    world = stacked_with({"id": "9", "name": "", "peer_urls": ["https://x"]})
    world.node_of("cp3")
    world.answers("10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.100")
    plan = plan_of(world)
    assert (plan.unfinished, plan.sweeper) == (("https://x",), "")


def test_a_control_plane_whose_join_goes_on_is_not_swept() -> None:
    world = stacked_with(World().member("cp3", name="", client_urls=[], healthy=False))
    world.kubernetes("cp3").update(marker={"action": "join", "started": 1}, etcd_data="present")
    assert plan_of(world).joining == ("cp3",)


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"memory_mib": 400}, "memory"),
        ({"os": {"id": "fedora", "version": "40", "family": "RedHat", "arch": "x86_64"}}, "os"),
        ({"machine_id": f"{21:032x}"}, "duplicate-machine-id"),
        ({"listening": [{"port": 2380, "address": "0.0.0.0", "process": "etcd"}]}, "port"),
        ({"disks": {"/var/lib/etcd": {"mount": "/", "total_bytes": 10, "free_bytes": 1, "writable": True}}}, "disk"),
        ({"time": {"epoch": 2000.0, "synchronized": True}}, "clock"),
    ],
)
def test_a_machine_that_is_not_fit(change: dict[str, Any], check: str) -> None:
    world = blank().with_etcd()
    world.nodes["etcd1"].update(change)
    assert world.only_finding(check)


def test_a_machine_that_runs_and_has_too_little_is_only_told() -> None:
    world = external()
    world.nodes["etcd1"].update(memory_mib=400, listening=[{"port": 2379, "address": "0.0.0.0", "process": "etcd"}])
    assert world.only_finding("memory", "warning")
    assert not world.findings("port")


def test_control_planes_need_no_room_for_etcd_then() -> None:
    world = blank().with_etcd()
    world.nodes["cp1"]["disks"]["/var/lib/etcd"]["free_bytes"] = 1
    assert not world.findings("disk")


def test_fault_30_an_external_etcd_that_is_too_old() -> None:
    world = external()
    rows = [world.member(name, version="3.4.0" if name == "etcd2" else "3.6.16") for name in MACHINES]
    world.etcd_runs(*MACHINES, members=rows)
    assert world.only_finding("etcd-version").host == "etcd2"


def test_what_each_becomes_is_told() -> None:
    world = external().with_etcd(5).external(*MACHINES).etcd_runs(*MACHINES)
    plan = world.ask().plan
    told = plan.etcd.told(plan.hosts)
    assert (told["etcd1"], told["etcd4"], told["w1"]) == ("etcd_keep", "etcd_join", "keep")
