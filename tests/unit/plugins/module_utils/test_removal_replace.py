# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A replacement's plan: in which turn the old machine goes, what is refused, which hosts the join concerns."""

from __future__ import annotations

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.removal import Outcome
from tests.unit.removal_world import Removal, fatal, parts


def does(outcome: Outcome) -> list[str]:
    """The steps, shortened."""
    words = ("prepare", "join", "etcd member", "clean", "delete its Node")
    return [next(word for word in words if word in step.does) for step in outcome.steps if any(
        word in step.does for word in words)]  # fmt: skip


def test_a_blank_machine_under_the_name_of_the_first_control_plane() -> None:
    outcome = Removal(leader="cp2").wipe("cp1").ask("cp1", replacement="cp1")
    assert fatal(outcome) == []
    assert outcome.turn == "middle"
    assert does(outcome) == ["prepare", "etcd member", "delete its Node", "join"]
    assert outcome.tolerance == {
        "before": "etcd 2 of 3 voters, 0 may fail, 2 API servers",
        "during": "etcd 2 of 2 voters, 0 may fail, 2 API servers",
        "after": "etcd 3 of 3 voters, 1 may fail, 3 API servers",
    }
    told, touched = outcome.as_dict(), parts(outcome)
    assert told["confirmed"] is True
    # The join writes the load balancers' configuration; it needs the machine, them, and one that others join through.
    assert "rewrite" not in touched
    assert touched["kube_replace_hosts"] == ["cp1", "cp2", "lb1", "lb2"]
    assert "cp1" in touched["kube_removal_look"]


def test_a_dead_machine_and_one_of_another_name() -> None:
    world = Removal(leader="cp1", more={"control_plane": ("cp4",)}).lose("cp2")
    outcome = world.ask("cp2", replacement="cp4")
    assert fatal(outcome) == []
    # The dead member first: etcd takes no fourth one while a third is down.
    assert (outcome.turn, does(outcome)) == ("middle", ["prepare", "etcd member", "delete its Node", "join"])
    assert parts(outcome)["kube_replace_hosts"] == ["cp1", "cp4", "lb1", "lb2"]


def test_a_living_machine_and_one_of_another_name_joins_first() -> None:
    outcome = Removal(more={"control_plane": ("cp4",)}).ask("cp2", replacement="cp4")
    assert fatal(outcome) == []
    assert (outcome.turn, does(outcome)) == ("last", ["prepare", "join", "etcd member", "clean", "delete its Node"])
    assert outcome.tolerance == {
        "before": "etcd 3 of 3 voters, 1 may fail, 3 API servers",
        "during": "etcd 4 of 4 voters, 1 may fail, 3 API servers",
        "after": "etcd 3 of 3 voters, 1 may fail, 3 API servers",
    }
    # The join has taken it out of their configuration already.
    assert outcome.as_dict()["drained_balancers"] == []


def test_the_only_control_plane_is_replaced_by_one_that_joins_first() -> None:
    outcome = Removal(planes=("cp1",), more={"control_plane": ("cp2",)}).ask("cp1", replacement="cp2")
    assert (fatal(outcome), outcome.turn) == ([], "last")
    # Nobody else is there to ask when the old one goes.
    assert (outcome.reader, parts(outcome)["through"]) == ("cp2", ["cp2"])


def test_it_joins_later_where_etcd_would_not_take_it_now() -> None:
    world = Removal(planes=("cp1", "cp2", "cp3", "cp4", "cp5"), more={"control_plane": ("cp6",)}).lose("cp4", "cp5")
    assert world.ask("cp3", replacement="cp6").turn == "middle"
    assert fatal(world.ask("cp3", replacement="cp6")), "another member is down, and without this one there is no quorum"


def test_the_same_machine_is_cleaned_first_and_joins_again() -> None:
    outcome = Removal().ask("cp2", replacement="cp2")
    assert (fatal(outcome), outcome.turn) == ([], "first")
    assert does(outcome) == ["etcd member", "clean", "delete its Node", "prepare", "join"]
    assert outcome.as_dict()["drained_balancers"] == ["lb1", "lb2"]


def test_a_run_that_was_killed_after_the_removal_only_joins() -> None:
    world = Removal().wipe("cp2")
    world.nodeless.add("cp2")
    world.memberless.add("cp2")
    outcome = world.ask("cp2", replacement="cp2")
    assert (fatal(outcome), outcome.turn, outcome.as_dict()["members"]) == ([], "middle", [])
    assert parts(outcome)["kube_replace_hosts"] == ["cp1", "cp2", "lb1", "lb2"]


@pytest.mark.parametrize("ready", [True, False])
def test_a_run_that_was_killed_while_it_joined_goes_on(ready: bool) -> None:
    world = Removal()
    world.joining.add("cp2")
    if not ready:
        world.unready.add("cp2")
        world.sick.add("cp2")
    outcome = world.ask("cp2", replacement="cp2")
    told, touched = outcome.as_dict(), parts(outcome)
    assert (fatal(outcome), outcome.turn) == ([], "middle")
    assert (told["members"], told["forget"], touched.get("reset")) == ([], [], None)
    assert does(outcome) == ["prepare", "join"]
    # Asked to leave for good, it is one that lives.
    assert world.ask("cp2", confirm_no_tolerance=True).case.machines[0].state == "alive"


def test_a_run_that_was_killed_after_the_join_only_removes() -> None:
    world = Removal(planes=("cp1", "cp2", "cp3", "cp4"))
    outcome = world.ask("cp2", replacement="cp4")
    assert (fatal(outcome), outcome.turn) == ([], "last")
    assert [one["name"] for one in outcome.as_dict()["members"]] == ["cp2"]
    assert outcome.tolerance["after"].startswith("etcd 3 of 3 voters, 1 may fail")


def test_a_dead_machine_needs_one_that_takes_its_place() -> None:
    outcome = Removal().lose("cp2").ask("cp2", replacement="cp2")
    assert "no machine answers there" in fatal(outcome)[0]
    assert "-e replacement=NAME" in str(outcome.findings)


def test_the_replacement_has_to_be_there_and_of_the_same_kind() -> None:
    assert "not in the inventory" in fatal(Removal().ask("cp2", replacement="cp9"))[0]
    there = Removal(more={"worker": ("w3",)})
    assert "cp2 is in kube_control_plane, its replacement is not" in fatal(there.ask("cp2", replacement="w3"))[0]
    away = Removal(more={"control_plane": ("cp4",)})
    away.away.add("cp4")
    assert "the replacement does not answer" in fatal(away.ask("cp2", replacement="cp4"))[0]
    assert "2 machines are named" in fatal(Removal().ask("cp1", "cp2", replacement="cp1"))[0]


@pytest.mark.parametrize(("state", "turn"), [("alive", "last"), ("dead", "middle")])
def test_a_machine_of_an_external_etcd_by_one_of_another_name(state: str, turn: str) -> None:
    world = Removal(etcd=("e1", "e2", "e3"), more={"etcd": ("e4",)})
    outcome = (world.lose("e2") if state == "dead" else world).ask("e2", replacement="e4")
    assert (fatal(outcome), outcome.turn) == ([], turn)
    # Every API server is told, which the join does.
    assert parts(outcome)["kube_replace_hosts"] == ["cp1", "cp2", "cp3", "e1", "e3", "e4"]
    assert "outdated" not in parts(outcome)


def test_a_blank_machine_of_an_external_etcd_needs_its_place_free_first() -> None:
    outcome = Removal(etcd=("e1", "e2", "e3"), leader="e1").wipe("e2").ask("e2", replacement="e2")
    assert (fatal(outcome), outcome.turn) == ([], "first")


def test_a_load_balancer_and_a_worker() -> None:
    outcome = Removal(balancers=("lb1",), holder="").wipe("lb1").ask("lb1", replacement="lb1")
    assert fatal(outcome) == [], "one that serves nobody any more is replaced where there is no other"
    assert parts(outcome)["kube_replace_hosts"] == ["cp1", "lb1"]
    outcome = Removal().wipe("w1").ask("w1", replacement="w1")
    assert (fatal(outcome), outcome.turn) == ([], "middle")
    assert parts(outcome)["kube_replace_hosts"] == ["cp1", "w1"]
    assert outcome.tolerance == {"before": "1 workers", "during": "1 workers", "after": "2 workers"}
