"""The gate: runs the lanes' parts side by side, shows progress, and says where the time went.

Usage: python3 -m tests.run [LANE ...] [--only PART] [--list]
Logs are kept under .build/logs. The exit status is 0 only when every part passed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from tests.lanes import LANES, ROOT, SETUP, Part, select

LOGS = ROOT / ".build" / "logs"
SLOTS = max(2, os.cpu_count() or 2)
HEARTBEAT_SECONDS = 30
TAIL_LINES = 60
REASON_LENGTH = 300
SUMMARY = re.compile(r"^=+ short test summary info =+$", re.MULTILINE)
NAMED = re.compile(r"^(?:FAILED|ERROR) \S.*$", re.MULTILINE)
CLOSING = re.compile(r"^=*\s*((?:\d+ \w+(?:, )?)+ in [\d.]+s.*?)\s*=*$", re.MULTILINE)


@dataclass
class Run:
    """A part that was started, or that could not be."""

    part: Part
    started: float
    process: subprocess.Popen[bytes] | None = None
    log: IO[bytes] | None = None
    seconds: float = 0.0
    status: int | None = None
    why: str = ""

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def path(self) -> Path:
        return LOGS / (self.part.id.replace(":", "-") + ".log")

    def text(self) -> str:
        return self.path.read_text(errors="replace") if self.path.exists() else ""

    def closing(self) -> str:
        """pytest's closing line, when there is one."""
        found = CLOSING.findall(self.text())
        return str(found[-1]) if found else ""

    def failures(self) -> list[str]:
        """The tests that failed, with their reasons, as pytest's summary names them; else why the part failed."""
        if self.ok:
            return []
        summary = SUMMARY.split(self.text())[1:]
        named = [line[:REASON_LENGTH] for line in NAMED.findall(summary[-1])] if summary else []
        # One that was ended at its limit has no summary, or that of a run inside it.
        return named if named and not self.why else [*named, f"FAILED {self.why or f'exit {self.status}'}"]

    def counts(self) -> tuple[int, int]:
        """Tests passed and failed; a part that is no pytest run counts as one test."""
        closing = self.closing()
        passed = sum(int(n) for n in re.findall(r"(\d+) passed", closing))
        failed = sum(int(n) for n in re.findall(r"(\d+) (?:failed|errors?)", closing))
        if not passed and not failed:
            return (1, 0) if self.ok else (0, 1)
        return passed, failed if self.ok else max(failed, 1)


class Gate:
    """Starts parts when what they need is done and a slot is free; remembers how each ended."""

    def __init__(self, parts: list[Part]) -> None:
        self.waiting = parts
        self.running: list[Run] = []
        self.done: list[Run] = []
        self.began = time.monotonic()
        self.spoke = self.began

    def say(self, text: str) -> None:
        self.spoke = time.monotonic()
        print(f"[{self.spoke - self.began:6.0f} s] {text}", flush=True)

    def run(self) -> None:
        while self.waiting or self.running:
            self._refuse_hopeless()
            while (part := self._next()) is not None:
                self._start(part)
            self._collect()
            self._heartbeat()
            time.sleep(0.1)

    def _refuse_hopeless(self) -> None:
        bad = {run.part.id for run in self.done if not run.ok}
        for part in [part for part in self.waiting if bad & set(part.needs)]:
            self.waiting.remove(part)
            why = f"not run: {', '.join(sorted(bad & set(part.needs)))} failed"
            self.done.append(Run(part, time.monotonic(), status=1, why=why))
            self.say(f"{part.id}  {why}")

    def _next(self) -> Part | None:
        good = {run.part.id for run in self.done if run.ok}
        if any(run.part.alone for run in self.running) or len(self.running) >= SLOTS:
            return None
        for part in self.waiting:
            if set(part.needs) <= good and not (part.alone and self.running):
                return part
        return None

    def _start(self, part: Part) -> None:
        self.waiting.remove(part)
        run = Run(part, time.monotonic())
        env = {**os.environ, **part.env}
        if part.lab:
            env["LAB_NAME"] = part.lab
            lab_down(part.lab)
        run.log = run.path.open("wb")
        run.process = subprocess.Popen(
            part.argv,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=run.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.running.append(run)
        self.say(f"{part.id}  started")

    def _collect(self) -> None:
        for run in list(self.running):
            assert run.process is not None
            elapsed = time.monotonic() - run.started
            if run.process.poll() is None and elapsed > run.part.minutes * 60:
                run.why = f"stopped after {run.part.minutes:g} minutes, its limit"
                end(run)
            if run.process.poll() is not None:
                self._finish(run, run.process.returncode)

    def _finish(self, run: Run, status: int) -> None:
        self.running.remove(run)
        self.done.append(run)
        run.status = status or (1 if run.why else 0)
        run.seconds = time.monotonic() - run.started
        if run.log:
            run.log.close()
        if run.part.lab:
            lab_down(run.part.lab)
        word = "passed" if run.ok else f"FAILED (exit {status}) {run.why}".rstrip()
        self.say(f"{run.part.id}  {word}  {run.seconds:.0f} s  {run.closing()}".rstrip())
        if not run.ok:
            tail = run.text().splitlines()[-TAIL_LINES:]
            print("\n".join(f"    | {line}" for line in tail), flush=True)
            print(f"    the whole log: {os.path.relpath(run.path)}", flush=True)

    def _heartbeat(self) -> None:
        if time.monotonic() - self.spoke < HEARTBEAT_SECONDS:
            return
        for run in self.running:
            last = (run.text().strip().splitlines() or [""])[-1]
            self.say(f"{run.part.id}  {time.monotonic() - run.started:.0f} s so far  {last.strip()[:100]}")

    def stop(self) -> None:
        """End what is still running, and only that. A second signal must not stop the tidying up."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for run in self.running:
            end(run)
            if run.part.lab:
                lab_down(run.part.lab)


def end(run: Run) -> None:
    """End the part's process group: first politely, so that it can tidy up."""
    assert run.process is not None
    for number, patience in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
        try:
            os.killpg(run.process.pid, number)
            run.process.wait(timeout=patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def lab_down(name: str) -> None:
    """Remove the lab of this name; a lab that is not there is no error."""
    env = {**os.environ, "LAB_NAME": name}
    with (LOGS / "lab-down.log").open("ab") as log, contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            (sys.executable, "-m", "lab", "down"),
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=False,
            timeout=120,
        )


def report(runs: list[Run], wall: float) -> bool:
    """Print where the time went, pytest's closing lines, what failed and, alone on the last line, the count.

    Where only the end of the output is kept, that end names every test that failed.
    """
    print(
        f"\nWhere the time went ({wall:.0f} s wall, {sum(run.seconds for run in runs):.0f} s of parts, {SLOTS} slots)"
    )
    for lane in (SETUP, *LANES):
        mine = [run for run in runs if run.part.lane == lane]
        if mine:
            print(f"  {lane:<36} {sum(run.seconds for run in mine):7.1f} s")
        for run in sorted(mine, key=lambda run: -run.seconds):
            print(
                f"    {run.part.name:<34} {run.seconds:7.1f} s  {'passed' if run.ok else 'FAILED'}  {run.why}".rstrip()
            )
    print()
    for run in runs:
        if run.closing():
            print(f"{run.part.id}\n===== {run.closing()} =====")
    bad = [f"  {run.part.id}  {line}" for run in runs for line in run.failures()]
    if bad:
        print("\nFailed:", *bad, sep="\n")
    counts = [run.counts() for run in runs if run.part.lane != SETUP or not run.ok]
    failed = sum(count[1] for count in counts)
    print(f"\n{sum(count[0] for count in counts)} passed, {failed} failed", flush=True)
    return failed == 0 and all(run.ok for run in runs)


def interrupted(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.run", description="The gate.")
    parser.add_argument("lanes", nargs="*", choices=[*LANES, []], help="default: all")
    parser.add_argument("--only", default="", metavar="PART", help="one part, for example molecule:containerd")
    parser.add_argument("--list", action="store_true", help="print the parts and stop")
    args = parser.parse_args()
    parts = select(args.lanes or list(LANES), args.only)
    if args.list or not parts:
        print("\n".join(part.id for part in parts) or f"no part {args.only}")
        return 0 if args.list else 2
    LOGS.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, interrupted)
    gate = Gate(parts)
    try:
        gate.run()
    except KeyboardInterrupt as why:
        gate.say(f"stopping ({why or 'interrupted'}): ending {', '.join(run.part.id for run in gate.running)}")
        gate.stop()
        return 130
    return 0 if report(gate.done, time.monotonic() - gate.began) else 1


if __name__ == "__main__":
    sys.exit(main())
