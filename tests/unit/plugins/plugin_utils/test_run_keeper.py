# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keeper: what it holds when, with an API of the test's own; and as the process that it is."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import run_lease
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import KubeApi
from ansible_collections.quorum.kubeadm.plugins.module_utils.run_lock import TRUST, Run
from ansible_collections.quorum.kubeadm.plugins.plugin_utils import controller_lock, run_keeper, run_state
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.run_keeper import Job, Keeper
from tests.unit.plugins.module_utils.fake_lease import FakeLease

CLUSTER = "https://192.0.2.100:6443"
BOB = Run("bob@ci:20:bbbb", "upgrade.yml")


class World:
    """A controller, a run on it, and an API that its keeper asks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.api = FakeLease()
        self.seconds = 100.0
        self.state = path / "state"
        self.state.mkdir()
        self.kubeconfig = path / "admin.conf"

    def job(self, name: str = "alice@laptop:10:aaaa", **changes: Any) -> dict[str, Any]:
        return {
            "run": name,
            "playbook": "site.yml",
            "since": "2026-01-01T00:00:00Z",
            "cluster": CLUSTER,
            "kubeconfig": str(self.kubeconfig),
            "endpoints": [CLUSTER],
            "locks": str(self.path / "locks"),
            "state": str(self.state),
            "watched": os.getpid(),
            "started": run_state.started(os.getpid()),
            **changes,
        }

    def keeper(self, **changes: Any) -> Keeper:
        return Keeper(Job(**self.job(**changes)), lambda: cast(KubeApi, self.api), clock=lambda: self.seconds)

    def begin(self) -> None:
        """The cluster has begun: the kubeconfig is on the controller."""
        self.kubeconfig.touch()

    def wait(self, seconds: float) -> None:
        self.seconds += seconds
        self.api.pass_seconds(seconds)

    def require(self) -> dict[str, Any] | None:
        return run_state.require(str(self.state), clock=lambda: self.seconds, sleep=self.wait)


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_with_an_api_it_is_the_lease_at_the_cost_of_two_requests(world: World) -> None:
    world.begin()
    held = world.keeper().take()
    assert (held["level"], held["token"], held["warning"], world.api.requests) == ("lease", 1, "", 2)
    required = world.require()
    assert required
    assert (required["run"], required["confirmed"]) == ("alice@laptop:10:aaaa", 100.0)
    assert run_lease.look(world.api)
    assert os.stat(world.state / "held.json").st_mode & 0o777 == 0o600


def test_a_lease_of_somebody_else_refuses_it_and_leaves_no_state(world: World) -> None:
    world.begin()
    run_lease.hold(world.api, BOB)
    with pytest.raises(RefusedError, match=r"bob@ci \(process 20\), playbook upgrade.yml.* until .*killed") as caught:
        world.keeper().take()
    assert caught.value.where == f"Lease kube-system/quorum-kubeadm, {CLUSTER}"
    assert world.require() is None


def gone(host: str = "") -> str:
    """The id of a run whose process has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return f"carol@{host or socket.gethostname()}:{ended.pid}:cccc"


def lock(world: World, run: str) -> int:
    """The kernel's lock, taken by another keeper."""
    descriptor = controller_lock.take(str(world.path / "locks"), CLUSTER, {"run": run, "playbook": "reset.yml"})
    assert isinstance(descriptor, int)
    return descriptor


def test_the_keeper_of_a_run_that_has_ended_is_waited_for(world: World) -> None:
    descriptor = lock(world, gone())
    with ThreadPoolExecutor() as pool:
        taken = pool.submit(world.keeper().take)
        time.sleep(2 * run_keeper.LOOK)
        assert not taken.done()
        os.close(descriptor)
        assert taken.result(10)["level"] == "controller"


@pytest.mark.parametrize("host", ["", "elsewhere"])
def test_it_is_not_waited_for_long_and_elsewhere_not_at_all(
    world: World, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_keeper, "PARTING", -run_keeper.RETRY + (0.5 if not host else 100.0))
    descriptor = lock(world, gone(host))
    began = time.monotonic()
    with pytest.raises(RefusedError, match="carol@"):
        world.keeper().take()
    assert time.monotonic() - began < 5
    os.close(descriptor)


def test_without_an_api_it_goes_over_to_the_lease_as_soon_as_there_is_one(world: World) -> None:
    keeper = world.keeper()
    assert keeper.take()["level"] == "controller"
    world.wait(TRUST)
    keeper.renew()
    assert keeper.due() == run_keeper.RETRY
    required = world.require()
    assert required
    assert (required["level"], world.api.requests) == ("controller", 0)
    world.begin()
    keeper.renew()
    assert keeper.due() == 10
    required = world.require()
    assert required
    assert (required["level"], required["token"]) == ("lease", 1)


def test_an_api_that_does_not_answer_is_told_and_asked_again(world: World) -> None:
    world.begin()
    world.api.away = True
    keeper = world.keeper()
    held = keeper.take()
    assert held["level"] == "controller"
    assert "until the API answers. No API endpoint answered" in held["warning"]
    world.api.away = False
    keeper.renew()
    assert keeper.due() == 10


def test_who_finds_another_holder_when_the_api_comes_has_lost_it(world: World) -> None:
    keeper = world.keeper()
    keeper.take()
    world.begin()
    run_lease.hold(world.api, BOB)
    with pytest.raises(RefusedError, match="bob@ci"):
        keeper.renew()


def test_a_task_waits_while_the_api_is_away_and_goes_on_when_it_is_back(world: World) -> None:
    world.begin()
    keeper = world.keeper()
    keeper.take()
    world.api.away = True
    world.wait(TRUST - 0.1)
    keeper.renew()
    assert keeper.due() == run_keeper.RETRY
    assert world.require()
    world.wait(0.1)
    began = world.seconds

    def until_it_is_back(seconds: float) -> None:
        world.wait(seconds)
        if world.seconds - began > 20:
            world.api.away = False
            keeper.renew()

    assert run_state.require(str(world.state), clock=lambda: world.seconds, sleep=until_it_is_back)
    assert 20 < world.seconds - began < 21


def test_a_task_is_refused_when_the_lock_is_not_confirmed_for_long(world: World) -> None:
    world.begin()
    world.keeper().take()
    world.wait(TRUST)
    with pytest.raises(RefusedError, match=r"confirmed 85 s ago; no API answers.* run the same playbook again"):
        world.require()


def test_a_stale_holders_next_change_is_refused_at_once(world: World) -> None:
    world.begin()
    keeper = world.keeper()
    keeper.take()
    world.wait(31)
    assert run_lease.hold(world.api, BOB).verdict == "taken over"
    with pytest.raises(RefusedError) as caught:
        keeper.renew()
    keeper.end(caught.value.found)
    began = world.seconds
    with pytest.raises(RefusedError, match=r"no longer holds the lock.*held by bob@ci \(process 20\)"):
        world.require()
    assert world.seconds == began
    assert world.api.lease
    assert world.api.lease["spec"]["holderIdentity"] == BOB.id


def test_claims_do_without_the_api_and_then_the_lease_is_taken_anew(world: World) -> None:
    """As when a snapshot is restored, in which the Lease is an older one of somebody else."""
    world.begin()
    keeper = world.keeper()
    keeper.take()
    taken = world.api.lease
    assert taken
    older = {**taken, "spec": {**taken["spec"], "holderIdentity": "x:1:y"}}
    run_state.note_claims(str(world.state))
    world.api.away = True
    world.wait(300)
    keeper.renew()
    assert keeper.due() == run_keeper.RETRY
    required = world.require()
    assert required
    assert required["level"] == "claims"
    world.api.away, world.api.lease = False, older
    keeper.renew()
    assert keeper.due() == 10
    required = world.require()
    assert required
    assert (required["level"], required["token"]) == ("lease", 2)
    assert not run_state.has_claims(str(world.state)), "from now on only the Lease counts"


def test_the_end_gives_the_lease_back_and_stops_what_still_runs(world: World) -> None:
    world.begin()
    keeper = world.keeper()
    keeper.take()
    world.api.away = True
    keeper.end("the run has ended", sleep=lambda _seconds: setattr(world.api, "away", False))
    assert run_lease.hold(world.api, BOB).verdict == "acquired"
    with pytest.raises(RefusedError, match="the run has ended"):
        world.require()


@pytest.fixture(name="sleeper")
def _sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def begins(world: World, watched: subprocess.Popen[bytes], **changes: Any) -> dict[str, Any]:
    """A keeper's answer as a process."""
    return run_keeper.start(world.job(watched=watched.pid, started=run_state.started(watched.pid), **changes))


def soon(done: Callable[[], bool], seconds: float = 5) -> bool:
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        time.sleep(0.02)
    return done()


def free(world: World) -> bool:
    return controller_lock.look(str(world.path / "locks"), CLUSTER) is None


def test_as_a_process_it_holds_on_to_nothing_of_ansible(world: World, sleeper: subprocess.Popen[bytes]) -> None:
    held = begins(world, sleeper)
    keeper = held["keeper"]
    assert os.getsid(keeper) == keeper != os.getsid(0)
    assert soon(lambda: {os.readlink(f"/proc/{keeper}/fd/{number}") for number in (1, 2)} == {"/dev/null"})
    command = Path(f"/proc/{keeper}/cmdline").read_text()
    assert "alice" not in command
    assert not free(world)
    refused = begins(world, sleeper, name="carol@laptop:11:cccc")
    assert refused["error"]["found"] == "alice@laptop (process 10), playbook site.yml, since 2026-01-01T00:00:00Z"
    assert begins(world, sleeper, name="carol@laptop:11:cccc", cluster="another")["level"] == "controller"


@pytest.mark.parametrize("reaped", [True, False])
def test_a_killed_run_gives_it_back_at_once(world: World, sleeper: subprocess.Popen[bytes], reaped: bool) -> None:
    begins(world, sleeper)
    sleeper.kill()
    if reaped:
        sleeper.wait()
    assert soon(lambda: free(world), 2)
    with pytest.raises(RefusedError, match="the run has ended"):
        world.require()


def test_in_the_middle_of_a_question_that_nobody_answers_it_ends_with_its_run(
    world: World, sleeper: subprocess.Popen[bytes]
) -> None:
    world.kubeconfig.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "a", "user": {"token": "none"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
    }))  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as free_port:
        port = free_port.getsockname()[1]
    assert begins(world, sleeper, endpoints=[f"https://127.0.0.1:{port}"] * 8)["level"] == "controller"
    with socket.create_server(("127.0.0.1", port)) as deaf:
        deaf.settimeout(3 * run_keeper.RETRY)
        asked, _address = deaf.accept()
        sleeper.kill()
        with asked:
            # So long a run that comes next waits.
            assert soon(lambda: free(world), run_keeper.PARTING + run_keeper.RETRY)
    with pytest.raises(RefusedError, match="the run has ended"):
        world.require()


def test_a_killed_keeper_stops_its_run(world: World, sleeper: subprocess.Popen[bytes]) -> None:
    held = begins(world, sleeper)
    os.kill(held["keeper"], signal.SIGKILL)
    assert soon(lambda: free(world))
    world.seconds = held["confirmed"] + TRUST
    with pytest.raises(RefusedError, match="the process that renews it is gone"):
        world.require()


def test_it_ends_when_it_is_told_to(world: World, sleeper: subprocess.Popen[bytes]) -> None:
    os.kill(begins(world, sleeper)["keeper"], signal.SIGTERM)
    assert soon(lambda: free(world))


def test_a_process_number_that_is_used_again_is_not_the_run(world: World, sleeper: subprocess.Popen[bytes]) -> None:
    run_keeper.start(world.job(watched=sleeper.pid, started="1"))
    assert soon(lambda: free(world))


def test_one_of_two_that_begin_together_has_it(world: World, sleeper: subprocess.Popen[bytes]) -> None:
    for number in range(10):
        names = [f"alice@laptop:{number}:{side}" for side in "ab"]
        states = [world.path / f"state-{number}-{side}" for side in "ab"]
        for state in states:
            state.mkdir()
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda n, s: begins(world, sleeper, name=n, state=str(s)), names, states))
        (winner,) = [answer for answer in answers if "error" not in answer]
        (loser,) = [answer for answer in answers if "error" in answer]
        assert f"process {number}" in loser["error"]["found"]
        os.kill(winner["keeper"], signal.SIGTERM)
        assert soon(lambda: free(world))


def test_a_keeper_that_cannot_begin_is_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_keeper, "START", "raise SystemExit(1)")
    assert "has ended" in run_keeper.start(world.job())["error"]["what"]
