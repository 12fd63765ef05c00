# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's maintenance without a cluster: which steps, in which order, behind which gates, and that all are done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_upkeep as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_api import Answer, EtcdApi
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_hashes import Hashes
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_health import Sample, judge
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_probe import Probe
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_upkeep_steps import DEFAULT_QUOTA, room
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_world import Settings, World

MIB = 1 << 20
Alarms = tuple[tuple[int, str], ...]


class Etcd:
    """A cluster of members e1, e2, ... that does what it is told; sizes in MiB: on disk, in use."""

    def __init__(self, voters: int = 3, *, size: int = 200, used: int = 50, quota: int = 1000, leader: int = 1,
                 alarms: Alarms = (), dead: tuple[int, ...] = (), learner: int = 0,
                 hashes: Mapping[int, int] | None = None) -> None:  # fmt: skip
        self.ids = list(range(1, voters + 1)) + ([learner] if learner else [])
        self.sizes = {n: [size, used] for n in self.ids}
        self.quota, self.leader, self.learner = quota, leader, learner
        self.alarms, self.dead = list(alarms), set(dead)
        self.hashes = {n: 7 for n in self.ids if n not in dead and n != learner} if hashes is None else dict(hashes)
        self.revision, self.compacted_to = 5000, 0
        self.garbage = 0
        # Freed in truth, and counted as in use until so many more writes: real etcd's count is as old as its writes.
        self.uncounted = dict.fromkeys(self.ids, (0, 0))
        self.done: list[str] = []
        self.waited: list[int] = []

    def look(self) -> Sample:
        listed = {
            "members": [
                {"ID": str(n), "name": f"e{n}", "peerURLs": [f"https://e{n}:2380"], "clientURLs": [f"https://e{n}"],
                 "isLearner": n == self.learner}
                for n in self.ids
            ]
        }  # fmt: skip
        probes = {
            f"{n:x}": Probe(f"https://e{n}", self._status(n), reads=True) if n not in self.dead else Probe(error="gone")
            for n in self.ids
        }
        raised = [(f"{n:x}", alarm) for n, alarm in self.alarms]
        return judge(listed, probes, raised, hashes=Hashes(9, {f"{n:x}": v for n, v in self.hashes.items()}))

    def _status(self, n: int) -> Answer:
        size, used = self.sizes[n]
        return {
            "header": {"revision": str(self.revision)}, "version": "3.6.16", "leader": str(self.leader),
            "raftTerm": "2", "raftIndex": "100", "raftAppliedIndex": "100", "dbSize": str(size * MIB),
            "dbSizeInUse": str(used * MIB), "dbSizeQuota": str(self.quota * MIB),
        }  # fmt: skip

    def compacted(self, to: int) -> bool:
        return to <= self.compacted_to

    def connect(self, url: str) -> EtcdApi:
        return Talk(self, url)

    def world(self) -> World:
        clock = iter(range(10_000))
        made = World(self.look, self.connect, lambda _url: False, Settings(wait=20), clock=lambda: float(next(clock)))
        made.sleep = lambda _seconds: None
        made.last = self.look()
        return made

    def plan(self, action: str, **args: Any) -> subject.Plan:
        return subject.plan_upkeep(self.look(), subject.Asked(action, **args), self.compacted)

    def run(self, action: str, **args: Any) -> dict[str, Any]:
        world, asked = self.world(), subject.Asked(action, **args)
        plan = subject.plan_upkeep(subject.look(world, asked, self.look, self.compacted), asked, self.compacted)
        return subject.outcome(plan, subject.carry_out(plan, world, self.look) if plan.steps else None)

    def commit(self, n: int) -> None:
        garbage, writes = self.uncounted[n]
        self.uncounted[n] = (garbage, writes - 1) if writes > 1 else (0, 0)
        self.sizes[n][1] -= garbage if writes == 1 else 0


class Talk(EtcdApi):
    def __init__(self, etcd: Etcd, url: str) -> None:
        super().__init__(url, lambda *_args: (200, b"{}"))
        self.etcd, self.own = etcd, int(url.removeprefix("https://e"))

    def call(self, path: str, body: Mapping[str, object] | None = None, timeout: float = 0) -> Answer:
        etcd, asked = self.etcd, body or {}
        if path == "kv/compaction":
            assert asked["physical"] is True
            assert self.own not in etcd.dead
            etcd.waited.append(self.own)
            if etcd.compacted(int(str(asked["revision"]))):
                etcd.commit(self.own)
                raise ApiError(
                    "etcd refused", status=400, found="etcdserver: mvcc: required revision has been compacted"
                )
            etcd.compacted_to = int(str(asked["revision"]))
            etcd.sizes = {n: [size, used - etcd.garbage] for n, (size, used) in etcd.sizes.items()}
            etcd.done.append("compact")
        elif path == "maintenance/defragment":
            assert self.own in etcd.waited or not etcd.garbage, "its pages are not free yet"
            etcd.sizes[self.own][0] = etcd.sizes[self.own][1] = etcd.sizes[self.own][1] - etcd.uncounted[self.own][0]
            etcd.uncounted[self.own] = (0, 0)
            etcd.done.append(f"defragment e{self.own}")
        elif path == "maintenance/transfer-leadership":
            assert self.own == etcd.leader, "only the leader can"
            etcd.leader = int(str(asked["targetID"]))
            etcd.done.append(f"lead e{etcd.leader}")
        elif path == "maintenance/alarm":
            etcd.alarms.remove((int(str(asked["memberID"])), str(asked["alarm"])))
            etcd.done.append(f"disarm e{asked['memberID']}")
        return {}


WORTH = {"min_size": 100 * MIB, "min_share": 0.3}
FULL: dict[str, Any] = {"size": 950, "used": 800, "quota": 1000}


def reasons(etcd: Etcd, action: str, **args: Any) -> str:
    with pytest.raises(RefusedError) as caught:
        etcd.plan(action, **args)
    assert etcd.done == []
    return caught.value.found


def test_all_members_one_after_another_the_leader_last() -> None:
    etcd = Etcd(leader=2)
    result = etcd.run("defragment", **WORTH)
    assert etcd.done == ["defragment e1", "defragment e3", "lead e1", "defragment e2"]
    assert result["steps"][2] == 'move the leadership from "e2" to "e1"'
    assert result["freed"] == 3 * 150 * MIB
    assert etcd.run("defragment", **WORTH)["changed"] is False


def test_check_mode_predicts_sizes_and_leader() -> None:
    etcd = Etcd(leader=2)
    told = subject.outcome(etcd.plan("defragment", **WORTH))
    assert etcd.done == []
    done = etcd.run("defragment", **WORTH)
    assert told == done


@pytest.mark.parametrize(
    ("size", "used", "worth"), [(200, 50, True), (99, 1, False), (100, 71, False), (100, 70, True), (100, 100, False)]
)
def test_only_what_is_worth_it(size: int, used: int, worth: bool) -> None:
    assert bool(Etcd(size=size, used=used).plan("defragment", **WORTH).steps) is worth


@pytest.mark.parametrize(
    ("etcd", "why"),
    [
        (Etcd(dead=(3,)), 'not healthy: "e3"'),
        (Etcd(dead=(3,)), 'without "e1": 1 of 3 voters healthy'),
        (Etcd(5, dead=(5,)), 'not healthy: "e5"'),
        (Etcd(2), 'without "e1": 1 of 2 voters healthy'),
        (Etcd(1), 'without "e1": 0 of 1 voters healthy'),
        (Etcd(learner=9), 'a learner is joining: "e9"'),
        (Etcd(alarms=((1, "NOSPACE"),)), 'not healthy: "e1"'),
        (Etcd(alarms=((1, "CORRUPT"),)), "raises the alarm CORRUPT"),
        (Etcd(hashes={1: 7, 2: 8, 3: 7}), '"e2" holds other data than "e1", "e3"'),
    ],
)
def test_defragment_goes_by_the_rules_of_a_restart(etcd: Etcd, why: str) -> None:
    assert why in reasons(etcd, "defragment", **WORTH)


def test_a_gap_of_one_or_two_members_may_be_wanted() -> None:
    for voters in (1, 2):
        result = Etcd(voters).run("defragment", allow_downtime=True, **WORTH)
        assert result["aloud"]
    assert "without" in reasons(Etcd(3, dead=(3,)), "defragment", allow_downtime=True, **WORTH)


def test_a_gate_is_asked_again_before_every_step() -> None:
    etcd = Etcd()
    plan = etcd.plan("defragment", **WORTH)
    etcd.dead.add(3)
    with pytest.raises(RefusedError, match="not healthy"):
        subject.carry_out(plan, etcd.world(), etcd.look)
    assert etcd.done == []


def test_compact() -> None:
    etcd = Etcd(dead=(3,), alarms=((1, "NOSPACE"),))
    assert etcd.run("compact", keep=100)["steps"] == ["compact to revision 4900"]
    assert etcd.run("compact", keep=100)["steps"] == etcd.run("compact", revision=4900)["steps"] == []
    assert etcd.run("compact")["steps"] == ["compact to revision 5000"]
    with pytest.raises(InputError, match="5001 is not there yet"):
        etcd.plan("compact", revision=5001)
    assert etcd.plan("compact", keep=9999).steps == ()
    assert "the quorum is lost" in reasons(Etcd(dead=(2, 3)), "compact")
    assert "CORRUPT" in reasons(Etcd(alarms=((2, "CORRUPT"),)), "compact")


def test_who_compacted_in_between_did_what_was_wanted() -> None:
    class Late(Talk):
        def compact(self, to: int, timeout: float = 0) -> None:
            raise ApiError("etcd refused", status=400, found="mvcc: required revision has been compacted")

    etcd = Etcd()
    etcd.connect = lambda url: Late(etcd, url)
    assert etcd.run("compact")["changed"]


def test_move_leader() -> None:
    assert Etcd(leader=1).run("move_leader")["steps"] == ['move the leadership from "e1" to "e2"']
    assert Etcd(leader=1).run("move_leader", name="e3")["steps"] == ['move the leadership from "e1" to "e3"']
    assert Etcd(leader=3).run("move_leader", name="e3")["steps"] == []
    assert Etcd(leader=3).run("move_leader", away_from="e1")["steps"] == []
    assert Etcd(leader=3, dead=(1,)).run("move_leader", away_from="e3")["steps"] == [
        'move the leadership from "e3" to "e2"'
    ]
    assert '"e2" is not healthy' in reasons(Etcd(dead=(2,)), "move_leader", name="e2")
    assert '"e9" is a learner' in reasons(Etcd(learner=9), "move_leader", name="e9")
    assert "no other healthy voter" in reasons(Etcd(1), "move_leader")
    assert "no member leads" in reasons(Etcd(leader=0), "move_leader")
    with pytest.raises(InputError, match='named "e"'):
        Etcd().plan("move_leader", name="e")


def test_nospace_is_mended_in_order() -> None:
    etcd = Etcd(leader=2, alarms=((1, "NOSPACE"), (2, "NOSPACE")), **FULL)
    etcd.garbage = 700
    result = etcd.run("auto")
    assert etcd.done == ["compact", "defragment e1", "defragment e3", "lead e1", "defragment e2",
                         "disarm e1", "disarm e2"]  # fmt: skip
    assert result["arithmetic"].startswith("3 of 3")
    assert etcd.run("auto")["steps"] == []


def test_a_run_that_was_killed_is_finished() -> None:
    etcd = Etcd(leader=2, alarms=((1, "NOSPACE"),), size=100, used=90, quota=1000)
    assert [step.words for step in etcd.plan("auto").steps] == ['disarm NOSPACE of "e1"']
    etcd.sizes[3] = [950, 100]
    assert [step.words for step in etcd.plan("auto", keep=5000).steps] == [
        'defragment "e3"',
        'disarm NOSPACE of "e1"',
    ]


def test_data_that_are_too_many_are_told_and_nothing_is_done() -> None:
    etcd = Etcd(alarms=((1, "NOSPACE"),), size=990, used=980, quota=1000)
    assert "raise the quota" in reasons(etcd, "auto", keep=5000)
    assert "90% are allowed" in reasons(etcd, "disarm")


@pytest.mark.parametrize("writes", [1, 2, 5])
@pytest.mark.parametrize("dead", [0, 3])
def test_a_count_that_is_older_than_the_compaction_is_made_anew(writes: int, dead: int) -> None:
    """A member that was away, or a run that was killed, after a compaction: nothing is written since that tells."""
    etcd = Etcd(size=60, used=50, alarms=((1, "NOSPACE"),))
    etcd.sizes[1], etcd.uncounted[1], etcd.compacted_to = [990, 950], (900, writes), 5000
    assert "raise the quota" in reasons(etcd, "auto"), "by what it tells"
    world, asked = etcd.world(), subject.Asked("auto", allow_downtime=True)
    if dead:
        etcd.dead.add(dead)
    sample = subject.look(world, asked, etcd.look, etcd.compacted)
    assert (etcd.done, set(etcd.waited), etcd.compacted_to) == ([], {1}, 5000), "asked is not done"
    assert sample.hashes.by_member
    told = subject.plan_upkeep(sample, asked, etcd.compacted)
    assert etcd.run("auto", allow_downtime=True)["steps"] == [step.words for step in told.steps]
    assert [done for done in etcd.done if not done.startswith("lead")] == ["defragment e1", "disarm e1"]
    assert etcd.sizes[1] == [50, 50]


def test_what_is_full_in_truth_is_counted_a_bounded_number_of_times() -> None:
    etcd = Etcd(alarms=((1, "NOSPACE"),), size=990, used=980, quota=1000)
    etcd.compacted_to = 5000
    with pytest.raises(RefusedError, match=r"980\.0 MiB in use of 1000\.0"):
        etcd.run("auto")
    assert etcd.waited == [1, 2, 3] * subject.RECOUNTS
    assert etcd.done == []


@pytest.mark.parametrize(("action", "used"), [("disarm", 980), ("compact", 980), ("auto", 100)])
def test_nobody_counts_anew_without_need(action: str, used: int) -> None:
    etcd = Etcd(alarms=((1, "NOSPACE"),), size=990, used=used, quota=1000)
    etcd.compacted_to = 5000
    subject.look(etcd.world(), subject.Asked(action), etcd.look, etcd.compacted)
    assert etcd.waited == []


def test_a_compaction_waits_until_each_member_that_answers_has_done_it() -> None:
    etcd = Etcd(dead=(3,), leader=2)
    etcd.run("compact")
    assert etcd.done == ["compact"]
    assert set(etcd.waited) == {1, 2}


def test_nothing_frees_enough_and_the_alarm_stays() -> None:
    etcd = Etcd(alarms=((1, "NOSPACE"),), size=990, used=980, quota=1000)
    with pytest.raises(RefusedError, match="90% are allowed"):
        etcd.run("auto")
    assert etcd.alarms == [(1, "NOSPACE")]


def test_while_nothing_is_written_a_dead_member_is_in_the_way_of_no_defragmentation_that_is_wanted() -> None:
    etcd = Etcd(dead=(3,), alarms=((1, "NOSPACE"),), **FULL)
    assert "allow_downtime" in reasons(etcd, "auto")
    etcd.garbage = 700
    assert etcd.run("auto", allow_downtime=True)["aloud"]
    assert etcd.alarms == []
    assert '"e3" does not answer' in reasons(Etcd(dead=(3,), alarms=((3, "NOSPACE"),)), "disarm")


def test_the_alarm_of_a_member_that_was_removed_is_taken_back() -> None:
    etcd = Etcd(alarms=((66, "NOSPACE"),))
    assert any("no member any more" in finding.found for finding in etcd.look().findings)
    assert etcd.run("auto")["steps"] == ["disarm NOSPACE of the removed member 42"]
    assert etcd.look().findings == ()


def test_corrupt_is_disarmed_only_when_all_hold_the_same() -> None:
    assert Etcd(alarms=((1, "CORRUPT"),)).run("disarm")["steps"] == ['disarm CORRUPT of "e1"']
    assert Etcd(alarms=((1, "CORRUPT"),)).plan("auto").steps == ()
    assert '"e3" holds the same data is not known' in reasons(
        Etcd(alarms=((1, "CORRUPT"),), hashes={1: 7, 2: 7}), "disarm"
    )
    differs = Etcd(alarms=((1, "CORRUPT"),), hashes={1: 8, 2: 7, 3: 7})
    assert '"e1" holds other data than "e2", "e3"' in reasons(differs, "disarm")


def test_a_quota_that_is_not_told_is_etcds_own() -> None:
    own = room(Etcd(quota=0).look(), "1")
    assert own is not None
    assert own.quota == DEFAULT_QUOTA
    assert room(Etcd(dead=(1,)).look(), "1") is None
