"""What the plan told of etcd is used only while nothing was changed since."""

from __future__ import annotations

from typing import Any

from ansible_collections.quorum.kubeadm.plugins.filter.etcd_seen import AGAIN, BEFORE, etcd_seen

TOLD = {"etcd": {"voters": 3}}


def look(etcd: Any) -> dict[str, Any]:
    return {BEFORE: {"node": {"etcd": etcd}}}


def test_the_first_host_that_could_tell() -> None:
    silent = {"msg": "did not answer"}
    hostvars = {"cp1": {BEFORE: {"unreachable": True}}, "cp2": look(silent), "cp3": look(TOLD), "w1": {}}
    assert etcd_seen(["cp1", "cp2", "cp3"], hostvars) == TOLD


def test_nobody_told() -> None:
    assert etcd_seen(["cp1", "cp2"], {"cp1": look(None), "cp2": {}}) == {}
    assert etcd_seen(["cp1"], {}) == {}


def test_what_was_told_before_a_change_is_not_used() -> None:
    assert etcd_seen(["cp1"], {"cp1": look(TOLD), "w1": {AGAIN: {"node": {}}}}) == {}
