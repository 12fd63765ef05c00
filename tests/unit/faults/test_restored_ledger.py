# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a ledger has to say when etcd went back to a snapshot in between."""

from __future__ import annotations

import pytest

from lab.ledger import Ack
from tests.faults.restored_ledger import judge

BUMP = 1000
# A write a second; the snapshot is begun at 4.5, holds up to write 6, the restore begins at 9, and serves from 20 on.
OLD = [Ack("new", seq, 100 + seq, seq - 0.5, float(seq)) for seq in range(1, 9)]
NEW = [Ack("new", seq, 1200 + seq, seq + 10.5, seq + 11.0) for seq in range(9, 12)]


def test_a_restore_that_kept_everything_before_the_snapshot() -> None:
    found = judge([*OLD, *NEW], {"new": "1-6,9-11"}, 4.5, 9.0, BUMP)
    assert found.problems == ()
    assert (found.before, found.after, found.given_up, found.first) == (4, 3, 2, 20.0)


@pytest.mark.parametrize(
    ("final", "words"),
    [
        ("1-3,9-11", "1 acknowledged writes are lost: [4]"),
        ("1-6,9,11", "1 acknowledged writes are lost: [10]"),
        ("1-5,7,9-11", "write 7 is there without 6"),
        ("", "acknowledged writes are lost"),
    ],
)
def test_what_is_lost_or_there_in_part_is_told(final: str, words: str) -> None:
    assert words in "; ".join(judge([*OLD, *NEW], {"new": final}, 4.5, 9.0, BUMP).problems)


def test_without_a_write_after_the_restore_nothing_is_proven() -> None:
    found = judge(OLD, {"new": "1-6"}, 4.5, 9.0, BUMP)
    assert found.first is None
    assert "no write was acknowledged after the restore" in "; ".join(found.problems)
