"""systemd units: what is read, what is planned, what is run, and what an error says."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_units as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Result
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_units import Unit, UnitPlan, Wish, plan_units
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok

SHOW = """Type=notify
Id=containerd.service
Names=containerd.service cri.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
MainPID=321
ExecMainStartTimestamp=Sat 2026-11-21 12:09:01 UTC
NeedDaemonReload=no

Type=
Id=none.service
Names=none.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
MainPID=0
ExecMainStartTimestamp=
NeedDaemonReload=no
"""
NAME = "a.service"
ABSENT = Unit(NAME, active="inactive")
STOPPED = Unit(NAME, "loaded", "inactive", "disabled")
RUNNING = Unit(NAME, "loaded", "active", "enabled", 7)


def verbs(wish: Wish, unit: Unit, *, reload: bool = False, expected: set[str] | None = None) -> list[str]:
    return [verb for verb, _names in plan_units([wish], {NAME: unit}, reload=reload, expected=expected or set()).verbs]


def test_show_is_read_under_every_name() -> None:
    units = subject.parse_show(SHOW)
    assert units["cri.service"] is units["containerd.service"]
    assert units["containerd.service"].info() == {
        "active": "active",
        "enabled": "enabled",
        "main_pid": 321,
        "started_at": "Sat 2026-11-21 12:09:01 UTC",
    }
    assert (units["none.service"].enabled, units["none.service"].started_at) == ("not-found", None)


@given(st.text())
def test_show_takes_any_text(text: str) -> None:
    assert isinstance(subject.parse_show(text.replace("MainPID", "")), dict)


def test_one_call_reads_all_units(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, {"systemctl show": ok(SHOW)})
    units = subject.read_units(host, ["containerd", "none", "unheard-of.timer"])
    assert len(host.calls) == 1
    assert units["containerd.service"].main_pid == 321
    assert units["unheard-of.timer"].load == "not-found"


def test_a_host_without_systemd_has_unknown_units(tmp_path: Path) -> None:
    assert subject.read_units(FakeHost(tmp_path), ["kubelet"])["kubelet.service"].active == "unknown"


@pytest.mark.parametrize("name", ["-x", "a b", "a;reboot", "../a", "a/b", "", "a\n", "{{ x }}", "x" * 300])
def test_a_name_that_could_mean_something_else_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="no name of a systemd unit"):
        subject.unit_name(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("kubelet", "kubelet.service"), ("backup.timer", "backup.timer"), ("getty@tty1", "getty@tty1.service")],
)
def test_service_may_be_left_out(name: str, expected: str) -> None:
    assert subject.unit_name(name) == expected


@pytest.mark.parametrize(
    ("wish", "unit", "expected"),
    [
        (Wish(NAME, True, "started"), STOPPED, ["enable", "start"]),
        (Wish(NAME, True, "started"), RUNNING, []),
        (Wish(NAME), STOPPED, []),
        (Wish(NAME, None, "started"), Unit(NAME, "loaded", "failed", "enabled"), ["reset-failed", "start"]),
        (Wish(NAME, None, "started"), Unit(NAME, "loaded", "activating", "enabled"), []),
        (Wish(NAME, True, None), Unit(NAME, "loaded", "active", "static"), []),
        (Wish(NAME, False, "stopped"), RUNNING, ["disable", "stop"]),
        (Wish(NAME, False, "stopped"), STOPPED, []),
        (Wish(NAME, False, "stopped"), ABSENT, []),
        (Wish(NAME, None, "stopped"), Unit(NAME, "loaded", "activating", "enabled"), ["stop"]),
        (Wish(NAME, None, None, True), RUNNING, ["mask"]),
        (Wish(NAME, None, None, True), Unit(NAME, "masked", "inactive", "masked"), []),
        (
            Wish(NAME, True, "started", False),
            Unit(NAME, "masked", "inactive", "masked"),
            ["unmask", "enable", "start"],
        ),
        (Wish(NAME, None, "started"), Unit(NAME, "loaded", "active", "enabled", reload_needed=True), ["daemon-reload"]),
    ],
)
def test_plan(wish: Wish, unit: Unit, expected: list[str]) -> None:
    assert verbs(wish, unit) == expected


def test_an_unknown_unit_is_refused_unless_its_file_comes_in_the_same_call() -> None:
    with pytest.raises(InputError, match=r"knows no unit a\.service"):
        verbs(Wish(NAME, True, "started"), ABSENT)
    assert verbs(Wish(NAME, True, "started"), ABSENT, reload=True, expected={NAME}) == [
        "daemon-reload",
        "enable",
        "start",
    ]


def test_units_are_stopped_before_files_change_and_started_after() -> None:
    wishes = [Wish("a.service", True, "started"), Wish("b.service", False, "stopped")]
    have = {"a.service": STOPPED, "b.service": Unit("b.service", "loaded", "active", "enabled")}
    plan = plan_units(wishes, have, reload=True, expected=set())
    assert plan.early.steps() == ["disable b.service", "stop b.service"]
    assert plan.late.steps() == ["daemon-reload", "enable a.service", "start a.service"]
    assert plan.changed == ("a.service", "b.service")
    assert plan.late.awaited == ("a.service",)
    assert plan.early.awaited == ()


def test_one_call_per_verb_and_waiting_until_active(tmp_path: Path) -> None:
    states = iter(["activating", "active", "active"])

    def show(_argv: list[str]) -> Result:
        return ok(f"Id=a.service\nLoadState=loaded\nActiveState={next(states)}\nType=simple\n")

    host = FakeHost(tmp_path, {"systemctl show": show, "systemctl": ok()})
    plan = UnitPlan((("enable", ("a.service", "b.service")), ("start", ("a.service",))), ("a.service",))
    subject.apply_units(host, plan, timeout=5)
    assert host.commands()[:2] == ["systemctl enable -- a.service b.service", "systemctl start -- a.service"]
    assert next(states, None) is None, "a plain service is looked at once more after it was active"


def failing(tmp_path: Path, state: str) -> FakeHost:
    return FakeHost(
        tmp_path,
        {
            "systemctl show": ok(f"Id=a.service\nLoadState=loaded\nActiveState={state}\n"),
            "systemctl start": ok(),
            "journalctl": ok("config.toml: unknown key\nexit 1\n"),
        },
    )


@pytest.mark.parametrize("state", ["failed", "activating"])
def test_a_service_that_does_not_come_up_is_shown_with_its_log(tmp_path: Path, state: str) -> None:
    host = failing(tmp_path, state)
    with pytest.raises(CommandError) as caught:
        subject.apply_units(host, UnitPlan((("start", ("a.service",)),), ("a.service",)), timeout=0.2)
    assert caught.value.where == "a.service"
    assert f"a.service is {state}" in caught.value.found
    assert "config.toml: unknown key" in caught.value.found
    assert "journalctl -u a.service" in caught.value.next_step
    assert "journalctl --no-pager -o cat -n 20 -u a.service" in host.commands()


def test_a_verb_that_fails_says_what_systemctl_said(tmp_path: Path) -> None:
    host = failing(tmp_path, "inactive")
    host.programs["systemctl start"] = Result(1, "", "Job for a.service failed")
    with pytest.raises(CommandError, match=r"systemctl start failed.*Job for a\.service failed"):
        subject.apply_units(host, UnitPlan((("start", ("a.service",)),)), timeout=1)


def test_a_unit_that_has_not_read_its_file_is_found(tmp_path: Path) -> None:
    """A run that was killed between writing the file and the restart: the next one sees it."""
    host = FakeHost(tmp_path)
    wish = Wish(NAME, True, "started", reads=("/etc/example.conf",))
    an_hour_ago = time.clock_gettime(time.CLOCK_MONOTONIC) - 3600
    running = Unit(NAME, "loaded", "active", "enabled", 7, settled_at=an_hour_ago)
    assert subject.stale_units(host, [wish], {NAME: running}, set()) == {}, "no file at all"
    path = host.write("/etc/example.conf", "a")
    assert subject.stale_units(host, [wish], {NAME: running}, set()) == {NAME: "/etc/example.conf"}
    os.utime(path, (time.time() - 7200, time.time() - 7200))
    assert subject.stale_units(host, [wish], {NAME: running}, set()) == {}
    assert subject.stale_units(host, [wish], {NAME: running}, {"/etc/example.conf"}) == {NAME: "/etc/example.conf"}
    assert subject.stale_units(host, [wish], {NAME: STOPPED}, {"/etc/example.conf"}) == {}


def test_a_stale_unit_is_a_step_without_a_verb() -> None:
    plan = plan_units([Wish(NAME)], {NAME: RUNNING}, reload=False, expected=set(), stale={NAME: "/etc/example.conf"})
    assert (plan.verbs, plan.steps()) == ((), [f"{NAME} runs with an older /etc/example.conf"])


def test_show_tells_when_a_unit_was_last_started_or_reloaded() -> None:
    unit = subject.parse_show(f"Id={NAME}\nStateChangeTimestampMonotonic=2500000")[NAME]
    assert unit.settled_at == 2.5
    assert subject.parse_show(f"Id={NAME}\nStateChangeTimestampMonotonic=0")[NAME].settled_at is None
