# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""remove_node, replace_node and add_nodes as Ansible runs them, with doubles for the modules that touch hosts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.plays.rehearsal import Call, Rehearsal
from tests.unit.plugins.module_utils.certificates import self_signed
from tests.unit.preflight_world import PLANES, VIP, WORKERS, World

Make = Callable[..., Rehearsal]
ACTIVE = {"active": "active"}
JOIN = ["host_config cp1", "kubeadm cp1"]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A cluster of the seven machines; `lost` is blank again, `new` are besides, `dead` does not answer."""
    text = self_signed(tmp_path / "ca.pem").read_text()
    authority = text[text.index("-----BEGIN CERT") :]

    def create(lost: str = "", dead: str = "", new: tuple[tuple[str, str, str], ...] = ()) -> Rehearsal:
        world, sick = World(), lost or dead
        nodes = [name for name in (*PLANES, *WORKERS) if name != lost]
        for name in nodes:
            world.node_of(name, ca_pem=authority)
            world.nodes[name]["units"] = {"containerd": ACTIVE, "kubelet": ACTIVE}
        for name in ("lb1", "lb2"):
            world.nodes[name]["units"] = {"haproxy": ACTIVE, "keepalived": ACTIVE}
            world.nodes[name]["listening"] = [{"port": 6443, "address": "0.0.0.0", "process": "haproxy"}]
        world.nodes["lb1"]["addresses"].append({"interface": "eth0", "address": VIP, "prefix": 32, "family": 4})
        for name, group, address in new:
            world.add(name, group, address)
        first = next(name for name in PLANES if name != sick)
        members = [world.member(name, healthy=name != sick, leader=name == first) for name in PLANES]
        world.etcd_runs(*(name for name in PLANES if name != sick), members=members)
        world.answers(VIP, *(world.hosts[name]["ansible_host"] for name in PLANES if name != sick))
        made = Rehearsal(tmp_path / "rehearsal", world)
        made.settle(*PLANES, sick=sick)
        if dead:
            made.answers["node_info"][dead] = {"failed": True, "unreachable": True, "msg": "no route to host"}
        return made

    return create


def left(plays: Rehearsal, *planes: str) -> None:
    """What etcd and HAProxy tell in the end: these."""
    plays.answers["etcd_info"]["*"]["etcd"]["members"] = [plays.world.member(name) for name in planes]
    plays.answers["lb_backend"]["*"]["servers"] = {name: {"up": True} for name in planes}


def servers(written: Call) -> list[str]:
    """The API servers in the configuration of HAProxy that a call writes, in their order."""
    files = {entry["path"]: entry["content"] for entry in written.arguments["files"]}
    lines = [line.split() for line in files["/etc/haproxy/haproxy.cfg"].splitlines()]
    return [words[1] for words in lines if words[:1] == ["server"]]


def test_a_worker_goes_and_nobody_else_is_touched(make: Make) -> None:
    plays = make()
    assert plays.play("remove_node", "-e", "node=w1") == 0, plays.output
    assert plays.order() == ["kube_drain w1", "node_reset w1", "kube_node_absent w1"]
    assert not [call for call in plays.calls if call.host == "w2"]
    (forgotten,) = plays.of("kube_node_absent")
    assert (forgotten.arguments["drained"], forgotten.arguments["dead"]) == (True, False)
    (reset,) = plays.of("node_reset")
    assert reset.arguments["name"] == reset.arguments["confirm"] == "w1"
    (verified,) = plays.of("cluster_verify")
    assert (verified.arguments["workers"], verified.arguments["absent"]) == (["w2"], "w1")
    assert verified.arguments["probe_pods"] is False
    assert sorted(verified.arguments["concerned"]) == ["cp1", "cp2", "cp3", "lb1", "lb2"]


def test_check_mode_prints_the_plan_and_calls_nothing_that_changes(make: Make) -> None:
    plays = make()
    for playbook in ("remove_node", "replace_node"):
        assert plays.play(playbook, "-e", "node=w1", "--check") == 0, plays.output
        assert plays.order() == []
        assert "To go: w1 (worker, alive)." in plays.output
        assert all(call.check for call in plays.calls)


def test_a_refusal_ends_the_run_before_anything_is_touched(make: Make) -> None:
    plays = make()
    for playbook, words in (("remove_node", "node=cp3"), ("remove_node", "node=w"), ("replace_node", "node=nobody")):
        assert plays.play(playbook, "-e", words) != 0
        assert plays.order() == []
        assert "nothing was changed" in plays.output
        assert not plays.of("cluster_verify")
    for playbook in ("remove_node", "replace_node", "add_nodes"):
        assert plays.play(playbook) != 0
        assert "No machine is named" in plays.output
        assert plays.order() == []


def test_a_living_control_plane_member_before_data_and_the_node_last(make: Make) -> None:
    plays = make()
    left(plays, "cp1", "cp2")
    assert plays.play("remove_node", "-e", "node=cp3", "-e", "remove_confirm_no_tolerance=true") == 0, plays.output
    order = plays.order()
    assert order[:4] == ["kube_drain cp3", "lb_backend lb1", "lb_backend lb2", "etcd_member cp1"]
    assert sorted(order[4:6]) == ["host_config lb1", "host_config lb2"]
    assert order[6:] == ["node_reset cp3", "kube_node_absent cp3"]
    (member,) = plays.of("etcd_member")
    asked = member.arguments
    assert (asked["state"], asked["name"], asked["confirm_no_tolerance"]) == ("absent", "cp3", True)
    assert asked["endpoints"] == ["https://10.0.0.21:2379", "https://10.0.0.22:2379"]
    assert servers(plays.of("host_config", "lb1")[0]) == ["cp1", "cp2"]


def test_a_dead_one_goes_through_the_others(make: Make) -> None:
    plays = make(dead="cp1")
    left(plays, "cp2", "cp3")
    assert plays.play("remove_node", "-e", "node=cp1") == 0, plays.output
    order = plays.order()
    assert order[0] == "etcd_member cp2"
    assert sorted(order[1:3]) == ["host_config lb1", "host_config lb2"]
    assert order[3:] == ["kube_node_absent cp1"]
    (forgotten,) = plays.of("kube_node_absent")
    assert (forgotten.arguments["drained"], forgotten.arguments["dead"]) == (False, True)


def test_a_load_balancer_gives_the_vip_away_first(make: Make) -> None:
    plays = make()
    assert plays.play("remove_node", "-e", "node=lb2") == 0, plays.output
    assert plays.order() == ["host_config lb2", "host_config lb1", "node_reset lb2"]
    stopped = [unit["name"] for call in plays.of("host_config", "lb2") for unit in call.arguments["units"]]
    assert stopped == ["keepalived.service", "haproxy.service"]
    files = {entry["path"]: entry["content"] for entry in plays.of("host_config", "lb1")[0].arguments["files"]}
    assert "unicast_peer" not in files["/etc/keepalived/keepalived.conf"]


def test_what_cannot_be_cleaned_is_told_when_the_cluster_has_forgotten_the_machine(make: Make) -> None:
    plays = make()
    plays.answers["node_reset"]["*"] = {"failed": True, "msg": "stayed", "leftovers": ["the interface cni0"]}
    assert plays.play("remove_node", "-e", "node=w1") != 0
    assert plays.order()[-1] == "kube_node_absent w1"
    assert "the interface cni0" in plays.output
    plays.answers["node_reset"]["*"] = {"failed": True, "msg": "its etcd is a member"}
    assert plays.play("remove_node", "-e", "node=w1") != 0
    assert "kube_node_absent w1" not in plays.order()


def test_a_blank_first_control_plane_is_prepared_then_the_old_member_goes_then_it_joins(make: Make) -> None:
    plays = make(lost="cp1")
    plays.answers["node_info"]["cp1"]["node"]["units"] = {"containerd": ACTIVE, "kubelet": ACTIVE}
    assert plays.play("replace_node", "-e", "node=cp1") == 0, plays.output
    order = plays.order()
    gone = order.index("etcd_member cp2")
    assert set(order[:gone]) == {"host_packages cp1", "host_config cp1", "bundle_files cp1", "bundle_images cp1"}
    assert order[gone + 1] == "kube_node_absent cp1"
    # Nothing is prepared again while a member is missing.
    assert not {"bundle_files cp1", "bundle_images cp1", "host_packages cp1"} & set(order[gone:])
    assert order.index("kubeadm cp1") > gone
    assert not plays.of("node_reset")
    joined = [call for call in plays.of("kubeadm", "cp1") if call.arguments["action"] == "join"]
    assert len(joined) == 1
    # Once, at the end.
    assert [call.arguments["control_planes"] for call in plays.of("cluster_verify")] == [list(PLANES)]


def test_a_living_one_stays_until_the_new_one_has_joined(make: Make) -> None:
    plays = make(new=(("cp4", "control_plane", "10.0.0.24"),))
    left(plays, "cp1", "cp3", "cp4")
    plays.answers["node_info"]["cp4"]["node"]["units"] = {"containerd": ACTIVE, "kubelet": ACTIVE}
    assert plays.play("replace_node", "-e", "node=cp2", "-e", "replacement=cp4") == 0, plays.output
    order = plays.order()
    assert order.index("kubeadm cp4") < order.index("kube_drain cp2") < order.index("etcd_member cp1")
    assert order[-2:] == ["node_reset cp2", "kube_node_absent cp2"]
    # HAProxy was given the new servers once, and they are without the old one.
    (written,) = plays.of("host_config", "lb1")
    assert servers(written) == ["cp1", "cp3", "cp4"]
    (verified,) = plays.of("cluster_verify")
    assert verified.arguments["absent"] == "cp2"


def test_the_same_worker_again(make: Make) -> None:
    plays = make()
    plays.answers["node_info"]["w1"] = [
        plays.answers["node_info"]["w1"],
        {"node": {**World().nodes["w1"], "receipts": {}}},
        plays.answers["node_info"]["w1"],
    ]
    assert plays.play("replace_node", "-e", "node=w1") == 0, plays.output
    order = plays.order()
    assert order[:3] == ["kube_drain w1", "node_reset w1", "kube_node_absent w1"]
    assert order.index("kubeadm w1") > order.index("bundle_images w1") > 2
    assert not [call for call in plays.calls if call.host == "w2"]


def test_a_new_worker_concerns_itself_and_one_control_plane(make: Make) -> None:
    plays = make(new=(("w3", "worker", "10.0.0.43"),))
    looks = plays.answers["node_info"]["w3"]
    plays.answers["node_info"]["w3"] = [
        looks,
        {"node": {**looks["node"], "units": {"containerd": ACTIVE, "kubelet": ACTIVE}}},
    ]
    assert plays.play("add_nodes", "-e", "nodes=w3") == 0, plays.output
    assert {call.host for call in plays.calls} == {"w3", "cp1", "localhost"}
    # It is only asked there, once, and brings the kubeconfig.
    assert [call.module for call in plays.calls if call.host == "cp1"] == ["node_info", "kubeconfig"]
    assert "kubeadm w3" in plays.order()
    (verified,) = plays.of("cluster_verify")
    assert (verified.arguments["joined"], verified.arguments["concerned"]) == (["w3"], ["w3", "cp1"])
    assert verified.arguments["probe_pods"] is True


def test_a_name_that_the_inventory_does_not_have_is_not_added(make: Make) -> None:
    plays = make()
    assert plays.play("add_nodes", "-e", "nodes=w1,w9") != 0
    assert "is named exactly w9" in plays.output
    assert plays.calls == []
