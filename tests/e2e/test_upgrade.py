# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade of the cluster that test_site has built, in the order of the file, with somebody using it meanwhile."""

from __future__ import annotations

import json

import pytest

from tests.e2e.support import Run, Site
from tests.e2e.upgrading import GENTLY, Watched, state, watched
from tests.e2e.workload import NAME, Workload
from tests.lanes import KUBE_VERSION

IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.59"
UPGRADE = "playbooks/upgrade.yml"


@pytest.fixture(scope="session")
def workload(site: Site) -> Workload:
    """Two replicas, a Service, a budget."""
    made = Workload(site)
    made.start(IMAGE)
    return made


def test_a_budget_that_blocks_is_named_before_anything_changes(site: Site, workload: Workload) -> None:
    workload.start(IMAGE, budget=2)
    before = site.cluster.processes()
    run = site.play(UPGRADE, "-e", f"kube_version={KUBE_VERSION}")
    assert run.status != 0
    words = " ".join(run.text.split())
    assert f"PDB default/{NAME} allows 0 disruptions" in words, run.end()
    assert run.changed() == {}
    assert not any(cordoned for _version, cordoned, _ours in state(site)["nodes"].values())
    assert site.cluster.processes() == before
    workload.start(IMAGE)


@pytest.mark.parametrize(
    ("version", "words"),
    [("1.34.4", "cannot be downgraded"), ("1.37.0", "1.34, 1.35, 1.36"), ("1.36", "not a version")],
)
def test_a_version_that_cannot_be_reached_is_refused(site: Site, version: str, words: str) -> None:
    run = site.play(UPGRADE, "-e", f"kube_version={version}")
    assert run.status != 0
    assert words in " ".join(run.text.split()), run.end()
    assert run.changed() == {}


def test_check_mode_prints_the_plan_and_changes_nothing(site: Site, workload: Workload) -> None:
    before = site.cluster.processes()
    run = site.play(UPGRADE, "--check", "-e", f"kube_version={KUBE_VERSION}")
    assert run.status == 0, run.end()
    assert f"Upgrade {site.version} -> {KUBE_VERSION}" in run.text
    assert "3 control planes and 2 workers to upgrade" in run.text
    assert "etcd 2 of 3 voters, 0 may fail" in run.text
    assert run.changed() == {}
    assert site.cluster.processes() == before


@pytest.fixture(scope="session")
def upgraded(site: Site, workload: Workload) -> tuple[Run, Watched]:
    """The upgrade, watched."""
    # Ten a second, in four ways, take a third of two cores: that is the campaign's.
    with watched(site, workload, "upgrade", rate=3.0) as seen:
        told = ("-e", f"upgrade_availability_file={seen.summary}")
        run = site.play(UPGRADE, "-e", f"kube_version={KUBE_VERSION}", *told, *GENTLY)
    site.version = KUBE_VERSION
    return run, seen


def test_the_upgrade_ends_verified(site: Site, upgraded: tuple[Run, Watched]) -> None:
    run, _seen = upgraded
    assert run.status == 0, run.end()
    assert run.verify["ok"] is True
    found = state(site)
    assert {version for version, _cordoned, _ours in found["nodes"].values()} == {f"v{KUBE_VERSION}"}
    assert not any(cordoned or ours for _version, cordoned, ours in found["nodes"].values())
    assert set(found["left behind"].values()) == {""}
    assert found["backends"]["lb1"] == found["backends"]["lb2"] == ["cp1,UP", "cp2,UP", "cp3,UP"]
    assert f"kube-proxy=registry.k8s.io/kube-proxy:v{KUBE_VERSION}" in found["addons"]
    assert "coredns=registry.k8s.io/coredns/coredns:v1.14.2" in found["addons"]


def test_nobody_noticed(upgraded: tuple[Run, Watched]) -> None:
    _run, seen = upgraded
    assert seen.api["ledger"]["acknowledged"] > 100
    assert seen.shop["asked"] > 500
    assert seen.api["ledger"]["problems"] == []
    assert seen.shop["failed"] == []
    # The limits are the campaign's; on two cores that are never idle this tells an outage from none.
    assert seen.api["longest_gap"] < 10.0, seen.api


def test_there_is_a_record(site: Site, upgraded: tuple[Run, Watched]) -> None:
    records = sorted((site.inventory / ".upgrades").glob("*.json"))
    document = json.loads(records[-1].read_text(encoding="utf-8"))
    assert (document["result"], document["from"], document["to"]) == ("done", ["1.35.4"], KUBE_VERSION)
    finished = [step["node"] for step in document["steps"] if step["step"] == "finished"]
    assert sorted(finished[:3]) == ["cp1", "cp2", "cp3"]
    # The leader of etcd comes last, and is not the one that is burdened with the snapshot.
    assert document["snapshot"].partition(":")[0] in finished[:2]
    assert sorted(finished[3:]) == ["w1", "w2"]
    assert document["after"]["cp1"]["kube-apiserver"].endswith(f":v{KUBE_VERSION}")
    assert document["availability"]["longest_gap"] >= 0
    assert "## Steps" in records[-1].with_suffix(".md").read_text(encoding="utf-8")


def test_at_the_target_nothing_changes(site: Site, upgraded: tuple[Run, Watched]) -> None:
    before = site.cluster.processes()
    run = site.play(UPGRADE)
    assert run.status == 0, run.end()
    assert run.changed() == {}
    assert site.cluster.processes() == before


def test_a_node_that_a_killed_run_left_out_of_service_is_brought_back(
    site: Site, upgraded: tuple[Run, Watched]
) -> None:
    before = state(site)
    site.kubectl("cordon", "cp3")
    site.kubectl("annotate", "node", "cp3", "quorum.kubeadm/cordoned=upgrade")
    for balancer in ("lb1", "lb2"):
        words = "echo 'set server kube_api/cp3 state drain' | socat - UNIX-CONNECT:/run/haproxy/admin.sock"
        site.on(balancer, "sh", "-c", words)
    assert state(site) != before
    processes = site.cluster.processes()
    run = site.play(UPGRADE)
    assert run.status == 0, run.end()
    assert state(site) == before
    assert site.cluster.processes() == processes


def test_site_agrees_with_what_the_upgrade_has_made(site: Site, upgraded: tuple[Run, Watched]) -> None:
    before = site.cluster.processes()
    run = site.play("site.yml")
    assert run.status == 0, run.end()
    assert site.cluster.processes() == before
