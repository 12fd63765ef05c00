"""The gate's runner: what is needed comes first, a failure fails the whole, nothing outlives it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import lanes, run
from tests.lanes import ROOT, Part, select

PYTHON = sys.executable


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run, "LOGS", tmp_path)
    return tmp_path


def script(name: str, code: str, *needs: str, minutes: float = 1) -> Part:
    return Part("unit", name, (PYTHON, "-c", code), needs=tuple(f"unit:{need}" for need in needs), minutes=minutes)


def outcome(*parts: Part) -> tuple[run.Gate, bool]:
    gate = run.Gate(list(parts))
    gate.run()
    return gate, run.report(gate.done, 1.0)


def test_what_is_needed_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    gate, ok = outcome(script("second", "", "first"), script("first", ""))
    assert [done.part.name for done in gate.done] == ["first", "second"]
    assert ok
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 0 failed"


def test_a_failure_fails_the_whole_and_what_needs_it(capsys: pytest.CaptureFixture[str]) -> None:
    _gate, ok = outcome(script("bad", "print('the reason'); exit(3)"), script("after", "", "bad"), script("other", ""))
    assert not ok
    printed = capsys.readouterr().out
    assert "    | the reason" in printed
    assert "unit:after  not run: unit:bad failed" in printed
    assert printed.splitlines()[-1] == "1 passed, 2 failed"


def test_pytest_s_count_is_taken_over(capsys: pytest.CaptureFixture[str]) -> None:
    _gate, ok = outcome(script("tests", "print('..F\\n1 failed, 7 passed, 1 skipped in 0.10s'); exit(1)"))
    assert not ok
    last = capsys.readouterr().out.splitlines()
    assert last[-1] == "7 passed, 1 failed"
    assert "===== 1 failed, 7 passed, 1 skipped in 0.10s =====" in last


def test_the_end_names_every_test_that_failed_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "test_" + "that_says_a_lot_" * 8
    path = tmp_path / "test_real.py"
    path.write_text(
        "import logging, pytest\n"
        f"def {name}(): logging.error('noise'); assert 1 == 2, 'the reason'\n"
        "@pytest.fixture\ndef broken(): raise OSError('no server')\n"
        "def test_of_it(broken): pass\ndef test_good(): pass\n"
    )
    argv = (*lanes.pytest("-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", os.devnull), str(path))
    real = Part("unit", "real", argv, env=lanes.WIDE)
    _gate, ok = outcome(real, script("bad", "print('ERROR no summary'); exit(3)"), script("after", "", "bad"))
    assert not ok
    last = capsys.readouterr().out.splitlines()
    end = last[last.index("Failed:") :]
    assert "  unit:after  FAILED not run: unit:bad failed" in end[1:5]
    assert "  unit:bad  FAILED exit 3" in end[1:5]
    (broken, failed) = sorted(line for line in end[1:5] if line.startswith("  unit:real  "))
    assert failed.startswith("  unit:real  FAILED ")
    assert f"::{name} - AssertionError: the reason" in failed
    assert broken.startswith("  unit:real  ERROR ")
    assert "::test_of_it - OSError: no server" in broken
    assert end[5:] == ["", "1 passed, 4 failed"]


def test_of_what_passed_nothing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    code = "print('===== short test summary info =====\\nFAILED a test in a test'); print('1 passed in 0.10s')"
    _gate, ok = outcome(script("tests", code))
    assert ok
    assert "Failed:" not in capsys.readouterr().out


def test_a_green_count_with_a_red_exit_is_red(capsys: pytest.CaptureFixture[str]) -> None:
    _gate, ok = outcome(script("tests", "print('7 passed in 0.10s'); exit(1)"))
    assert not ok
    assert capsys.readouterr().out.splitlines()[-1] == "7 passed, 1 failed"


def test_a_part_that_hangs_is_ended(capsys: pytest.CaptureFixture[str]) -> None:
    _gate, ok = outcome(script("hangs", "import time; time.sleep(60)", minutes=0.01))
    assert not ok
    assert "its limit" in capsys.readouterr().out


def test_what_is_selected_brings_what_it_needs() -> None:
    ids = [part.id for part in select(["integration"])]
    assert ids == ["setup:deps", "setup:artifacts", "integration:pytest"]
    assert [part.id for part in select(["unit"])] == ["unit:pytest"]


def test_a_signal_ends_the_children_too(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    child = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    code = (
        "import sys; from tests import run, lanes; from pathlib import Path; "
        f"run.LOGS = Path({str(tmp_path)!r}); "
        f"run.select = lambda *_: [lanes.Part('unit', 'x', (sys.executable, '-c', {child!r}))]; sys.argv = ['x']; "
        "sys.exit(run.main())"
    )
    process = subprocess.Popen([PYTHON, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (mark.exists() and mark.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.terminate()
    assert process.wait(timeout=60) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
