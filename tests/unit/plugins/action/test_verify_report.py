# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""verify_report: everything that was seen, put together, printed once, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.quorum.kubeadm.plugins.action import verify_report as subject

ACTIVE = {"active": "active"}
NODE = {"addresses": [], "units": {"containerd": ACTIVE, "kubelet": ACTIVE}}
BALANCER = {
    "addresses": [{"interface": "eth0", "address": "192.0.2.10", "prefix": 32, "family": 4}],
    "units": {"haproxy": ACTIVE, "keepalived": ACTIVE},
}
MEMBER = {"id": "1", "name": "cp1", "healthy": True, "learner": False, "alarms": [], "peer_urls": []}
ROW = {"check": "nodes", "subject": "cp1", "status": "ok", "found": "1 Ready", "next_step": ""}


def args(**more: Any) -> dict[str, Any]:
    base = {
        "control_planes": ["cp1"],
        "workers": ["w1"],
        "balancers": ["lb1"],
        "etcd_members": ["cp1"],
        "vip": "192.0.2.10",
        "cluster": {"changed": False, "rows": [ROW], "notes": [], "seconds": {"nodes": 0.1}},
        "etcd": {"etcd": {"members": [MEMBER], "voters": 1, "healthy_voters": 1, "tolerance": 0, "findings": []}},
    }
    return {**base, **more}


def registered(**hosts: Any) -> dict[str, dict[str, Any]]:
    seen = {"cp1": {"node": NODE}, "w1": {"node": NODE}, "lb1": {"node": BALANCER}, **hosts}
    return {name: {"__kube_verify_node": result} if result else {} for name, result in seen.items()}


def run(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], hostvars: dict[str, Any], play: list[str] | None = None
) -> tuple[dict[str, Any], str]:
    """The action's result, and what it printed."""
    printed: list[str] = []
    monkeypatch.setattr(subject, "Display", lambda: MagicMock(display=printed.append))
    task = MagicMock(args=given, async_val=0, check_mode=False, diff=False)
    templar = MagicMock()
    action = subject.ActionModule(task, MagicMock(), MagicMock(), MagicMock(), templar, MagicMock())
    values = {"ansible_play_hosts_all": play or list(hostvars), "hostvars": hostvars}
    return action.run(task_vars=values), "\n".join(printed)


def test_a_stopped_etcd_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = {"node": {"units": {"etcd": {"active": "inactive"}}, "addresses": []}}
    given = args(etcd_machines=["etcd1", "etcd2"])
    result, printed = run(monkeypatch, given, registered(etcd1=stopped))
    assert result["failed"]
    assert "etcd is inactive" in printed
    assert "hosts not looked at, this run was limited: etcd2" in printed


def test_a_vip_on_two_load_balancers_fails_the_play_and_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAULTS 17: VRRP does not pass between them, so both are masters."""
    given = args(balancers=["lb1", "lb10"])
    result, printed = run(monkeypatch, given, registered(lb10={"node": BALANCER}))
    assert result["failed"]
    assert "vip" in result["msg"]
    words = " ".join(printed.split())
    assert "192.0.2.10 on lb1 (eth0) and lb10 (eth0)" in words
    assert "look whether VRRP passes between them (protocol 112), and at keepalived's log" in words
    healed = {"node": {**BALANCER, "addresses": []}}
    assert not run(monkeypatch, given, registered(lb10=healed))[0].get("failed")


def test_all_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    result, printed = run(monkeypatch, args(), registered())
    assert not result.get("failed")
    assert result["changed"] is False
    assert result["counts"] == {"ok": 5, "warn": 0, "fail": 0}
    assert printed.count("STATUS") == 1
    assert printed.splitlines()[-1].startswith("verify: in order")


@pytest.mark.parametrize(
    ("change", "hosts", "check", "found"),
    [
        ({}, {"w1": {"unreachable": True, "msg": "Task failed: no\n route"}}, "hosts", "unreachable: no route"),
        ({}, {"w1": {"failed": True, "msg": "no Python"}}, "hosts", "no Python"),
        ({}, {"w1": None}, "hosts", "was not asked"),
        ({}, {"lb1": {"node": {"addresses": [], "units": {}}}}, "vip", "on no machine"),
        ({"etcd": {"skipped": True}}, {}, "etcd", "was not asked: no host that could be asked answers"),
        ({"etcd": {"failed": True, "msg": "boom"}}, {}, "etcd", "boom"),
        ({"cluster": {"unreachable": True, "msg": ""}}, {}, "api", "unreachable"),
        ({"cluster": {"rows": [{**ROW, "status": "fail", "found": "not Ready"}]}}, {}, "nodes", "not Ready"),
    ],
)
def test_what_fails_fails_the_play(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], hosts: dict[str, Any], check: str, found: str
) -> None:
    result, printed = run(monkeypatch, args(**change, output="json"), registered(**hosts))
    assert result["failed"] is True
    assert check in result["msg"]
    rows = json.loads(printed)["verify"]["rows"]
    assert any(row["check"] == check and row["status"] == "fail" and found in row["found"] for row in rows), rows


def test_what_a_machine_left_behind_fails_when_it_was_just_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    etcd = {**args()["etcd"]["etcd"], "members": [MEMBER, {**MEMBER, "id": "2", "name": "cp2"}]}
    odd, _printed = run(monkeypatch, args(etcd={"etcd": etcd}), registered())
    assert not odd.get("failed")
    wrong, printed = run(monkeypatch, args(etcd={"etcd": etcd}, absent=["cp2"]), registered())
    assert wrong["failed"]
    assert "extra: a member, not in the inventory" in printed


def test_load_balancers_that_were_asked_send_to_the_control_planes(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = registered()
    hosts["lb1"]["__kube_verify_balancer"] = {"servers": {"cp1": {"up": True}}}
    result, printed = run(monkeypatch, args(), hosts)
    assert not result.get("failed")
    assert "each sends to cp1" in printed
    hosts["lb1"]["__kube_verify_balancer"]["servers"]["cp9"] = {"up": False}
    result, printed = run(monkeypatch, args(), hosts)
    assert result["failed"]
    assert "HAProxy still sends to cp9" in printed


def test_the_four_parts_of_an_error_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    error = {"what": "The kubeconfig cannot be read", "where": "/x", "found": "no such file", "next": "Copy it"}
    _result, printed = run(monkeypatch, args(cluster={"failed": True, "error": error}, output="json"), registered())
    (row,) = [row for row in json.loads(printed)["verify"]["rows"] if row["status"] == "fail"]
    assert row["found"] == "The kubeconfig cannot be read: no such file (/x)"
    assert row["next_step"] == "Copy it"


def test_a_limited_run_says_what_it_did_not_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    result, printed = run(monkeypatch, args(), registered(), play=["w1"])
    assert not result.get("failed")
    assert "note: hosts not looked at, this run was limited: cp1, lb1" in printed
    assert "192.0.2.10" not in printed


def test_the_document_is_written_for_machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "verify.json"
    _result, printed = run(monkeypatch, args(output="json", output_file=str(path)), registered())
    assert json.loads(path.read_text()) == json.loads(printed)
    assert json.loads(printed)["verify"]["ok"] is True
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "verify.json"
    with pytest.raises(AnsibleActionFail, match=r"missing/verify\.json"):
        run(monkeypatch, args(output_file=str(path)), registered())


def test_an_old_backup_fails_and_where_no_timer_is_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    status = {
        "host": "cp1",
        "cluster": "prod",
        "kind": "etcd",
        "at": 0.0,
        "result": "failed",
        "error": "the disk is full",
    }
    hostvars = registered()
    result, printed = run(monkeypatch, args(), hostvars)
    assert "backups" not in printed
    hostvars["cp1"]["__etcd_backup_seen"] = {"status": status}
    result, printed = run(monkeypatch, args(), hostvars)
    assert result["failed"]
    assert "backups" in result["msg"]
    assert "the disk is full" in printed
