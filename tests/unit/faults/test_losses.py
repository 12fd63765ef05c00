# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the campaigns of lost machines judge what was seen."""

from __future__ import annotations

from lab.ledger import Ack
from tests.faults.losses import gap_within
from tests.faults.quorum_lost import judge


def probe(kind: str, end: float, outcome: str = "ok") -> dict[str, object]:
    return {"kind": kind, "connection": "new", "outcome": outcome, "end": end}


def test_a_gap_is_that_of_the_kind_that_misses_most_and_of_its_own_time() -> None:
    probes = [probe("read", moment / 10) for moment in range(200)]
    probes += [probe("write", moment / 10, "failed" if 50 <= moment < 120 else "ok") for moment in range(200)]
    assert gap_within(probes, 0.0, 20.0) == 7.1
    assert gap_within(probes, 0.0, 10.0) == 5.1
    assert gap_within(probes, 12.0, 19.9) == 0.1


def test_a_kind_that_never_succeeds_misses_everything() -> None:
    assert gap_within([probe("read", 1.0), probe("write", 1.0, "failed")], 0.0, 3.0) == 3.0
    assert gap_within([], 0.0, 3.0) == 3.0


def acks(*numbers: int) -> list[Ack]:
    return [Ack("new", number, 100 + number, float(number), number + 0.1) for number in numbers]


def test_a_write_that_the_survivor_received_has_to_be_there() -> None:
    assert judge(acks(1, 2, 3), {"new": [1, 2, 3]}, {"new": "1-3"}) == (0, [])
    only_there, wrong = judge(acks(1, 2, 3), {"new": [1, 2, 3]}, {"new": "1-2"})
    assert only_there == 0
    assert len(wrong) == 1
    assert "write 3" in wrong[0]


def test_a_write_that_only_the_others_had_is_counted() -> None:
    assert judge(acks(1, 2, 3), {"new": [1, 2]}, {"new": "1-2,4-9"}) == (1, [])


def test_an_object_that_cannot_be_read_proves_nothing() -> None:
    assert judge(acks(1), {"new": []}, {})[1]
