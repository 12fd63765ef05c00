# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A removal's plan: what each machine is, what is refused with which numbers, which plays touch whom."""

from __future__ import annotations

import pytest

from tests.unit.removal_world import Removal, fatal, parts

FIVE = ("cp1", "cp2", "cp3", "cp4", "cp5")
STATES = ("alive", "dead", "lost")


def world(state: str, name: str, **more: object) -> Removal:
    made = Removal(**more)
    return {"alive": lambda *_names: made, "dead": made.lose, "lost": made.wipe}[state](name)


@pytest.mark.parametrize("name", ["cp1", "cp2", "cp3"])
@pytest.mark.parametrize("state", STATES)
def test_any_control_plane_of_four_leaves_the_first_one_included(name: str, state: str) -> None:
    outcome = world(state, name, planes=FIVE[:4], leader="cp1").ask(name)
    assert fatal(outcome) == []
    told = outcome.as_dict()
    assert [(one["name"], one["state"]) for one in told["machines"]] == [(name, state)]
    assert told["members"] == [
        {"name": name, "member_id": f"id-{name}", "peer_urls": [f"https://{Removal(FIVE[:4]).address(name)}:2380"]}
    ]
    assert told["forget"] == [{"name": name, "drained": state == "alive", "dead": state != "alive"}]
    assert name not in (told["reader"], *parts(outcome)["through"])
    assert parts(outcome)["rewrite"] == ["lb1", "lb2"]
    assert parts(outcome).get("reset", []) == parts(outcome).get("drain", []) == ([name] if state == "alive" else [])


def test_the_leader_is_said_to_hand_over_and_the_tolerance_is_told() -> None:
    outcome = Removal(planes=FIVE[:4], leader="cp2").ask("cp2")
    assert any("move the leadership away" in step.does for step in outcome.steps)
    assert outcome.tolerance == {
        "before": "etcd 4 of 4 voters, 1 may fail, 4 API servers",
        "during": "etcd 3 of 3 voters, 1 may fail, 3 API servers",
        "after": "etcd 3 of 3 voters, 1 may fail, 3 API servers",
    }


# How many control planes, which of them are dead, which are named: fatal findings, and words among them.
TABLE = [
    (5, (), ("cp5",), 1, "5 -> 4 voters: 4 (quorum 3) endure the failure of 1, as many as 3 do"),
    (5, (), ("cp4", "cp5"), 0, ""),
    (5, ("cp5",), ("cp5",), 0, ""),
    (5, ("cp4", "cp5"), ("cp4", "cp5"), 0, ""),
    (5, ("cp4", "cp5"), ("cp3",), 1, "3 of 5 voters healthy, quorum 3"),
    (5, ("cp5",), ("cp4", "cp5"), 0, ""),
    (4, (), ("cp4",), 0, ""),
    (4, (), ("cp3", "cp4"), 1, "none may fail"),
    (3, (), ("cp3",), 1, "none may fail (2 of 2 voters healthy, quorum 2)"),
    (3, ("cp3",), ("cp3",), 0, ""),
    (3, ("cp2",), ("cp3",), 1, "after the removal of \"cp3\": 1 of 2 voters healthy"),
    (3, ("cp3",), ("cp2", "cp3"), 1, "none may fail"),
    (3, (), ("cp2", "cp3"), 1, "none may fail"),
    (2, ("cp2",), ("cp2",), 1, "the quorum is lost already"),
    (1, (), ("cp1",), 2, "no other control plane answers"),
]  # fmt: skip


@pytest.mark.parametrize(("count", "dead", "named", "refusals", "words"), TABLE)
def test_truth_table(count: int, dead: tuple[str, ...], named: tuple[str, ...], refusals: int, words: str) -> None:
    outcome = Removal(planes=FIVE[:count]).lose(*dead).ask(*named)
    found = fatal(outcome)
    assert len(found) == refusals, found
    assert not words or any(words in text for text in found), found


def test_what_was_confirmed_is_allowed_and_said_aloud() -> None:
    even = Removal(planes=FIVE).ask("cp5", confirm_even=True)
    assert fatal(even) == []
    assert "as many as 3 do" in str(even.findings)
    bare = Removal().ask("cp3", confirm_no_tolerance=True)
    assert fatal(bare) == []
    assert "none may fail" in str(bare.findings)
    assert bare.as_dict()["confirmed"] is True
    # A confirmation is none of a lost quorum.
    assert fatal(Removal().lose("cp2").ask("cp3", confirm_no_tolerance=True))


def test_the_last_control_plane_stays_also_with_an_external_etcd() -> None:
    outside = Removal(planes=("cp1", "cp2"), etcd=("e1", "e2", "e3"))
    assert fatal(outside.ask("cp2")) == []
    assert "only cp1 is left as a control plane" in str(outside.ask("cp2").findings)
    outside.silent.add("cp1")
    assert "no other control plane answers" in fatal(outside.ask("cp2"))[0]


def test_a_majority_is_not_behind_the_members() -> None:
    lost = Removal(quorum=False).lose("cp2")
    assert "the quorum of etcd is lost" in fatal(lost.ask("cp2"))[0]
    # A worker does not concern it.
    assert fatal(lost.ask("w1")) == []


def test_nobody_sees_etcd() -> None:
    world = Removal()
    world.sick.update(world.planes)
    assert "etcd answers on no machine that stays" in fatal(world.ask("cp2"))


@pytest.mark.parametrize(
    ("away", "unready", "sick", "age", "words"),
    [
        (True, False, True, 3.0, "its kubelet is alive (Ready, Lease renewed 3 s ago)"),
        (True, True, False, 300.0, "its etcd answers"),
        (False, False, True, 3.0, "a blank machine answers"),
        (False, True, False, 300.0, "a blank machine answers"),
    ],
)
def test_what_contradicts_itself_is_refused(away: bool, unready: bool, sick: bool, age: float, words: str) -> None:
    world = Removal(planes=FIVE)
    world.silent.add("cp2")
    world.ages["cp2"] = age
    for wanted, names in ((away, world.away), (not away, world.blank), (unready, world.unready), (sick, world.sick)):
        if wanted:
            names.add("cp2")
    outcome = world.ask("cp2", confirm_even=True)
    assert any(words in text for text in fatal(outcome)), fatal(outcome)
    assert parts(outcome).get("reset", []) == parts(outcome).get("drain", []) == []


def test_a_node_whose_lease_ran_out_is_dead_before_the_node_controller_says_so() -> None:
    world = Removal().lose("w1")
    world.unready.clear()
    assert fatal(world.ask("w1")), "its Lease is young"
    world.ages["w1"] = 41.0
    outcome = world.ask("w1")
    assert (fatal(outcome), outcome.case.machines[0].state) == ([], "dead")


def test_an_api_server_that_answers_speaks_for_life() -> None:
    world = Removal(etcd=("e1", "e2", "e3")).lose("cp2")
    world.silent.clear()
    assert "its API server answers" in fatal(world.ask("cp2"))[0]


def test_a_host_that_only_refuses_to_be_looked_at_is_not_dead() -> None:
    world = Removal()
    world.broken.add("w1")
    assert "its facts could not be read: sudo" in fatal(world.ask("w1"))[0]


def test_names_are_exact() -> None:
    outcome = Removal().ask("w")
    assert 'named exactly "w"' in fatal(outcome)[0]
    outcome = Removal().ask("w1")
    assert [one["name"] for one in outcome.as_dict()["forget"]] == ["w1"]
    assert "w10" not in str(outcome.as_dict())


def test_one_that_the_inventory_has_forgotten_is_known_by_its_node_and_its_member() -> None:
    world = Removal(planes=FIVE[:4]).lose("cp4")
    world.unlisted.add("cp4")
    outcome = world.ask("cp4")
    assert (fatal(outcome), outcome.as_dict()["machines"][0]["state"]) == ([], "dead")
    assert outcome.as_dict()["machines"][0]["roles"] == ["control_plane", "etcd"]
    assert parts(outcome)["rewrite"] == ["lb1", "lb2"]
    world.unready.clear()
    world.ages["cp4"] = 1.0
    assert "its kubelet is alive" in fatal(world.ask("cp4"))[0]


def test_what_is_gone_already_is_no_error_and_the_balancers_are_looked_after() -> None:
    world = Removal(planes=FIVE[:4]).wipe("cp4")
    world.nodeless.add("cp4")
    world.memberless.add("cp4")
    outcome = world.ask("cp4")
    assert (fatal(outcome), outcome.as_dict()["members"]) == ([], [])
    assert parts(outcome)["rewrite"] == ["lb1", "lb2"]


def test_another_clusters_machine_is_not_cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "ansible_collections.quorum.kubeadm.plugins.module_utils.removal_checks.same_ca"
    monkeypatch.setattr(module, lambda one, other: one == other)
    world = Removal()
    world.authorities["w1"] = "another CA"
    assert fatal(world.ask("w1")) == ["the CA in kubelet.conf is not this cluster's"]


def test_a_worker_touches_nothing_but_itself_and_one_control_plane() -> None:
    outcome = Removal().ask("w1")
    assert parts(outcome) == {"drain": ["w1"], "reset": ["w1"], "through": ["cp1"]}
    assert outcome.tolerance == {"before": "2 workers", "during": "1 workers", "after": "1 workers"}
    last = Removal(workers=("w1",)).ask("w1")
    assert fatal(last) == []
    assert "no worker is left" in str(last.findings)


def test_a_kubelet_that_is_silent_on_a_living_machine_drains_nothing() -> None:
    world = Removal()
    world.unready.add("w1")
    outcome = world.ask("w1")
    assert parts(outcome) == {"reset": ["w1"], "through": ["cp1"]}
    assert outcome.as_dict()["forget"] == [{"name": "w1", "drained": False, "dead": True}]


@pytest.mark.parametrize("state", STATES)
def test_a_load_balancer_leaves_its_peer(state: str) -> None:
    outcome = world(state, "lb2").ask("lb2")
    assert fatal(outcome) == []
    assert parts(outcome)["rewrite"] == ["lb1"]
    assert parts(outcome).get("balancer", []) == (["lb2"] if state == "alive" else [])
    assert outcome.as_dict()["forget"] == []
    assert outcome.tolerance["after"] == "1 load balancers"


def test_the_only_load_balancer_stays() -> None:
    assert "HAProxy answers on none of them" in fatal(Removal(balancers=("lb1",)).ask("lb1"))[0]
    world = Removal()
    world.silent.add("lb1")
    assert "HAProxy answers on none of them" in fatal(world.ask("lb2"))[0]
    assert "HAProxy answers on none of them" in fatal(Removal().ask("lb1", "lb2"))[0]


def test_a_load_balancer_that_nobody_reaches_may_still_hold_the_vip() -> None:
    world = Removal(holder="").lose("lb2")
    assert "the VIP answers and none of the others has it" in fatal(world.ask("lb2"))[0]


def test_a_control_plane_that_goes_is_told_to_a_balancer_that_is_silent_later() -> None:
    world = Removal(planes=FIVE[:4])
    world.silent.add("lb2")
    outcome = world.ask("cp4")
    assert fatal(outcome) == []
    assert "its configuration stays as it is" in str(outcome.findings)
    assert outcome.as_dict()["drained_balancers"] == ["lb1"]


@pytest.mark.parametrize("state", STATES)
def test_a_machine_of_an_external_etcd(state: str) -> None:
    etcd = ("e1", "e2", "e3", "e4")
    outcome = world(state, "e4", etcd=etcd).ask("e4")
    assert fatal(outcome) == []
    told, touched = outcome.as_dict(), parts(outcome)
    # One that lives is taken out by its role, which also ends its service.
    assert [one["name"] for one in told["members"]] == ([] if state == "alive" else ["e4"])
    assert touched.get("member", []) == (["e4"] if state == "alive" else [])
    assert touched["outdated"] == ["cp1", "cp2", "cp3"]
    assert (told["reader"], told["forget"]) == ("e1", [])


def test_somebody_who_stays_has_to_be_reachable() -> None:
    world = Removal()
    world.away.update([*world.planes, *world.balancers])
    assert "no machine that stays can be logged in to" in fatal(world.ask("w1"))


def test_etcd_is_changed_through_a_machine_that_stays() -> None:
    world = Removal(planes=FIVE[:4], leader="cp4")
    world.away.update(("cp1", "cp2", "cp3"))
    assert "etcd answers on no machine that stays" in fatal(world.ask("cp4"))


def test_the_api_is_not_asked_on_a_machine_that_goes() -> None:
    assert "kube_api_via is cp4" in fatal(Removal(planes=FIVE[:4]).ask("cp4", api_via="cp4"))[0]


def test_pods_that_cannot_leave_stop_it_unless_the_policy_says_otherwise() -> None:
    rows = [{"node": "w1", "pod": "shop/web", "found": "PDB allows none", "next": "wait"}]
    assert fatal(Removal().ask("w1", drains=rows)) == ["shop/web: PDB allows none"]
    assert fatal(Removal().ask("w1", drains=rows, policy="wait")) == []
    assert fatal(Removal().lose("w1").ask("w1", drains=rows)) == [], "a dead machine's pods are not asked"


def test_several_of_different_kinds_at_once() -> None:
    outcome = Removal(planes=FIVE).lose("cp5", "w10").ask("cp4", "cp5", "w1", "w10", "lb2")
    assert fatal(outcome) == []
    # The dead member first: it does not count, and the living one does.
    assert [one["name"] for one in outcome.as_dict()["members"]] == ["cp5", "cp4"]
    assert parts(outcome)["drain"] == ["cp4", "w1"]
    assert parts(outcome)["rewrite"] == ["lb1"]
