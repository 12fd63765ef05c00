# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's arithmetic and its report: a failure or a missed goal must never look like a success."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from bench import stats, store, vrrp
from bench.cluster import last_words, parse_phases
from bench.faults import gap_between, judged
from bench.goals import SCENARIOS, Goal
from bench.report import render, verdict, write
from lab.errors import LabError

MACHINE = {"cores": 2, "memory_gib": 24, "processor": "p", "kernel": "6.1", "system": "Debian", "python": "3.11"}


def results(name: str, *runs: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "command": "python3 -m bench", "date": "2026-01-01", "machine": MACHINE, "runs": list(runs)}


def site(pair: int, wall: float, **more: Any) -> dict[str, Any]:
    return {
        "kind": "site",
        "pair": pair,
        "wall": wall,
        "failed": False,
        "calls": {"worker": 24},
        "skip_share": 0.05,
        **more,
    }


def second(pair: int, wall: float, changed: int = 0, restarted: tuple[str, ...] = ()) -> dict[str, Any]:
    run = site(pair, wall, totals={"changed": changed}, restarted=list(restarted))
    return {**run, "kind": "second", "calls": {"worker": 9}}


def baseline(pair: int, wall: float) -> dict[str, Any]:
    return {"kind": "baseline", "pair": pair, "wall": wall, "failed": False, "phases": {"verified": wall}}


def test_ratio_is_the_median_of_the_pairs() -> None:
    assert stats.ratio([(120, 100), (300, 100), (110, 100)]) == 1.2
    assert stats.ratio([]) is None
    assert stats.median([]) is None


def test_restarted_names_each_process_that_changed() -> None:
    before = {"cp1": {"etcd": [(5, 100)], "kubelet": [(7, 90)], "haproxy": [(1, 1), (2, 2)]}}
    assert stats.restarted(before, before) == []
    after = {"cp1": {"etcd": [(5, 101)], "kubelet": [(7, 90)], "haproxy": [(2, 2), (1, 1)]}}
    assert stats.restarted(before, after) == ["cp1: etcd"]
    assert stats.restarted(before, {"cp1": {"kubelet": [(7, 90)], "haproxy": [(1, 1)]}}) == [
        "cp1: etcd",
        "cp1: haproxy",
    ]
    assert stats.restarted({}, {"w1": {"kubelet": [(1, 1)]}}) == ["w1: kubelet"]


def test_processes_are_the_same_after_a_round_through_json() -> None:
    found = stats.parse_processes("kubelet 30 400\nhaproxy 9 80\nhaproxy 8 79\n")
    assert found == {"haproxy": [(8, 79), (9, 80)], "kubelet": [(30, 400)]}


def test_most_calls_takes_the_worst_host_of_a_group() -> None:
    report = {"hosts": {"w1": {"remote_calls": 9}, "w2": {"remote_calls": 12}, "w10": {"remote_calls": 99}}}
    assert stats.most_calls(report, {"worker": ["w1", "w2"], "lb": ["lb1"]}) == {"worker": 12, "lb": 0}


def test_changed_tasks_are_named() -> None:
    tasks = [
        {"role": "containerd", "name": "Configure", "changed": 2},
        {"role": "kubelet", "name": "Same", "changed": 0},
    ]
    assert stats.changed_tasks({"tasks": tasks}) == ["containerd: Configure"]


def test_phases_are_read_from_the_baseline_output() -> None:
    assert parse_phases("noise\nphase   12.5 machines prepared\nphase  100.0 verified\n") == {
        "machines prepared": 12.5,
        "verified": 100.0,
    }


def test_last_words_begin_with_what_went_wrong() -> None:
    text = "\n".join(["TASK [x]", "fatal: [cp2]: FAILED!", *(f"line {number}" for number in range(40)), "", "  "])
    assert last_words(text)[0] == "fatal: [cp2]: FAILED!"
    assert last_words(text)[-1] == "line 39"


@pytest.mark.parametrize(("value", "met"), [(1.3, "yes"), (1.31, "**no**"), (0, "yes"), (None, "-")])
def test_a_goal_is_met_up_to_its_value(value: float | None, met: str) -> None:
    assert verdict(Goal("ratio", 1.3), value)[-1] == met


def test_report_of_good_runs() -> None:
    runs = [run for pair in range(3) for run in (site(pair, 60.0), baseline(pair, 50.0), second(pair, 8.0))]
    text = render({"site": results("site", *runs)})
    assert "| site.yml / baseline.sh, median of the pairs | 1.2 | ≤ 1.3 (1.2 is the aim) | yes |" in text
    assert "| second run, tasks that changed something, most | 0 | ≤ 0 | yes |" in text
    assert "Failed runs: none of 9." in text
    assert "Not measured yet: small, sources, upgrades, faults, vrrp." in text


def test_report_tells_what_went_wrong() -> None:
    bad = {
        "kind": "site",
        "pair": 1,
        "wall": 9.0,
        "failed": True,
        "status": 2,
        "tail": ["fatal: cp2 is gone", "PLAY RECAP"],
    }
    runs = [site(0, 90.0), baseline(0, 50.0), second(0, 30.0, 2, ("cp1: etcd",)), bad]
    text = render({"site": results("site", *runs)})
    assert "| site.yml / baseline.sh, median of the pairs | 1.8 | ≤ 1.3 (1.2 is the aim) | **no** |" in text
    assert "| second run, tasks that changed something, most | 2 | ≤ 0 | **no** |" in text
    assert "| second run, processes restarted, most | 1 | ≤ 0 | **no** |" in text
    assert "| second run, wall, median | 30 s | ≤ 12 s (5 % of the first run or 12 s) | **no** |" in text
    assert "Failed runs: 1 of 4." in text
    assert "- site 2: fatal: cp2 is gone" in text


def test_a_failed_pair_is_not_a_pair() -> None:
    bad = {**baseline(0, 1.0), "failed": True, "tail": []}
    text = render({"site": results("site", site(0, 60.0), bad)})
    assert "| site.yml / baseline.sh, median of the pairs | not measured |" in text


def fault(scenario: str, during: float, gap: float, lost: int = 0) -> dict[str, Any]:
    seen = {"fault_gap": during, "gap": gap, "lost": lost, "acknowledged": 100}
    return {"scenario": scenario, "number": 0, "failed": False, **seen}


def test_the_worst_gap_decides() -> None:
    name = "control-plane-frozen"
    runs = [fault(name, 1.0, 2.0), fault(name, 1.5, 5.0), fault(name, 3.0, 3.0, lost=1)]
    text = render({"faults": results("faults", *runs)})
    row, each = (line for line in text.splitlines() if "a control plane frozen" in line)
    assert "| 3 | 1.5 | 3.0 | yes | 3.0 | 5.0 | **no** | ≤ 4 s | 1 of 300 |" in row
    assert "| 1.00 / 2.00, 1.50 / 5.00, 3.00 / 3.00 |" in each


def test_the_gap_of_the_fault_ends_with_it() -> None:
    def probe(kind: str, end: float, outcome: str = "ok") -> dict[str, Any]:
        return {"kind": kind, "connection": "new", "end": end, "outcome": outcome}

    reads = [probe("read", moment) for moment in (9.9, 10.1, 10.2, 12.7, 15.0, 40.0)]
    writes = [probe("write", moment) for moment in (10.0, 12.0, 14.0, 15.0)] + [probe("write", 11.0, "failed")]
    assert gap_between([*reads, *writes], 10.0, 15.0) == 2.5
    # A stream that never answers again is as long as the fault.
    assert gap_between([*reads, probe("write", 12.0, "failed")], 10.0, 15.0) == 5.0


def test_every_scenario_has_its_row_even_when_nothing_was_measured() -> None:
    text = render(
        {"faults": results("faults", {"scenario": "haproxy-killed", "number": 0, "failed": True, "error": "x"})}
    )
    assert all(scenario.goal.what in text for scenario in SCENARIOS)
    assert "- haproxy-killed 1: x" in text


def test_judged_takes_the_worst_stream_and_dates_its_gap() -> None:
    def stream(gap: float, after: float, pause: float) -> dict[str, float]:
        return {"longest_gap": gap, "longest_gap_after": after, "longest_pause": pause}

    probes = {"read/new": stream(0.3, 1, 0.2), "write/kept": stream(2.5, 7, 1.1), "write/new": stream(1.0, 7, 0.1)}
    ledger = {"acknowledged": 10, "problems": ["new: 1 acknowledged writes are lost: 4"]}
    found = judged({"probes": probes, "failed_share": 0.1, "ledger": ledger}, started=100.0, injected=106.5)
    assert (found["gap"], found["gap_of"], found["gap_begins"]) == (2.5, "write/kept", 0.5)
    assert (found["prober_pause"], found["lost"]) == (0.2, 1)


def test_each_result_is_on_disk_at_once(tmp_path: Path) -> None:
    kept = store.Results("site", "python3 -m bench site", tmp_path)
    assert store.load("site", tmp_path) is None
    kept.add(site(0, 60.0))
    first = store.load("site", tmp_path)
    kept.add(baseline(0, 50.0))
    again = store.load("site", tmp_path)
    assert first is not None
    assert again is not None
    assert [len(first["runs"]), len(again["runs"])] == [1, 2]
    write(tmp_path, tmp_path / "RESULTS.md")
    assert "1.2" in (tmp_path / "RESULTS.md").read_text()


def test_the_curve_of_the_advert_interval_tells_gaps_moves_and_failures() -> None:
    shared = {"processes": 16, "stress_seconds": 60.0}
    good = {**shared, "interval": 0.2, "gaps": [0.7, 0.9, 0.8], "false_failovers": 2, "failed": False}
    bad = {**shared, "interval": 0.5, "failed": True, "error": "nobody took over"}
    text = render({"vrrp": results("vrrp", good, bad)})
    assert "| 0.2 | 0.8 | 0.9 | 0.70, 0.90, 0.80 | 2 |" in text
    assert "Failed runs: 1 of 2." in text
    assert "adverts every 0.5 s" in text
    assert "nobody took over" in text


def test_sources_are_compared_by_their_medians() -> None:
    def of(kind: str, first: float, problem: str = "") -> dict[str, Any]:
        fetched = {"cp1": 500.0, "cp2": 326.4, "cp3": 326.0, "w1": 215.2}
        spent = {"all hosts": 60.0, "clock": 25.0, "alone": 3.4}
        more = {"failed": bool(problem), "error": problem} if problem else {"failed": False}
        return {"kind": kind, "number": 0, "first": first, "second": 15.0, "fetched": fetched, "imports": spent, **more}

    runs = [of("bundle", 140.0), of("bundle", 150.0), of("public", 9.0, "packets tried to leave the lab")]
    text = render({"sources": results("sources", *runs)})
    assert "| bundle | 2 | 145 | 15 | 500, 326, 326 | 215 | 60 | 25 | 3 |" in text
    assert "- public 1: packets tried to leave the lab" in text


class Balancers:
    """Two load balancers of which the second answers some time after the first was killed."""

    settings = None

    def __init__(self, after: float) -> None:
        self.after = after
        self.killed = 0.0

    def settle(self) -> str:
        return "lb1"

    def answers(self, _timeout: float) -> bool:
        return time.monotonic() - self.killed > self.after


def test_a_takeover_lasts_until_somebody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vrrp, "WATCH_SECONDS", 0.6)
    monkeypatch.setattr(vrrp, "QUIET_SECONDS", 0.2)
    started: list[list[str]] = []
    pair: Any = Balancers(0.25)
    monkeypatch.setattr(vrrp.faults, "kill", lambda _settings, _names: setattr(pair, "killed", time.monotonic()))

    def start(_settings: Any, names: list[str]) -> None:
        # Booting a machine takes longer than any takeover.
        time.sleep(0.3)
        started.append(names)

    monkeypatch.setattr(vrrp.faults, "start", start)
    assert 0.2 < vrrp.takeover(pair) < 0.4
    pair.after = 60.0
    with pytest.raises(LabError, match="nothing answered at the VIP"):
        vrrp.takeover(pair)
    assert started == [["lb1"], ["lb1"]], "the machine is put right in any case"
