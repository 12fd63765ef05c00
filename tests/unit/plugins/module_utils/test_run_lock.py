# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run lock's decisions: who gets it, who is refused, and that two never rely on it at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import run_lease, run_lock
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError
from ansible_collections.quorum.kubeadm.plugins.module_utils.run_lock import Run
from tests.unit.plugins.module_utils.fake_lease import FakeLease

ALICE, BOB = Run("alice@laptop:10:aaaa", "site.yml"), Run("bob@ci:20:bbbb", "upgrade.yml")


def test_it_is_taken_renewed_given_back_and_taken_by_the_next() -> None:
    api = FakeLease()
    assert (run_lease.hold(api, ALICE).verdict, api.requests) == ("acquired", 2)
    assert api.lease
    assert api.lease["spec"] == {
        "holderIdentity": ALICE.id,
        "leaseDurationSeconds": 30,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:00.000000Z",
        "leaseTransitions": 1,
    }
    api.pass_seconds(10)
    step = run_lease.hold(api, ALICE, token=1)
    assert (step.verdict, step.token) == ("renewed", 1)
    assert api.lease["spec"]["acquireTime"] == "2026-01-01T00:00:00.000000Z"
    assert api.lease["spec"]["renewTime"] == "2026-01-01T00:00:10.000000Z"
    run_lease.give_back(api, ALICE)
    assert "holderIdentity" not in api.lease["spec"]
    step = run_lease.hold(api, BOB)
    assert (step.verdict, step.token) == ("acquired", 2)
    assert api.lease["metadata"]["annotations"] == {run_lock.PLAYBOOK: "upgrade.yml"}


def test_the_second_is_refused_and_told_who_has_it() -> None:
    api = FakeLease()
    run_lease.hold(api, ALICE)
    api.pass_seconds(29)
    before = api.lease
    step = run_lease.hold(api, BOB)
    assert (step.verdict, step.body) == ("refused", None)
    assert api.lease == before
    assert str(step.holder) == (
        "alice@laptop (process 10), playbook site.yml, since 2026-01-01T00:00:00Z, "
        "until 2026-01-01T00:00:30Z unless it is renewed"
    )
    assert run_lease.look(api) == step.holder


def test_a_lease_that_is_over_is_taken_over_and_its_holder_has_lost_it() -> None:
    api = FakeLease()
    run_lease.hold(api, ALICE)
    api.pass_seconds(30)
    assert run_lease.look(api) is None
    step = run_lease.hold(api, BOB)
    assert (step.verdict, step.token) == ("taken over", 2)
    lost = run_lease.hold(api, ALICE, token=1)
    assert (lost.verdict, lost.body, lost.holder and lost.holder.run) == ("lost", None, BOB.id)


@pytest.mark.parametrize("removed", [True, False])
def test_who_held_it_does_not_take_it_again_when_others_may_have_had_it(removed: bool) -> None:
    api = FakeLease()
    run_lease.hold(api, ALICE)
    api.pass_seconds(60)
    run_lease.hold(api, BOB)
    run_lease.give_back(api, BOB)
    if removed:
        api.lease = None
    assert run_lease.hold(api, ALICE, token=1).verdict == "lost"


def test_late_but_not_taken_by_anybody_it_is_renewed() -> None:
    api = FakeLease()
    run_lease.hold(api, ALICE)
    api.pass_seconds(300)
    assert run_lease.hold(api, ALICE, token=1).verdict == "renewed"


def test_who_reads_it_at_the_same_time_and_writes_second_is_refused() -> None:
    api = FakeLease()
    api.meanwhile = lambda: run_lease.hold(api, ALICE)
    assert run_lease.hold(api, BOB).verdict == "refused"
    run_lease.give_back(api, ALICE)
    api.meanwhile = lambda: run_lease.hold(api, ALICE)
    assert run_lease.hold(api, BOB).verdict == "refused"


def test_what_is_given_back_is_only_ones_own() -> None:
    api = FakeLease()
    run_lease.give_back(api, ALICE)
    run_lease.hold(api, ALICE)
    run_lease.give_back(api, BOB)
    assert api.lease
    assert api.lease["spec"]["holderIdentity"] == ALICE.id


def test_another_error_of_the_api_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeLease()

    def forbidden(_path: str, _body: object) -> None:
        raise ApiError("no", status=403)

    monkeypatch.setattr(api, "create", forbidden)
    with pytest.raises(ApiError, match="no"):
        run_lease.hold(api, ALICE)


@pytest.mark.parametrize("spec", [{}, {"holderIdentity": "x:1:y"}, {"holderIdentity": "x", "renewTime": "soon"}])
def test_a_lease_that_says_nothing_of_its_end_holds_nobody_off(spec: dict[str, str]) -> None:
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    step = run_lock.decide({"metadata": {"resourceVersion": "7"}, "spec": spec}, BOB, now)
    assert step.body
    assert step.body["metadata"]["resourceVersion"] == "7"


@dataclass
class Held:
    """A run as its keeper sees it, on the clock that all share."""

    run: Run
    token: int = 0
    confirmed: datetime | None = None
    over: bool = False
    tokens: list[int] = field(default_factory=list)

    def hold(self, api: FakeLease) -> None:
        if self.over:
            return
        asked = api.time
        step = run_lease.hold(api, self.run, self.token)
        if step.body is not None:
            assert self.token in (0, step.token)
            self.token, self.confirmed = step.token, asked
        elif self.token:
            self.over = True

    def relies(self, now: datetime) -> bool:
        return not self.over and bool(self.confirmed and now - self.confirmed < timedelta(seconds=run_lock.TRUST))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["hold", "race", "back", "wait"]), st.integers(0, 2), st.integers(0, 2), st.floats(0, 40)
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_never_two_rely_on_it_at_once_and_the_token_only_grows(steps: list[tuple[str, int, int, float]]) -> None:
    api = FakeLease()
    runs = [Held(Run(f"user@host{number}:{number}:x")) for number in range(3)]
    token = 0
    for kind, one, other, seconds in steps:
        if kind == "wait":
            api.pass_seconds(seconds)
        elif kind == "back":
            run_lease.give_back(api, runs[one].run)
            runs[one].over = True
        else:
            if kind == "race" and one != other:
                api.meanwhile = partial(runs[other].hold, api)
            runs[one].hold(api)
            api.meanwhile = None  # a run that has lost it asks no more
        relying = [held for held in runs if held.relies(api.time)]
        assert len(relying) <= 1
        now = int(((api.lease or {}).get("spec") or {}).get("leaseTransitions") or 0)
        assert now >= token
        token = now
    held_by = {held.token for held in runs if held.token}
    assert len(held_by) == len([held for held in runs if held.token]), "no token was given twice"


MINE = {"run": BOB.id, "playbook": "site.yml", "place": "here", "cluster": "https://192.0.2.100:6443"}


@pytest.mark.parametrize(
    ("other", "free"),
    [
        ({}, False),
        ({"run": BOB.id}, True),
        ({"until": 1000.0}, True),
        ({"place": "here"}, True),
        ({"place": "here", "cluster": "https://192.0.2.200:6443"}, False),
    ],
)
def test_a_claim_holds_others_off_until_it_is_over_or_left_over(other: dict[str, object], free: bool) -> None:
    claim = {**MINE, "run": ALICE.id, "place": "there", "since": 0.0, "until": 1000.5, **other}
    holder = run_lock.claimant(claim, MINE, now=1000.0)
    assert (holder is None) == free
    if holder:
        assert (holder.run, holder.since, holder.until) == (ALICE.id, "1970-01-01T00:00:00Z", "1970-01-01T00:16:40Z")


def test_words() -> None:
    assert run_lock.claimant(None, MINE, 0) is None
    assert str(run_lock.Holder("unknown", since="unknown")).startswith("unknown (process unknown), playbook unknown")
    error = run_lock.refusal(run_lock.Holder(ALICE.id, "site.yml", "now"), "here", "wait")
    assert "nothing was changed. Where: here. Found: alice@laptop (process 10), playbook site.yml, since now." in str(
        error
    )
