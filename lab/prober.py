# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the API for something ten times a second, in several ways at once, and writes down what it got."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lab import probefiles
from lab.channel import Answer, Channel, Request
from lab.errors import LabError
from lab.kubeconfig import Access
from lab.ledger import Ack, Ledger, last_number
from lab.writer import CONFLICT, Writer, outcome

NEW, KEPT = "new", "kept"
KINDS = ("readyz", "read", "write")
NAMESPACE = "lab-probe"
# Before and after the run the prober has patience: it is not what is measured.
PATIENCE = 60.0
PATIENT_TIMEOUT = 5.0
# As many as can be under way at once: three kinds a tick, each for at most a few timeouts.
WORKERS = 128
Probe = Callable[[], dict[str, object]]


@dataclass(frozen=True)
class Plan:
    """How to probe; `seconds` 0 means until told to stop. goes_back: etcd is restored from a snapshot meanwhile."""

    access: Access
    out: Path
    seconds: float = 30.0
    rate: float = 10.0
    timeout: float = 1.0
    namespace: str = NAMESPACE
    kinds: tuple[str, ...] = KINDS
    goes_back: bool = False


def ticks(stop: threading.Event, started: float, rate: float, seconds: float) -> Iterator[int]:
    """Yield the number of each tick at its time; ticks that went by meanwhile are left out, not made up for."""
    tick = 0
    while not stop.is_set() and (not seconds or tick < seconds * rate):
        delay = started + tick / rate - time.monotonic()
        if delay > 0 and stop.wait(delay):
            return
        yield tick
        tick = max(tick + 1, int((time.monotonic() - started) * rate))


class Prober:
    """Readiness, a read and a write at every tick, each on a new connection and on a kept one."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.stop = threading.Event()
        run = uuid.uuid4().hex
        self._writers = {stream: Writer(stream, plan.namespace, run) for stream in (NEW, KEPT)}

    def run(self) -> None:
        """Prepare the objects, probe until the time is over or `stop` is set, and read the objects a last time."""
        out = self._plan.out
        probefiles.fresh(out)
        self._prepare()
        recorder = probefiles.Recorder(out / probefiles.PROBES)
        ledger = Ledger(out / probefiles.LEDGER)
        meta = {"server": self._plan.access.server, "rate": self._plan.rate, "timeout": self._plan.timeout}
        meta |= {"started": time.monotonic(), "wall": time.time()}
        probefiles.save(out / probefiles.META, meta)
        self._probe_all(float(str(meta["started"])), recorder, ledger)
        probefiles.save(out / probefiles.META, {**meta, "ended": time.monotonic()})
        recorder.close()
        ledger.close()
        probefiles.save(out / probefiles.FINAL, self._final_state())

    def _probe_all(self, started: float, recorder: probefiles.Recorder, ledger: Ledger) -> None:
        when = partial(ticks, self.stop, started, self._plan.rate, self._plan.seconds)

        def once(kind: str, connection: str, tick: int, probe: Probe) -> None:
            wall = time.time()
            recorder.add({"kind": kind, "connection": connection, "tick": tick, "wall": wall, **probe()})

        def keep(kind: str, probe: Probe) -> None:
            # A kept connection carries one request at a time; a tick that comes meanwhile is left out.
            for tick in when():
                once(kind, KEPT, tick, probe)

        kinds = self._plan.kinds
        kept = [threading.Thread(target=keep, args=(kind, self._make_probe(kind, KEPT, ledger))) for kind in kinds]
        for thread in kept:
            thread.start()
        new = {kind: self._make_probe(kind, NEW, ledger) for kind in kinds}
        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            for tick in when():
                for kind, probe in new.items():
                    pool.submit(once, kind, NEW, tick, probe)
        for thread in kept:
            thread.join()

    def _make_probe(self, kind: str, stream: str, ledger: Ledger) -> Probe:
        access = self._plan.access
        context = access.as_nobody if kind == "readyz" else access.as_user
        channel = Channel(access.server, context, self._plan.timeout, kept=stream == KEPT)
        writer = self._writers[stream]
        if kind == "readyz":
            return lambda: facts(channel.ask(Request("GET", "/readyz")), writes=False)
        if kind == "read":
            return partial(_read, writer, channel)
        return partial(_write, writer, channel, ledger, self._plan.goes_back)

    def _patient(self) -> Channel:
        return Channel(self._plan.access.server, self._plan.access.as_user, PATIENT_TIMEOUT, kept=False)

    def _prepare(self) -> None:
        channel = self._patient()
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._plan.namespace}}
        namespace = Request("POST", "/api/v1/namespaces", json.dumps(body).encode())
        self._insist(lambda: channel.ask(namespace).status in {201, CONFLICT})
        for writer in self._writers.values():
            self._insist(partial(_start_object, writer, channel))

    def _insist(self, action: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not action():
            if self.stop.wait(0.5) or time.monotonic() > deadline:
                raise LabError(
                    f"{self._plan.access.server} did not take the probe's objects within {PATIENCE:.0f} s.",
                    "look at the API server first: curl -k .../readyz?verbose",
                )

    def _final_state(self) -> dict[str, str]:
        channel = self._patient()
        final: dict[str, str] = {}
        deadline = time.monotonic() + PATIENCE
        while len(final) < len(self._writers) and time.monotonic() < deadline:
            for stream, writer in self._writers.items():
                base = writer.parse(channel.ask(writer.read()))
                if base is not None:
                    final[stream] = base.written
            if len(final) < len(self._writers):
                time.sleep(0.5)
        return final


def _start_object(writer: Writer, channel: Channel) -> bool:
    answer = channel.ask(writer.create())
    if answer.status == CONFLICT:
        version = writer.version(channel.ask(writer.read()))
        answer = channel.ask(writer.replace(version)) if version else answer
    return writer.learn(answer) is not None


def _read(writer: Writer, channel: Channel) -> dict[str, object]:
    answer = channel.ask(writer.read())
    base = writer.parse(answer)
    seen = {} if base is None else {"last": last_number(base.written), "version": base.version}
    return {**facts(answer, writes=False), **seen}


def _write(writer: Writer, channel: Channel, ledger: Ledger, back: bool) -> dict[str, object]:
    attempt = writer.attempt()
    answer = channel.ask(attempt.request)
    base = writer.learn(answer)
    if base is not None:
        ledger.add(Ack(writer.stream, attempt.seq, base.version, answer.start, answer.end))
    elif answer.status == CONFLICT:
        # An earlier write whose answer never came, or is still on its way, was first: go on from what it left.
        writer.learn(channel.ask(writer.read()), back=back)
    return {**facts(answer, writes=True), "seq": attempt.seq}


def facts(answer: Answer, writes: bool) -> dict[str, object]:
    """Return what is recorded of an answer."""
    verdict = outcome(answer) if writes or answer.ok else "failed"
    return {
        "outcome": verdict,
        "start": answer.start,
        "end": answer.end,
        "status": answer.status,
        "error": answer.error,
    }
