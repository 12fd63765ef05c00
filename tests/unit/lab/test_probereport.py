# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaps are measured between successes, and a run is judged from its files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import probefiles, probereport
from lab.errors import LabError
from lab.ledger import Ack, Ledger


def probe(end: float, outcome: str = "ok", **more: Any) -> dict[str, Any]:
    return {"kind": "read", "connection": "new", "outcome": outcome, "start": end - 0.01, "end": end, **more}


def test_the_longest_gap_lies_between_two_successes() -> None:
    gap = probereport.longest_gap([0.1, 0.2, 1.5, 1.6], 0.0, 1.7)
    assert gap.seconds == pytest.approx(1.3)
    assert gap.begin == pytest.approx(0.2)


def test_the_order_of_the_answers_does_not_matter() -> None:
    assert probereport.longest_gap([1.6, 0.1, 1.5, 0.2], 0.0, 1.7).seconds == pytest.approx(1.3)


def test_a_run_that_begins_or_ends_in_an_outage_counts_it() -> None:
    assert probereport.longest_gap([3.0, 3.1], 0.0, 3.2).seconds == pytest.approx(3.0)
    assert probereport.longest_gap([0.1], 0.0, 5.1).seconds == pytest.approx(5.0)
    assert probereport.longest_gap([], 0.0, 4.0).seconds == pytest.approx(4.0)


def test_answers_after_the_end_do_not_shorten_a_gap() -> None:
    assert probereport.longest_gap([1.0, 9.0], 0.0, 3.0).seconds == pytest.approx(2.0)


def test_quantiles_are_values_that_occurred() -> None:
    values = [float(number) for number in range(1, 101)]
    assert probereport.quantile(values, 0.5) == 50.0
    assert probereport.quantile(values, 0.99) == 99.0
    assert probereport.quantile([], 0.5) == 0.0
    assert probereport.quantile([7.0], 0.99) == 7.0


def test_a_conflict_is_neither_success_nor_failure() -> None:
    probes = [probe(0.1), probe(0.2, "conflict"), probe(0.3, "failed"), probe(0.4, "unknown"), probe(0.5)]
    summary = probereport.summarize(probes, 0.0, 0.6)
    assert (summary.count, summary.ok, summary.conflict, summary.failed, summary.unknown) == (5, 2, 1, 1, 1)
    assert summary.failed_share == pytest.approx(0.4)
    assert summary.longest_gap == pytest.approx(0.4)


def test_a_prober_that_paused_is_told_from_a_server_that_did() -> None:
    stalled = probereport.summarize([probe(0.1), probe(2.1)], 0.0, 2.2)
    outage = probereport.summarize([probe(0.1), *(probe(n / 10, "failed") for n in range(2, 21)), probe(2.1)], 0.0, 2.2)
    assert stalled.longest_gap == pytest.approx(outage.longest_gap)
    assert stalled.longest_pause == pytest.approx(2.0)
    assert outage.longest_pause == pytest.approx(0.1, abs=0.02)


def write_run(directory: Path, final: dict[str, str], ended: float | None = 1.0) -> None:
    ended_part = {} if ended is None else {"ended": ended}
    probefiles.fresh(directory)
    probefiles.save(
        directory / probefiles.META, {"server": "https://192.0.2.1", "started": 0.0, "wall": 1.0, **ended_part}
    )
    recorder = probefiles.Recorder(directory / probefiles.PROBES)
    for probed in (probe(0.1, last=0, version=9), probe(0.5, last=1, version=10), probe(0.9, "failed")):
        recorder.add(probed)
    recorder.close()
    ledger = Ledger(directory / probefiles.LEDGER)
    ledger.add(Ack("new", 1, 10, 0.2, 0.3))
    ledger.close()
    probefiles.save(directory / probefiles.FINAL, final)


def test_a_run_is_judged_from_its_files(tmp_path: Path) -> None:
    write_run(tmp_path, {"new": "1"})
    content = probereport.report(tmp_path)
    assert content["ledger"] == {"acknowledged": 1, "unknown": 0, "problems": []}
    assert content["probes"]["read/new"]["longest_gap"] == pytest.approx(0.5)
    assert probefiles.load(tmp_path / probefiles.SUMMARY) == content
    assert "no acknowledged write was lost" in probereport.text(content)


def test_a_lost_write_is_in_the_report(tmp_path: Path) -> None:
    write_run(tmp_path, {"new": ""})
    content = probereport.report(tmp_path)
    assert content["ledger"]["problems"] == ["new: 1 acknowledged writes are lost: 1"]
    assert "are lost: 1" in probereport.text(content)


def test_a_prober_that_was_killed_ends_with_its_last_line(tmp_path: Path) -> None:
    write_run(tmp_path, {"new": "1"}, ended=None)
    assert probereport.report(tmp_path)["duration"] == pytest.approx(0.9)


def test_a_directory_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="holds no probe run"):
        probereport.report(tmp_path)
