# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe run shows: the longest gap of each kind of probe, and whether a write was lost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab import probefiles
from lab.errors import LabError
from lab.ledger import Seen, check, read_ledger


@dataclass(frozen=True)
class Gap:
    """A time without success."""

    seconds: float
    begin: float


@dataclass(frozen=True)
class Summary:
    """One kind of probe on one kind of connection.

    `longest_gap` is the longest time between two successes, the run's begin and end included. `longest_pause` is the
    longest time in which the prober itself began nothing: where it is not near the tick, the gap is the prober's.
    """

    count: int
    ok: int
    failed: int
    unknown: int
    conflict: int
    failed_share: float
    longest_gap: float
    longest_gap_after: float
    longest_pause: float
    latency_p50: float
    latency_p99: float


def longest_gap(successes: Iterable[float], begin: float, end: float) -> Gap:
    """Return the longest time without a success between `begin` and `end`."""
    longest, last = Gap(0.0, begin), begin
    for moment in [*sorted(moment for moment in successes if begin <= moment <= end), end]:
        if moment - last > longest.seconds:
            longest = Gap(moment - last, last)
        last = moment
    return longest


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of all values do not exceed, 0 when there are none."""
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def summarize(probes: Sequence[dict[str, Any]], begin: float, end: float) -> Summary:
    """Sum up the probes of one kind."""
    outcomes = [probe["outcome"] for probe in probes]
    good = [probe for probe in probes if probe["outcome"] == "ok"]
    gap = longest_gap((probe["end"] for probe in good), begin, end)
    pause = longest_gap((probe["start"] for probe in probes), begin, end)
    latencies = [probe["end"] - probe["start"] for probe in good]
    bad = outcomes.count("failed") + outcomes.count("unknown")
    return Summary(
        count=len(probes),
        ok=len(good),
        failed=outcomes.count("failed"),
        unknown=outcomes.count("unknown"),
        conflict=outcomes.count("conflict"),
        failed_share=round(bad / len(probes), 6) if probes else 0.0,
        longest_gap=round(gap.seconds, 3),
        longest_gap_after=round(gap.begin - begin, 3),
        longest_pause=round(pause.seconds, 3),
        latency_p50=round(quantile(latencies, 0.5), 4),
        latency_p99=round(quantile(latencies, 0.99), 4),
    )


def report(directory: Path) -> dict[str, Any]:
    """Read a run's files and judge them; the result is also written beside them."""
    try:
        meta = probefiles.load(directory / probefiles.META)
        probes = probefiles.load_lines(directory / probefiles.PROBES)
        acks = read_ledger(directory / probefiles.LEDGER)
    except FileNotFoundError as exc:
        raise LabError(f"{directory} holds no probe run: {exc.filename} is missing.") from exc
    final_path = directory / probefiles.FINAL
    final = probefiles.load(final_path) if final_path.exists() else {}
    begin = meta["started"]
    # A prober that was killed wrote no end: what it wrote last is the end.
    end = meta.get("ended") or max((probe["end"] for probe in probes), default=begin)
    groups: dict[str, list[dict[str, Any]]] = {}
    for probe in probes:
        groups.setdefault(f"{probe['kind']}/{probe['connection']}", []).append(probe)
    kinds = {name: summarize(members, begin, end) for name, members in sorted(groups.items())}
    reads = [Seen(one["connection"], one["last"], one["version"], one["start"]) for one in probes if "last" in one]
    problems = check(acks, reads, final)
    content = {
        "server": meta["server"],
        "started_wall": meta["wall"],
        "duration": round(end - begin, 3),
        "longest_gap": max((one.longest_gap for one in kinds.values()), default=0.0),
        "failed_share": max((one.failed_share for one in kinds.values()), default=0.0),
        "probes": {name: asdict(one) for name, one in kinds.items()},
        "ledger": {
            "acknowledged": len(acks),
            "unknown": sum(one.unknown for name, one in kinds.items() if name.startswith("write/")),
            "problems": problems,
        },
    }
    probefiles.save(directory / probefiles.SUMMARY, content)
    return content


def text(content: dict[str, Any]) -> str:
    """Return a report for people."""
    lines = [f"{content['server']}: {content['duration']} s, longest gap {content['longest_gap']} s"]
    lines.append("probe         count   failed  unknown conflict  longest gap  (after)   p50 ms   p99 ms")
    for name, one in content["probes"].items():
        lines.append(
            f"{name:12} {one['count']:6} {one['failed']:8} {one['unknown']:8} {one['conflict']:8}"
            f" {one['longest_gap']:10.3f} s {one['longest_gap_after']:8.1f}"
            f" {one['latency_p50'] * 1000:8.1f} {one['latency_p99'] * 1000:8.1f}"
        )
    ledger = content["ledger"]
    lines.append(f"writes: {ledger['acknowledged']} acknowledged, {ledger['unknown']} unknown")
    lines += ledger["problems"] or ["no acknowledged write was lost"]
    return "\n".join(lines)
