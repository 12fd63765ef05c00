# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins, removals and sweeps carried out against an etcd in memory: killed anywhere, lost answers, lost claims."""

from __future__ import annotations

import json

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_claims
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import (
    ApiError,
    InputError,
    KubeadmError,
    RefusedError,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_changes import passing
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_health import Sample
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_join import join
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_leave import leave
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_sweep import sweep
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_world import Outcome
from ansible_collections.quorum.kubeadm.plugins.module_utils.membership import Join
from tests.unit.plugins.module_utils.fake_etcd import Fake, FakeUnit, Killed, peer

WANT = Join("e4", (peer(4),))
CLAIM, RECORD = etcd_claims.CLAIMS + peer(4), etcd_claims.RECORDS + peer(4)


def joined(etcd: Fake, unit: FakeUnit) -> None:
    assert etcd.voting() == {"e1", "e2", "e3", "e4"}
    assert len(etcd.members) == 4
    assert etcd.keys == {}, "neither claim nor record is left"
    assert unit.marker is False


def killed(etcd: Fake, unit: FakeUnit, before: int) -> bool:
    """Whether the join was killed before that call; False when it ended first."""
    etcd.kill_before, etcd.count = before, 0
    try:
        join(etcd.world(unit, orphan=8), WANT, True)
    except Killed:
        return True
    finally:
        etcd.kill_before = -1
    return False


@pytest.mark.parametrize("swept_in_between", [False, True])
def test_a_join_killed_at_any_moment_is_finished_by_the_next_call(swept_in_between: bool) -> None:
    ends = set()
    before = 0
    while True:
        etcd = Fake()
        unit = FakeUnit(etcd, 4)
        if not killed(etcd, unit, before):
            break
        ends.add(tuple(sorted((m["name"], m["learner"]) for m in etcd.members.values())))
        if swept_in_between:
            swept = sweep(etcd.world(host="another", orphan=8), (), True)
            own = etcd.by_number(4)
            assert own is None or own["name"], "an orphan was left"
            assert len(swept.steps) <= 1
            # Its host is not to blame for the data of a learner that others removed: it never wrote any.
            assert not (swept.steps and unit.data)
        predicted = join(etcd.world(unit), WANT, False)
        done = join(etcd.world(unit), WANT, True)
        assert done.steps == predicted.steps
        if swept_in_between:
            etcd.keys.pop(RECORD, None)
        joined(etcd, unit)
        before += 1
    assert before > 30
    learner = {("e1", False), ("e2", False), ("e3", False), ("e4", True)}
    assert {len(end) for end in ends} == {3, 4}, "it was killed before and after the addition"
    assert tuple(sorted(learner)) in ends, "and as a learner that had started"


@pytest.mark.parametrize("path", ["cluster/member/add", "cluster/member/promote", "lease/grant", "kv/txn"])
def test_an_answer_that_gets_lost_is_no_failure(path: str) -> None:
    etcd = Fake()

    def lose() -> None:
        raise OSError("timed out")

    etcd.after[path] = lose
    unit = FakeUnit(etcd, 4)
    done = join(etcd.world(unit), WANT, True)
    assert len(done.steps) == 3
    assert etcd.voting() == {"e1", "e2", "e3", "e4"}
    assert len(etcd.members) == 4
    assert CLAIM not in etcd.keys


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("cluster/member/add", "etcdserver: unhealthy cluster"),
        ("cluster/member/promote", "etcdserver: can only promote a learner member which is in sync with leader"),
        ("cluster/member/promote", "etcdserver: can only promote a learner member"),
        ("cluster/member/add", "etcdserver: request timed out"),
        ("cluster/member/add", "etcdserver: leader changed"),
    ],
)
def test_what_passes_is_waited_out(path: str, said: str) -> None:
    etcd = Fake(refuse={path: [said, said]})
    unit = FakeUnit(etcd, 4)
    join(etcd.world(unit), WANT, True)
    joined(etcd, unit)


def test_a_learner_that_was_removed_in_this_very_second_is_added_again_in_the_next_one() -> None:
    etcd = Fake()
    with pytest.raises(KubeadmError, match="the disk is broken"):
        join(etcd.world(FakeUnit(etcd, 4, broken="the disk is broken")), WANT, True)
    assert etcd.by_number(4) is None
    began, unit = etcd.now, FakeUnit(etcd, 4)
    assert (4, int(began)) in etcd.removed, "the two joins are within one second"
    join(etcd.world(unit), WANT, True)
    joined(etcd, unit)
    assert etcd.now > began


def test_an_addition_whose_answer_got_lost_within_one_second_was_what_was_wanted() -> None:
    """Sent again through another member, it is answered by the ID before the peer URLs are compared."""
    etcd = Fake(refuse={"cluster/member/add": ["etcdserver: member ID already exist"]})
    unit = FakeUnit(etcd, 4)
    join(etcd.world(unit), WANT, True)
    joined(etcd, unit)


@pytest.mark.parametrize("path", ["cluster/member/promote", "maintenance/transfer-leadership"])
def test_a_member_that_is_not_found_does_not_come_back(path: str) -> None:
    assert not passing(ApiError(f"etcd refused {path}", status=404, found="etcdserver: member not found"))


def test_what_does_not_pass_is_told() -> None:
    etcd = Fake(refuse={"cluster/member/add": ["etcdserver: too many learner members in cluster"]})
    with pytest.raises(KubeadmError) as caught:
        join(etcd.world(FakeUnit(etcd, 4)), WANT, True)
    assert "too many learner" in caught.value.found
    assert etcd.voting() == {"e1", "e2", "e3"}
    assert CLAIM not in etcd.keys


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ({"lag": 5001}, "its lag is 5001 entries, 5000 are allowed"),
        ({"never": True}, "etcd does not answer there: never started"),
        ({"broken": "etcd.service failed; the end of its log: no space left"}, "no space left"),
    ],
)
def test_a_learner_that_never_catches_up_is_removed_and_the_voters_stay(unit: dict[str, object], words: str) -> None:
    etcd = Fake(index=100_000)
    host = FakeUnit(etcd, 4, **unit)
    with pytest.raises(KubeadmError, match='"e4" did not join') as caught:
        join(etcd.world(host), WANT, True)
    assert words in caught.value.found
    assert "the learner was removed, the voters were not touched (3 of 3 voters healthy)" in caught.value.found
    assert etcd.now <= 60 + 16, "the wait is bounded"
    assert len(etcd.members) == 3
    assert etcd.keys == {}
    assert host.data is host.marker is False
    # What was wrong is mended: a plain second run converges.
    host.lag, host.never, host.broken = 0, False, ""
    join(etcd.world(host), WANT, True)
    joined(etcd, host)


def test_a_member_with_a_lag_is_promoted_when_it_has_caught_up_in_two_samples() -> None:
    etcd = Fake(index=100_000)
    unit = FakeUnit(etcd, 4, lag=9000)
    world = etcd.world(unit)
    lags: list[int] = []

    def sleep(seconds: float) -> None:
        etcd.sleep(seconds)
        own = etcd.by_number(4)
        if own is not None and own["up"] and own["lag"]:
            own["lag"] = max(own["lag"] - 1500, 0)
            lags.append(own["lag"])

    world.sleep = sleep
    join(world, WANT, True)
    joined(etcd, unit)
    assert sum(lag <= 5000 for lag in lags) >= 2


def test_a_foreign_claim_is_waited_for_and_then_refused() -> None:
    etcd = Fake()
    etcd.keys[CLAIM] = (json.dumps({"kind": "join", "name": "e4", "host": "another"}), 99, 1)
    etcd.leases[99] = (9999, 9999)
    with pytest.raises(RefusedError, match="another join or a sweep"):
        join(etcd.world(FakeUnit(etcd, 4)), WANT, True)
    assert len(etcd.members) == 3
    etcd.leases[99] = (20, etcd.now + 20)
    unit = FakeUnit(etcd, 4)
    join(etcd.world(unit), WANT, True)
    joined(etcd, unit)


@pytest.mark.parametrize("kind", ["seen", "join"])
def test_a_claim_of_somebody_who_only_watches_and_of_this_hosts_own_dead_call_is_taken_over(kind: str) -> None:
    etcd = Fake()
    etcd.keys[CLAIM] = (json.dumps({"kind": kind, "host": "here" if kind == "join" else "another"}), 99, 1)
    etcd.leases[99] = (9999, 9999)
    unit = FakeUnit(etcd, 4)
    join(etcd.world(unit), WANT, True)
    joined(etcd, unit)
    assert etcd.now < 10


def test_a_join_that_lost_its_claim_changes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    etcd = Fake()
    monkeypatch.setattr(etcd_claims.Claim, "keep", lambda claim: setattr(claim, "lost", True))
    with pytest.raises(KubeadmError, match="lost its claim"):
        join(etcd.world(FakeUnit(etcd, 4)), WANT, True)
    assert len(etcd.members) == 3


def test_a_claim_is_renewed_until_its_lease_is_over() -> None:
    etcd = Fake()
    world = etcd.world()
    world.sample()
    claim = etcd_claims.Claim(world.through, [peer(4)], etcd_claims.Mark("join", "e4", "here"), 1)
    assert claim.take()
    claim.keep()
    first = etcd.leases[claim.lease]
    etcd.now = 0.5
    deadline = 100
    while etcd.leases[claim.lease] == first and deadline:
        claim.stopped(0.05)
        deadline -= 1
    assert etcd.leases[claim.lease][1] == 1.5
    etcd.sleep(10)
    while not claim.lost and deadline:
        claim.stopped(0.05)
        deadline -= 1
    assert claim.lost
    claim.give_back(done=True)
    assert etcd.keys == {}


def test_a_learner_that_somebody_else_starts_has_a_lease_of_time_for_it() -> None:
    etcd = Fake()
    join(etcd.world(host="here"), Join("e4", (peer(4),), vote=False), True)
    assert {CLAIM, RECORD} == set(etcd.keys)
    outcome = sweep(etcd.world(host="another"), (), True)
    assert etcd.now > 119, "its claim was waited for"
    assert len(outcome.steps) == 1
    assert etcd.keys == {}
    join(etcd.world(host="here"), Join("e4", (peer(4),), vote=False), True)
    FakeUnit(etcd, 4).start()
    assert [step.split()[0] for step in join(etcd.world(), WANT, True).steps] == ["promote"]
    assert etcd.keys == {}


def test_a_learner_whose_data_are_gone_is_removed_after_two_samples_and_added_again() -> None:
    etcd = Fake()
    unit = FakeUnit(etcd, 4)
    join(etcd.world(unit), Join("e4", (peer(4),), vote=False), True)
    old = next(i for i, m in etcd.members.items() if m["number"] == 4)
    unit.data, began = False, etcd.now
    etcd.members[old]["up"] = False
    done = join(etcd.world(unit), WANT, True)
    assert [step.split()[0] for step in done.steps] == ["remove", "add", "start", "promote"]
    assert etcd.now - began >= 5
    assert old not in etcd.members
    joined(etcd, unit)


def test_a_leader_hands_over_and_leaves() -> None:
    etcd = Fake(voters=5)
    leader = format(etcd.leader, "x")
    done = leave(etcd.world(), name="e1", effects=True)
    assert done.steps == (
        'move the leadership from "e1" to "e2"',
        f'remove the member "e1" with the ID {leader}',
    )
    assert etcd.voting() == {"e2", "e3", "e4", "e5"}
    assert etcd.now >= 5, "two samples"


def test_a_removal_answered_by_not_found_is_success() -> None:
    etcd = Fake(voters=5)
    etcd.after["cluster/member/remove"] = lambda: (_ for _ in ()).throw(OSError("timed out"))
    assert leave(etcd.world(), name="e5", effects=True).steps
    assert etcd.voting() == {"e1", "e2", "e3", "e4"}


@pytest.mark.parametrize(
    ("chosen", "error"),
    [
        ({"name": "e2", "member_id": "100"}, "give member_id alone"),
        ({"member_id": "102", "peer_urls": [peer(1)]}, "give member_id alone"),
    ],
)
def test_contradictions_are_refused(chosen: dict[str, object], error: str) -> None:
    with pytest.raises(InputError, match=error):
        leave(Fake(voters=5).world(), **chosen)


@pytest.mark.parametrize("chosen", [{"name": "e"}, {"name": "e22"}, {"member_id": "ff"}, {"peer_urls": [peer(22)]}])
def test_who_is_no_member_needs_no_removal(chosen: dict[str, object]) -> None:
    etcd = Fake()
    outcome = leave(etcd.world(), **chosen)
    assert outcome.result()["changed"] is False
    assert etcd.now == 0


def test_two_samples_that_differ_are_no_ground_to_remove_anything() -> None:
    etcd = Fake(voters=5)
    world = etcd.world(wait=20)
    member = etcd.by_number(5)
    assert member is not None

    def sleep(seconds: float) -> None:
        etcd.sleep(seconds)
        member["up"] = not member["up"]

    world.sleep = sleep
    with pytest.raises(RefusedError, match='changed between two samples: "e5"'):
        leave(world, name="e5")
    assert len(etcd.members) == 5


def orphan(etcd: Fake) -> int:
    etcd._cluster_member_add(0, {"peerURLs": [peer(4)]})
    return next(i for i, m in etcd.members.items() if m["number"] == 4)


def swept(etcd: Fake, effects: bool = True, *joining: str) -> Outcome:
    return sweep(etcd.world(host="another"), joining, effects)


def test_an_orphan_without_a_record_is_watched_for_a_lease_and_then_removed() -> None:
    etcd = Fake()
    orphan(etcd)
    predicted = swept(etcd, effects=False)
    assert etcd.keys == {}
    done = swept(etcd)
    assert etcd.now >= 120 + 5
    assert done.steps == predicted.steps
    assert len(done.steps) == 1
    assert len(etcd.members) == 3
    assert etcd.keys == {}


def test_a_record_of_another_member_proves_nothing() -> None:
    etcd = Fake()
    orphan(etcd)
    etcd.keys[RECORD] = (json.dumps({"kind": "join", "member": "abc"}), 0, 1)
    swept(etcd)
    assert etcd.now >= 120


def test_a_record_without_a_claim_proves_it_at_once() -> None:
    etcd = Fake()
    identity = orphan(etcd)
    etcd.keys[RECORD] = (json.dumps({"kind": "join", "name": "e4", "member": format(identity, "x")}), 0, 1)
    assert swept(etcd, True, "e4").steps == (), "it joins"
    assert swept(etcd, True, "e5", "e40").steps, "others join"
    assert etcd.now < 60


def test_a_member_that_answers_or_starts_meanwhile_is_kept() -> None:
    etcd = Fake()
    identity = orphan(etcd)
    etcd.members[identity]["up"] = True
    assert "about to start" in swept(etcd).aloud[0]
    etcd.members[identity]["up"] = False
    world = etcd.world()

    def sleep(seconds: float) -> None:
        etcd.sleep(seconds)
        if etcd.now > 60:
            etcd.members[identity].update(name="e4", up=True)

    world.sleep = sleep
    assert sweep(world, (), True).steps == ()
    assert len(etcd.members) == 4


def test_a_join_that_comes_back_at_the_last_moment_wins() -> None:
    etcd = Fake()
    identity = orphan(etcd)
    etcd.keys[RECORD] = (json.dumps({"kind": "join", "member": format(identity, "x")}), 0, 1)
    world = etcd.world(host="another")
    look, looks = world.look, []

    def claimed_late() -> Sample:
        looks.append(1)
        if len(looks) == 3:
            etcd.leases[99] = (120, etcd.now + 120)
            etcd.keys[CLAIM] = (json.dumps({"kind": "join", "host": "here"}), 99, 5)
        return look()

    world.look = claimed_late
    outcome = sweep(world, (), True)
    assert outcome.steps == ()
    assert len(etcd.members) == 4
    assert outcome.aloud
