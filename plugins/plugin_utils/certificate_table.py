# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All certificates of all hosts as one table for a person, and one document for a machine. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_places import CA, MEMORY
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_seen import Seen, moment
from ansible_collections.quorum.kubeadm.plugins.module_utils.report import natural
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify import Row, names
from ansible_collections.quorum.kubeadm.plugins.plugin_utils import verify_table

HEADER = ("STATUS", "CERTIFICATE", "HOST", "ENDS (UTC)", "LEFT", "SIGNED BY", "SERVED")
# From so many hosts on those that are in order stand in one line, the one that ends first in front.
FOLDED_FROM = 6
NAMES_WIDTH = 100
DAY = 86400


def together(rows: Sequence[Row]) -> list[dict[str, str]]:
    """One row for what was found on several hosts."""
    hosts: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        hosts.setdefault((row.check, row.status, row.found, row.next_step), []).append(row.subject)
    return [
        Row(check, names(subjects), status, found, step).result()
        for (check, status, found, step), subjects in hosts.items()
    ]


def worst(rows: Sequence[Row]) -> dict[tuple[str, str], str]:
    """The status of each host's certificate that is not in order."""
    found: dict[tuple[str, str], str] = {}
    for row in rows:
        key = (row.subject, row.check)
        found[key] = max(found.get(key, "ok"), row.status, key=verify_table.STATUSES.index)
    return found


def table(seen: Sequence[Seen], rows: Sequence[Row], now: datetime) -> str:
    """Every certificate, by its name and then by host, with the names that a served one is valid for."""
    status = worst(rows)
    cells: list[tuple[str, ...]] = [HEADER]
    notes: dict[int, str] = {}
    for group in _groups(seen, status):
        if group[0].served_port and group[0].sans and len(group) < FOLDED_FROM:
            notes[len(cells)] = f"valid for {names(group[0].sans)}"
        cells.append(_line(group, status, now))
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADER))]
    lines: list[str] = []
    for number, line in enumerate(cells):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        indent = " " * (widths[0] + 4)
        lines += textwrap.wrap(notes.get(number, ""), NAMES_WIDTH, initial_indent=indent, subsequent_indent=indent)
    return "\n".join(lines)


def _groups(seen: Sequence[Seen], status: Mapping[tuple[str, str], str]) -> list[list[Seen]]:
    by_name: dict[str, list[Seen]] = {}
    for one in sorted(seen, key=lambda one: natural(one.host)):
        by_name.setdefault(one.name, []).append(one)
    groups: list[list[Seen]] = []
    for alike in by_name.values():
        fine = [one for one in alike if (one.host, one.name) not in status]
        if len(fine) < FOLDED_FROM:
            groups += [[one] for one in alike]
            continue
        groups.append(sorted(fine, key=lambda one: (not one.dated, one.not_after)))
        groups += [[one] for one in alike if (one.host, one.name) in status]
    return groups


def _line(group: Sequence[Seen], status: Mapping[tuple[str, str], str], now: datetime) -> tuple[str, ...]:
    first = group[0]
    mark = verify_table.MARKS[status.get((first.host, first.name), "ok")]
    host = first.host if len(group) == 1 else f"{first.host} and {len(group) - 1} more"
    ends, left = "-", first.state
    if first.dated:
        ends = moment(first.not_after).strftime("%Y-%m-%d %H:%M")
        left = _left((moment(first.not_after) - now).total_seconds())
    elif first.uses:
        left = "see the file that it names"
    return (mark, first.name, host, ends, left, _signer(first), _served(first))


def _left(seconds: float) -> str:
    days = seconds / DAY
    return f"{days:.0f} d" if abs(days) >= 2 else f"{days * 24:.0f} h"


def _signer(one: Seen) -> str:
    if one.kind == MEMORY or not one.signer:
        return "itself" if one.dated and one.signed != "no" else "-"
    return one.signer if one.signed == "yes" else f"{one.signer}: {one.signed}" if one.signed else "-"


def _served(one: Seen) -> str:
    return f"{one.served_port} {one.served}" if one.served_port else "-"


def verdict(rows: Sequence[Mapping[str, str]], certificates: int, hosts: int) -> str:
    """One sentence."""
    number = verify_table.counts(rows)
    state = "NOT in order" if number["fail"] else "in order"
    tally = f"{number['warn']} to look at, {number['fail']} failed"
    return f"certificates: {state} ({certificates} certificates on {hosts} hosts, {tally})"


def for_verify(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Among the checks of verify all of them are one."""
    return together([replace(row, check="certificates", found=f"{row.check}: {row.found}") for row in rows])


def first_end(seen: Sequence[Seen], now: datetime) -> str:
    """When all is in order: which one is the next to end."""
    signed = [one for one in seen if one.dated and (one.signer or one.kind == CA)]
    if not signed:
        return f"{len(seen)} looked for, none is there"
    first = min(signed, key=lambda one: one.ends)
    left = _left((first.ends - now).total_seconds())
    return f"{len(seen)} looked at, the first to end is {first.name} of {first.host} in {left}"


def document(
    seen: Sequence[Seen], rows: Sequence[Row], shown: Sequence[Mapping[str, str]], now: datetime
) -> dict[str, Any]:
    """For a machine: every certificate on every host, with what is wrong about it."""
    status = worst(rows)
    number = verify_table.counts(shown)
    listed = [
        {
            **one.result(),
            "seconds_left": int((moment(one.not_after) - now).total_seconds()) if one.dated else 0,
            "status": status.get((one.host, one.name), "ok"),
        }
        for one in seen
    ]
    body = {"ok": number["fail"] == 0, "counts": number, "rows": list(shown), "certificates": listed}
    return {"certificates": body}
