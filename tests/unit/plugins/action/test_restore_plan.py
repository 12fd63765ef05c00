# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts have registered, as a restore's plan takes it, and what a person reads."""

from __future__ import annotations

from typing import Any

from ansible_collections.quorum.kubeadm.plugins.action.restore_plan import peer_url, places_of, text_of
from ansible_collections.quorum.kubeadm.plugins.module_utils.restoration import decide
from ansible_collections.quorum.kubeadm.plugins.module_utils.restoration_seen import Asked

NOW = 1_795_000_000.0
PATH = "/var/backups/etcd/one.db"
DATA = {"data": True, "runs": True, "phase": "none", "cluster_id": "abcdef0123", "record": {}, "restored": {}}
SNAPSHOT = {"path": PATH, "sha256": "5" * 64, "size": 1 << 20, "revision": 9, "total_keys": 8, "taken": NOW - 60,
            "version": "3.6.0", "authorities": []}  # fmt: skip
GIVEN: dict[str, Any] = {
    "hosts": ["cp1", "cp2", "cp3"],
    "control_planes": ["cp1", "cp2", "cp3"],
    "addresses": {"cp1": "192.0.2.11", "cp2": "2001:db8::12", "cp3": "192.0.2.13"},
}


def member(url: str, healthy: bool = True) -> dict[str, Any]:
    return {"name": "m", "id": "1", "learner": False, "alarms": [], "healthy": healthy, "peer_urls": [url]}


def seen(*members: dict[str, Any], **copy: Any) -> dict[str, Any]:
    return {
        "__recover_data": {"etcd": DATA, "answering": [], "ca": "a", "etcdutl": "3.6.16", "free_bytes": 1 << 40},
        "__recover_etcd": {"etcd": {"linearizable": True, "members": list(members)}},
        "__recover_pods": {"held": [], "known": ["etcd", "kube-apiserver"]},
        "__recover_snapshot": copy or {"failed": True, "error": {"found": "it is empty"}},
    }


HOSTVARS: dict[str, Any] = {
    "cp1": seen(member("https://192.0.2.11:2380"), member("https://192.0.2.99:2380"), snapshot=SNAPSHOT),
    "cp2": seen(member("https://192.0.2.98:2380", healthy=False)),
    "cp3": {"__recover_pods": {"unreachable": True, "msg": "No route to host"}, "__recover_data": {"skipped": True}},
}


def test_registers_become_values() -> None:
    cp1, cp2, cp3 = places_of(GIVEN, HOSTVARS)
    assert (cp1.able, cp1.serves, cp1.snapshot, cp1.peer_url) == (True, True, SNAPSHOT, "https://192.0.2.11:2380")
    assert cp1.outsiders == ("https://192.0.2.99:2380",)
    assert (cp2.outsiders, cp2.why, cp2.snapshot) == ((), "it is empty", {})
    assert cp2.peer_url == "https://[2001:db8::12]:2380" == peer_url("2001:db8::12")
    assert (cp3.reachable, cp3.able, cp3.why) == (False, False, "No route to host")


def test_the_command_that_does_it_is_printed_whole_and_only_where_nothing_is_refused() -> None:
    hostvars = {**HOSTVARS, "cp1": seen(snapshot=SNAPSHOT), "cp2": seen()}
    asked = Asked(PATH, host="cp1", lost=("cp3",))
    outcome = decide(places_of(GIVEN, hostvars), asked, NOW, "fresh")
    text = text_of(outcome, asked)
    words = "give-up-abcdef01-after-revision-9-and-cp3"
    assert f"  -e snapshot={PATH} -e snapshot_host=cp1 -e restore_lost=cp3 -e restore_acknowledge={words}" in text
    done = Asked(PATH, host="cp1", lost=("cp3",), acknowledge=words)
    works = decide(places_of(GIVEN, hostvars), done, NOW, "fresh")
    assert "IS DONE NOW" in text_of(works, done)
    assert "WOULD BE DONE" in text_of(works, done, effects=False)
    refused = decide(places_of(GIVEN, HOSTVARS), Asked(PATH), NOW, "fresh")
    assert "REFUSED" in text_of(refused, Asked(PATH))
    assert "restore_acknowledge" not in text_of(refused, Asked(PATH))


def test_the_plan_is_plain_for_the_playbook() -> None:
    plan = decide(places_of(GIVEN, HOSTVARS), Asked(PATH), NOW, "fresh").as_dict()
    assert all(isinstance(value, (str, bool, list, dict)) for value in plan.values())
