# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prober's ledger when etcd went back to a snapshot in between: what has to be there, what cannot be. Pure.

The set of numbers in an object is its history. Every write acknowledged before the snapshot was begun is in it, every
one after the restore, and of those in between a beginning: a later one stands on the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.ledger import Ack, numbers


@dataclass(frozen=True)
class Judged:
    """before, after: how many writes were acknowledged before the snapshot and after the restore.

    given_up: acknowledged after the snapshot was begun, and gone. first: when the first write after the restore was
    acknowledged, by the prober's clock; None when there was none.
    """

    before: int
    after: int
    given_up: int
    first: float | None
    problems: tuple[str, ...]


def judge(acks: Sequence[Ack], final: Mapping[str, str], taken: float, began: float, bump: int) -> Judged:
    """taken: when the snapshot was begun; began: when the restore was. bump: how far versions have moved on by it."""
    problems: list[str] = []
    line = min((ack.version for ack in acks), default=0) + bump
    before = after = gone = 0
    for stream in sorted({ack.stream for ack in acks}):
        own = sorted((ack for ack in acks if ack.stream == stream), key=lambda ack: ack.seq)
        stored = numbers(final.get(stream, ""))
        old = [ack for ack in own if ack.version < line]
        new = [ack for ack in own if ack.version >= line]
        early = [ack for ack in old if ack.acked < taken]
        lost = [ack.seq for ack in [*early, *new] if ack.seq not in stored]
        missing = [ack.seq for ack in old if ack.seq not in stored]
        kept = [ack.seq for ack in old if ack.seq in stored]
        problems += [f"{stream}: {len(lost)} acknowledged writes are lost: {lost[:5]}"] if lost else []
        if missing and kept and max(kept) > min(missing):
            problems.append(f"{stream}: write {max(kept)} is there without {min(missing)}, which it stands on")
        if not new:
            problems.append(f"{stream}: no write was acknowledged after the restore")
        before, after, gone = before + len(early), after + len(new), gone + len(missing)
    firsts = [ack.acked for ack in acks if ack.version >= line and ack.acked >= began]
    return Judged(before, after, gone, min(firsts, default=None), tuple(problems))
