# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what modules returned to one plan: what they call things, and what is unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.findings import FATAL, fatal, warning
from ansible_collections.quorum.kubeadm.plugins.module_utils.upgrade_plan import (
    Outcome,
    outdated_addons,
    plan_text,
    review,
)
from tests.unit.upgrade_world import NEW, NEW_ETCD, OLD, OLD_ETCD
from tests.unit.upgrade_world import told_inputs as inputs

ROW = {"node": "w1", "pod": "shop/web", "found": "budget web allows 0", "next": "scale it"}


def checks(outcome: Outcome) -> set[str]:
    return {item.check for item in outcome.findings if item.level == FATAL}


def test_a_cluster_that_is_well_is_planned() -> None:
    outcome = review(inputs())
    assert outcome.findings == ()
    assert not outcome.is_fatal
    plan = outcome.as_dict()
    assert json.loads(json.dumps(plan)) == plan, "plain values only"
    assert plan["control_planes"] == ["cp2", "cp3", "cp1"], "cp1 leads etcd"
    assert (plan["workers"], plan["first"], plan["todo"]) == (["w1"], "cp2", ["cp2", "cp3", "cp1", "w1"])
    assert (plan["target"], plan["etcd_target"], plan["running"]) == (NEW, NEW_ETCD, [OLD])
    assert plan["members"][0] == {"name": "cp2", "groups": ["kube_upgrade_stage", "kube_upgrade_control_plane"]}
    assert plan["members"][-1] == {"name": "w1", "groups": ["kube_upgrade_stage", "kube_upgrade_worker"]}
    assert plan["addons"] == ["coredns", "kube-proxy"]
    assert plan["before"]["cp1"]["etcd"] == f"registry.k8s.io/etcd:{OLD_ETCD}-0"
    assert plan["before"]["w1"] == {"kubelet": OLD}
    assert set(plan["steps"][0]) == {"node", "does", "before", "after", "left"}


def test_at_the_target_nothing_is_left_and_no_gate_speaks() -> None:
    outcome = review(inputs(NEW, drains=[ROW]), [fatal("w1", "disk", "full", "empty it")])
    assert (outcome.findings, outcome.order.todo, outcome.addons) == ((), (), ())
    assert outcome.as_dict()["members"] == []


def test_addons_alone_are_something_to_do() -> None:
    given = inputs(NEW)
    given.cluster["addons"]["coredns"]["image"] = "registry.k8s.io/coredns/coredns:v1.13.1"
    outcome = review(given)
    assert (outcome.order.todo, outcome.addons) == ((), ("coredns",))


@pytest.mark.parametrize(
    ("addons", "outdated"),
    [
        (None, ()),
        ({}, ()),
        ({"coredns": None, "kube-proxy": None}, ()),
        ({"kube-proxy": {"image": f"a/kube-proxy:v{OLD}"}, "coredns": {"image": "a/coredns:v1.14.2"}}, ("kube-proxy",)),
        ({"kube-proxy": {"image": None}}, ("kube-proxy",)),
        ({"flannel": {"image": "a/flannel:v0"}}, ()),
    ],
)
def test_addons_that_are_not_at_the_version(addons: Any, outdated: tuple[str, ...]) -> None:
    assert outdated_addons({"addons": addons}, NEW) == outdated


def test_a_canary_leaves_the_addons() -> None:
    outcome = review(inputs(until="cp2"))
    assert (outcome.order.todo, outcome.addons) == (("cp2",), ())
    assert "Not in this run (upgrade_until): cp1, cp3, w1" in plan_text(outcome)


def test_until_somebody_unknown_is_refused() -> None:
    outcome = review(inputs(until="cp9"))
    assert checks(outcome) == {"until"}
    assert "name one of cp1, cp2, cp3, w1" in outcome.findings[0].next_step


# What the modules call things


def test_a_marker_an_annotation_and_a_drained_server_are_an_unfinished_run() -> None:
    for change in ("marker", "cordoned", "drain", "maint"):
        given = inputs()
        if change == "marker":
            given.hosts["cp3"]["kubernetes"]["marker"] = {"action": "upgrade", "started": 1}
        elif change == "cordoned":
            next(node for node in given.cluster["nodes"] if node["name"] == "cp3")["cordoned"] = True
        else:
            given.balancers["lb2"]["servers"]["cp3"].update(admin=change, up=change == "drain")
        outcome = review(given)
        assert not outcome.is_fatal, change
        assert [(item.host, item.check) for item in outcome.findings] == [("cp3", "resume")]
        assert outcome.order.first == "cp3"


def test_the_marker_of_something_else_and_somebody_elses_cordon_are_none() -> None:
    given = inputs()
    given.hosts["cp3"]["kubernetes"]["marker"] = {"action": "join", "started": 1}
    given.cluster["nodes"][0]["unschedulable"] = True
    assert not any(node.begun for node in review(given).nodes)


def test_a_server_whose_check_fails_is_no_unfinished_run() -> None:
    given = inputs()
    given.balancers["lb1"]["servers"]["cp3"]["up"] = False
    assert checks(review(given)) == {"haproxy"}


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"answered": False, "servers": {}, "found": "No such file"}, "No such file"),
        ({"unreachable": True, "msg": "no route"}, "no route"),
        ({}, "it was not asked"),
    ],
)
def test_a_load_balancer_that_tells_nothing(seen: dict[str, Any], words: str) -> None:
    given = inputs()
    outcome = review(replace(given, balancers={**given.balancers, "lb1": seen}))
    assert [item.found for item in outcome.findings] == [f"HAProxy does not answer: {words}"]


@pytest.mark.parametrize(
    ("etcd", "words"),
    [
        ({"failed": True, "msg": "x509: unknown"}, "x509: unknown"),
        ({}, "no member was asked"),
        ({"etcd": {}}, "no member"),
    ],
)
def test_an_etcd_that_was_not_seen(etcd: dict[str, Any], words: str) -> None:
    outcome = review(replace(inputs(), etcd=etcd))
    assert checks(outcome) == {"etcd"}
    assert words in outcome.findings[0].found


def test_a_host_that_is_away_and_one_that_is_no_node() -> None:
    given = inputs()
    given.cluster["nodes"] = [node for node in given.cluster["nodes"] if node["name"] != "w1"]
    outcome = review(given)
    assert [(item.host, item.check) for item in outcome.findings] == [("w1", "node")]
    outcome = review(replace(given, away={"w1": "no route"}))
    assert [(item.host, item.check) for item in outcome.findings] == [("w1", "unreachable")]


def test_a_node_that_is_not_in_the_inventory_is_left_alone() -> None:
    given = inputs()
    given.cluster["nodes"].append({"name": "other", "ready": False, "kubelet_version": "1.20.0"})
    assert review(given).findings == ()


def test_external_etcd_is_only_judged() -> None:
    outcome = review(replace(inputs(), external_etcd=True))
    assert outcome.as_dict()["etcd_target"] == ""
    assert not [step for step in outcome.order.steps if "etcd" in step.does]


def test_pods_that_are_held_count_only_on_nodes_of_this_run() -> None:
    assert checks(review(inputs(drains=[ROW]))) == {"drain"}
    assert checks(review(inputs(drains=[ROW], until="cp2"))) == set()
    assert checks(review(inputs(drains=[ROW], policy="wait"))) == set()


def test_findings_of_the_hosts_are_in_the_same_report() -> None:
    outcome = review(inputs(), [fatal("w1", "disk", "full", "empty it"), warning("cp1", "certificate", "old", "x")])
    assert outcome.is_fatal
    assert [item.host for item in outcome.findings] == ["cp1", "w1"]


def test_the_plan_for_a_person() -> None:
    text = plan_text(review(inputs()), 160)
    assert text.splitlines()[0] == (
        f"Upgrade {OLD} -> {NEW}, etcd {NEW_ETCD}: 3 control planes and 1 workers to upgrade, "
        "0 done, 0 to bring back into service, 0 later."
    )
    first = next(line for line in text.splitlines() if line.startswith("cp2"))
    assert first.split("  ")[-1].strip() == "2 of 3 API servers"
    assert "etcd 2 of 3 voters, 0 may fail" in text
    assert plan_text(review(inputs(NEW))).count("\n") == 0


def test_settings_are_taken_to_the_nodes_that_are_named_and_to_no_other() -> None:
    outcome = review(inputs(NEW, settings_only=True, restart=("cp2", "w1")))
    assert not outcome.is_fatal, outcome.findings
    assert (outcome.order.control_planes, outcome.order.workers) == (("cp2",), ("w1",))
    assert outcome.order.done == ("cp1", "cp3")
    assert "take the settings of the inventory" in plan_text(outcome)
    assert not any(step.before or step.after for step in outcome.order.steps)


def test_without_a_node_to_restart_nothing_is_done() -> None:
    assert review(inputs(NEW, settings_only=True)).order.todo == ()


def test_a_restart_for_settings_never_changes_a_version() -> None:
    found = review(inputs(OLD, settings_only=True, restart=("cp1",))).findings
    assert any("1.35.4 runs there, and kube_version is 1.36.3" in item.found for item in found)


def test_a_restart_of_somebody_unknown_is_refused() -> None:
    found = review(inputs(NEW, settings_only=True, restart=("node10",))).findings
    assert any('"node10" is no node' in item.found for item in found)
