# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is an orphan: everything that speaks for a member keeps it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import orphans as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_claims import Mark
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_sweep import Watch
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_world import World
from ansible_collections.quorum.kubeadm.plugins.module_utils.orphans import Trace
from ansible_collections.quorum.kubeadm.plugins.module_utils.quorum import Cluster, Member

LOST = Member("a", "", ("https://192.0.2.14:2380",), learner=True)
CLUSTER = Cluster((Member("1", "e1", ("https://192.0.2.11:2380",), healthy=True), LOST))
PROVEN = Trace(recorded="a", name="e4")


@pytest.mark.parametrize(
    ("trace", "joining", "keep", "watch", "reason"),
    [
        (PROVEN, (), False, False, "for the length of a lease nobody claimed it"),
        (replace(PROVEN, name=""), (), False, False, "nobody claimed it"),
        (replace(PROVEN, answers=True), (), True, False, "its peer URL answers"),
        (replace(PROVEN, claim="join", cared=True), (), True, False, "its claim is kept alive"),
        (replace(PROVEN, claim="join"), (), False, True, "not known yet"),
        (replace(PROVEN, claim="seen"), (), False, True, "not known yet"),
        (Trace(), (), False, True, "nobody has watched it yet"),
        (replace(PROVEN, recorded="b"), (), False, True, "nobody has watched it yet"),
        (PROVEN, ("e4",), True, False, "a join runs on its host"),
        (PROVEN, ("192.0.2.14",), True, False, "a join runs on its host"),
        (PROVEN, ("https://192.0.2.14:2380",), True, False, "a join runs on its host"),
        # Its record names it, so another one's join says nothing about it; without a name it may be anybody's.
        (PROVEN, ("e40", "e", "192.0.2.1"), False, False, ""),
        (replace(PROVEN, name=""), ("e5",), True, False, "a join runs on its host"),
        (replace(PROVEN, name=""), ("e1",), False, False, ""),
    ],
)
def test_verdict(trace: Trace, joining: tuple[str, ...], keep: bool, watch: bool, reason: str) -> None:
    answer = subject.verdict(CLUSTER, LOST, trace, joining)
    assert (answer.keep, answer.watch, answer.orphan) == (keep, watch, not keep and not watch)
    assert reason in answer.reason


def test_a_member_that_started_is_kept_whatever_else_is_known() -> None:
    started = replace(LOST, name="e4")
    assert subject.verdict(CLUSTER, started, PROVEN).keep
    assert subject.suspects(Cluster((started,))) == ()
    assert subject.suspects(CLUSTER) == (LOST,)


@given(
    st.builds(
        Trace,
        answers=st.booleans(),
        claim=st.sampled_from(["", "join", "sweep", "seen"]),
        cared=st.booleans(),
        recorded=st.sampled_from(["", "a", "b"]),
        name=st.sampled_from(["", "e4", "e5"]),
    ),
    st.sets(st.sampled_from(["e1", "e4", "e5", "192.0.2.14"])),
    st.booleans(),
)
def test_an_orphan_never_answers_is_never_claimed_and_was_recorded(
    trace: Trace, joining: set[str], started: bool
) -> None:
    answer = subject.verdict(CLUSTER, replace(LOST, name="e4" if started else ""), trace, joining)
    assert answer.reason
    if answer.orphan:
        assert not started
        assert not trace.answers
        assert not trace.claim
        assert trace.recorded == "a"
        assert trace.name not in joining
        assert "192.0.2.14" not in joining


@pytest.mark.parametrize(
    ("looks", "cared"),
    [
        # Seconds since the first look, seconds left of three.
        ([(0, 3), (1, 2), (2, 1), (3, 0)], False),
        ([(0, 2), (1, 3)], True),
        ([(0, 3), (5, 3)], True),
        # Over, and its keys are not taken away yet; -1 of 0 is etcd's answer for a lease that it does not know.
        ([(0, 1), (3, 0), (9, 0)], False),
        ([(0, 1), (9, -1)], False),
    ],
)
def test_a_lease_that_is_over_is_nobodys_life(looks: list[tuple[int, int]], cared: bool) -> None:
    clock, left = iter([seconds for seconds, _ in looks]), iter([seconds for _, seconds in looks])

    def through(_function: Any) -> tuple[int, int]:
        now = next(left)
        return now, 0 if now < 0 else 3

    world = SimpleNamespace(clock=lambda: float(next(clock)), through=through)
    watch = Watch(cast(World, world), (), effects=False)
    answers = [watch.is_renewed(Mark("join", lease=7)) for _ in looks]
    assert answers[-1] is cared
