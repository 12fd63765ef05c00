# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""May etcd go back to a snapshot, on whom, what has to be acknowledged, and where a killed run goes on."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_restoring import initial_cluster
from ansible_collections.quorum.kubeadm.plugins.module_utils.restoration import REMAIN, Outcome, decide
from ansible_collections.quorum.kubeadm.plugins.module_utils.restoration_seen import Asked, Place, progress

NOW = 1_795_000_000.0
NAMES = ("cp1", "cp2", "cp3")
URLS = {f"cp{number}": f"https://192.0.2.1{number}:2380" for number in range(1, 5)}
ALL = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
PATH = "/var/backups/etcd/etcd-production-r90-20261128T060000Z.db"
SHA, OURS = "5" * 64, "a" * 64
SNAPSHOT: dict[str, Any] = {
    "path": PATH, "sha256": SHA, "size": 100 << 20, "revision": 90, "total_keys": 80, "taken": NOW - 7300,
    "version": "3.6.0", "authorities": [OURS],
}  # fmt: skip
ASKED = Asked(PATH, cluster="production")
INITIAL = initial_cluster({name: URLS[name] for name in NAMES})
OLD = {"data": True, "runs": True, "phase": "none", "cluster_id": "abcdef0123456789", "last_term": 4, "last_index": 100,
       "written": NOW - 60, "record": {}, "restored": {}}  # fmt: skip


def record(token: str = "t1", **more: Any) -> dict[str, Any]:
    return {"source": f"snapshot:{SHA}", "members": INITIAL, "token": token, **more}


def cp(name: str, etcd: Mapping[str, Any] = OLD, **more: Any) -> Place:
    given = {
        "name": name, "reachable": True, "etcd": etcd, "quorum": True, "voters": NAMES, "peer_url": URLS[name],
        "etcd_host": True, "control_plane": True, "ca": OURS, "etcdutl": "3.6.16", "free": 1 << 40, "known": ALL,
        "snapshot": SNAPSHOT if name == "cp1" else {}, **more,
    }  # fmt: skip
    return Place(**given)


def away(name: str) -> Place:
    return Place(name, why="no route to host", peer_url=URLS[name], etcd_host=True, control_plane=True)


THREE = tuple(cp(name) for name in NAMES)


def stopped(etcd: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {**etcd, "runs": False, **more}


def look(places: tuple[Place, ...] = THREE, **asked: Any) -> Outcome:
    return decide(places, replace(ASKED, **asked), NOW, "fresh")


def refusal(outcome: Outcome) -> str:
    assert outcome.refusals
    assert not outcome.works
    return "; ".join(outcome.refusals)


def test_without_an_acknowledgement_it_says_everything_and_works_on_nothing() -> None:
    outcome = look()
    text = "\n".join((*outcome.told, *outcome.steps))
    assert (outcome.refusals, outcome.works, outcome.source) == ((), False, "cp1")
    assert "revision 90 with 80 keys, taken 2026-11-18" in text
    assert "2 h 1 min ago" in text
    assert "The new cluster: cp1, cp2, cp3." in text
    assert outcome.words == "give-up-abcdef01-after-revision-90"
    assert dict(outcome.members) == {name: URLS[name] for name in NAMES}


def test_with_the_exact_words_it_works_and_with_others_it_says_the_right_ones() -> None:
    outcome = look(acknowledge="give-up-abcdef01-after-revision-90")
    assert outcome.works
    assert (outcome.prepare, outcome.stop, outcome.start, outcome.serve) == (NAMES, NAMES, NAMES, NAMES)
    assert outcome.copies == ("cp2", "cp3")
    assert outcome.token == "fresh"
    assert outcome.words in refusal(look(acknowledge="give-up-abcdef01-after-revision-89"))


def test_the_file_is_judged_before_anything_else() -> None:
    bad = replace(THREE[0], snapshot={}, why="it is truncated: 100 bytes of 200")
    found = refusal(look((bad, *THREE[1:]), acknowledge="x"))
    assert "it is truncated: 100 bytes of 200" in found
    two = replace(THREE[1], snapshot={**SNAPSHOT, "sha256": "6" * 64})
    assert "-e snapshot_host=cp1" in refusal(look((THREE[0], two, THREE[2])))
    assert look((THREE[0], two, THREE[2]), host="cp2").sha256 == "6" * 64
    same = replace(THREE[1], snapshot=SNAPSHOT)
    assert look((THREE[0], same, THREE[2]), acknowledge=look().words).copies == ("cp3",)


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"free": 100 << 20}, "cp2 has 104857600 bytes free"),
        ({"etcdutl": ""}, "cp2 has no etcdutl"),
        ({"etcdutl": "3.5.21"}, "not of one minor version on all members"),
    ],
)
def test_a_member_that_cannot_restore_it_stops_all(more: dict[str, Any], found: str) -> None:
    assert found in refusal(look((THREE[0], cp("cp2", **more), THREE[2])))


@pytest.mark.parametrize(
    ("written", "good"), [("3.6.0", True), ("3.5.0", True), ("", True), ("3.7.0", False), ("3.4.0", False)]
)
def test_a_version_that_cannot_take_it_over_is_refused(written: str, good: bool) -> None:
    places = (cp("cp1", snapshot={**SNAPSHOT, "version": written}), *THREE[1:])
    assert (not look(places).refusals) == good


def test_room_is_counted_with_the_copy() -> None:
    need = int(1.5 * (100 << 20)) + (64 << 20) + REMAIN
    assert not look((cp("cp1", free=need), *THREE[1:])).refusals
    assert look((THREE[0], cp("cp2", free=need), THREE[2])).refusals
    assert not look((THREE[0], cp("cp2", free=need + (100 << 20)), THREE[2])).refusals


def test_who_is_away_has_to_be_named_and_the_others_become_the_cluster() -> None:
    places = (*THREE[:2], away("cp3"))
    assert "-e restore_lost=cp3" in refusal(look(places))
    outcome = look(places, lost=("cp3",))
    assert list(outcome.members) == ["cp1", "cp2"]
    assert outcome.words.endswith("-and-cp3")
    assert any("none may fail" in line for line in outcome.told)
    assert "its host is reachable" in refusal(look(lost=("cp3",)))
    still = replace(THREE[0], answering=("https://192.0.2.13:6443",))
    assert "still answers at https://192.0.2.13:6443" in refusal(look((still, THREE[1], away("cp3")), lost=("cp3",)))


def test_a_member_that_lives_on_no_host_of_the_inventory_is_never_given_up() -> None:
    known = replace(THREE[0], voters=(*NAMES, "old"), outsiders=("https://192.0.2.99:2380",))
    found = refusal(look((known, *THREE[1:]), lost=("old",)))
    assert "a member at https://192.0.2.99:2380 lives" in found
    assert "old cannot be reached" in refusal(look((replace(known, outsiders=()), *THREE[1:])))
    assert not look((replace(known, outsiders=()), *THREE[1:]), lost=("old",)).refusals


def test_a_blank_machine_joins_afterwards_and_where_all_are_blank_more_is_needed() -> None:
    blank = {"data": False, "phase": "none"}
    outcome = look((*THREE, cp("cp4", blank, known=(), ca="", snapshot={})), acknowledge=look().words)
    assert (outcome.works, outcome.later, outcome.start) == (True, ("cp4",), NAMES)
    lost = tuple(cp(name, blank, known=(), snapshot=SNAPSHOT if name == "cp1" else {}) for name in NAMES)
    assert "pki_archive" in refusal(look(lost))


def test_machines_of_an_external_etcd_are_members_and_control_planes_are_only_fenced() -> None:
    urls = {f"etcd{number}": f"https://192.0.2.3{number}:2380" for number in (1, 2, 3)}
    machines = [
        replace(cp("cp1"), name=name, peer_url=url, control_plane=False, known=(), service=True, voters=tuple(urls),
                snapshot=SNAPSHOT if name == "etcd1" else {}) for name, url in urls.items()
    ]  # fmt: skip
    planes = [replace(cp(name), etcd_host=False, known=ALL[1:], snapshot={}, voters=()) for name in NAMES]
    outcome = look((*planes, *machines), acknowledge="give-up-abcdef01-after-revision-90")
    assert outcome.works
    assert (outcome.start, outcome.serve) == (tuple(urls), NAMES)
    assert set(outcome.stop) == {*urls, *NAMES}


@pytest.mark.parametrize(
    ("authorities", "path", "foreign"),
    [
        ([OURS], PATH, False),
        (["b" * 64], PATH, True),
        (["b" * 64, OURS], PATH, False),
        ([], PATH, False),
        ([], PATH.replace("production", "staging"), True),
        ([OURS], PATH.replace("production", "staging"), False),
    ],
)
def test_another_clusters_snapshot_needs_words_of_its_own(authorities: list[str], path: str, foreign: bool) -> None:
    places = (cp("cp1", snapshot={**SNAPSHOT, "authorities": authorities, "path": path}), *THREE[1:])
    outcome = look(places)
    assert outcome.words.endswith("for-another-clusters-data") == foreign
    assert any("ANOTHER CLUSTER" in line for line in outcome.told) == foreign
    if foreign:
        assert outcome.words in refusal(look(places, acknowledge=look().words))


# What a member goes through. Its old data are away from `between` on.
STAGES: dict[str, dict[str, Any]] = {
    "old": OLD,
    "prepared": {**OLD, "phase": "prepared", "restored": record("t1")},
    "stopped": stopped(OLD, phase="prepared", restored=record("t1")),
    "between": stopped(OLD, data=False, cluster_id="", phase="prepared", restored=record("t1")),
    "placed": stopped(
        OLD, cluster_id="feedbeef00000000", phase="activated", restored=record("t1"), record=record("t1")
    ),
    "started": {**OLD, "cluster_id": "feedbeef00000000", "record": record("t1")},
}
FIRST = "give-up-abcdef01-after-revision-90"
# A play ends on all hosts before the next one begins, so members are at most one step apart.
STEPS = list(STAGES)
MIXTURES = [
    mixture for first, second in itertools.pairwise(STEPS) for mixture in itertools.product((first, second), repeat=3)
]


@pytest.mark.parametrize("mixture", MIXTURES, ids="-".join)
def test_a_run_that_was_killed_anywhere_is_finished_by_the_same_command(mixture: tuple[str, ...]) -> None:
    fenced = any(stage in ("stopped", "between", "placed") for stage in mixture)
    held = ALL if fenced else ()
    places = tuple(cp(name, STAGES[stage], held=held, quorum=not fenced) for name, stage in zip(NAMES, mixture))
    outcome = look(places, acknowledge=FIRST)
    if set(mixture) == {"started"}:
        assert (outcome.works, outcome.steps, outcome.refusals) == (False, (), ())
        assert outcome.told[-1] == "There is nothing to do."
        return
    assert outcome.works, outcome.refusals
    if set(mixture) != {"old"}:
        assert outcome.token == "t1", "all members of one cluster have one token"
    assert outcome.start == NAMES
    made = {name for name, stage in zip(NAMES, mixture) if stage != "old"}
    assert set(outcome.prepare) == set(NAMES) - made
    assert outcome.finishes == all(stage in ("placed", "started") for stage in mixture)


def test_the_same_snapshot_once_more_needs_the_words_of_the_cluster_that_is_given_up_now() -> None:
    places = tuple(cp(name, STAGES["started"]) for name in NAMES)
    again = look(places)
    assert again.words == "give-up-feedbeef-after-revision-90"
    assert not again.works
    assert any("restored already" in line for line in again.told)
    done = look(places, acknowledge=again.words)
    assert (done.works, done.token, done.prepare) == (True, "fresh", NAMES)


def test_what_an_abandoned_run_has_prepared_gives_nothing_up() -> None:
    places = tuple(cp(name, STAGES["prepared"]) for name in NAMES)
    assert not look(places).works
    assert refusal(look(places, acknowledge="give-up-feedbeef-after-revision-90"))
    other = tuple(cp(name, {**STAGES["prepared"], "restored": record("t1", source="snapshot:other")}) for name in NAMES)
    outcome = look(other, acknowledge=FIRST)
    assert (outcome.token, outcome.prepare) == ("fresh", NAMES)


def test_data_restored_long_ago_are_no_interrupted_restore() -> None:
    """cp3 was replaced since: its data are of a join. Nothing of the others may be taken for half of a restore."""
    places = (
        *(cp(name, STAGES["started"]) for name in ("cp1", "cp2")),
        cp("cp3", {**OLD, "cluster_id": "feedbeef00000000"}),
    )
    outcome = look(places, acknowledge=FIRST)
    assert "not what is given up" in refusal(outcome)
    done = look(places, acknowledge=outcome.words)
    assert (done.token, done.prepare) == ("fresh", NAMES)


@given(
    st.lists(st.sampled_from(STEPS), min_size=3, max_size=3),
    st.lists(st.sampled_from(["t1", "t2"]), min_size=3, max_size=3),
)
def test_whoever_is_not_prepared_with_the_one_token_is_prepared(stages: list[str], tokens: list[str]) -> None:
    def of(stage: str, token: str) -> dict[str, Any]:
        etcd = STAGES[stage]
        return {**etcd, **{key: {**etcd[key], "token": token} for key in ("record", "restored") if etcd.get(key)}}

    places = [cp(name, of(stage, token)) for name, stage, token in zip(NAMES, stages, tokens)]
    found = progress(places, SHA, INITIAL, "fresh")
    for place in places:
        have = {str(found.get("token")) for found in (place.record, place.prepared) if found}
        assert (place.name in found.made) == (found.token in have)
    assert found.whole == (len(found.placed) == 3)


def test_refused_is_refused_whatever_was_acknowledged() -> None:
    places = (*THREE[:2], away("cp3"))
    outcome = look(places, acknowledge=look(places, lost=("cp3",)).words)
    assert refusal(outcome)
