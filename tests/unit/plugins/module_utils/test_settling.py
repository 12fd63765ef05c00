# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a node has settled: what the API shows, and how long it has to stay so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError
from ansible_collections.quorum.kubeadm.plugins.module_utils.settling import (
    MIRROR,
    PAUSE,
    Seen,
    node_lacks,
    pods_lack,
    pods_unready,
    settle,
)

# 2026-01-01T00:00:00Z
NEW_YEAR = 1767225600


def node(version: str = "v1.36.3", ready: str = "True", beat: Any = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "message": "kubelet is posting", "lastHeartbeatTime": beat}
    return {"status": {"nodeInfo": {"kubeletVersion": version}, "conditions": [{"type": "Other"}, condition]}}


@pytest.mark.parametrize(
    ("seen", "since", "lacks"),
    [
        (node(), 0.0, ""),
        (node(), NEW_YEAR - 5.0, ""),
        # The API keeps whole seconds.
        (node(), NEW_YEAR + 0.9, ""),
        (node(), NEW_YEAR + 1.0, "the kubelet has not reported since its restart"),
        (node(beat=None), 0.0, ""),
        (node(beat=None), 1.0, "the kubelet has not reported since its restart"),
        (node(beat="soon"), 1.0, "the kubelet has not reported since its restart"),
        (node("v1.35.4"), 0.0, "the node's kubelet is 1.35.4, not 1.36.3"),
        (node("v1.36.30"), 0.0, "the node's kubelet is 1.36.30, not 1.36.3"),
        (node(ready="False"), NEW_YEAR + 9.0, "the node is not Ready: kubelet is posting"),
        (node(ready="Unknown"), 0.0, "the node is not Ready: kubelet is posting"),
        ({}, 0.0, "the node's kubelet is unknown, not 1.36.3; the node is not Ready: unknown"),
        ({"status": {"nodeInfo": None, "conditions": None}}, 0.0, "the node's kubelet is unknown, not 1.36.3; "
                                                                  "the node is not Ready: unknown"),
    ],
)  # fmt: skip
def test_the_node_as_its_kubelet_reports_it(seen: dict[str, Any], since: float, lacks: str) -> None:
    assert "; ".join(node_lacks(seen, "1.36.3", since)) == lacks


IMAGES = {"etcd": "etcd:2", "kube-apiserver": "api:2"}


def pod(component: str, image: str, ready: bool = True, mirror: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"annotations": {MIRROR: "hash"} if mirror else {}, "labels": {"component": component}},
        "spec": {"containers": [{"image": image}]},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


@pytest.mark.parametrize(
    ("pods", "lacks"),
    [
        ([pod("etcd", "etcd:2"), pod("kube-apiserver", "api:2")], []),
        ([pod("etcd", "etcd:2"), pod("kube-apiserver", "api:1")], ["kube-apiserver is shown with api:1, not api:2"]),
        ([pod("etcd", "etcd:2")], ["kube-apiserver is shown with no image, not api:2"]),
        ([pod("etcd", "etcd:2", ready=False), pod("kube-apiserver", "api:2")], []),
        # A pod of somebody else with that label is no static pod.
        (
            [pod("etcd", "etcd:2"), pod("kube-apiserver", "api:2", mirror=False)],
            ["kube-apiserver is shown with no image, not api:2"],
        ),
        ([{}, {"metadata": {}}], [f"{name} is shown with no image, not {image}" for name, image in IMAGES.items()]),
    ],
)
def test_the_static_pods_as_the_api_shows_them(pods: list[dict[str, Any]], lacks: list[str]) -> None:
    assert pods_lack(pods, IMAGES) == lacks


def test_more_pods_than_asked_for_do_not_matter() -> None:
    assert pods_lack([pod("kube-proxy", "x", ready=False)], {}) == []
    assert pods_unready([pod("kube-proxy", "x", ready=False)], {}) == []


@pytest.mark.parametrize(
    ("pods", "unready"),
    [
        ([pod("etcd", "etcd:2"), pod("kube-apiserver", "api:2")], []),
        ([pod("etcd", "etcd:2", ready=False), pod("kube-apiserver", "api:2")], ["etcd is not shown as ready"]),
        ([pod("etcd", "etcd:2", mirror=False), pod("kube-apiserver", "api:2")], ["etcd is not shown as ready"]),
        ([], ["etcd is not shown as ready", "kube-apiserver is not shown as ready"]),
    ],
)
def test_what_the_api_shows_as_ready(pods: list[dict[str, object]], unready: list[str]) -> None:
    assert pods_unready(pods, IMAGES) == unready


# Staying well


class Time:
    """Looks one after another, each a moment after the one before."""

    def __init__(self, *looks: Seen) -> None:
        self.now = 100.0
        self.looks = list(looks)
        self.count = 0

    def look(self) -> Seen:
        self.count += 1
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def settle(self, stable: float, timeout: float) -> float:
        return settle(self.look, stable, timeout, lambda: "its log", clock=lambda: self.now, sleep=self.sleep)


LATE = Seen((), {"etcd": (1,)}, ("etcd is not shown as ready",))
WELL, RESTARTED, ILL = Seen((), {"etcd": (1,)}), Seen((), {"etcd": (2,)}), Seen(("etcd: 503",), {"etcd": (1,)})


def test_one_good_look_is_not_enough() -> None:
    time = Time(WELL)
    assert time.settle(15, 60) == 0.0
    assert time.now - 100 == 15
    assert time.count == 15 / PAUSE + 1


def test_the_seconds_until_it_was_well() -> None:
    time = Time(ILL, ILL, WELL)
    assert time.settle(5, 60) == 2 * PAUSE
    assert time.now - 100 == 5 + 2 * PAUSE


def test_a_fault_in_between_begins_anew() -> None:
    time = Time(*[WELL] * 9, ILL, WELL)
    assert time.settle(5, 60) == 10 * PAUSE


def test_another_process_begins_anew_although_it_answers() -> None:
    time = Time(*[WELL] * 9, RESTARTED)
    assert time.settle(5, 60) == 9 * PAUSE


def test_a_process_that_comes_late_begins_anew() -> None:
    time = Time(Seen((), {"kubelet": (1,)}), Seen((), {"kubelet": (1,), "etcd": (2,)}))
    assert time.settle(5, 60) == PAUSE


def test_what_is_late_may_come_while_it_stays_well() -> None:
    time = Time(*[LATE] * 8, WELL)
    assert time.settle(5, 60) == 0.0
    assert time.now - 100 == 5


def test_what_is_late_is_waited_for() -> None:
    time = Time(*[LATE] * 20, WELL)
    assert time.settle(5, 60) == 0.0
    assert time.now - 100 == 20 * PAUSE


def test_what_never_comes_is_told() -> None:
    with pytest.raises(CommandError) as caught:
        Time(LATE).settle(5, 60)
    assert caught.value.found == "etcd is not shown as ready\nits log"


def test_what_is_lacking_last_is_told_with_the_log() -> None:
    time = Time(Seen(("the node is not Ready",)), ILL)
    with pytest.raises(CommandError, match="has not settled within 60 s") as caught:
        time.settle(15, 60)
    assert caught.value.found == "etcd: 503\nits log"
    assert time.now - 100 == 60


def test_it_may_become_well_just_in_time() -> None:
    time = Time(*[ILL] * int(59 / PAUSE), WELL)
    assert time.settle(15, 60) == 59.0
    assert time.now - 100 == 59 + 15


def test_processes_that_come_and_go_are_no_settled_node_and_are_named() -> None:
    time = Time(*[WELL, RESTARTED] * 500)
    with pytest.raises(CommandError) as caught:
        time.settle(5, 60)
    assert caught.value.found.startswith("etcd was started again\n")
    assert time.now - 100 == 65


@given(st.lists(st.sampled_from([WELL, RESTARTED, ILL, LATE]), max_size=200), st.integers(0, 20), st.integers(1, 60))
def test_it_ends_in_time_and_only_after_looks_that_were_all_well(looks: list[Seen], stable: int, timeout: int) -> None:
    time, taken = Time(*looks, WELL), []
    real = time.look
    time.look = lambda: taken.append(real()) or taken[-1]
    try:
        time.settle(stable, timeout)
    except CommandError:
        pass
    else:
        last = taken[-(int(stable / PAUSE) + 1) :]
        assert not any(seen.lacks for seen in last)
        assert not last[-1].late
        assert len({str(seen.processes) for seen in last}) == 1
    assert time.now - 100 <= timeout + stable
