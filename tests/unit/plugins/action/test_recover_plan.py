# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts have registered, as a recovery's plan takes it, and what a person reads."""

from __future__ import annotations

from typing import Any

from ansible_collections.quorum.kubeadm.plugins.action.recover_plan import machines_of, text_of
from ansible_collections.quorum.kubeadm.plugins.module_utils.recovery import decide
from ansible_collections.quorum.kubeadm.plugins.module_utils.recovery_seen import Asked

NOW = 1_795_000_000.0
DATA = {"data": True, "runs": True, "phase": "none", "cluster_id": "c", "last_term": 2, "last_index": 9, "written": NOW}
MEMBERS = [{"name": name, "id": "1", "learner": name == "cp4", "alarms": []} for name in ("cp1", "cp2", "cp3", "cp4")]
GIVEN: dict[str, Any] = {
    "hosts": ["cp1", "cp2", "cp3"],
    "addresses": {"cp1": "192.0.2.11", "cp2": "192.0.2.12", "cp3": "192.0.2.13"},
}


def seen(**more: Any) -> dict[str, Any]:
    answering = more.pop("answering", [])
    return {
        "__recover_data": {"etcd": {**DATA, **more}, "answering": answering},
        "__recover_etcd": {"etcd": {"linearizable": False, "members": MEMBERS}},
        "__recover_pods": {"held": ["etcd"]},
    }


HOSTVARS: dict[str, Any] = {
    "cp1": seen(answering=["https://192.0.2.12:2380"]),
    "cp2": seen(),
    "cp3": {"__recover_pods": {"unreachable": True, "msg": "No route to host"}, "__recover_data": {"skipped": True}},
}


def test_registers_become_values() -> None:
    cp1, cp2, cp3 = machines_of(GIVEN, HOSTVARS)
    assert (cp1.voters, cp1.quorum, cp1.newest) == (("cp1", "cp2", "cp3"), False, (2, 9))
    assert cp1.answering == (), "cp2 is reachable: it is stopped, not asked"
    assert cp2.reachable
    assert (cp3.reachable, cp3.why) == (False, "No route to host")


def test_an_address_of_a_host_that_cannot_be_reached_is_told() -> None:
    hostvars = {**HOSTVARS, "cp1": seen(answering=["https://192.0.2.13:2380", "https://192.0.2.12:2379"])}
    assert machines_of(GIVEN, hostvars)[0].answering == ("https://192.0.2.13:2380",)


def test_the_command_that_does_it_is_printed_whole() -> None:
    hostvars = {"cp1": seen(), "cp2": HOSTVARS["cp3"], "cp3": HOSTVARS["cp3"]}
    asked = Asked(lost=("cp2", "cp3"))
    outcome = decide(machines_of(GIVEN, hostvars), asked, NOW)
    text = text_of(outcome, asked)
    assert "NOTHING WAS CHANGED" in text
    command = "-e survivor=cp1 -e recover_lost=cp2,cp3 -e recover_acknowledge=give-up-cp2,cp3-and-all-after-entry-2.9"
    assert command in text
    done = Asked(lost=("cp2", "cp3"), acknowledge=outcome.words)
    works = decide(machines_of(GIVEN, hostvars), done, NOW)
    assert "IS DONE NOW" in text_of(works, done)
    assert "WOULD BE DONE" in text_of(works, done, effects=False)


def test_a_refusal_is_printed_and_no_command() -> None:
    asked = Asked()
    text = text_of(decide(machines_of(GIVEN, HOSTVARS), asked, NOW), asked)
    assert "REFUSED" in text
    assert "recover_acknowledge" not in text
