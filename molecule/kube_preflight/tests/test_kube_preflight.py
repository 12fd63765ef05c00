"""Preflight: a plan from evidence, every finding of every host in one report, and no trace on any host."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from testinfra.host import Host

testinfra_hosts = ["ssh://lb1", "ssh://cp1", "ssh://w1"]


def kept(name: str) -> Any:
    return json.loads((Path(os.environ["SCENARIO_DIRECTORY"]) / name).read_text())


def test_blank_hosts_become_a_new_cluster() -> None:
    plan = kept("plan.json")
    assert plan["state"] == "new"
    assert plan["seed"] == "cp1"
    assert plan["hosts"] == {"lb1": "lb", "cp1": "init", "w1": "join_worker"}


def test_one_report_has_the_findings_of_all_hosts() -> None:
    fatal = [finding for finding in kept("findings.json") if finding["level"] == "fatal"]
    assert {"cp1", "w1"} <= {finding["host"] for finding in fatal}, "too little memory, said of both"
    texts = [json.dumps(finding) for finding in fatal]
    assert any("10.244.128.0/17" in text for text in texts), "the networks that overlap are named"
    assert all(finding["next_step"] for finding in fatal), "what to do is said"


def test_nothing_was_changed(host: Host) -> None:
    assert host.file("/run/before-preflight").exists
    found = host.check_output("find /etc /usr /opt /srv -xdev -newer /run/before-preflight")
    assert found == "", "preflight looks and writes nothing"
    for path in ("/etc/kubernetes", "/etc/sysctl.d/99-quorum-kubeadm.conf", "/usr/bin/kubeadm", "/etc/containerd"):
        assert not host.file(path).exists
