# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger's check finds every kind of lost write, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.ledger import Ack, Ledger, Seen, add_number, check, last_number, numbers, read_ledger

HISTORY = [Ack("new", 1, 100, 0.0, 0.1), Ack("new", 2, 105, 0.2, 0.3), Ack("new", 4, 107, 0.4, 0.5)]


def test_an_undisturbed_history_has_no_problem() -> None:
    reads = [Seen("new", 0, 90, 0.05), Seen("new", 2, 105, 0.31), Seen("new", 4, 107, 0.6)]
    assert check(HISTORY, reads, {"new": "1-2,4"}) == []


def test_a_write_that_nobody_acknowledged_may_be_there() -> None:
    assert check(HISTORY, [], {"new": "1-4"}) == []


def test_an_acknowledged_write_that_is_not_in_the_object_is_lost() -> None:
    (problem,) = check(HISTORY, [], {"new": "1,4"})
    assert problem == "new: 1 acknowledged writes are lost: 2"


def test_an_object_that_went_back_to_a_snapshot_lost_everything_after_it() -> None:
    (problem,) = check(HISTORY, [], {"new": "1"})
    assert "2 acknowledged writes are lost: 2, 4" in problem


def test_without_a_final_read_nothing_is_proven() -> None:
    (problem,) = check(HISTORY, [], {})
    assert "nothing is proven" in problem


def test_a_resource_version_that_does_not_grow_is_another_history() -> None:
    history = [*HISTORY, Ack("new", 5, 106, 0.6, 0.7)]
    (problem,) = check(history, [], {"new": "1-2,4-5"})
    assert "write 5 has resource version 106, not after 107 of write 4" in problem


def test_the_same_write_acknowledged_twice_is_a_contradiction() -> None:
    (problem,) = check([*HISTORY, Ack("new", 4, 108, 0.6, 0.7)], [], {"new": "1-2,4"})
    assert "write 4 was acknowledged twice" in problem


def test_a_read_that_began_after_an_acknowledgement_must_see_it() -> None:
    (problem,) = check(HISTORY, [Seen("new", 2, 105, 0.51)], {"new": "1-2,4"})
    assert problem == "new: a read saw write 2 after write 4 had been acknowledged"


def test_a_read_that_began_before_the_acknowledgement_may_miss_it() -> None:
    assert check(HISTORY, [Seen("new", 2, 105, 0.49)], {"new": "1-2,4"}) == []


def test_streams_are_judged_apart() -> None:
    acks = [*HISTORY, Ack("kept", 9, 106, 0.4, 0.5)]
    assert check(acks, [Seen("kept", 9, 106, 0.6)], {"new": "1-4", "kept": "1-9"}) == []
    (problem,) = check(acks, [], {"new": "1-4", "kept": "1-8"})
    assert problem.startswith("kept:")


@given(st.sets(st.integers(1, 500)))
def test_a_set_of_numbers_survives_its_short_form(values: set[int]) -> None:
    ranges = ""
    for value in sorted(values):
        ranges = add_number(ranges, value)
    assert numbers(ranges) == values
    assert last_number(ranges) == max(values, default=0)


def test_a_number_that_is_not_the_largest_is_refused() -> None:
    with pytest.raises(ValueError, match="3 is not larger than 4"):
        add_number("1-4", 3)


def test_the_short_form_is_short() -> None:
    assert add_number("1-4,6", 7) == "1-4,6-7"
    assert add_number("1-4,6", 9) == "1-4,6,9"
    assert add_number("", 1) == "1"


def test_a_ledger_is_read_back_without_its_cut_off_last_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    for ack in HISTORY:
        ledger.add(ack)
    ledger.close()
    with path.open("a") as stream:
        stream.write('{"stream": "new", "se')
    assert read_ledger(path) == HISTORY
