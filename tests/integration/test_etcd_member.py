# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd_member against real etcd clusters: joins, removals, sweeps; check mode says beforehand what a run does.

etcd takes a change of its members only when they have been connected for 5 s, so each cluster serves several steps.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_changes import below
from tests.integration.etcd_cluster import EtcdCluster, Make, eventually
from tests.integration.etcd_joins import QUICK, Process, change
from tests.integration.support import ROOT, _environment

NAMES = ("cp1", "cp2", "cp3")
FAST = {"sample_seconds": 0.5}
SWEEP = {**FAST, "orphan_seconds": 3, "wait_seconds": 30}


def told(result: dict[str, Any]) -> dict[str, Any]:
    """What check mode has to predict. The ID of a member that is not there yet it cannot know."""
    assert not result.get("failed"), result
    members = [{**member, "id": None} for member in result["members"]]
    keys = ("changed", "steps", "arithmetic", "aloud", "diff")
    return {**{key: result[key] for key in keys}, "members": members}


def same(cluster: EtcdCluster, state: str, unit: Process | None = None, **args: Any) -> dict[str, Any]:
    """Check mode, which changes nothing, then the run, which does just that."""
    before = listed(cluster)
    predicted = change(cluster, state, unit, effects=False, **args)
    assert listed(cluster) == before
    done = change(cluster, state, unit, **args)
    assert told(done) == told(predicted)
    return done


def listed(cluster: EtcdCluster, through: str = "cp1") -> list[tuple[str, str, bool]]:
    raw = cluster.api(through).members()["members"]
    return sorted((one.get("name", ""), one["peerURLs"][0], bool(one.get("isLearner"))) for one in raw)


def names(cluster: EtcdCluster, through: str = "cp1") -> list[str]:
    return [name for name, _url, _learner in listed(cluster, through)]


def keys(cluster: EtcdCluster, through: str = "cp1") -> list[str]:
    return sorted(below(cluster.api(through), "quorum.kubeadm/"))


def leader(cluster: EtcdCluster) -> str:
    seen = eventually(cluster.info, lambda result: result["etcd"]["leader"] is not None)["etcd"]["members"]
    return str(next(member["name"] for member in seen if member["leader"]))


def member_id(cluster: EtcdCluster, name: str) -> str:
    (found,) = [one["id"] for one in cluster.info()["etcd"]["members"] if one["name"] == name]
    return str(found)


@contextmanager
def running_join(cluster: EtcdCluster, name: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A join in a process of its own, on another host, whose etcd never comes up."""
    args = {
        "endpoints": cluster.others(name),
        "state": "promoted",
        "name": name,
        "peer_urls": [cluster.members[name].peer_url],
        **cluster.files(),
        **more,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.etcd_joins"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=ROOT, env={**_environment(), "PYTHONPATH": f"{ROOT}:{ROOT}/.build/collections"},
    )  # fmt: skip
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(args) + "\n")
        process.stdin.flush()
        eventually(lambda: "" in names(cluster), lambda there: there)
        yield process
    finally:
        process.kill()
        process.wait()


def test_it_grows_is_finished_by_a_second_run_and_shrinks_again(make: Make) -> None:
    cluster = make(*NAMES)
    cluster.plan("cp4")
    unit = Process(cluster, "cp4")
    # Refused before anything is begun: the host has data of another life.
    (cluster.directory / "cp4" / "member").mkdir(parents=True)
    with pytest.raises(RefusedError, match="has the data of a member that this cluster does not have"):
        change(cluster, "promoted", unit, name="cp4")
    unit.discard("")
    assert names(cluster) == list(NAMES)

    grown = same(cluster, "promoted", unit, name="cp4")
    assert [step.split('"')[0].strip() for step in grown["steps"]] == [
        "add the learner",
        "start etcd on",
        "promote the learner",
    ]
    assert grown["arithmetic"] == "4 of 4 voters healthy, quorum 3, tolerance 1"
    assert grown["aloud"] == ["4 voters endure the failure of 1, no more than 3 do"]
    assert set(unit.initial.split(",")) == {f"{name}={one.peer_url}" for name, one in cluster.members.items()}
    assert grown["diff"]["after"].splitlines()[-1] == f"cp4 {cluster.members['cp4'].peer_url} voter"
    assert keys(cluster) == [], "claim and record are gone with the join"
    assert told(change(cluster, "promoted", unit, name="cp4"))["changed"] is False

    # The process died after the promotion, before it took the file away.
    unit.marker = True
    assert same(cluster, "promoted", unit, name="cp4")["steps"] == ['take away what the start of "cp4" needed']
    assert unit.marker is False

    # The leader hands over first; 4 -> 3 leaves one that may fail, so nothing has to be confirmed.
    first = leader(cluster)
    staying = next(name for name in cluster.members if name != first)
    check = cluster.member("absent", check=True, through=staying, name=first, **FAST)
    shrunk = cluster.member("absent", through=staying, name=first, **FAST)
    assert told(shrunk) == told(check)
    assert [step.split()[0] for step in shrunk["steps"]] == ["move", "remove"]
    assert first not in names(cluster, staying)
    again = cluster.member("absent", through=staying, name=first, **FAST)
    assert told(again)["changed"] is False
    assert [member["id"] for member in again["members"]] == [member["id"] for member in shrunk["members"]]

    # 3 -> 2 leaves none that may fail.
    gone = next(name for name in sorted(cluster.members) if name not in (first, leader(cluster), staying))
    refused = cluster.member("absent", through=staying, name=gone, **FAST)
    assert refused["failed"]
    assert "after its removal none may fail (2 of 2 voters healthy, quorum 2)" in refused["error"]["found"]
    assert gone in names(cluster, staying)
    done = cluster.member("absent", through=staying, name=gone, confirm_no_tolerance=True, **FAST)
    assert not done.get("failed"), done
    assert f'"{gone}" is healthy' in done["aloud"]
    assert len(names(cluster, staying)) == 2


def test_a_dead_member_is_replaced_by_its_id_and_without_a_quorum_nothing_moves(make: Make) -> None:
    cluster = make(*NAMES)
    dead = member_id(cluster, "cp3")
    cluster.members["cp3"].kill()
    cluster.plan("cp4")
    eventually(cluster.info, lambda seen: seen["etcd"]["healthy_voters"] == 2 and seen["etcd"]["leader"])
    # The plan's end is refused, so the learner is not added either.
    with pytest.raises(RefusedError, match="2 of 4 voters healthy, quorum 3"):
        change(cluster, "promoted", Process(cluster, "cp4"), name="cp4")
    check = cluster.member("absent", check=True, member_id=dead, **FAST)
    assert names(cluster) == list(NAMES)
    done = cluster.member("absent", member_id=dead, **FAST)
    assert told(done) == told(check)
    assert done["steps"] == [f'remove the member "cp3" with the ID {dead}']
    assert done["arithmetic"] == "2 of 2 voters healthy, quorum 2, tolerance 0"
    assert any("none may fail" in text for text in done["aloud"])
    cluster.members.pop("cp3")
    replaced = same(cluster, "promoted", Process(cluster, "cp4"), name="cp4")
    assert replaced["arithmetic"] == "3 of 3 voters healthy, quorum 2, tolerance 1"

    cluster.members["cp4"].kill()
    cluster.members["cp2"].kill()
    for args in ({"state": "absent", "name": "cp4"}, {"state": "swept"}):
        refused = eventually(lambda: cluster.member(**args, **FAST, timeout=1), lambda seen: seen.get("failed", False))  # noqa: B023 - called in this turn of the loop
        assert "restore" in str(refused["error"]), refused


def test_a_learner_that_does_not_come_up_is_removed_and_the_voters_are_not_touched(make: Make) -> None:
    cluster = make(*NAMES)
    started = {name: one.server.process.pid for name, one in cluster.members.items() if one.server}
    cluster.plan("cp4")
    unit = Process(cluster, "cp4", delay=999)
    with pytest.raises(KubeadmError, match='"cp4" did not join') as caught:
        change(cluster, "promoted", unit, name="cp4", wait_seconds=8)
    assert "the learner was removed, the voters were not touched (3 of 3 voters healthy)" in caught.value.found
    assert names(cluster) == list(NAMES)
    assert keys(cluster) == []
    assert unit.calls[-1].startswith("discard ")
    with pytest.raises(KubeadmError, match="the disk is broken"):
        change(cluster, "promoted", Process(cluster, "cp4", broken="the disk is broken"), name="cp4")
    assert names(cluster) == list(NAMES)

    # It starts, and then stands still: it never catches up.
    change(cluster, "present", Process(cluster, "cp4"), name="cp4")
    cluster.members["cp4"].freeze()
    with pytest.raises(KubeadmError, match="its lag is not known") as caught:
        change(cluster, "promoted", None, name="cp4", wait_seconds=3)
    assert "the learner was removed, the voters were not touched (3 of 3 voters healthy)" in caught.value.found
    assert names(cluster) == list(NAMES)
    cluster.members["cp4"].kill()
    assert {
        name: one.server.process.pid for name, one in cluster.members.items() if one.server and name != "cp4"
    } == started
    # A plain second run converges.
    unit = Process(cluster, "cp4")
    unit.discard("")
    assert change(cluster, "promoted", unit, name="cp4")["changed"]


def test_killed_joins_are_finished_by_the_next_call(make: Make) -> None:
    cluster = make(*NAMES)
    cluster.plan("cp4")
    with running_join(cluster, "cp4", host="here", orphan_seconds=60) as process:
        assert len(keys(cluster)) >= 1
        process.send_signal(signal.SIGKILL)
    # Its claim lives on for a minute; on its own host it is taken over at once.
    assert [key.split("/")[1] for key in keys(cluster)][:1] == ["joins"]
    unit = Process(cluster, "cp4")
    began = time.monotonic()
    done = same(cluster, "promoted", unit, name="cp4")
    assert [step.split()[0] for step in done["steps"]] == ["start", "promote"]
    assert time.monotonic() - began < 20
    assert keys(cluster) == []
    # Another one, killed as a started learner; to etcd that is promoted already it is success.
    cluster.plan("cp5")
    assert same(cluster, "present", Process(cluster, "cp5"), name="cp5")["steps"][-1] == 'start etcd on "cp5"'
    unit = Process(cluster, "cp5", marker=True)
    assert [step.split()[0] for step in same(cluster, "promoted", unit, name="cp5")["steps"]] == ["promote"]
    assert names(cluster) == ["cp1", "cp2", "cp3", "cp4", "cp5"]
    assert unit.marker is False


def test_a_running_join_survives_a_sweep_and_a_killed_one_does_not(make: Make) -> None:
    """The race: another host sweeps with a short patience while a join has added its learner and not started it."""
    cluster = make(*NAMES)
    cluster.plan("cp4")
    with running_join(cluster, "cp4", orphan_seconds=3, wait_seconds=90) as process:
        swept = cluster.member("swept", **SWEEP)
        assert told(swept)["changed"] is False
        assert any("its join is running: its claim is kept alive" in text for text in swept["aloud"]), swept
        assert "" in names(cluster)
        # By its ID it is refused as well.
        unnamed = member_id(cluster, "")
        refused = cluster.member("absent", member_id=unnamed, **FAST)
        assert "its join is running now" in refused["error"]["found"]
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    # A last renewal, and the election of a leader, prolong the lease of somebody who is dead: it is told as alive then.
    check = eventually(lambda: cluster.member("swept", check=True, **SWEEP), lambda seen: seen["changed"])
    assert "" in names(cluster)
    began = time.monotonic()
    swept = cluster.member("swept", **SWEEP)
    assert time.monotonic() - began < 20
    assert told(swept) == told(check)
    assert swept["steps"] == [
        f"remove the learner {unnamed} ({cluster.members['cp4'].peer_url}) with the ID {unnamed}, "
        "which never started and whose join is over"
    ]
    assert names(cluster) == list(NAMES)
    assert keys(cluster) == []
    assert told(cluster.member("swept", **SWEEP))["changed"] is False

    # The other end of the race: the member starts while it is being watched, and its join goes through.
    unit = Process(cluster, "cp4", delay=4)
    results: list[dict[str, Any]] = []
    joining = threading.Thread(target=lambda: results.append(change(cluster, "promoted", unit, name="cp4")))
    joining.start()
    eventually(lambda: "" in names(cluster), lambda there: there)
    while joining.is_alive():
        assert change(cluster, "swept", orphan_seconds=1)["steps"] == []
    joining.join()
    assert results[0]["arithmetic"] == "4 of 4 voters healthy, quorum 3, tolerance 1"


def test_a_learner_that_nobody_recorded_is_watched_before_it_is_swept(make: Make) -> None:
    """As kubeadm's joins leave them: no claim, no record."""
    cluster = make(*NAMES)
    cluster.add_learner("cp4")
    kept = cluster.member("swept", joining=["cp4"], **SWEEP)
    assert told(kept)["changed"] is False
    assert any("a join runs on its host" in text for text in kept["aloud"])
    assert keys(cluster) == []
    check = cluster.member("swept", check=True, **SWEEP)
    assert keys(cluster) == [], "check mode writes nothing"
    began = time.monotonic()
    swept = cluster.member("swept", **SWEEP)
    assert time.monotonic() - began > 2.5, "as long as the lease"
    assert told(swept) == told(check)
    assert names(cluster) == list(NAMES)

    # A learner that has started is never an orphan.
    cluster.add_learner("cp5")
    cluster.members.pop("cp4")
    cluster.start("cp5")
    eventually(lambda: "cp5" in names(cluster), lambda there: there)
    cluster.members["cp5"].kill()
    assert told(cluster.member("swept", **SWEEP))["changed"] is False
    gone = cluster.member("absent", name="cp5", **FAST)
    assert [step.split()[1:3] for step in gone["steps"]] == [["the", "learner"]]
    assert QUICK["orphan_seconds"] == SWEEP["orphan_seconds"]
