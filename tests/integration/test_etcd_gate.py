# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd_gate against real etcd clusters: yes only while the quorum holds after the step."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.integration.etcd_cluster import EtcdCluster, Make, eventually

NAMES = ("cp1", "cp2", "cp3")
NEW = {"peer_url": "https://192.0.2.14:2380"}


def members(cluster: EtcdCluster) -> list[str]:
    return sorted(str(raw.get("name", "")) for raw in cluster.api("cp2").members()["members"])


def followers_and_leader(cluster: EtcdCluster) -> tuple[list[str], str]:
    seen = eventually(cluster.info, lambda result: result["etcd"]["leader"] is not None)["etcd"]
    (leader,) = [member["name"] for member in seen["members"] if member["leader"]]
    return [name for name in NAMES if name != leader], leader


def test_three_healthy_members_allow_each_step_and_nothing_changes(make: Make) -> None:
    cluster = make(*NAMES)
    (one, other), _leader = followers_and_leader(cluster)
    for action, name, more in (("restart", one, {}), ("remove", other, {}), ("add_learner", "cp4", NEW)):
        result = cluster.gate(action, name, wait_seconds=20, **more)
        assert not result.get("failed"), result
        assert result["changed"] is False
        assert result["arithmetic"] == "3 of 3 voters healthy, quorum 2, tolerance 1"
    assert members(cluster) == list(NAMES)


def test_the_leader_hands_over_before_it_restarts(make: Make) -> None:
    cluster = make(*NAMES)
    _followers, leader = followers_and_leader(cluster)
    result = cluster.gate("restart", leader)
    assert result["failed"] is True
    assert f'"{leader}" is the leader' in result["error"]["found"]


@pytest.mark.parametrize("action", ["restart", "remove"])
def test_with_one_member_dead_no_other_may_go(make: Make, action: str) -> None:
    cluster = make(*NAMES)
    cluster.members["cp1"].kill()
    result = eventually(lambda: cluster.gate(action, "cp2"), lambda seen: "2 of 3" in seen["error"]["found"])
    assert result["failed"] is True
    assert "2 of 3 voters healthy, quorum 2, tolerance 1" in result["error"]["found"]
    assert "cp2" in result["msg"]
    assert result["error"]["next"]
    assert members(cluster) == list(NAMES)


def test_the_dead_member_itself_may_be_removed(make: Make) -> None:
    cluster = make(*NAMES)
    cluster.members["cp1"].kill()
    result = cluster.gate("remove", "cp1", wait_seconds=20)
    assert not result.get("failed"), result
    assert result["arithmetic"] == "2 of 3 voters healthy, quorum 2, tolerance 1"
    assert members(cluster) == list(NAMES), "asked is not done"


def test_without_a_quorum_nothing_is_allowed(make: Make) -> None:
    cluster = make(*NAMES)
    for name in ("cp1", "cp3"):
        cluster.members[name].kill()
    for action, name, more in (("restart", "cp2", {}), ("remove", "cp1", {}), ("add_learner", "cp4", NEW)):
        result = cluster.gate(action, name, timeout=1, **more)
        assert result["failed"] is True, action


def test_a_learner_that_has_not_caught_up_is_waited_for_a_bounded_time(make: Make) -> None:
    cluster = make(*NAMES)
    cluster.add_learner("cp4")
    began = time.monotonic()
    result = cluster.gate(
        "add_learner", "cp5", [cluster.members["cp1"].url], peer_url="https://192.0.2.15:2380", wait_seconds=2
    )
    assert result["failed"] is True
    assert 2 <= time.monotonic() - began < 20
    assert "learner" in result["error"]["found"]
    # It has no name yet, so nobody can ask for its promotion; when it has caught up the gate says yes.
    assert cluster.gate("promote", "cp4", [cluster.members["cp1"].url])["failed"] is True
    cluster.start("cp4")
    allowed = eventually(lambda: cluster.gate("promote", "cp4"), lambda seen: not seen.get("failed"))
    assert allowed["arithmetic"] == "3 of 3 voters healthy, quorum 2, tolerance 1"
    assert "cp4" in members(cluster), "asked is not done"
    assert '"cp2" is a voter already' in cluster.gate("promote", "cp2")["error"]["found"]


def test_a_small_database_is_not_defragmented_and_a_control_plane_goes_only_with_its_member(make: Make) -> None:
    cluster = make(*NAMES)
    (one, other), leader = followers_and_leader(cluster)
    assert "under 100 MiB" in cluster.gate("defragment", one)["error"]["found"]
    up = {"api": True, "controller_manager": True, "scheduler": True, "etcd": True}
    planes = [{"name": name, **up} for name in NAMES]
    facts = {"control_planes": planes, "backends_up": 3}
    assert not cluster.gate("take_down", one, **facts).get("failed")
    assert f'"{leader}" is the leader' in cluster.gate("take_down", leader, **facts)["error"]["found"]
    alone = cluster.gate("take_down", one, control_planes=[{"name": one}, {"name": other}], backends_up=1)
    assert "no other control plane does all the work" in alone["error"]["found"]
    assert "1 API servers in service, 2 are needed" in alone["error"]["found"]
    refused = cluster.gate("restart", one, restarting=[other])
    assert "another member is being restarted" in refused["error"]["found"]


def test_a_single_member_restarts_only_when_a_gap_is_wanted(make: Make) -> None:
    cluster = make("cp1")
    assert cluster.gate("restart", "cp1")["failed"] is True
    allowed = cluster.gate("restart", "cp1", allow_downtime=True)
    assert not allowed.get("failed"), allowed
    assert allowed["aloud"], "a person is told of the gap"
    assert cluster.gate("remove", "cp1")["failed"] is True


def test_a_name_is_exact(make: Make) -> None:
    result = make("cp1").gate("restart", "cp")
    assert result["failed"] is True
    assert 'named "cp"' in result["msg"]


def test_missing_certificates_are_named(make: Make, tmp_path: Path) -> None:
    result = make("cp1").gate("restart", "cp1", cert=str(tmp_path / "none.crt"))
    assert result["failed"] is True
    assert str(tmp_path / "none.crt") in str(result["error"])
