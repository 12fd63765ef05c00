"""The truth table as the campaign holds it against SAFETY's own pairs and against the gates of the code."""

from __future__ import annotations

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.quorum import (
    Cluster,
    Member,
    add_learner_gate,
    promote_gate,
    remove_gate,
    restart_gate,
)
from tests.faults.etcd_truth import CLUSTERS, allowed, chosen
from tests.faults.etcd_ways import WAYS

SAFETY = {
    "restart a healthy member": ([(3, 0), (4, 0), (5, 0), (5, 1), (7, 2)], [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2)]),
    "remove the unhealthy member": ([(3, 1), (4, 1), (5, 1), (5, 2), (7, 3)], [(2, 1), (3, 2), (4, 2), (5, 3)]),
    "promote the learner": ([(1, 0), (2, 0), (3, 0), (4, 0), (4, 1), (5, 0), (5, 1)], [(3, 1)]),
}


@pytest.mark.parametrize("action", SAFETY)
def test_the_pairs_of_safety(action: str) -> None:
    yes, no = SAFETY[action]
    assert all(allowed(action, *pair) for pair in yes)
    assert not any(allowed(action, *pair) for pair in no)
    assert not set(no) - set(CLUSTERS), "each is tried"


def state(voters: int, lost: int, learner: bool = False) -> Cluster:
    members = [
        Member(str(n), f"e{n}", (f"https://e{n}:2380",), healthy=n > lost, version="3.6.16")
        for n in range(1, voters + 1)
    ]
    extra = [Member("99", "new", ("https://new:2380",), learner=True, healthy=True)] if learner else []
    return Cluster((*members, *extra))


@pytest.mark.parametrize(("voters", "lost"), CLUSTERS)
def test_the_gates_say_the_same(voters: int, lost: int) -> None:
    cluster, last = state(voters, lost), str(voters)
    assert restart_gate(cluster, last).allowed is allowed("restart a healthy member", voters, lost)
    assert remove_gate(cluster, last).allowed is allowed("remove a healthy member", voters, lost)
    assert add_learner_gate(cluster, "new", ["https://new:2380"]).allowed is allowed("add a learner", voters, lost)
    promoted = promote_gate(state(voters, lost, learner=True), "99", [0, 0]).allowed
    assert promoted is allowed("promote the learner", voters, lost)
    if lost:
        assert restart_gate(cluster, "1").allowed is allowed("restart the unhealthy member", voters, lost)
        assert remove_gate(cluster, "1").allowed is allowed("remove the unhealthy member", voters, lost)


def test_every_way_takes_its_turn_and_a_full_disk_comes_first() -> None:
    used = [chosen(voters, lost) for voters, lost in CLUSTERS]
    assert {way for one in used for way in one.values()} == set(WAYS)
    assert all(len(one) == lost for one, (_voters, lost) in zip(used, CLUSTERS))
    assert all("disk full" not in list(one.values())[1:] for one in used)
