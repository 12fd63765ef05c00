# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the members' answers say about the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_health as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_api import EtcdApi
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_hashes import Hashes
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_probe import Probe
from ansible_collections.quorum.kubeadm.plugins.module_utils.quorum import LAG_LIMIT, Member

IDS = {"cp1": 1, "cp2": 2, "cp3": 3, "cp4": 4}


def url(name: str) -> str:
    return f"https://{name}:2379"


def listed(*names: str, learners: tuple[str, ...] = (), unstarted: tuple[str, ...] = ()) -> dict[str, Any]:
    members: list[dict[str, Any]] = []
    for name in names:
        raw: dict[str, Any] = {"ID": str(IDS[name]), "peerURLs": [f"https://{name}:2380"]}
        if name not in unstarted:
            raw.update(name=name, clientURLs=[url(name)])
        if name in learners:
            raw["isLearner"] = True
        members.append(raw)
    return {"header": {"cluster_id": "255"}, "members": members}


def status(leader: int = 1, index: int = 100, **more: object) -> dict[str, object]:
    base = {"version": "3.6.16", "dbSize": "2048", "dbSizeInUse": "1024", "leader": str(leader), "raftTerm": "2"}
    return {**base, "raftIndex": str(index), "raftAppliedIndex": str(index), **more}


def well(**more: object) -> Probe:
    return Probe(url("cp1"), status(**more), reads=True)


def probes(**by_name: Probe) -> dict[str, Probe]:
    return {f"{IDS[name]:x}": probe for name, probe in by_name.items()}


def by_name(sample: subject.Sample) -> dict[str, Member]:
    return {member.name: member for member in sample.members}


def test_healthy() -> None:
    sample = subject.judge(listed("cp2", "cp1"), probes(cp1=well(), cp2=well()), [])
    result = sample.result()
    assert [member["name"] for member in result["members"]] == ["cp1", "cp2"]
    assert (result["leader"], result["cluster_id"], result["healthy_voters"]) == ("1", "ff", 2)
    assert (result["quorum"], result["tolerance"], result["findings"]) == (2, 0, [])
    assert result["members"][0]["leader"] is True
    assert result["members"][1]["leader"] is False
    assert result["members"][0]["db_size"] == 2048


@pytest.mark.parametrize(
    ("probe", "finding"),
    [
        (Probe(error="timed out"), "timed out"),
        (Probe(url("cp3"), status(), error="etcdserver: no leader"), "etcdserver: no leader"),
        (Probe(url("cp3"), status(raftAppliedIndex="99"), reads=True), ""),
        (
            Probe(url("cp3"), status(index=1), reads=True),
            f"lags {LAG_LIMIT + 1} entries behind",
        ),
    ],
)
def test_who_is_healthy(probe: Probe, finding: str) -> None:
    newest = status(index=LAG_LIMIT + 2 if "lags" in finding else 100)
    leader = Probe(url("cp1"), newest, reads=True)
    sample = subject.judge(listed("cp1", "cp2", "cp3"), probes(cp1=leader, cp2=leader, cp3=probe), [])
    assert by_name(sample)["cp3"].healthy is not bool(finding)
    assert [item.found for item in sample.findings] == ([finding] if finding else [])
    assert sample.cluster.healthy() == (2 if finding else 3)


def test_a_member_that_was_not_asked_is_not_healthy() -> None:
    sample = subject.judge(listed("cp1", "cp2"), probes(cp1=well()), [])
    assert by_name(sample)["cp2"].healthy is False
    assert sample.findings[0].found == "the quorum is lost: 1 of 2 voters are healthy, 2 are needed"


def test_an_alarm_is_its_members_only() -> None:
    sample = subject.judge(listed("cp1", "cp2"), probes(cp1=well(), cp2=well()), [("2", "CORRUPT"), ("1", "NONE")])
    members = by_name(sample)
    assert members["cp1"].healthy
    assert not members["cp2"].healthy
    assert members["cp2"].alarms == ("CORRUPT",)
    assert any("raises the alarm CORRUPT" in item.found for item in sample.findings)


def test_alarms_that_nobody_could_tell_leave_nobody_healthy() -> None:
    assert subject.judge(listed("cp1"), probes(cp1=well()), None).cluster.healthy() == 0


def test_the_newest_term_names_the_leader() -> None:
    stale = well(leader=2, raftTerm="1")
    assert subject.judge(listed("cp1", "cp2"), probes(cp1=well(), cp2=stale), []).result()["leader"] == "1"
    lost = well(leader=0, raftTerm="9")
    assert subject.judge(listed("cp1"), probes(cp1=lost), []).result()["leader"] is None


def test_learners_and_unstarted_members_are_findings_and_do_not_vote() -> None:
    answer = listed("cp1", "cp2", "cp3", learners=("cp2", "cp3"), unstarted=("cp3",))
    sample = subject.judge(answer, probes(cp1=well(), cp2=well(), cp3=Probe(error="never started")), [])
    assert sample.result()["voters"] == sample.result()["healthy_voters"] == 1
    assert {(item.level, item.found) for item in sample.findings} == {
        ("warning", "is a learner, it does not vote"),
        ("fatal", "a learner that was added and never started; peer URL https://cp3:2380"),
    }
    (orphan,) = [item for item in sample.findings if item.level == "fatal"]
    assert "run site again" in orphan.next_step.lower()
    assert "state=swept" in orphan.next_step


def test_a_voter_that_never_started_is_told_as_a_voter() -> None:
    answer = listed("cp1", "cp2", unstarted=("cp2",))
    sample = subject.judge(answer, probes(cp1=well(), cp2=Probe(error="never started")), [])
    assert "added as a voter and never started; peer URL https://cp2:2380" in [item.found for item in sample.findings]


def test_lag_is_told_in_entries() -> None:
    behind = Probe(url("cp2"), status(index=93), reads=True)
    sample = subject.judge(listed("cp1", "cp2", "cp3"), probes(cp1=well(), cp2=behind), [])
    assert [member["raft_lag"] for member in sample.result()["members"]] == [0, 7, None]
    assert sample.lag("2") == 7


def test_the_alarms_name_what_helps() -> None:
    sample = subject.judge(listed("cp1", "cp2"), probes(cp1=well(), cp2=well()), [("1", "NOSPACE"), ("2", "CORRUPT")])
    steps = {item.member: item.next_step for item in sample.findings if item.member}
    assert "etcd_maintenance" in steps['"cp1"']
    assert "replace" in steps['"cp2"']


def test_without_an_alarm_a_member_is_as_healthy_as_it_is_otherwise() -> None:
    behind = Probe(url("cp3"), status(index=1), reads=True)
    seen = probes(cp1=well(index=LAG_LIMIT + 9), cp2=well(index=LAG_LIMIT + 9), cp3=behind)
    raised = [("1", "NOSPACE"), ("2", "NOSPACE"), ("2", "CORRUPT"), ("3", "NOSPACE")]
    sample = subject.judge(listed("cp1", "cp2", "cp3"), seen, raised)
    assert sample.cluster.healthy() == 0
    forgiven = {member.name: (member.healthy, member.alarms) for member in sample.forgiving("NOSPACE").members}
    assert forgiven == {"cp1": (True, ()), "cp2": (False, ("CORRUPT",)), "cp3": (False, ())}


def test_a_member_with_other_data_is_unhealthy_and_named() -> None:
    three = probes(cp1=well(), cp2=well(), cp3=well())
    hashes = Hashes(90, {"1": 7, "2": 8, "3": 7})
    sample = subject.judge(listed("cp1", "cp2", "cp3"), three, [], hashes=hashes)
    assert [member.healthy for member in sample.members] == [True, False, True]
    (finding,) = sample.findings
    assert (finding.level, finding.member) == ("fatal", '"cp2"')
    assert finding.found == 'holds other data than "cp1", "cp3" at revision 90'
    result = sample.result()
    assert [member["hash"] for member in result["members"]] == [7, 8, 7]
    assert result["members"][1]["error"]
    assert result["hash_revision"] == 90
    assert not sample.forgiving("NOSPACE").members[1].healthy, "other data is no alarm that is forgiven"


def test_when_no_side_has_a_majority_nobody_is_believed() -> None:
    sample = subject.judge(
        listed("cp1", "cp2"), probes(cp1=well(), cp2=well()), [], hashes=Hashes(90, {"1": 7, "2": 8})
    )
    assert sample.cluster.healthy() == 0
    assert any('"cp1" / "cp2"' in item.found for item in sample.findings if item.level == "fatal")


def test_different_versions_and_a_full_database_are_findings() -> None:
    full = well(version="3.6.14", dbSize="900", dbSizeQuota="1000")
    found = [item.found for item in subject.judge(listed("cp1", "cp2"), probes(cp1=well(), cp2=full), []).findings]
    assert any("uses" in text for text in found)
    assert "different versions: 3.6.14, 3.6.16" in found


class World:
    """A cluster whose members answer, refuse or keep silent."""

    def __init__(self, answer: Mapping[str, Any], *, dead: tuple[str, ...] = (), quorum: bool = True) -> None:
        self.answer, self.dead, self.quorum = answer, {url(name) for name in dead}, quorum
        self.keys: list[dict[str, str]] = []
        self.asked: list[str] = []

    def connect(self, endpoint: str) -> EtcdApi:
        return Talk(self, endpoint)


class Talk(EtcdApi):
    def __init__(self, world: World, endpoint: str) -> None:
        super().__init__(endpoint, lambda *_args: (200, b"{}"))
        self.world = world

    def call(self, path: str, body: Mapping[str, object] | None = None, timeout: float = 0) -> Mapping[str, Any]:
        self.world.asked.append(f"{self.endpoint} {path}")
        if self.endpoint in self.world.dead:
            raise UnreachableError("etcd does not answer", where=self.endpoint, found="refused")
        asked = body or {}
        consensus = asked.get("linearizable") or (path == "kv/range" and not asked.get("serializable"))
        consensus = consensus or path.endswith("alarm")
        if consensus and not self.world.quorum:
            raise ApiError("etcd refused", status=503, found="no leader")
        if path == "cluster/member/list":
            return self.world.answer
        if path == "maintenance/hashkv":
            return {"hash": 7, "compact_revision": "-1"}
        if path == "kv/range":
            return {"kvs": self.world.keys}
        return status() if path == "maintenance/status" else {}


def test_hashes_are_taken_only_when_they_are_asked_for() -> None:
    world = World(listed("cp1", "cp2"))
    assert subject.observe([url("cp1")], world.connect).hashes == Hashes()
    assert not any("hashkv" in line for line in world.asked)
    assert subject.observe([url("cp1")], world.connect, hashes=True).hashes.by_member == {"1": 7, "2": 7}


def test_whether_kubernetes_is_there_is_known_of_a_majority_only() -> None:
    world = World(listed("cp1", "cp2"))
    assert subject.observe([url("cp1")], world.connect).empty is True
    world.keys.append({"key": "eA=="})
    assert subject.observe([url("cp1")], world.connect).empty is False
    world.quorum = False
    assert subject.observe([url("cp1")], world.connect).empty is None


def test_every_member_that_does_not_answer_is_told_though_it_was_not_given() -> None:
    world = World(listed("cp1", "cp2", "cp3"), dead=("cp3",))
    assert subject.observe([url("cp1")], world.connect).silent == (url("cp3"),)


def test_any_living_endpoint_will_do() -> None:
    world = World(listed("cp1", "cp2", "cp3"), dead=("cp1",))
    sample = subject.observe([url("cp1"), url("cp2"), url("cp3")], world.connect)
    assert sample.silent == (url("cp1"),)
    assert sample.linearizable
    assert {name: member.healthy for name, member in by_name(sample).items()} == {
        "cp1": False,
        "cp2": True,
        "cp3": True,
    }


def test_without_a_quorum_a_living_member_is_believed() -> None:
    world = World(listed("cp1", "cp2"), dead=("cp1",), quorum=False)
    sample = subject.observe([url("cp1"), url("cp2")], world.connect)
    assert not sample.linearizable
    assert sample.silent == (url("cp1"),)
    assert len(sample.members) == 2
    assert sample.cluster.healthy() == 0
    assert by_name(sample)["cp2"].version == "3.6.16"


def test_nobody_answers() -> None:
    world = World(listed("cp1"), dead=("cp1", "cp2"))
    with pytest.raises(UnreachableError) as caught:
        subject.observe([url("cp1"), url("cp2")], world.connect)
    assert caught.value.where == f"{url('cp1')}, {url('cp2')}"
    assert caught.value.found == f"{url('cp1')}: refused; {url('cp2')}: refused"


def test_a_member_is_asked_at_its_other_url_when_one_is_silent() -> None:
    answer = listed("cp1")
    answer["members"][0]["clientURLs"] = ["https://gone:2379", url("cp1")]
    world = World(answer)
    world.dead.add("https://gone:2379")
    assert subject.observe([url("cp1")], world.connect).cluster.healthy() == 1


def test_learners_are_asked_only_what_they_serve() -> None:
    world = World(listed("cp1", "cp4", learners=("cp4",)))
    asked: list[object] = []

    class Noting(Talk):
        def call(self, path: str, body: Mapping[str, object] | None = None, timeout: float = 0) -> Mapping[str, Any]:
            if path == "kv/range" and "range_end" not in (body or {}):
                asked.append((self.endpoint, (body or {}).get("serializable")))
            return super().call(path, body)

    subject.observe([url("cp1")], lambda endpoint: Noting(world, endpoint))
    assert sorted(asked, key=str) == [(url("cp1"), False), (url("cp4"), True)]
