# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first control plane is lost for good, and a blank machine takes its place under its name and address."""

from __future__ import annotations

import pytest

from lab import faults, nodes
from tests.e2e.support import Run, Site
from tests.e2e.upgrading import GENTLY, Watched, members, state, watched
from tests.e2e.workload import Workload

REPLACE = "playbooks/replace_node.yml"
LOST = "cp1"
LEASES = "jsonpath={.items[*].metadata.name}"


@pytest.fixture(scope="session")
def before(site: Site) -> dict[str, str]:
    """etcd's members before the loss."""
    return members(site)


@pytest.fixture(scope="session")
def replaced(site: Site, before: dict[str, str]) -> tuple[Run, Watched]:
    """The loss, and the replacement by one command, watched."""
    # From a node that stays.
    workload = Workload(site, node="cp2")
    with watched(site, workload, "replace", rate=3.0) as seen:
        faults.kill(site.settings, [LOST])
        nodes.recreate(site.settings, [LOST])
        run = site.play(REPLACE, "-e", f"node={LOST}", *GENTLY)
    return run, seen


def test_one_command_replaces_the_first_control_plane(
    site: Site, before: dict[str, str], replaced: tuple[Run, Watched]
) -> None:
    run, _seen = replaced
    assert run.status == 0, run.end()
    assert run.verify["ok"] is True
    now = members(site)
    assert sorted(now) == ["cp1", "cp2", "cp3"]
    assert now[LOST] != before[LOST]
    assert {name: now[name] for name in ("cp2", "cp3")} == {name: before[name] for name in ("cp2", "cp3")}


def test_it_serves_like_the_others(site: Site, replaced: tuple[Run, Watched]) -> None:
    found = state(site)
    assert len(set(found["manifests"])) == 3
    assert found["backends"]["lb1"] == found["backends"]["lb2"] == ["cp1,UP", "cp2,UP", "cp3,UP"]
    assert not any(cordoned or ours for _version, cordoned, ours in found["nodes"].values())
    leases = site.kubectl("-n", "kube-node-lease", "get", "leases", "-o", LEASES).split()
    assert sorted(leases) == sorted(found["nodes"]) == ["cp1", "cp2", "cp3", "w1", "w2"]


def test_no_write_was_lost(replaced: tuple[Run, Watched]) -> None:
    _run, seen = replaced
    assert seen.api["ledger"]["acknowledged"] > 50
    assert seen.api["ledger"]["problems"] == []
    # As for the upgrade: this tells an outage from a busy processor.
    assert seen.api["longest_gap"] < 10.0, seen.api


def test_site_has_nothing_to_do_afterwards(site: Site, replaced: tuple[Run, Watched]) -> None:
    processes = site.cluster.processes()
    run = site.play("site.yml")
    assert run.status == 0, run.end()
    assert site.cluster.processes() == processes
