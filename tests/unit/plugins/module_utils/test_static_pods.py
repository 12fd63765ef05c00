# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static pods that are changed below a kubelet in memory, which takes its time, and runs that are killed anywhere."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pods import API, COMPONENTS, ETCD, Change, make_plan

MANAGER, SCHEDULER = "kube-controller-manager", "kube-scheduler"
OLD = {name: f"{name} 1" for name in COMPONENTS}
NEW = {name: f"{name} 2" for name in COMPONENTS}
TIMEOUT = 20.0


class Killed(BaseException):
    """SIGKILL: no handler of the run sees it."""


class Kubelet:
    """Manifests, processes and time. A process ends and starts a moment after its manifest goes or comes.

    A manifest that replaces another one while its process runs is seen late, as by the real one.
    """

    ends_after, starts_after, replaces_after = 1.0, 1.0, 12.0

    def __init__(self, running: Mapping[str, str]) -> None:
        self.time = 0.0
        self.files: dict[str, str] = dict(running)
        self.aside: dict[str, str] = {}
        self.running: dict[str, str] = dict(running)
        self.due: dict[str, float] = {}
        self.ill: set[str] = set()
        self.stuck: set[str] = set()
        self.log: list[str] = []
        self.effects = 0
        self.dies_after = -1

    def effect(self, words: str) -> None:
        self.log.append(words)
        self.effects += 1
        if self.effects == self.dies_after:
            raise Killed

    def manifests(self) -> dict[str, str]:
        return dict(self.files)

    def kept(self) -> dict[str, str]:
        return dict(self.aside)

    def keep(self, component: str) -> None:
        self.aside.setdefault(component, self.files[component])
        self.effect(f"copy {component}")
        del self.files[component]
        self.effect(f"keep {component}")

    def remove(self, component: str) -> None:
        self.files.pop(component, None)
        self.effect(f"remove {component}")

    def place(self, component: str, text: str) -> None:
        assert component not in self.running, f"the old {component} still runs"
        self.files[component] = text
        self.effect(f"place {component}")

    def forget(self) -> None:
        self.aside.clear()
        self.effect("forget")

    def runs(self, component: str) -> bool:
        return component in self.running

    def answers(self, component: str, manifest: str) -> str:
        running = self.running.get(component)
        return "it does not run" if running is None else "503" if running in self.ill else ""

    def why(self, component: str) -> str:
        return f"the log of {component}"

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        for name in COMPONENTS:
            if self.running.get(name) == self.files.get(name) or name in self.stuck:
                self.due.pop(name, None)
                continue
            wait = self.ends_after if name not in self.files else self.starts_after
            if name in self.files and name in self.running:
                wait = self.replaces_after
            if self.time >= self.due.setdefault(name, self.time + wait):
                self.due.pop(name)
                self.change(name)

    def change(self, name: str) -> None:
        if name in self.running:
            del self.running[name]
            self.log.append(f"end {name}")
        else:
            self.running[name] = self.files[name]
            self.log.append(f"begin {name}")

    def settle(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.1)):
            self.sleep(0.1)

    def bring(self, want: Mapping[str, str], restart: tuple[str, ...] = ()) -> Change:
        plan = make_plan(self.manifests(), want, restart)
        change = Change(self, TIMEOUT, clock=lambda: self.time, sleep=self.sleep)
        change.run(plan, lambda: self.effect("between"))
        return change


# The plan


def test_the_same_is_no_step() -> None:
    plan = make_plan(OLD, OLD)
    assert (plan.stops, plan.starts, plan.steps(), plan.touches_etcd) == ((), (), [], False)


def test_etcd_starts_first_and_stops_last() -> None:
    plan = make_plan(OLD, NEW)
    assert plan.starts == (ETCD, API, MANAGER, SCHEDULER)
    assert plan.stops == (SCHEDULER, MANAGER, API, ETCD)
    assert plan.touches_etcd
    assert plan.steps()[0] == "stop kube-scheduler"
    assert plan.steps()[-1] == "start kube-scheduler from its new manifest"


def test_only_what_differs_is_touched() -> None:
    plan = make_plan(OLD, {**OLD, API: "kube-apiserver 2"})
    assert (plan.stops, plan.starts, plan.touches_etcd) == ((API,), (API,), False)


def test_what_was_taken_out_is_started_and_not_stopped() -> None:
    plan = make_plan({ETCD: NEW[ETCD]}, NEW)
    assert (plan.stops, plan.starts) == ((), (API, MANAGER, SCHEDULER))


def test_a_restart_that_was_asked_for() -> None:
    plan = make_plan(OLD, OLD, [SCHEDULER])
    assert (plan.stops, plan.starts) == ((SCHEDULER,), (SCHEDULER,))


def test_an_external_etcd_has_no_manifest() -> None:
    without = {name: text for name, text in NEW.items() if name != ETCD}
    assert ETCD not in make_plan(OLD, without).starts


# The change


def test_all_stop_before_any_starts_and_etcd_outlives_its_client() -> None:
    kubelet = Kubelet(OLD)
    change = kubelet.bring(NEW)
    assert (kubelet.files, kubelet.running, kubelet.aside) == (NEW, NEW, {})
    log = kubelet.log
    assert max(log.index(f"end {name}") for name in (API, MANAGER, SCHEDULER)) < log.index(f"copy {ETCD}")
    assert log.index(f"end {ETCD}") < log.index("between") < log.index(f"place {ETCD}")
    assert [words for words in log if words.startswith("place")] == [f"place {name}" for name in COMPONENTS]
    assert log[-1] == "forget"
    assert change.seconds["stop"] >= 2.0
    # etcd first, then the others together.
    assert 2.0 <= change.seconds["start"] <= 3.0


def test_the_api_server_starts_when_its_etcd_answers() -> None:
    kubelet = Kubelet(OLD)
    kubelet.bring(NEW)
    assert kubelet.log.index(f"begin {ETCD}") < kubelet.log.index(f"place {API}")


def test_going_back_the_api_server_waits_for_its_etcd_too() -> None:
    kubelet = Kubelet(OLD)
    kubelet.ill.add(NEW[API])
    with pytest.raises(CommandError):
        kubelet.bring(NEW)
    log = kubelet.log[kubelet.log.index(f"remove {ETCD}") :]
    assert log.index(f"begin {ETCD}") < log.index(f"place {API}")
    assert kubelet.running == OLD


def test_components_that_stay_the_same_are_untouched() -> None:
    kubelet = Kubelet(OLD)
    kubelet.bring({**OLD, API: NEW[API]})
    assert not [words for words in kubelet.log if any(name in words for name in (ETCD, MANAGER, SCHEDULER))]
    assert kubelet.running == {**OLD, API: NEW[API]}


def test_nothing_to_do_waits_for_health_alone() -> None:
    kubelet = Kubelet(OLD)
    kubelet.bring(OLD)
    assert kubelet.log == ["forget"]


def test_what_does_not_become_healthy_goes_back() -> None:
    kubelet = Kubelet(OLD)
    kubelet.ill = {NEW[API]}
    with pytest.raises(CommandError) as caught:
        kubelet.bring(NEW)
    assert (
        caught.value.what == "kube-apiserver did not become healthy within 20 s; the control plane runs as before again"
    )
    assert "503" in caught.value.found
    assert "the log of kube-apiserver" in caught.value.found
    assert (kubelet.files, kubelet.running) == (OLD, OLD)
    assert kubelet.aside == {}, "the way back has been gone; what is changed later is not undone with it"


def test_going_back_puts_back_only_what_was_changed() -> None:
    kubelet = Kubelet(OLD)
    kubelet.ill = {NEW[MANAGER]}
    with pytest.raises(CommandError, match="as before again"):
        kubelet.bring({**OLD, MANAGER: NEW[MANAGER]})
    assert kubelet.running == OLD
    assert not [words for words in kubelet.log if ETCD in words or API in words]


def test_what_fails_between_goes_back_too() -> None:
    kubelet = Kubelet(OLD)

    def fails() -> None:
        raise CommandError("kubeadm could not renew the certificates", next_step="mend it")

    with pytest.raises(CommandError, match="renew the certificates; the control plane runs as before again"):
        Change(kubelet, TIMEOUT, lambda: kubelet.time, kubelet.sleep).run(make_plan(OLD, NEW), fails)
    assert (kubelet.files, kubelet.running) == (OLD, OLD)


def test_fault_42_both_ways_fail() -> None:
    kubelet = Kubelet(OLD)
    kubelet.ill = {NEW[API], OLD[ETCD]}
    with pytest.raises(CommandError) as caught:
        kubelet.bring(NEW)
    error = caught.value
    assert error.what == "the control plane neither came up as wanted nor went back to what it was"
    first, back = error.found.split("--- going back")
    assert "the log of kube-apiserver" in first
    assert "the log of etcd" in back
    for words in ("other control planes are untouched and serve", "run the same playbook again", "replace_node.yml"):
        assert words in error.next_step
    assert kubelet.aside == OLD
    # What stood in the way is mended, and the same call works.
    kubelet.ill = set()
    kubelet.bring(NEW)
    assert (kubelet.files, kubelet.running, kubelet.aside) == (NEW, NEW, {})


def test_a_kubelet_that_ends_nothing_is_named_and_nothing_is_placed() -> None:
    kubelet = Kubelet(OLD)
    kubelet.stuck = {MANAGER}
    with pytest.raises(CommandError, match="the kubelet did not end kube-controller-manager within 20 s") as caught:
        kubelet.bring(NEW)
    assert "journalctl -u kubelet" in caught.value.next_step
    assert not [words for words in kubelet.log if words.startswith("place")]
    assert ETCD in kubelet.running
    kubelet.stuck = set()
    kubelet.bring(NEW)
    assert kubelet.running == NEW


def test_what_worked_is_kept_over_what_was_only_tried() -> None:
    kubelet = Kubelet(OLD)
    kubelet.dies_after = len(COMPONENTS) * 2 + 2
    with pytest.raises(Killed):
        kubelet.bring(NEW)
    newer = {name: f"{name} 3" for name in COMPONENTS}
    kubelet.ill = set(newer.values())
    kubelet.settle(10)
    with pytest.raises(CommandError, match="as before again"):
        kubelet.bring(newer)
    assert kubelet.running == OLD


def test_a_process_that_is_still_ending_is_waited_for_after_a_kill() -> None:
    """Its port answers, so it would be taken for the new one."""
    kubelet, want = Kubelet(OLD), {**OLD, SCHEDULER: NEW[SCHEDULER]}
    kubelet.dies_after = 2
    with pytest.raises(Killed):
        kubelet.bring(want)
    assert (SCHEDULER in kubelet.files, SCHEDULER in kubelet.running) == (False, True)
    kubelet.bring(want)
    assert kubelet.running == want


CHANGED = st.sets(st.sampled_from(COMPONENTS), min_size=1)
IDLE = st.sampled_from([0.0, 0.5, 30.0])


def wanted(changed: set[str]) -> dict[str, str]:
    return {name: NEW[name] if name in changed else OLD[name] for name in COMPONENTS}


def outcome(kubelet: Kubelet, want: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str], dict[str, str], str]:
    told = ""
    try:
        kubelet.bring(want)
    except CommandError as exc:
        told = exc.what
    return kubelet.files, kubelet.running, kubelet.aside, told


@given(CHANGED, st.integers(1, 40), IDLE, st.booleans(), st.data())
def test_killed_anywhere_the_next_run_ends_as_an_undisturbed_one(
    changed: set[str], dies_after: int, idle: float, healthy: bool, data: st.DataObject
) -> None:
    want = wanted(changed)
    undisturbed, kubelet = Kubelet(OLD), Kubelet(OLD)
    if not healthy:
        undisturbed.ill = kubelet.ill = {NEW[data.draw(st.sampled_from(sorted(changed)))]}
    end = outcome(undisturbed, want)
    assume(dies_after <= undisturbed.effects)
    kubelet.dies_after = dies_after
    with pytest.raises(Killed):
        outcome(kubelet, want)
    kubelet.settle(idle)
    again = outcome(kubelet, want)
    if again[3] == "" and not healthy:
        pytest.fail("what is ill was taken for healthy")
    assert again == end


@given(CHANGED, st.lists(st.integers(1, 12), max_size=4), IDLE)
def test_killed_again_and_again(changed: set[str], kills: list[int], idle: float) -> None:
    kubelet, want = Kubelet(OLD), wanted(changed)
    for dies_after in kills:
        kubelet.effects, kubelet.dies_after = 0, dies_after
        try:
            kubelet.bring(want)
        except Killed:
            kubelet.settle(idle)
    kubelet.dies_after = -1
    assert outcome(kubelet, want) == (want, want, {}, "")
    before = len(kubelet.log)
    assert make_plan(kubelet.manifests(), want).steps() == []
    kubelet.bring(want)
    assert kubelet.log[before:] == ["forget"]
