# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""encryption_plan reads what the hosts have told, all of them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.action import encryption_plan as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError

HOSTS = ["cp1", "cp2"]


def told(*names: str, loaded: tuple[str, ...] | None = ()) -> dict[str, Any]:
    def keys(given: tuple[str, ...]) -> list[dict[str, str]]:
        return [{"name": name, "mark": f"mark of {name}"} for name in given]

    return {"keys": keys(names), "loaded": None if loaded is None else keys(loaded or names), "rest": "x"}


def decide(stage: str, seen: dict[str, Any], **more: Any) -> tuple[dict[str, Any], list[str]]:
    given = {"stage": stage, "hosts": HOSTS, "nodes": [], "new": "key2", "stored": {}, "names": {}, **more}
    return subject.decide(given, {name: {subject.SEEN: seen[name]} if name in seen else {} for name in HOSTS})


def test_a_plan_is_told_with_the_keys_of_every_host() -> None:
    plan, lines = decide("begin", {name: told("key1") for name in HOSTS}, nodes=HOSTS)
    assert (plan["new"], list(plan["add"])) == ("key2", HOSTS)
    text = "\n".join(lines)
    assert "cp2: key1 (mark o)" in text
    assert "drop key1: cp1, cp2" in text


def test_one_whose_api_server_does_not_run_is_told() -> None:
    _plan, lines = decide("begin", {"cp1": told("key1"), "cp2": told("key1", loaded=None)})
    assert "its API server does not run" in "\n".join(lines)


def test_a_host_that_told_nothing_is_refused_by_name() -> None:
    failed = {"failed": True, "msg": "no such file"}
    for seen in ({"cp1": told("key1")}, {"cp1": told("key1"), "cp2": failed}):
        with pytest.raises(RefusedError) as caught:
            decide("begin", seen)
        assert "cp2" in caught.value.where


def test_a_control_plane_that_only_the_cluster_has_is_refused() -> None:
    with pytest.raises(RefusedError, match="every control plane") as caught:
        decide("begin", {name: told("key1") for name in HOSTS}, nodes=[*HOSTS, "cp10"])
    assert caught.value.where == "cp10"


@pytest.mark.parametrize(
    ("stage", "keys", "more", "words"),
    [
        ("promote", ("key1",), {}, "cannot read key2 yet"),
        ("rewrite", ("key1", "key2"), {}, "may still write"),
        ("drop", ("key1", "key2"), {"stored": {"secretbox:key2": 3}}, "may still write"),
        ("drop", ("key2", "key1"), {"stored": {"secretbox:key1": 1}}, "no key was dropped"),
    ],
)
def test_a_stage_that_would_not_be_safe_is_refused(
    stage: str, keys: tuple[str, ...], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(RefusedError, match=words):
        decide(stage, {name: told(*keys) for name in HOSTS}, **more)


def test_stages_that_are_safe_pass() -> None:
    decide("promote", {name: told("key1", "key2") for name in HOSTS})
    seen = {name: told("key2", "key1") for name in HOSTS}
    decide("rewrite", seen)
    _plan, lines = decide("drop", seen, stored={"secretbox:key2": 3}, names={"secretbox:key2": ["/registry/x"]})
    assert lines == ["etcd: 3 under secretbox:key2"]


def test_an_object_that_needs_the_old_key_is_named() -> None:
    seen = {name: told("key2", "key1") for name in HOSTS}
    names = {"secretbox:key1": ["/registry/old/one"], "secretbox:key2": ["/registry/new/one"]}
    with pytest.raises(RefusedError) as caught:
        decide("drop", seen, stored={"secretbox:key1": 1, "secretbox:key2": 1}, names=names)
    assert "/registry/old/one" in caught.value.found
    assert "/registry/new/one" not in caught.value.found
