# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd units of a host: read in one call, planned as a value, changed in as few calls as there are verbs."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host

PROPERTIES = (
    "Id,Names,LoadState,ActiveState,UnitFileState,MainPID,ExecMainStartTimestamp,NeedDaemonReload,Type,"
    "StateChangeTimestampMonotonic"
)
RUNNING = ("active", "reloading", "refreshing")
ENABLED = ("enabled", "static", "alias", "indirect", "generated")
DISABLED = ("disabled", "static", "alias", "indirect", "generated", "masked", "masked-runtime", "")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@\\-]{0,254}")
EARLY = ("disable", "stop")
LATE = ("unmask", "daemon-reload", "mask", "enable", "reset-failed", "start")
LOG_LINES = 20
SETTLE_SECONDS = 0.3


@dataclass(frozen=True)
class Unit:
    """What systemd knows about a unit."""

    name: str
    load: str = "not-found"
    active: str = "unknown"
    enabled: str = "not-found"
    main_pid: int = 0
    started_at: str | None = None
    reload_needed: bool = False
    kind: str = ""
    settled_at: float | None = None

    @property
    def is_running(self) -> bool:
        return self.active in RUNNING

    def is_older_than(self, mtime_ns: int) -> bool:
        """Whether it was started, and last reloaded, before a file got its present content."""
        if self.settled_at is None:
            return False
        age = time.clock_gettime(time.CLOCK_MONOTONIC) - self.settled_at
        return (time.time() - age) * 1e9 < mtime_ns

    def info(self) -> dict[str, Any]:
        return {
            "active": self.active,
            "enabled": self.enabled,
            "main_pid": self.main_pid,
            "started_at": self.started_at,
        }


@dataclass(frozen=True)
class Wish:
    """What the caller wants of a unit; None leaves a property alone."""

    name: str
    enabled: bool | None = None
    state: str | None = None
    masked: bool | None = None
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnitPlan:
    """The verbs to run and the units for each, in this order. Some come before files change: what is stopped, is
    stopped while its unit file is still there."""

    verbs: tuple[tuple[str, tuple[str, ...]], ...]
    awaited: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    stale: tuple[tuple[str, str], ...] = ()

    @property
    def changed(self) -> tuple[str, ...]:
        return tuple(sorted({name for _verb, names in self.verbs for name in names}))

    @property
    def early(self) -> UnitPlan:
        return UnitPlan(tuple(step for step in self.verbs if step[0] in EARLY))

    @property
    def late(self) -> UnitPlan:
        return UnitPlan(tuple(step for step in self.verbs if step[0] not in EARLY), self.awaited, stale=self.stale)

    def steps(self) -> list[str]:
        stale = [f"{name} runs with an older {path}" for name, path in self.stale]
        return [f"{verb} {' '.join(names)}".strip() for verb, names in self.verbs] + stale


def unit_name(name: str) -> str:
    """containerd -> containerd.service; refuses what systemctl could take for an option or a pattern."""
    if not NAME.fullmatch(name):
        raise InputError("this is no name of a systemd unit", found=repr(name[:80]), next_step="correct `units`")
    suffixes = ("service", "socket", "timer", "target", "mount", "path", "slice", "swap", "automount")
    return name if name.rpartition(".")[2] in suffixes else f"{name}.service"


def parse_show(text: str) -> dict[str, Unit]:
    """`systemctl show` of several units: paragraphs of key=value. A unit is found under each of its names."""
    units: dict[str, Unit] = {}
    for paragraph in text.split("\n\n"):
        pairs = dict(line.partition("=")[::2] for line in paragraph.strip().splitlines() if "=" in line)
        if not pairs.get("Id"):
            continue
        unit = Unit(
            name=pairs["Id"],
            load=pairs.get("LoadState", ""),
            active=pairs.get("ActiveState", ""),
            enabled=pairs.get("UnitFileState", "") if pairs.get("LoadState") != "not-found" else "not-found",
            main_pid=int(pairs.get("MainPID") or 0),
            started_at=pairs.get("ExecMainStartTimestamp") or None,
            reload_needed=pairs.get("NeedDaemonReload") == "yes",
            kind=pairs.get("Type", ""),
            # Seconds of the monotonic clock: the last start, stop or reload.
            settled_at=int(pairs.get("StateChangeTimestampMonotonic") or 0) / 1e6 or None,
        )
        for name in {unit.name, *pairs.get("Names", "").split()}:
            units[name] = unit
    return units


def read_units(host: Host, names: list[str]) -> dict[str, Unit]:
    """The units under the names that were asked for; unknown ones as not-found."""
    full = [unit_name(name) for name in names]
    if not full:
        return {}
    answer = host.run(["systemctl", "show", f"--property={PROPERTIES}", "--", *full])
    units = parse_show(answer.out)
    return {name: units.get(name, Unit(name)) for name in full}


def stale_units(host: Host, wishes: list[Wish], have: dict[str, Unit], changing: set[str]) -> dict[str, str]:
    """Running units that have not read a file as it is now, or as this call leaves it: unit to file.

    A run that was killed between writing a file and the restart leaves such a unit; the next run finds it here.
    """
    found = {}
    for wish in wishes:
        unit = have[wish.name]
        for path in wish.reads if unit.is_running else ():
            identity = host.identity(path)
            if path in changing or (identity and unit.is_older_than(identity[1])):
                found[wish.name] = path
                break
    return found


def plan_units(
    wishes: list[Wish],
    have: dict[str, Unit],
    *,
    reload: bool,
    expected: set[str],
    stale: Mapping[str, str] = MappingProxyType({}),
) -> UnitPlan:
    """Wishes and what systemd knows -> verbs. `expected`: units whose files this very run writes."""
    chosen: dict[str, list[str]] = {}
    awaited = []
    for wish in wishes:
        unit = have[wish.name]
        if unit.load == "not-found" and wish.name not in expected and not _is_absence(wish):
            raise InputError(
                f"systemd knows no unit {wish.name}",
                where=wish.name,
                next_step="install its package, or list its unit file under `files`",
            )
        for verb in _verbs(wish, unit):
            chosen.setdefault(verb, []).append(wish.name)
        if wish.state == "started" and unit.active not in RUNNING:
            awaited.append(wish.name)
    if reload or any(unit.reload_needed for unit in have.values()):
        chosen["daemon-reload"] = []
    verbs = tuple((verb, tuple(chosen[verb])) for verb in (*EARLY, *LATE) if verb in chosen)
    running = sorted(name for name, unit in have.items() if unit.is_running)
    return UnitPlan(verbs, tuple(awaited), tuple(running), tuple(sorted(stale.items())))


def _is_absence(wish: Wish) -> bool:
    return (not wish.enabled and wish.state != "started") or wish.masked is True


def _verbs(wish: Wish, unit: Unit) -> list[str]:
    """What one unit needs."""
    is_masked = unit.enabled in ("masked", "masked-runtime")
    verbs = {
        "unmask": wish.masked is False and is_masked,
        "mask": wish.masked is True and not is_masked,
        "enable": wish.enabled is True and unit.enabled not in ENABLED,
        "disable": wish.enabled is False and unit.enabled not in (*DISABLED, "not-found"),
        "stop": wish.state == "stopped" and unit.active not in ("inactive", "failed", "unknown"),
        "reset-failed": wish.state == "started" and unit.active == "failed",
        "start": wish.state == "started" and unit.active not in (*RUNNING, "activating"),
    }
    return [verb for verb, needed in verbs.items() if needed]


def apply_units(host: Host, plan: UnitPlan, timeout: float) -> None:
    """Run the verbs, then wait until everything that was started stays active."""
    deadline = time.monotonic() + timeout
    for verb, names in plan.verbs:
        answer = host.run(["systemctl", verb, *(["--", *names] if names else [])], timeout=timeout)
        if answer.code:
            raise _failure(host, f"systemctl {verb} failed", list(names), answer.text)
    if plan.awaited:
        wait_active(host, list(plan.awaited), deadline)


def wait_active(host: Host, names: list[str], deadline: float) -> None:
    """Until all are active, and still are a moment later: a plain service counts as active before it can crash."""
    settled = False
    while True:
        units = read_units(host, names)
        bad = [name for name, unit in units.items() if unit.active not in RUNNING]
        if not bad and (settled or all(unit.kind in ("notify", "oneshot", "") for unit in units.values())):
            return
        if any(units[name].active == "failed" for name in bad) or time.monotonic() > deadline:
            raise _failure(host, "a service did not become active", bad or names, "")
        settled = not bad
        time.sleep(0.1 if bad else SETTLE_SECONDS)


def _failure(host: Host, what: str, names: list[str], said: str) -> CommandError:
    units = read_units(host, names) if names else {}
    bad = [name for name, unit in units.items() if unit.active not in RUNNING] or names
    log = ""
    for name in bad[:3]:
        log += host.run(["journalctl", "--no-pager", "-o", "cat", "-n", str(LOG_LINES), "-u", name]).out
    states = ", ".join(f"{name} is {units[name].active}" for name in bad if name in units)
    found = "; ".join(
        part for part in (states, said, f"its log ends with:\n{log.strip()}" if log.strip() else "") if part
    )
    first = bad[0] if bad else "UNIT"
    return CommandError(
        what, where=", ".join(bad), found=found, next_step=f"look at `journalctl -u {first}` on the host"
    )
