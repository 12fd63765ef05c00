# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certificate_report: all hosts in one table, what is wrong below it, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from ansible_collections.quorum.kubeadm.plugins.action import certificate_report as subject
from ansible_collections.quorum.kubeadm.plugins.action import verify_report
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_seen import Seen, seen
from tests.unit.certificate_world import NOW, at, cluster, host, spoil
from tests.unit.plugins.action.test_verify_report import args as verify_args
from tests.unit.plugins.action.test_verify_report import registered as verify_registered
from tests.unit.plugins.action.test_verify_report import run as run_verify
from tests.unit.plugins.modules.support import run_module


class Clock(datetime):
    """The time of the world."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return NOW


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "datetime", Clock)
    monkeypatch.setattr(verify_report, "datetime", Clock)


def told(certificates: Sequence[Seen], register: str = "__kube_certificates_info") -> dict[str, dict[str, Any]]:
    """What the hosts registered."""
    names = dict.fromkeys(one.host for one in certificates)
    return {
        name: {register: {"certificates": [one.result() for one in certificates if one.host == name]}} for name in names
    }


def run(
    monkeypatch: pytest.MonkeyPatch, hostvars: dict[str, Any], check: bool = False, **given: Any
) -> tuple[dict[str, Any], str]:
    """The action's result, and what it printed."""
    printed: list[str] = []
    monkeypatch.setattr(subject, "Display", lambda: MagicMock(display=printed.append))
    task = MagicMock(args=given, async_val=0, check_mode=check, diff=False)
    action = subject.ActionModule(task, MagicMock(), MagicMock(), MagicMock(), MagicMock(), MagicMock())
    values = {"ansible_play_hosts_all": list(hostvars), "hostvars": hostvars}
    return action.run(task_vars=values), "\n".join(printed)


def line(printed: str, name: str, on: str) -> str:
    """Of the first table, which has all of them."""
    table = printed[: printed.find("STATUS", 10)]
    (found,) = [text for text in table.splitlines() if text.split()[1:3] == [name, on]]
    return " ".join(found.split())


def test_what_is_registered_comes_back_as_it_was() -> None:
    for one in cluster():
        assert seen(json.loads(json.dumps(one.result()))) == one


@pytest.mark.parametrize("check", [False, True])
def test_all_in_order(monkeypatch: pytest.MonkeyPatch, check: bool) -> None:
    result, printed = run(monkeypatch, told(cluster()), check)
    assert not result.get("failed")
    assert (result["changed"], result["counts"]) == (False, {"ok": 0, "warn": 0, "fail": 0})
    assert line(printed, "apiserver", "cp1") == "ok apiserver cp1 2027-08-20 12:00 265 d ca 6443 same"
    assert line(printed, "ca", "w1") == "ok ca w1 2036-08-17 12:00 3550 d itself -"
    assert line(printed, "scheduler-serving", "cp2").endswith("itself 10259 memory")
    assert printed.count("STATUS") == 1
    number = len(cluster())
    verdict = f"certificates: in order ({number} certificates on 4 hosts, 0 to look at, 0 failed)"
    assert printed.splitlines()[-1] == verdict
    # Each is there once.
    assert len(printed.splitlines()) == number + 2


def test_names_of_what_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = spoil(cluster(), "cp1", "apiserver", sans=("cp1", "192.0.2.21", "192.0.2.10"))
    _result, printed = run(monkeypatch, told(seen))
    assert "        valid for cp1, 192.0.2.21, 192.0.2.10" in printed


def test_what_fails_fails_the_play_and_stands_last(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = spoil(cluster(), "cp2", "etcd-peer", not_after=at(3))
    seen = spoil(spoil(seen, "cp1", "admin.conf", not_after=at(20)), "cp2", "admin.conf", not_after=at(20))
    result, printed = run(monkeypatch, told(seen))
    assert result["failed"]
    assert result["msg"].endswith("1 to look at, 1 failed): etcd-peer")
    assert line(printed, "etcd-peer", "cp2").startswith("FAIL etcd-peer cp2 2026-12-01 12:00 3 d etcd-ca 2380 same")
    assert line(printed, "etcd-peer", "cp1").startswith("ok")
    assert line(printed, "admin.conf", "cp1").startswith("WARN")
    # The same on two hosts is told once.
    below = printed.rpartition("STATUS")[2]
    assert "cp1, cp2" in below
    assert below.index("admin.conf") < below.index("etcd-peer")
    assert below.count("-> run renew_certificates") == 2


def test_the_thresholds_are_those_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = told(spoil(cluster(), "cp1", "apiserver", not_after=at(50)))
    assert run(monkeypatch, hosts, warn_days=60)[0]["counts"]["warn"] == 1
    assert run(monkeypatch, hosts, warn_days=60, fail_days=55)[0]["failed"]
    assert not run(monkeypatch, hosts)[0].get("failed")


@pytest.mark.parametrize(
    ("result", "found"),
    [
        ({"unreachable": True, "msg": "no route to host"}, "unreachable: no route to host"),
        ({"failed": False, "msg": "no Python"}, "no Python"),
        ({}, "was not asked"),
    ],
)
def test_a_host_that_tells_nothing_fails(monkeypatch: pytest.MonkeyPatch, result: dict[str, Any], found: str) -> None:
    hosts = told(cluster()) | {"w2": {"__kube_certificates_info": result}}
    got, printed = run(monkeypatch, hosts)
    assert got["failed"]
    assert found in printed
    assert "look at w2" in printed


def test_metrics_that_could_not_be_written_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = told(cluster())
    error = {"what": "The directory does not exist", "where": "/var/lib/x", "found": "nothing", "next": "make it"}
    hosts["w1"]["__kube_certificates_metrics"] = {"msg": "x", "error": error}
    hosts["cp1"]["__kube_certificates_metrics"] = {"changed": True}
    got, printed = run(monkeypatch, hosts)
    assert got["failed"]
    assert "metrics  w1" in printed
    assert "The directory does not exist: nothing (/var/lib/x)" in printed


@pytest.mark.parametrize("sign", ["unreachable", "exception", "module_stderr"])
def test_metrics_of_a_host_that_went_away(monkeypatch: pytest.MonkeyPatch, sign: str) -> None:
    hosts = told(cluster())
    hosts["w1"]["__kube_certificates_metrics"] = {"msg": "lost", sign: "x"}
    got, printed = run(monkeypatch, hosts)
    assert got["msg"].endswith(": metrics")
    assert "lost" in printed


def test_a_limited_run_says_whom_it_did_not_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    got, printed = run(monkeypatch, told(host("cp1")), hosts=["cp1", "cp2", "w1"])
    assert not got.get("failed")
    assert "note: hosts not looked at, this run was limited: cp2, w1" in printed


def test_a_thousand_workers_are_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [one for number in range(1, 1001) for one in host(f"w{number}", "worker")]
    many = spoil(spoil(many, "w7", "kubelet-client", not_after=at(3)), "w500", "ca", not_after=at(3500))
    got, printed = run(monkeypatch, told([*host("cp1"), *many]))
    assert got["failed"]
    assert len(printed.splitlines()) < 50
    assert "cp1 and 999 more" in printed
    assert line(printed, "kubelet-client", "w7").startswith("FAIL")
    # The one that ends first is in front.
    assert "w500 and 1000 more" in printed


def test_the_document_has_every_certificate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "certificates.json"
    seen = spoil(cluster(), "cp1", "etcd-server", served="other", served_serial="beef")
    got, printed = run(monkeypatch, told(seen), output="json", output_file=str(path))
    document = json.loads(printed)["certificates"]
    assert json.loads(path.read_text())["certificates"] == document
    assert (document["ok"], document["counts"]) == (False, {"ok": 0, "warn": 0, "fail": 1})
    assert len(document["certificates"]) == len(seen)
    by_status = {(one["host"], one["name"]): one["status"] for one in document["certificates"]}
    assert [key for key, status in by_status.items() if status != "ok"] == [("cp1", "etcd-server")]
    (server,) = [one for one in document["certificates"] if (one["host"], one["name"]) == ("cp1", "etcd-server")]
    assert (server["served"], server["served_serial"], server["seconds_left"]) == ("other", "beef", 265 * 86400)
    assert got["failed"]
    assert list(tmp_path.iterdir()) == [path]


def verified(monkeypatch: pytest.MonkeyPatch, certificates: Sequence[Seen], **more: Any) -> tuple[dict[str, Any], str]:
    hosts = verify_registered()
    for name, values in told(certificates, "__kube_verify_certificates").items():
        hosts[name].update(values)
    return run_verify(monkeypatch, verify_args(output="json", **more), hosts)


def rows(printed: str) -> list[dict[str, str]]:
    return [row for row in json.loads(printed)["verify"]["rows"] if row["check"] == "certificates"]


def test_verify_says_which_one_is_the_next_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = spoil([*host("cp1"), *host("w1", "worker")], "w1", "kubelet-client", not_after=at(100))
    result, printed = verified(monkeypatch, seen)
    assert not result.get("failed")
    assert rows(printed) == [{
        "check": "certificates", "subject": "cp1, w1", "status": "ok", "next_step": "",
        "found": f"{len(seen)} looked at, the first to end is kubelet-client of w1 in 100 d",
    }]  # fmt: skip


def test_verify_fails_with_a_certificate_that_is_about_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = spoil(host("cp1"), "cp1", "apiserver", not_after=at(6))
    result, printed = verified(monkeypatch, seen)
    assert result["failed"]
    assert [(row["status"], row["found"].split(" on ")[0]) for row in rows(printed)] == [
        ("fail", "apiserver: ends in 6 days")
    ]
    assert not verified(monkeypatch, seen, certificate_fail_days=5)[0].get("failed")


def test_verify_that_was_not_asked_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    result, printed = run_verify(monkeypatch, verify_args(output="json"), verify_registered())
    assert not result.get("failed")
    assert rows(printed) == []


def test_what_ends_first_counts_its_ca(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [replace(one, signer_not_after=at(90)) if one.name == "etcd-peer" else one for one in host("cp1")]
    _result, printed = verified(monkeypatch, seen)
    assert "the first to end is etcd-peer of cp1 in 90 d" in rows(printed)[0]["found"]


def test_the_module_itself_never_runs() -> None:
    assert "controller only" in run_module("certificate_report", {})["msg"]


def test_time_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before the end is judged now."""

    class Later(Clock):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return NOW + timedelta(days=260)

    monkeypatch.setattr(subject, "datetime", Later)
    got, printed = run(monkeypatch, told(host("w1", "worker")))
    assert got["failed"]
    assert line(printed, "kubelet-client", "w1").startswith("FAIL")
