# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sums and the table, without Ansible."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.plugin_utils import call_budget as core
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.call_recorder import Origin, Recorder, measure

SPANS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)).map(lambda pair: (pair[0], pair[0] + pair[1])))


def run(host: str, role: str, outcome: str, start: float = 0, end: float = 1, handler: bool = False) -> core.TaskRun:
    return core.TaskRun(host, role, f"{role}-{outcome}", outcome, start, end, handler)


@given(SPANS)
def test_covered_counts_each_moment_once(spans: list[tuple[int, int]]) -> None:
    moments = {moment for start, end in spans for moment in range(start, end)}
    assert core.covered(spans) == len(moments)


@given(st.permutations([run("a", "r", "ok"), run("b", "r", "skipped", 5, 6), run("a", "s", "changed", 0.5, 2, True)]))
def test_order_does_not_matter(runs: list[core.TaskRun]) -> None:
    report: Any = core.aggregate(runs, [], {}, 6.0)
    counted = {key: value for key, value in report["totals"].items() if value}
    assert counted == {"tasks": 3, "ok": 1, "skipped": 1, "changed": 1, "restarts": 1, "wall": 3.0}
    assert report["roles"]["r"]["wall"] == 2.0
    assert report["skip_share"] == pytest.approx(1 / 3, abs=1e-4)


def test_the_time_in_which_a_task_ran_alone() -> None:
    first, second = run("a", "r", "ok", 0, 10), run("b", "s", "ok", 4, 6)
    third, at_once = run("b", "r", "ok", 9, 12), run("c", "s", "ok", 12, 12)
    report: Any = core.aggregate([first, second, third, at_once], [], {}, 12.0)
    assert {row["role"]: (row["wall"], row["alone"]) for row in report["tasks"]} == {"r": (12, 10), "s": (2, 0)}


def test_a_task_that_was_included_for_each_host_is_one() -> None:
    runs = [core.TaskRun(host, "r", f"id-{host}", "ok", 0, 5) for host in ("a", "b")]
    other = core.TaskRun("a", "r", "id", "ok", 4, 6)
    report: Any = core.aggregate(
        [*runs, other], [], {"id-a": "r : Import", "id-b": "r : Import", "id": "r : Start"}, 6.0
    )
    seen = {row["name"]: (row["tasks"], row["wall"], row["alone"]) for row in report["tasks"]}
    assert seen == {"r : Import": (2, 5.0, 4.0), "r : Start": (1, 2.0, 1.0)}


def test_lines_survive_a_cut_and_stay_small() -> None:
    call = core.Call("h" * 5000, "r" * 5000, "t" * 5000, "exec", True, 10**12, 10**12, 1.5)
    assert len(call.line()) < 4096
    short = core.Call("a", "r", "t", "put", False, 5, 0, 0.25)
    assert core.parse_calls([short.line(), call.line()[:100], b""]) == [short]


def test_empty_run_has_a_report_and_a_table() -> None:
    report: Any = core.aggregate([], [], {}, 0.0)
    assert report["skip_share"] == 0.0
    assert core.table(report, 10)[-1].split()[0] == "all"


def test_table_shows_the_busiest_hosts_only() -> None:
    hosts = [f"h{number}" for number in range(5) for _ in range(number)]
    calls = [core.Call(host, "r", "t", "exec", True, 1536, 0, 0.1) for host in hosts]
    report: Any = core.aggregate([], calls, {}, 1.0)
    lines = core.table(report, 2)
    assert [line.split()[0] for line in lines] == ["role", "r", "host", "h4", "h3", "all"]
    assert "15.0k" in lines[-1]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (1023, "1023"), (1536, "1.5k"), (5 * 2**20, "5.0M"), (3 * 2**30, "3.0G")]
)
def test_human_bytes(count: int, text: str) -> None:
    assert core.human_bytes(count) == text


def test_measure(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    assert measure("exec", ("ä",), {"in_data": b"xyz"}, (0, b"out", b"e")) == (5, 4)
    assert measure("exec", ("cmd",), {}, None) == (3, 0)
    assert measure("put", (str(path), "/there"), {}, None) == (4, 0)
    assert measure("fetch", ("/there", str(path)), {}, None) == (0, 4)
    assert measure("fetch", ("/there", str(tmp_path / "none")), {}, None) == (0, 0)


def test_forked_workers_record_into_one_file_and_nested_calls_count_once() -> None:
    class Base:
        transport = "ssh"

    class Before(Base):
        def exec_command(self, cmd: str) -> tuple[int, bytes, bytes]:
            return 0, cmd.encode(), b""

    recorder = Recorder(lambda _connection: Origin("host", "role", "task"))
    recorder.install(Base)

    class After(Before):
        def exec_command(self, cmd: str) -> tuple[int, bytes, bytes]:
            return super().exec_command(cmd)

        def put_file(self, in_path: str, out_path: str) -> None:
            self.exec_command(f"cat {in_path} {out_path}")

    class Controller(After):
        transport = "local"

    def work() -> None:
        for _ in range(50):
            After().exec_command("four")
        After().put_file("/nowhere", "/there")
        Before().exec_command("x")
        Controller().exec_command("x")

    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    calls = recorder.calls()
    recorder.close()
    assert len(calls) == 4 * 53
    assert sum(call.sent for call in calls if call.remote) == 4 * (50 * 4 + 1)
    assert [call.kind for call in calls].count("put") == 4
    assert sum(not call.remote for call in calls) == 4


def test_a_failing_call_is_counted_and_raises() -> None:
    class Base:
        transport = "ssh"

    class Broken(Base):
        def exec_command(self, cmd: str) -> None:
            raise ConnectionError(f"gone: {cmd}")

    recorder = Recorder(lambda _connection: Origin("host", "role", "task"))
    recorder.install(Base)
    with pytest.raises(ConnectionError):
        Broken().exec_command("abc")
    assert [(call.kind, call.sent, call.received) for call in recorder.calls()] == [("exec", 3, 0)]
    recorder.close()
