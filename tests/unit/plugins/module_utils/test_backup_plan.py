# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is, and which old backups go: never the one that was just proven, never the last one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import backup_plan as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.backup_plan import Last, Limits, Round, Seen
from ansible_collections.quorum.kubeadm.plugins.module_utils.backup_set import etcd_stem, finished, grouped

NOW = 1_780_000_000.0
HOUR, DAY = 3600.0, 86400.0
OFTEN = Round(6 * HOUR, 1200.0)


def last(age: float) -> Last:
    return Last("etcd-prod-r1-20260101T000000Z", NOW - age, "cp2", 1)


@pytest.mark.parametrize(
    ("seen", "waited", "verdict"),
    [
        (Seen(None), 0, subject.TAKE),
        (Seen(last(10)), 0, subject.FRESH),
        (Seen(last(3 * HOUR - 1), leads=True, others=True), 0, subject.FRESH),
        (Seen(last(3 * HOUR + 1)), 0, subject.TAKE),
        (Seen(last(-600)), 0, subject.FRESH),
        (Seen(last(-4 * HOUR)), 0, subject.TAKE),
        (Seen(None, holder="cp2"), 0, subject.WAIT),
        (Seen(None, holder="cp2"), 1e6, subject.WAIT),
        (Seen(None, holder="cp1"), 0, subject.TAKE),
        (Seen(None, leads=True, others=True), 0, subject.WAIT),
        (Seen(None, leads=True, others=True), 1199, subject.WAIT),
        (Seen(None, leads=True, others=True), 1200, subject.TAKE),
        (Seen(None, leads=True), 0, subject.TAKE),
        (Seen(last(6 * HOUR), leads=True, others=True), 0, subject.WAIT),
    ],
)
def test_whose_turn(seen: Seen, waited: float, verdict: str) -> None:
    assert subject.whose_turn(seen, "cp1", OFTEN, NOW, waited) == verdict


@pytest.mark.parametrize("seen", [Seen(last(10)), Seen(None, leads=True, others=True)])
def test_one_that_is_asked_for_waits_for_nobody_but_who_takes_one(seen: Seen) -> None:
    assert subject.whose_turn(seen, "cp1", Round(0, 0), NOW, 0) == subject.TAKE
    assert subject.whose_turn(Seen(last(10), holder="cp2"), "cp1", Round(0, 0), NOW, 0) == subject.WAIT


@given(
    ages=st.lists(st.floats(-HOUR, 20 * HOUR), min_size=1, max_size=5, unique=True),
    leader=st.integers(0, 4),
)
def test_of_all_hosts_of_a_round_one_takes_it(ages: list[float], leader: int) -> None:
    """Each looks at a time of its own, the others have written down what they did."""
    newest: Last | None = None
    takers = []
    for place in range(len(ages)):
        seen = Seen(newest, leads=place == leader, others=len(ages) > 1)
        verdict = subject.whose_turn(seen, f"cp{place}", OFTEN, NOW + 60 * place, 0)
        if verdict == subject.WAIT:
            continue
        if verdict == subject.TAKE:
            takers.append(place)
            newest = Last("x", NOW + 60 * place, f"cp{place}", 1)
    assert len(takers) == 1
    assert takers[0] != leader or len(ages) == 1


def test_what_was_written_down_comes_back_and_what_is_damaged_is_none() -> None:
    assert subject.parse_last(last(5).text()) == last(5)
    for text in (None, "", "[]", "{}", '{"name": 1}', last(5).text()[:-3], '"x"'):
        assert subject.parse_last(text) is None


def names_of(age: float, whole: bool = True, revision: int = 1, cluster: str = "prod") -> list[str]:
    stem = etcd_stem(cluster, revision, NOW - age)
    return [f"{stem}.db", f"{stem}.pki.tar.gz", *([f"{stem}.json"] if whole else [])]


NEW = etcd_stem("prod", 1, NOW)


def going(*others: list[str], keep: int = 2, days: int = 30, kept: str = NEW, new: bool = True) -> list[str]:
    names = [name for group in [*others, names_of(0) if new else []] for name in group]
    return subject.surplus(names, "prod", kept, Limits(keep, days), NOW)


def test_by_count_the_oldest_first_and_its_manifest_before_its_files() -> None:
    old, older = names_of(DAY), names_of(2 * DAY)
    assert going(old, older) == [older[2], older[0], older[1]]
    assert not going(old, older, keep=3)
    assert going(old, keep=0) == [old[2], old[0], old[1]], "of none the newest one stays"


def test_by_age() -> None:
    old, older = names_of(29 * DAY), names_of(31 * DAY)
    assert set(going(old, older, keep=10)) == set(older)
    assert not going(old, older, keep=10, days=0)


def test_what_was_never_finished_goes_when_it_is_a_day_old() -> None:
    assert not going(names_of(DAY - 60, whole=False))
    assert set(going(names_of(DAY + 60, whole=False))) == set(names_of(DAY + 60, whole=False))


def test_where_the_new_one_is_not_whole_nothing_goes() -> None:
    many = [names_of(number * DAY) for number in range(1, 40)]
    assert not going(*many, new=False)
    assert not going(*many, names_of(0, whole=False), new=False)
    assert not going(*many, kept="etcd-prod-r9-20260101T000000Z")


def test_other_clusters_and_other_files_stay() -> None:
    foreign = [*names_of(90 * DAY, cluster="prod-2"), *names_of(90 * DAY, cluster="pro"), "notes.txt", "etcd-prod.db"]
    assert not going(foreign, keep=1)


@settings(max_examples=300)
@given(
    ages=st.lists(st.tuples(st.integers(-2, 60 * 24), st.booleans()), max_size=30),
    keep=st.integers(0, 40),
    days=st.integers(0, 60),
    index=st.integers(0, 29),
)
def test_never_the_one_that_was_proven_and_always_one(
    ages: list[tuple[int, bool]], keep: int, days: int, index: int
) -> None:
    """Whatever the clocks of the hosts were: the set that was proven may look older than the others."""
    groups = [names_of(hours * HOUR, whole, number) for number, (hours, whole) in enumerate(ages)]
    kept = groups[index][0].removesuffix(".db") if index < len(groups) else NEW
    names = [name for group in groups for name in group] + (names_of(0) if kept == NEW else [])
    gone = set(subject.surplus(names, "prod", kept, Limits(keep, days), NOW))
    left = grouped([name for name in names if name not in gone], "prod")
    before = grouped(names, "prod")
    assert left[kept] == before[kept]
    assert all(left.get(stem) in (None, files) for stem, files in before.items()), "a set goes whole or not at all"
    whole = [stem for stem, files in left.items() if finished(files)]
    if finished(before[kept]):
        assert 1 <= len(whole) <= max(keep, 1)
    else:
        assert not gone


def test_orders() -> None:
    assert subject.manifest_last(["a.json", "b.db", "a.db"]) == ["a.db", "b.db", "a.json"]
    assert subject.manifest_first(["a.db", "a.json", "b.db"]) == ["a.json", "a.db", "b.db"]
