# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static pods that are held and released, by runs that are killed anywhere."""

from __future__ import annotations

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pods import API, COMPONENTS, ETCD, Change
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pods_hold import (
    hold,
    hold_steps,
    look,
    release,
    release_steps,
    require_known,
)
from tests.unit.plugins.module_utils.test_static_pods import OLD, TIMEOUT, Killed, Kubelet


def change(kubelet: Kubelet) -> Change:
    return Change(kubelet, TIMEOUT, clock=lambda: kubelet.time, sleep=kubelet.sleep)


def test_held_nothing_of_it_runs_and_released_it_is_what_it_was() -> None:
    kubelet = Kubelet(OLD)
    assert hold_steps(look(kubelet), COMPONENTS)[-1] == "stop etcd"
    hold(change(kubelet), COMPONENTS)
    assert (kubelet.running, look(kubelet).held) == ({}, list(COMPONENTS))
    assert hold_steps(look(kubelet), COMPONENTS) == []
    assert release_steps(look(kubelet), COMPONENTS)[0] == "start etcd"
    release(change(kubelet), COMPONENTS)
    assert (kubelet.running, kubelet.files, kubelet.aside) == (OLD, OLD, {})
    assert release_steps(look(kubelet), COMPONENTS) == []


def test_etcd_ends_after_the_api_server_and_starts_before_it() -> None:
    kubelet = Kubelet(OLD)
    hold(change(kubelet), COMPONENTS)
    release(change(kubelet), COMPONENTS)
    log = kubelet.log
    assert log.index(f"end {API}") < log.index(f"keep {ETCD}")
    assert log.index(f"begin {ETCD}") < log.index(f"place {API}")


def test_some_of_them_are_released_and_the_others_stay_away() -> None:
    kubelet = Kubelet(OLD)
    hold(change(kubelet), COMPONENTS)
    release(change(kubelet), [ETCD])
    assert set(kubelet.running) == {ETCD}
    assert look(kubelet).held == [name for name in COMPONENTS if name != ETCD]
    release(change(kubelet), COMPONENTS)
    assert (kubelet.running, kubelet.aside) == (OLD, {})


def test_a_member_that_needs_others_is_started_without_a_wait_and_waited_for_later() -> None:
    kubelet = Kubelet(OLD)
    hold(change(kubelet), COMPONENTS)
    kubelet.ill.add(OLD[ETCD])
    release(change(kubelet), [ETCD], wait=False)
    assert ETCD in kubelet.files
    assert kubelet.aside, "what is kept tells the next call that it was not waited for"
    kubelet.ill.clear()
    release(change(kubelet), COMPONENTS)
    assert (kubelet.running, kubelet.files, kubelet.aside) == (OLD, OLD, {})


@pytest.mark.parametrize("dies_after", range(1, 25))
def test_killed_anywhere_the_next_run_ends_where_an_undisturbed_one_does(dies_after: int) -> None:
    kubelet = Kubelet(OLD)
    kubelet.dies_after = dies_after
    try:
        hold(change(kubelet), COMPONENTS)
        release(change(kubelet), COMPONENTS)
    except Killed:
        kubelet.settle(30)
        hold(change(kubelet), COMPONENTS)
        assert kubelet.running == {}
        release(change(kubelet), COMPONENTS)
    assert (kubelet.running, kubelet.files, kubelet.aside) == (OLD, OLD, {})


def test_what_does_not_end_or_does_not_come_back_is_told() -> None:
    kubelet = Kubelet(OLD)
    kubelet.stuck.add(ETCD)
    with pytest.raises(CommandError, match="did not end etcd"):
        hold(change(kubelet), COMPONENTS)
    kubelet.stuck.clear()
    kubelet.ill.add(OLD[API])
    hold(change(kubelet), COMPONENTS)
    with pytest.raises(CommandError, match="kube-apiserver did not become healthy"):
        release(change(kubelet), COMPONENTS)
    assert look(kubelet).kept == OLD, "nothing is forgotten before everything is back"


def test_a_process_without_a_manifest_counts_as_running() -> None:
    kubelet = Kubelet(OLD)
    kubelet.files.clear()
    assert hold_steps(look(kubelet), [ETCD]) == ["stop etcd"]


def test_what_is_nowhere_cannot_be_released() -> None:
    with pytest.raises(RefusedError, match="no manifest that could be given back"):
        require_known(look(Kubelet({ETCD: "x"})), COMPONENTS, "/etc/kubernetes/manifests")
