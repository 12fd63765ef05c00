# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification's rows for a person and for a machine. Pure."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

Row = Mapping[str, str]

STATUSES = ("ok", "warn", "fail")
MARKS = {"ok": "ok", "warn": "WARN", "fail": "FAIL"}
SUBJECT_WIDTH = 32
FOUND_WIDTH = 84


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """How many rows have each status."""
    return {status: sum(row["status"] == status for row in rows) for status in STATUSES}


def table(rows: Sequence[Row], notes: Sequence[str], last: str = "") -> str:
    """An aligned table, what failed last: there the eye is when it has been printed. last: the verdict, if not ours."""
    ordered = sorted(rows, key=lambda row: STATUSES.index(row["status"]))
    cells = [("STATUS", "CHECK", "SUBJECT", "FOUND")]
    for row in ordered:
        cells += _lines(row)
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    lines = ["  ".join([*(line[i].ljust(widths[i]) for i in range(3)), line[3]]).rstrip() for line in cells]
    return "\n".join([*lines, *(f"note: {note}" for note in notes), last or verdict(rows)])


def verdict(rows: Sequence[Row]) -> str:
    """One sentence."""
    number = counts(rows)
    tally = f"{number['ok']} ok, {number['warn']} to look at, {number['fail']} failed"
    return f"verify: {'NOT in order' if number['fail'] else 'in order'} ({tally})"


def failing(rows: Sequence[Row]) -> str:
    """The checks that failed; everything about them has been printed already."""
    return ", ".join(dict.fromkeys(row["check"] for row in rows if row["status"] == "fail"))


def document(rows: Sequence[Row], notes: Sequence[str], seconds: Mapping[str, float]) -> dict[str, Any]:
    """The same for a machine."""
    number = counts(rows)
    body = {"ok": number["fail"] == 0, "counts": number, "rows": list(rows)}
    return {"verify": {**body, "notes": list(notes), "seconds": dict(seconds)}}


def one_line(value: Mapping[str, Any]) -> str:
    """JSON on a line of its own, which begins with {"verify": and so can be found among other output."""
    return json.dumps(value, separators=(",", ":"))


def _lines(row: Row) -> list[tuple[str, str, str, str]]:
    found = textwrap.wrap(row["found"], FOUND_WIDTH) or [""]
    if row["next_step"]:
        found += textwrap.wrap(row["next_step"], FOUND_WIDTH, initial_indent="-> ", subsequent_indent="   ")
    subject = textwrap.wrap(row["subject"], SUBJECT_WIDTH) or [""]
    paired = list(zip_longest(subject, found, fillvalue=""))
    heads = [(MARKS[row["status"]], row["check"])] + [("", "")] * (len(paired) - 1)
    return [(mark, check, left, right) for (mark, check), (left, right) in zip(heads, paired)]
