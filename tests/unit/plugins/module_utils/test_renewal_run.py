# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laws of a renewal, on a host in memory: check is real, twice is nothing, killed goes on, refused is nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.renewal import STAGES, Authority, Kubelet
from tests.unit.renewal_world import NOW, PODS, KilledError, World

ENDED = Kubelet(conf=True, rotated=True, ends=NOW - timedelta(hours=1))


def test_check_says_what_is_done() -> None:
    world = World()
    said = world.plan().steps()
    world.run(STAGES)
    done = [change for change in world.changes if change.startswith("renew ")]
    assert done == [step.partition(" (")[0] for step in said if step.startswith("renew ")]
    assert [step for step in said if step.startswith("restart ")] == [f"restart {name}" for name in PODS]
    assert f"start {' '.join(PODS)}" in world.changes


def test_a_second_run_has_nothing_to_do() -> None:
    world = World(kubelet=ENDED)
    world.run(STAGES)
    assert world.plan().steps() == []
    before = list(world.changes)
    world.run(STAGES)
    assert world.changes == before


def test_what_is_not_due_is_renewed_when_all_are_asked_for() -> None:
    world = World(left=timedelta(days=200))
    world.run(STAGES, every=True)
    assert all(one.serial.startswith("new-") for one in world.certificates.values())
    assert world.plan().steps() == []


@pytest.mark.parametrize("kubelet", [None, ENDED])
def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(kubelet: Kubelet | None) -> None:
    undisturbed = World(kubelet=kubelet)
    undisturbed.run(STAGES)
    count = len(undisturbed.changes)
    assert count > 30
    for number in range(1, count + 1):
        world = World(kubelet=kubelet, kill_at=number)
        with pytest.raises(KilledError):
            world.run(STAGES)
        world.kill_at = 0
        world.run(STAGES)
        assert world.plan().steps() == [], f"killed before {undisturbed.changes[number - 1]}"
        assert world.kubelet == undisturbed.kubelet
        assert all(one.serial.startswith("new-") and one.whole for one in world.certificates.values())
        ports = {one.place.port: one.serial for one in world.certificates.values() if one.place.port}
        assert world.in_use == ports
        assert (world.folders, world.held, world.marker) == ({}, (), "")


def test_what_was_renewed_before_the_kill_is_not_renewed_again() -> None:
    world = World(kill_at=9)
    with pytest.raises(KilledError):
        world.run(STAGES)
    made = [change for change in world.changes if change.startswith("renew ")]
    world.kill_at = 0
    world.run(STAGES)
    again = [change for change in world.changes if change.startswith("renew ")]
    assert made
    assert len(again) == len(set(again))


def test_a_refusal_leaves_no_trace() -> None:
    world = World(kubelet=ENDED)
    world.authorities["ca"] = Authority(NOW + timedelta(days=5), True)
    before = world.facts()
    with pytest.raises(RefusedError, match="nothing was changed"):
        world.run(STAGES)
    assert world.changes == []
    assert world.facts() == before


def test_when_kubeadm_fails_its_files_are_put_back_and_nothing_is_stopped() -> None:
    world = World(broken="etcd-peer")
    with pytest.raises(CommandError, match="did not renew etcd-peer; its files are as they were"):
        world.run(STAGES)
    peer = world.certificates["etcd-peer"]
    assert (peer.serial, peer.whole) == ("old-etcd-peer", True)
    assert not [change for change in world.changes if change.startswith(("stop", "forget"))]


def test_a_kubeadm_that_ends_well_without_renewing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does without the CA's key: "Detected external ca", exit code 0."""
    world = World()
    monkeypatch.setattr(world, "kubeadm", lambda _words: (0, "Detected external ca, ... can't be renewed"))
    with pytest.raises(CommandError, match="did not renew"):
        world.run(STAGES)


def test_old_files_stay_until_the_new_ones_are_proven_to_be_served() -> None:
    world = World(silent="apiserver")
    with pytest.raises(CommandError) as caught:
        world.run(STAGES)
    assert "served old-apiserver, in the file new-" in caught.value.found
    assert world.folders
    world.silent = ""
    # The pods run with the new files, only what is served differed: a restart is asked for by nobody but the person.
    world.restart(["kube-apiserver"])
    world.run(["proof"])
    assert world.folders == {}


def test_files_alone_stop_nothing_and_the_pods_follow_in_a_call_of_their_own() -> None:
    world = World()
    world.run(["files"])
    assert not [change for change in world.changes if change.startswith("stop")]
    assert world.plan().restarts == PODS
    world.run(["pods", "proof"])
    assert world.plan().steps() == []


def test_a_workers_old_certificate_is_moved_away_only_after_the_join_is_marked() -> None:
    world = World(roles=("worker",), kubelet=ENDED)
    world.run(["kubelet"])
    assert world.changes == ["mark join", "stop kubelet", "move kubelet.conf", "move kubelet-client-*.pem"]
    assert world.marker == "join"


def test_an_expired_kubelet_gets_its_kubeconfig_with_the_files_and_its_own_certificate_when_the_api_is_back() -> None:
    """A kubelet that starts with an expired one ends at once: nobody would start the static pods."""
    world = World(kubelet=ENDED)
    world.run(["files"])
    assert world.changes[-2:] == ["kubeconfig kubelet", "restart kubelet"]
    world.run(["pods", "proof"])
    assert world.folders, "it tells that the kubelet's part goes on"
    assert world.plan().kubelet == "finalize"
    world.run(["kubelet", "proof"])
    assert world.plan().steps() == []
    assert world.kubelet is not None
    assert (world.kubelet.conf, world.kubelet.embedded, world.kubelet.rotated) == (True, False, True)


def test_static_pods_that_nobody_has_to_restart_are_waited_for() -> None:
    """A kubelet that could not start for its own certificate starts them only now."""
    world = World(left=timedelta(days=200), kubelet=ENDED)
    world.run(["files", "pods", "proof"])
    assert world.settled
    assert not [change for change in world.changes if change.startswith("stop")]
