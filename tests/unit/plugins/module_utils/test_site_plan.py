"""The plan: what each host becomes, from evidence."""

from __future__ import annotations

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.site_plan import SitePlan, is_refused
from tests.unit.preflight_world import CA, FOREIGN_CA, PLANES, VIP, WORKERS, World, blank, existing

JOINS = {"cp2": "join_control_plane", "cp3": "join_control_plane", "w1": "join_worker", "w2": "join_worker"}


def plan_of(world: World) -> SitePlan:
    return world.ask().plan


def refusal(world: World, check: str = "evidence") -> str:
    outcome = world.ask()
    assert is_refused(outcome.plan)
    assert "init" not in outcome.plan.hosts.values()
    return " ".join(f"{item.host} {item.found} {item.next_step}" for item in outcome.findings if item.check == check)


def test_blank_hosts_become_a_cluster() -> None:
    plan = plan_of(blank())
    assert (plan.state, plan.seed, plan.ca_pem) == ("new", "cp1", "")
    assert plan.hosts == {"cp1": "init", **JOINS, "lb1": "lb", "lb2": "lb"}
    assert not plan.findings
    assert plan.vrid == 100
    assert plan.node_ips["w2"] == "10.0.0.42"


def test_blank_probes_that_nobody_answers_are_no_evidence() -> None:
    world = blank()
    world.answers()
    assert plan_of(world).state == "new"


def test_a_running_cluster_is_kept() -> None:
    plan = plan_of(existing())
    assert (plan.state, plan.ca_pem, plan.live) == ("existing", CA.strip(), PLANES)
    assert plan.hosts == {**dict.fromkeys((*PLANES, *WORKERS), "keep"), "lb1": "lb", "lb2": "lb"}
    assert not plan.findings


def test_new_hosts_join_a_running_cluster() -> None:
    plan = plan_of(World().running("cp1", "w1"))
    assert plan.seed == "cp1"
    assert plan.hosts["cp2"] == plan.hosts["cp3"] == "join_control_plane"
    assert (plan.hosts["cp1"], plan.hosts["w1"], plan.hosts["w2"]) == ("keep", "keep", "join_worker")


def test_fault_11_first_control_plane_out_of_the_inventory() -> None:
    world = existing()
    world.drop("cp1")
    plan = plan_of(world)
    assert (plan.state, plan.seed, plan.hosts["cp2"]) == ("existing", "cp2", "keep")


def test_fault_11_first_control_plane_dead() -> None:
    world = World().running("cp2", "cp3", *WORKERS)
    world.unreachable("cp1")
    outcome = world.ask()
    assert (outcome.plan.seed, outcome.plan.hosts["cp1"]) == ("cp2", "unreachable")
    assert not outcome.fatal
    assert [item.level for item in outcome.findings if item.host == "cp1"] == ["warning"]


def test_fault_11_inventory_reordered() -> None:
    plan = plan_of(existing().reordered(["w1", "cp3", "cp2", "lb1", "w2", "lb2", "cp1"]))
    assert (plan.state, plan.seed) == ("existing", "cp1")


def test_fault_14_all_control_planes_unreachable_and_a_blank_one_listed() -> None:
    world = blank()
    world.answers()
    world.unreachable("cp1", "cp2")
    assert "cp1" in refusal(world)


def test_fault_14_blank_control_plane_beside_workers_of_a_dead_cluster() -> None:
    world = blank()
    world.node_of("w1")
    world.answers()
    text = refusal(world)
    assert "w1: kubelet.conf for https://10.0.0.100:6443" in text
    assert "recover_quorum" in text


def test_cluster_that_is_switched_off_is_never_begun_again() -> None:
    world = existing()
    world.answers(*(world.hosts[name]["ansible_host"] for name in PLANES), VIP, status=None)
    plan = plan_of(world)
    assert "systemctl start containerd kubelet" in refusal(world)
    assert (plan.state, plan.seed) == ("existing", "")


@pytest.mark.parametrize("status", [500, 503])
def test_an_api_that_is_not_ready_is_evidence(status: int) -> None:
    world = existing()
    world.answers(*(world.hosts[name]["ansible_host"] for name in PLANES), VIP, status=status)
    assert "answers, but is not ready" in refusal(world)


@pytest.mark.parametrize("status", [200, 401, 403])
def test_an_api_without_anonymous_access_is_live(status: int) -> None:
    world = existing()
    world.answers(*(world.hosts[name]["ansible_host"] for name in PLANES), VIP, status=status)
    assert plan_of(world).seed == "cp1"


def test_api_at_the_vip_only_is_refused() -> None:
    world = blank()
    world.answers(VIP)
    assert "on no control plane of the inventory" in refusal(world)


def test_a_foreign_listener_on_a_blank_machine_is_no_control_plane() -> None:
    world = blank()
    world.answers("10.0.0.22")
    plan = plan_of(world)
    assert (plan.state, plan.live) == ("new", ())


def test_fault_18_vip_fault_api_fine() -> None:
    world = World().running(*PLANES, "w1", vip=False)
    outcome = world.ask()
    assert (outcome.plan.state, outcome.plan.hosts["w2"]) == ("existing", "join_worker")
    assert not outcome.fatal
    finding = world.only_finding("vip", "warning")
    words = "VIP fault, API fine: nothing answers at 10.0.0.100:6443, the API servers of cp1, cp2, cp3 do"
    assert finding.found == words
    assert "a join goes through the VIP" in finding.next_step
    assert finding.next_step.endswith("then look at haproxy and keepalived on lb1, lb2")
    nobody_joins = World().running(*PLANES, *WORKERS, vip=False).only_finding("vip", "warning")
    assert "join" not in nobody_joins.next_step


def test_fault_02_unfinished_init_is_resumed_on_its_own_host() -> None:
    world = blank()
    world.kubernetes("cp2").update(marker={"action": "init", "started": 1}, ca_pem=CA, etcd_data="present")
    world.answers()
    plan = plan_of(world)
    assert (plan.state, plan.seed, plan.hosts["cp2"]) == ("new", "cp2", "init")
    assert plan.ca_pem == CA.strip()
    assert plan.hosts["cp1"] == "join_control_plane"
    assert [item.level for item in plan.findings] == ["warning"]


def test_fault_02_ca_made_but_init_not_begun() -> None:
    world = blank()
    world.kubernetes("cp3").update(ca_pem=CA)
    plan = plan_of(world)
    assert (plan.seed, plan.ca_pem) == ("cp3", CA.strip())


def test_unfinished_init_whose_api_answers_already_is_finished() -> None:
    world = blank()
    world.node_of("cp1")
    world.kubernetes("cp1")["marker"] = {"action": "init", "started": 1}
    world.node_of("w1")
    world.answers("10.0.0.21", VIP)
    plan = plan_of(world)
    assert (plan.state, plan.hosts["cp1"], plan.hosts["w1"]) == ("new", "init", "keep")


def test_unfinished_init_beside_a_running_cluster_is_refused() -> None:
    world = existing()
    world.kubernetes("cp3")["marker"] = {"action": "init", "started": 1}
    assert "unfinished init" in world.only_finding("unfinished").found
    assert "init" not in plan_of(world).hosts.values()


def test_unfinished_init_beside_another_clusters_worker_is_refused() -> None:
    world = blank()
    world.kubernetes("cp1").update(marker={"action": "init", "started": 1}, ca_pem=CA)
    world.node_of("w1", FOREIGN_CA)
    assert "w1: kubelet.conf" in refusal(world)


def test_two_beginnings_are_refused() -> None:
    world = blank()
    world.kubernetes("cp1").update(ca_pem=CA)
    world.kubernetes("cp2").update(ca_pem=FOREIGN_CA)
    assert "more than one beginning" in refusal(world)


def test_the_same_ca_on_all_control_planes_is_one_beginning() -> None:
    world = blank()
    for name in PLANES:
        world.kubernetes(name).update(ca_pem=CA)
    assert plan_of(world.reordered(["cp3", "cp2", "cp1", "lb1", "w1"])).seed == "cp1"


@pytest.mark.parametrize("action", ["join", "unknown"])
def test_other_markers_without_an_api_are_evidence(action: str) -> None:
    world = blank()
    world.kubernetes("cp1").update(marker={"action": action, "started": 1})
    assert f"an unfinished {action}" in refusal(world)


@pytest.mark.parametrize(("name", "action"), [("cp3", "join_control_plane"), ("w2", "join_worker")])
def test_unfinished_join_is_joined_again(name: str, action: str) -> None:
    world = existing()
    world.kubernetes(name)["marker"] = {"action": "join", "started": 1}
    assert plan_of(world).hosts[name] == action
    assert world.only_finding("unfinished", "warning").host == name


def test_seed_is_not_a_host_with_an_unfinished_join() -> None:
    world = existing()
    world.kubernetes("cp1")["marker"] = {"action": "join", "started": 1}
    assert plan_of(world).seed == "cp2"


def test_limit_to_a_new_worker_needs_no_fact_of_others() -> None:
    world = existing()
    world.add("w3", "worker", "10.0.0.43")
    world.answers(*(world.hosts[name]["ansible_host"] for name in PLANES), VIP)
    world.only("w3")
    world.ca_pem = CA
    outcome = world.ask()
    assert not outcome.fatal
    assert (outcome.plan.hosts, outcome.plan.seed) == ({"w3": "join_worker"}, "cp1")


def test_limit_prefers_a_seed_in_the_play() -> None:
    world = existing()
    world.only("cp3", "w1")
    assert plan_of(world).seed == "cp3"


def test_limit_takes_the_ca_from_the_kubeconfig() -> None:
    world = existing()
    world.only("w1")
    world.ca_pem = CA
    assert plan_of(world).ca_pem == CA


def test_limit_to_a_blank_control_plane_never_begins_a_cluster() -> None:
    world = blank()
    world.answers()
    world.only("cp1")
    text = refusal(world)
    assert "outside of the limit" in text
    assert "run without --limit" in text


def test_hosts_outside_of_the_limit_are_not_unreachable() -> None:
    world = existing()
    world.only("w1")
    assert not world.findings("unreachable")
    assert set(plan_of(world).hosts) == {"w1"}


def test_fault_39_an_unreachable_worker_is_left_out() -> None:
    world = blank()
    world.unreachable("w2")
    outcome = world.ask()
    assert (outcome.plan.state, outcome.plan.hosts["w2"]) == ("new", "unreachable")
    assert not outcome.fatal
    assert "left out" in world.only_finding("unreachable", "warning").next_step


def test_fault_38_a_host_that_cannot_answer_stops_the_run() -> None:
    world = blank()
    del world.nodes["w2"]
    world.hosts["w2"]["problem"] = "python3: not found"
    assert "python3: not found" in world.only_finding("facts").found


def test_a_node_without_an_api_server_is_not_silently_kept() -> None:
    world = existing()
    world.kubernetes("cp3")["manifests"] = {}
    world.answers("10.0.0.23", status=None)
    assert "replace_node" in world.only_finding("half-joined").next_step


def test_a_control_plane_whose_api_is_down_is_kept_and_told() -> None:
    world = existing()
    world.answers("10.0.0.23", status=None)
    assert plan_of(world).hosts["cp3"] == "keep"
    assert world.only_finding("api", "warning").host == "cp3"


def test_a_control_plane_in_the_workers_group_is_refused() -> None:
    world = existing()
    world.hosts["cp3"]["groups"] = ["worker"]
    assert "kube_control_plane" in world.only_finding("wrong-group").next_step


def test_external_etcd_data_is_evidence() -> None:
    world = blank()
    world.add("etcd1", "etcd", "10.0.0.31")
    assert plan_of(world).hosts["etcd1"] == "etcd"
    world.kubernetes("etcd1")["etcd_data"] = "present"
    assert "etcd1: etcd data" in refusal(world)


def test_a_node_that_the_inventory_has_as_something_else_is_extra() -> None:
    world = existing()
    world.hosts["w2"]["groups"] = ["lb"]
    assert plan_of(world).extra == ("w2",)


def test_fault_35_etcd_data_on_a_new_control_plane() -> None:
    world = World().running("cp1", "w1")
    world.kubernetes("cp2")["etcd_data"] = "present"
    finding = world.only_finding("etcd-data")
    assert finding.host == "cp2"
    assert finding.found == "/var/lib/etcd is not empty, and the host is not a node"
    assert "playbooks/reset.yml -e reset_hosts=cp2 -e reset_confirm=NAME" in finding.next_step


@pytest.mark.parametrize("state", ["absent", "empty"])
def test_fault_35_no_etcd_data(state: str) -> None:
    world = World().running("cp1", "w1")
    world.kubernetes("cp2")["etcd_data"] = state
    assert not world.findings("etcd-data")


def test_fault_35_etcd_data_on_a_new_worker() -> None:
    world = World().running(*PLANES, "w1")
    world.kubernetes("w2")["etcd_data"] = "present"
    assert world.only_finding("etcd-data").host == "w2"


def test_fault_35_our_own_unfinished_join_left_the_data() -> None:
    world = World().running("cp1", "w1")
    world.kubernetes("cp2").update(etcd_data="present", marker={"action": "join", "started": 1})
    assert not world.findings("etcd-data")


@pytest.mark.parametrize("name", ["cp2", "w2"])
@pytest.mark.parametrize("where", ["ca_pem", "kubelet_conf"])
def test_fault_29_foreign_ca(name: str, where: str) -> None:
    world = World().running("cp1", "w1")
    server = {"server": "https://10.0.0.100:6443", "ca_pem": FOREIGN_CA}
    world.kubernetes(name)[where] = FOREIGN_CA if where == "ca_pem" else server
    finding = world.only_finding("foreign-ca")
    assert finding.host == name
    assert "not this cluster's" in finding.found


@pytest.mark.parametrize("name", ["cp2", "w2"])
def test_fault_29_the_clusters_own_ca(name: str) -> None:
    world = World().running("cp1", "w1")
    world.kubernetes(name)["ca_pem"] = "# rotated\n" + FOREIGN_CA + CA.replace("\n", "\r\n")
    assert not world.findings("foreign-ca")


NODE = ("kube_host", "kube_bundle_files", "containerd", "kube_bundle_images", "kubelet")


def proven(world: World, host: str, *names: str, inputs: str = "i1") -> None:
    world.hosts[host]["inputs"] = "i1"
    world.nodes[host]["receipts"] = {name: {"digest": "d", "inputs": inputs} for name in names}


def test_a_host_is_prepared_when_everything_is_proven_with_todays_inputs() -> None:
    world = existing()
    for name in (*PLANES, *WORKERS):
        proven(world, name, *NODE)
    proven(world, "lb1", "kube_host", "kube_lb")
    assert plan_of(world).prepared == (*PLANES, "lb1", *WORKERS)


@pytest.mark.parametrize("missing", NODE)
def test_a_host_with_anything_unproven_is_not_prepared(missing: str) -> None:
    world = existing()
    proven(world, "w1", *(name for name in NODE if name != missing))
    proven(world, "lb1", "kube_host")
    assert plan_of(world).prepared == ()


def test_a_host_that_was_prepared_from_other_inputs_or_with_secrets_is_not_prepared() -> None:
    world = existing()
    proven(world, "w1", *NODE, inputs="i0")
    proven(world, "w2", *NODE, inputs="")
    world.hosts["w2"]["inputs"] = ""
    assert plan_of(world).prepared == ()


def test_a_load_balancer_on_a_control_plane_needs_both_kinds_of_proof() -> None:
    world = existing()
    world.hosts["cp1"]["groups"].append("lb")
    proven(world, "cp1", *NODE)
    assert plan_of(world).prepared == ()
    proven(world, "cp1", *NODE, "kube_lb")
    assert plan_of(world).prepared == ("cp1",)


@pytest.mark.parametrize(
    ("marker", "data", "resumes"),
    [("join", "present", ("cp3",)), ("join", "absent", ()), ("init", "present", ()), (None, "present", ())],
)
def test_a_join_resumes_only_where_it_was_interrupted_with_its_etcd_data(
    marker: str | None, data: str, resumes: tuple[str, ...]
) -> None:
    world = World().running("cp1", "cp2", *WORKERS)
    world.kubernetes("cp3").update(marker={"action": marker} if marker else None, etcd_data=data)
    assert plan_of(world).resumes == resumes
