# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the majority really lost, what is built on, and what has to be acknowledged before anything is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.quorum import quorum
from ansible_collections.quorum.kubeadm.plugins.module_utils.recovery import Outcome, decide
from ansible_collections.quorum.kubeadm.plugins.module_utils.recovery_seen import Asked, Machine, age

NOW = 1_795_000_000.0
THREE = ("cp1", "cp2", "cp3")


def data(index: int = 100, term: int = 4, **more: Any) -> dict[str, Any]:
    return {"data": True, "runs": True, "cluster_id": "c1", "last_term": term, "last_index": index,
            "written": NOW - 3700, "phase": "none", **more}  # fmt: skip


def alive(name: str, index: int = 100, term: int = 4, **more: Any) -> Machine:
    return Machine(name, reachable=True, etcd=data(index, term), voters=THREE, **more)


def blank(name: str) -> Machine:
    return Machine(name, reachable=True, etcd={"data": False, "phase": "none"})


def away(name: str) -> Machine:
    return Machine(name, why="no route to host")


TWO_GONE = (alive("cp1"), away("cp2"), away("cp3"))
CONFIRMED = Asked(survivor="cp1", lost=("cp2", "cp3"))


def refusal(outcome: Outcome) -> str:
    assert outcome.refusals
    assert not outcome.works
    return "; ".join(outcome.refusals)


def test_without_an_acknowledgement_it_says_everything_and_works_on_nothing() -> None:
    outcome = decide(TWO_GONE, CONFIRMED, NOW)
    text = "\n".join(outcome.told)
    assert (outcome.refusals, outcome.works, outcome.survivor) == ((), False, "cp1")
    assert "2 of 3 voters (cp1, cp2, cp3) are a majority, and it is lost." in text
    assert "entry 100 of term 4" in text
    assert "1 h 1 min ago" in text
    assert "Given up: cp2, cp3" in text
    assert outcome.words == "give-up-cp2,cp3-and-all-after-entry-4.100"
    assert outcome.steps[0].startswith("cp1: stop")


def test_with_the_exact_words_it_works_and_with_others_it_says_the_right_ones() -> None:
    words = decide(TWO_GONE, CONFIRMED, NOW).words
    assert decide(TWO_GONE, replace(CONFIRMED, acknowledge=words), NOW).works
    assert words in refusal(decide(TWO_GONE, replace(CONFIRMED, acknowledge=words + "0"), NOW))


def test_the_words_are_others_when_the_facts_are() -> None:
    older = (alive("cp1", index=99), *TWO_GONE[1:])
    assert decide(older, CONFIRMED, NOW).words != decide(TWO_GONE, CONFIRMED, NOW).words
    fewer = (alive("cp1"), blank("cp2"), away("cp3"))
    assert decide(fewer, replace(CONFIRMED, lost=("cp3",)), NOW).words == decide(TWO_GONE, CONFIRMED, NOW).words


def test_a_majority_that_answers_is_not_recovered() -> None:
    machines = (alive("cp1", quorum=True), alive("cp2"), away("cp3"))
    found = refusal(decide(machines, Asked(lost=("cp3",), survivor="cp1", acknowledge="x"), NOW))
    assert found == "etcd has its majority: cp1 answers for 2 of 3 voters"


def test_a_majority_that_could_be_started_is_not_lost() -> None:
    stopped = [replace(alive(name), etcd=data(runs=False)) for name in ("cp1", "cp2")]
    found = refusal(decide((*stopped, away("cp3")), Asked(lost=("cp3",)), NOW))
    assert "2 of 3 voters have their data (cp1, cp2), and 2 are a majority" in found


def test_data_that_are_damaged_or_of_another_cluster_are_no_majority() -> None:
    damaged = replace(alive("cp2"), etcd=data(damage="x.wal: a checksum is wrong"))
    outcome = decide((alive("cp1"), damaged, away("cp3")), Asked(lost=("cp3",)), NOW)
    assert (outcome.refusals, outcome.survivor, outcome.fence) == ((), "cp1", ("cp2",))
    foreign = replace(alive("cp2"), etcd=data(cluster_id="c2"))
    found = refusal(decide((alive("cp1"), foreign, away("cp3")), Asked(lost=("cp3",)), NOW))
    assert "more than one cluster: cp1 c1, cp2 c2" in found


def test_who_is_not_reachable_has_to_be_named() -> None:
    found = refusal(decide(TWO_GONE, Asked(survivor="cp1", lost=("cp2",)), NOW))
    assert "cp3 cannot be reached and may still live" in found
    assert "-e recover_lost=cp2,cp3" in found


def test_a_member_that_the_inventory_does_not_know_has_to_be_named_as_well() -> None:
    survivor = replace(alive("cp1"), voters=(*THREE, "old"))
    found = refusal(decide((survivor, away("cp2"), away("cp3")), CONFIRMED, NOW))
    assert "old cannot be reached" in found


def test_a_lost_one_that_is_reachable_or_answers_is_not_lost() -> None:
    assert "its host is reachable" in refusal(decide((alive("cp1"), blank("cp2"), away("cp3")), CONFIRMED, NOW))
    still = replace(alive("cp1"), answering=("https://192.0.2.12:2380",))
    assert "still answers at https://192.0.2.12:2380" in refusal(decide((still, *TWO_GONE[1:]), CONFIRMED, NOW))
    assert "nobody, which is no member" in refusal(
        decide(TWO_GONE, replace(CONFIRMED, lost=("cp2", "cp3", "nobody")), NOW)
    )


FIVE = tuple(f"e{number}" for number in range(1, 6))


def five(first: tuple[int, int], second: tuple[int, int]) -> list[Machine]:
    usable = [replace(alive(name, index, term), voters=FIVE) for name, (term, index) in (("e1", first), ("e2", second))]
    return [*usable, *(away(name) for name in FIVE[2:])]


@pytest.mark.parametrize(("first", "second", "best"), [((4, 90), (4, 91), "e2"), ((5, 80), (4, 99), "e1")])
def test_the_survivor_with_the_newest_entry_is_built_on(
    first: tuple[int, int], second: tuple[int, int], best: str
) -> None:
    asked = Asked(lost=FIVE[2:])
    assert decide(five(first, second), asked, NOW).survivor == best
    other = "e1" if best == "e2" else "e2"
    found = refusal(decide(five(first, second), replace(asked, survivor=other), NOW))
    assert f"give -e survivor={best}" in found
    outcome = decide(five(first, second), replace(asked, survivor=best), NOW)
    assert outcome.fence == (other,)
    assert outcome.steps[0].startswith(f"{other}: stop etcd")


def test_of_two_that_are_equal_the_one_that_was_asked_for_is_taken() -> None:
    for name in ("e1", "e2"):
        assert decide(five((4, 9), (4, 9)), Asked(survivor=name, lost=FIVE[2:]), NOW).survivor == name


def test_a_survivor_without_data_is_told() -> None:
    found = refusal(decide((alive("cp1"), blank("cp2"), away("cp3")), Asked(survivor="cp2", lost=("cp3",)), NOW))
    assert "cp2 has no data that could be built on. cp1 has" in found
    nothing = (blank("cp1"), blank("cp2"), blank("cp3"))
    assert "Give a snapshot" in refusal(decide(nothing, Asked(), NOW))


def test_a_snapshot_is_restored_where_it_is_and_its_age_is_told() -> None:
    seen = {"path": "/b/x.db", "revision": 77, "taken": NOW - 90_000}
    machines = (replace(blank("cp1"), snapshot=seen), blank("cp2"), away("cp3"))
    asked = Asked(snapshot="/b/x.db", lost=("cp3",))
    outcome = decide(machines, asked, NOW)
    assert (outcome.survivor, outcome.words) == ("cp1", "give-up-cp2,cp3-and-all-after-revision-77")
    assert "revision 77, taken" in "\n".join(outcome.told)
    assert "1 d 1 h ago" in "\n".join(outcome.told)
    both = (machines[0], replace(machines[1], snapshot=seen), machines[2])
    assert "say which one, -e survivor=cp1" in refusal(decide(both, asked, NOW))
    assert decide(both, replace(asked, survivor="cp2"), NOW).survivor == "cp2"
    assert "no host has a good snapshot" in refusal(decide(TWO_GONE, replace(asked, lost=("cp2", "cp3")), NOW))


def test_an_interrupted_run_asks_for_the_same_words_and_does_what_is_left() -> None:
    words = decide(TWO_GONE, CONFIRMED, NOW).words
    made = {"source": "log:c1:a1:4:100:0000beef", "written": NOW - 3700}
    for phase in ("prepared", "activated"):
        begun = replace(alive("cp1"), etcd=data(5, 1, runs=False, phase=phase, restored=made, cluster_id="c9"))
        outcome = decide((begun, *TWO_GONE[1:]), replace(CONFIRMED, acknowledge=words), NOW)
        assert (outcome.words, outcome.works) == (words, True)
        assert any("interrupted" in line for line in outcome.told)
    assert len(outcome.steps) == 1
    assert "start etcd on what was restored" in outcome.steps[0]


def test_an_interrupted_restore_of_a_snapshot_asks_for_the_same_words() -> None:
    seen = {"path": "/b/x.db", "revision": 77, "taken": NOW - 90, "sha256": "beef"}
    asked = Asked(snapshot="/b/x.db", lost=("cp3",))
    words = decide((replace(blank("cp1"), snapshot=seen), blank("cp2"), away("cp3")), asked, NOW).words
    made = {"source": "snapshot:beef", "revision": 77, "written": NOW - 90}
    begun = Machine("cp1", True, data(5, 1, runs=False, phase="activated", restored=made), snapshot=seen)
    outcome = decide((begun, blank("cp2"), away("cp3")), replace(asked, acknowledge=words), NOW)
    assert (outcome.works, outcome.words) == (True, words)
    other = replace(begun, snapshot={**seen, "sha256": "f00d"})
    assert "another restore is in place on cp1" in refusal(decide((other, blank("cp2"), away("cp3")), asked, NOW))


def test_killed_between_the_two_renames_the_restore_is_finished() -> None:
    words = decide(TWO_GONE, CONFIRMED, NOW).words
    made = {"source": "log:c1:a1:4:100:0000beef", "written": NOW - 3700}
    begun = Machine("cp1", True, {"data": False, "phase": "prepared", "restored": made})
    assert decide((begun, *TWO_GONE[1:]), replace(CONFIRMED, acknowledge=words), NOW).works


def test_what_is_held_after_the_recovery_is_started_without_a_question() -> None:
    done = replace(alive("cp1", quorum=True), voters=("cp1",), etcd=data(was_restored=True))
    machines = (done, replace(blank("cp2")), away("cp3"))
    held = {"cp1": ["kube-apiserver", "kube-scheduler"], "cp2": ["etcd"]}
    outcome = decide(machines, Asked(), NOW, held)
    assert (outcome.works, outcome.finishes, outcome.survivor) == (True, True, "cp1")
    assert outcome.steps == ("cp1: start kube-apiserver, kube-scheduler: etcd has been recovered already",)
    assert (outcome.fence, outcome.others) == (("cp2",), ("cp2", "cp3"))
    outcome = decide(machines, Asked(), NOW, {"cp1": [], "cp2": ["etcd"]})
    assert (outcome.works, outcome.refusals, outcome.steps) == (False, (), ()), "who is fenced stays held"


def test_control_planes_of_an_external_etcd_are_started_as_well() -> None:
    done = replace(alive("e1", quorum=True), voters=("e1",))
    outcome = decide((done, away("e2"), away("e3")), Asked(), NOW, {"cp1": ["kube-apiserver"], "cp2": []})
    assert outcome.steps == ("cp1: start kube-apiserver: etcd has been recovered already",)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7200, "2 h 0 min"), (200_000, "2 d 7 h"), (-5, "0 s")],
)
def test_ages(seconds: float, said: str) -> None:
    assert age(seconds) == said


MACHINES = st.lists(
    st.tuples(st.sampled_from(["away", "blank", "data", "damaged", "quorum"]), st.integers(1, 3), st.integers(1, 9)),
    min_size=1,
    max_size=7,
)


def build(drawn: list[tuple[str, int, int]]) -> list[Machine]:
    names = tuple(f"m{number}" for number in range(len(drawn)))
    made = []
    for name, (kind, term, index) in zip(names, drawn, strict=True):
        own = {"data": kind not in ("away", "blank"), "damage": "x" if kind == "damaged" else ""}
        etcd = {} if kind == "away" else data(index, term, **own)
        voters = names if kind in ("data", "quorum") else ()
        made.append(Machine(name, kind != "away", etcd, quorum=kind == "quorum", voters=voters))
    return made


@given(MACHINES, st.data())
def test_nothing_works_unless_the_majority_is_lost_and_everybody_else_is_fenced_or_confirmed(
    drawn: list[tuple[str, int, int]], extra: st.DataObject
) -> None:
    machines = build(drawn)
    names = [machine.name for machine in machines]
    lost = tuple(extra.draw(st.lists(st.sampled_from(names), unique=True)))
    survivor = extra.draw(st.sampled_from(["", *names]))
    first = decide(machines, Asked(survivor=survivor, lost=lost), NOW)
    assert not first.works, "never without an acknowledgement"
    outcome = decide(machines, Asked(survivor=survivor, lost=lost, acknowledge=first.words), NOW)
    if not outcome.works:
        return
    chosen = next(machine for machine in machines if machine.name == outcome.survivor)
    whole = [machine for machine in machines if machine.has_data]
    assert len(whole) < quorum(len(machines))
    assert not any(machine.quorum for machine in machines)
    assert {*outcome.fence, *lost, chosen.name} == set(names)
    assert chosen.has_data
    assert chosen.newest == max(machine.newest for machine in whole)
