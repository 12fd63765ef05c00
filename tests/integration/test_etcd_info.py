# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd_info against real etcd clusters."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_probe
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_api import member_id
from tests.integration.certificates import Authority
from tests.integration.etcd_cluster import EtcdCluster, Make, eventually
from tests.integration.servers import LOOPBACK, free_port

NAMES = ("cp1", "cp2", "cp3")


def by_name(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    assert not result.get("failed"), result
    return {member["name"]: member for member in result["etcd"]["members"]}


def fill(cluster: EtcdCluster) -> None:
    for number in range(40):
        cluster.put("cp1", f"key{number}", 16384)


def test_three_healthy_members(make: Make) -> None:
    cluster = make(*NAMES)
    result = cluster.info()
    members, etcd = by_name(result), result["etcd"]
    assert result["changed"] is False
    assert sorted(members) == list(NAMES)
    assert all(member["healthy"] and member["started"] and not member["learner"] for member in members.values())
    assert {name: members[name]["peer_urls"] for name in NAMES} == {n: [cluster.members[n].peer_url] for n in NAMES}
    assert [member["leader"] for member in members.values()].count(True) == 1
    assert etcd["leader"] in {member["id"] for member in members.values()}
    assert (etcd["voters"], etcd["healthy_voters"], etcd["quorum"], etcd["tolerance"]) == (3, 3, 2, 1)
    assert etcd["linearizable"] is True
    assert etcd["silent_endpoints"] == etcd["findings"] == []
    assert all(member["db_size"] > 0 and member["raft_index"] > 0 for member in members.values())
    assert all(member["raft_lag"] < 10 for member in members.values())
    assert len({member["hash"] for member in members.values()}) == 1
    assert members["cp1"]["hash"] is not None
    assert etcd["hash_revision"] >= 1
    assert etcd["empty"] is True
    # IDs are what etcdctl prints, so that a person can use them.
    listed = cluster.api("cp2").members()["members"]
    assert {member_id(raw["ID"]) for raw in listed} == {member["id"] for member in members.values()}


@pytest.mark.parametrize("end", ["kill", "freeze"])
def test_a_member_that_does_not_answer_is_unhealthy_and_any_other_endpoint_works(make: Make, end: str) -> None:
    cluster = make(*NAMES)
    getattr(cluster.members["cp1"], end)()
    began = time.monotonic()
    # Until the election is over the others may still believe in the one that is gone, and answer no read.
    result = eventually(lambda: cluster.info(timeout=2), lambda seen: seen["etcd"]["healthy_voters"] == 2)
    members, etcd = by_name(result), result["etcd"]
    assert members["cp1"]["healthy"] is False
    assert members["cp1"]["raft_index"] is None
    assert members["cp1"]["error"]
    assert members["cp2"]["healthy"]
    assert members["cp3"]["healthy"]
    assert (etcd["voters"], etcd["healthy_voters"], etcd["quorum"]) == (3, 2, 2)
    assert etcd["linearizable"] is True
    assert etcd["silent_endpoints"] == [cluster.members["cp1"].url]
    assert [finding["member"] for finding in etcd["findings"]] == ['"cp1"']
    assert time.monotonic() - began < 25


def test_without_a_quorum_the_members_are_still_told_and_none_is_healthy(make: Make) -> None:
    cluster = make(*NAMES)
    cluster.members["cp1"].kill()
    cluster.members["cp3"].kill()
    result = eventually(lambda: cluster.info(timeout=1), lambda seen: not seen["etcd"]["linearizable"])
    members, etcd = by_name(result), result["etcd"]
    assert sorted(members) == list(NAMES)
    assert etcd["healthy_voters"] == 0
    assert members["cp2"]["started"]
    assert sorted(etcd["silent_endpoints"]) == sorted(cluster.members[name].url for name in ("cp1", "cp3"))
    assert etcd["findings"][0]["level"] == "fatal"
    assert "the quorum is lost: 0 of 3 voters are healthy, 2 are needed" in etcd["findings"][0]["found"]


def test_a_learner_does_not_vote_and_an_unstarted_member_has_no_name(make: Make) -> None:
    cluster = make(*NAMES)
    cluster.add_learner("cp4")
    result = cluster.info([cluster.members["cp1"].url])
    new = by_name(result)[""]
    assert (new["started"], new["healthy"], new["learner"]) == (False, False, True)
    assert result["etcd"]["voters"] == 3
    (finding,) = result["etcd"]["findings"]
    assert finding["found"] == (
        f"a learner that was added and never started; peer URL {cluster.members['cp4'].peer_url}"
    )
    assert "state=swept" in finding["next_step"]

    cluster.start("cp4")
    result = eventually(
        lambda: cluster.info([cluster.members["cp1"].url]),
        lambda seen: any(member["name"] == "cp4" and member["healthy"] for member in seen["etcd"]["members"]),
    )
    assert by_name(result)["cp4"]["learner"] is True
    assert result["etcd"]["voters"] == result["etcd"]["healthy_voters"] == 3
    assert [finding["level"] for finding in result["etcd"]["findings"]] == ["warning"]


def test_a_member_with_an_alarm_is_not_healthy(make: Make) -> None:
    cluster = make("cp1", flags=("--quota-backend-bytes", "262144"))
    with pytest.raises(ApiError, match="etcd refused kv/put"):
        fill(cluster)
    result = cluster.info()
    member = by_name(result)["cp1"]
    assert member["alarms"] == ["NOSPACE"]
    assert member["healthy"] is False
    assert member["db_quota"] == 262144
    assert result["etcd"]["healthy_voters"] == 0
    assert any("raises the alarm NOSPACE" in finding["found"] for finding in result["etcd"]["findings"])


def test_kubernetes_is_there_with_its_first_key(make: Make) -> None:
    cluster = make("cp1")
    cluster.put("cp1", "/registrz", 1)
    cluster.put("cp1", "quorum.kubeadm/joins/https://192.0.2.11:2380", 1)
    assert cluster.info(hashes=False)["etcd"]["empty"] is True
    cluster.put("cp1", "/registry/namespaces/default", 1)
    etcd = cluster.info(hashes=False)["etcd"]
    assert etcd["empty"] is False
    assert etcd["hash_revision"] is None
    assert etcd["members"][0]["hash"] is None


def test_a_dead_member_is_silent_though_only_another_endpoint_was_given(make: Make) -> None:
    cluster = make(*NAMES)
    cluster.members["cp3"].kill()
    etcd = eventually(lambda: cluster.info([cluster.members["cp1"].url]), lambda seen: seen["etcd"]["leader"])["etcd"]
    assert etcd["silent_endpoints"] == [cluster.members["cp3"].url]


def test_nobody_answers(make: Make, tmp_path: Path) -> None:
    cluster = make("cp1")
    nobody = f"https://{LOOPBACK}:{free_port()}"
    result = cluster.info([nobody], timeout=1)
    assert result["failed"] is True
    assert result["error"]["where"] == nobody
    assert "refused" in result["error"]["found"].lower()
    assert result["error"]["next"]


def test_another_clusters_certificates_are_not_trusted(make: Make, tmp_path: Path) -> None:
    cluster = make("cp1")
    foreign = Authority(tmp_path / "foreign", name="etcd-ca")
    pair = foreign.issue("client", "kube-etcd-healthcheck-client")
    assert cluster.info(ca=str(foreign.pair.cert))["failed"] is True
    assert cluster.info(cert=str(pair.cert), key=str(pair.key))["failed"] is True


def test_missing_certificates_are_named(make: Make, tmp_path: Path) -> None:
    result = make("cp1").info(ca=str(tmp_path / "none.crt"))
    assert result["failed"] is True
    assert str(tmp_path / "none.crt") in result["error"]["where"]


def test_a_host_tells_of_its_own_member_what_etcd_info_tells(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = make(*NAMES)
    monkeypatch.setattr(host_probe, "ETCD_URL", cluster.members["cp2"].url)
    files = (str(cluster.authority.pair.cert), str(cluster.client.cert), str(cluster.client.key))
    told = by_name(host_probe.probe_etcd(*files))
    asked = by_name(cluster.info())
    assert sorted(told) == list(NAMES)
    assert {name: (one["id"], one["healthy"]) for name, one in told.items()} == {
        name: (one["id"], one["healthy"]) for name, one in asked.items()
    }
    cluster.members["cp2"].kill()
    silent = host_probe.probe_etcd(*files)
    assert "etcd" not in silent
    assert silent["error"]["where"]
