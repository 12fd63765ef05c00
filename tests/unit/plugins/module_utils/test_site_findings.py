# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that has lost all control planes begins again from a snapshot; one that has not does not."""

from __future__ import annotations

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.site_plan import is_refused
from tests.unit.preflight_world import CA, FOREIGN_CA, WORKERS, World


def lost(start: str = "cp2") -> World:
    """Workers as they were, blank control planes, the cluster's CA on one of them."""
    world = World().running(*WORKERS, vip=False)
    world.rules["restores"] = start
    world.kubernetes(start)["ca_pem"] = CA
    return world


def refusal(world: World) -> str:
    outcome = world.ask()
    assert is_refused(outcome.plan)
    assert "init" not in outcome.plan.hosts.values()
    return " ".join(f"{item.host} {item.found} {item.next_step}" for item in outcome.findings if item.level == "fatal")


def test_it_begins_where_it_was_asked_to_and_workers_are_kept() -> None:
    plan = lost().ask().plan
    assert not is_refused(plan), plan.findings
    assert (plan.state, plan.seed, plan.ca_pem.strip()) == ("new", "cp2", CA.strip())
    assert {name: plan.hosts[name] for name in ("cp1", "cp2", "cp3", *WORKERS)} == {
        "cp1": "join_control_plane", "cp2": "init", "cp3": "join_control_plane", "w1": "keep", "w2": "keep",
    }  # fmt: skip


def test_without_being_asked_the_same_hosts_are_refused() -> None:
    world = lost()
    world.rules["restores"] = ""
    assert "a cluster exists, and no API answers" in refusal(world)


def test_a_run_that_was_killed_goes_on() -> None:
    for changed in ({"etcd_data": "present"}, {"marker": {"action": "init", "started": 1}, "etcd_data": "present",
                    "manifests": {"etcd": "x"}, "admin_conf": True}):  # fmt: skip
        world = lost()
        world.kubernetes("cp2").update(changed)
        assert world.ask().plan.hosts["cp2"] == "init"


def test_a_cluster_that_lives_is_not_made_again() -> None:
    world = lost().running("cp1")
    assert "an API answers at" in refusal(world)


@pytest.mark.parametrize("name", ["cp2", "cp3"])
def test_a_control_plane_that_is_not_blank_is_refused(name: str) -> None:
    world = lost()
    world.kubernetes(name)["manifests"] = {"etcd": "x"}
    assert f"{name} it is not blank" in refusal(world)


def test_an_archive_of_another_cluster_is_refused() -> None:
    world = lost()
    world.kubernetes("cp2")["ca_pem"] = FOREIGN_CA
    assert "is not this cluster's" in refusal(world)


def test_what_is_missing_is_told() -> None:
    world = lost()
    world.kubernetes("cp2")["ca_pem"] = None
    assert "pki_archive" in refusal(world)
    world = lost()
    world.rules["restores"] = "w1"
    assert "restore_host" in refusal(world)
    world = lost()
    world.unreachable("cp3")
    assert "cp3" in refusal(world)
    assert "machines of its own" in refusal(lost().with_etcd())
