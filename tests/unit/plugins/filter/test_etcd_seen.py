"""What the plan told of etcd is used only while nothing was changed since."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.filter.etcd_seen import (
    AGAIN,
    BEFORE,
    etcd_seen,
    etcd_upgrade_refusal,
)

TOLD = {"etcd": {"voters": 3}}


def look(etcd: Any) -> dict[str, Any]:
    return {BEFORE: {"node": {"etcd": etcd}}}


GROUPS = {"kube_control_plane": ["cp1", "cp2", "cp3"], "kube_lb": ["lb1"], "kube_node": ["w1"], "etcd": ["etcd1"]}


def test_the_first_host_that_could_tell() -> None:
    silent = {"msg": "did not answer"}
    hostvars = {"cp1": {BEFORE: {"unreachable": True}}, "cp2": look(silent), "cp3": look(TOLD), "w1": {}}
    assert etcd_seen(["cp1", "cp2", "cp3"], hostvars, GROUPS) == TOLD


def test_nobody_told() -> None:
    assert etcd_seen(["cp1", "cp2"], {"cp1": look(None), "cp2": {}}, GROUPS) == {}
    assert etcd_seen(["cp1"], {}, GROUPS) == {}


@pytest.mark.parametrize(("changed", "used"), [("lb1", False), ("cp2", False), ("etcd1", False), ("w1", True)])
def test_what_was_told_before_a_change_is_used_only_when_that_was_a_workers(changed: str, used: bool) -> None:
    again = {AGAIN: {"node": {}}}
    assert etcd_seen(["cp1"], {"cp1": look(TOLD), changed: again}, GROUPS) == (TOLD if used else {})


def test_workers_are_not_read_however_many_there_are() -> None:
    read = []

    class Noting(dict[str, Any]):
        def __getitem__(self, host: str) -> Any:
            read.append(host)
            return super().__getitem__(host)

    hostvars = Noting({"cp1": look(TOLD), **{f"w{number}": {} for number in range(1000)}})
    assert etcd_seen(["cp1"], hostvars, {**GROUPS, "kube_node": [f"w{number}" for number in range(1000)]}) == TOLD
    assert set(read) == {"cp1"}


def members(*versions: str, sick: str = "") -> dict[str, Any]:
    names = [f"etcd{number}" for number, _ in enumerate(versions, 1)]
    return {"members": [{"name": n, "id": n, "version": v, "healthy": n != sick} for n, v in zip(names, versions)]}


@pytest.mark.parametrize(
    ("etcd", "words"),
    [
        (members("3.6.14", "3.6.16", "3.6.14"), ""),
        (members("3.6.14", "3.6.14", "3.6.14", sick="etcd2"), "etcd2 is not healthy"),
        (members("3.5.24", "3.6.14"), "3.5.32 -> 3.6.16"),
        (members("3.7.0"), "cannot be downgraded"),
    ],
)
def test_what_speaks_against_an_upgrade_of_etcd_is_told_with_the_way(etcd: dict[str, Any], words: str) -> None:
    refusal = etcd_upgrade_refusal(etcd, "1.36.3")
    assert (words in refusal) if words else refusal == ""
