"""The report as a person reads it."""

from __future__ import annotations

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import report
from ansible_collections.quorum.kubeadm.plugins.module_utils.findings import fatal, warning

MANY = [f"w{number}" for number in range(1, 1001)]


def test_findings_table() -> None:
    findings = [
        fatal("w1", "memory", "100 MiB of memory", "give it more"),
        warning("", "lb", "one load balancer", "name two"),
    ]
    text = report.findings_text(findings, 7, 120)
    assert text.splitlines()[0] == "Preflight of 7 hosts: 1 fatal, 1 warnings"
    rows = [line.split() for line in text.splitlines()[3:]]
    assert rows[0][:3] == ["FATAL", "w1", "100"]
    assert rows[1][:3] == ["warning", "cluster", "one"]
    assert "give it more" in text


def test_no_findings_is_one_line() -> None:
    assert report.findings_text([], 7) == "Preflight of 7 hosts: 0 fatal, 0 warnings"


def test_the_same_finding_on_many_hosts_is_one_row() -> None:
    text = report.findings_text([fatal(name, "cgroup", "v1", "boot with v2") for name in MANY], 1000, 120)
    lines = text.splitlines()
    column = slice(lines[1].index("HOST"), lines[1].index("FOUND"))
    shown = " ".join(" ".join(line[column] for line in lines[3:]).split())
    assert shown == "w1, w2, w3, w4, w5, w6, w7, w8 and 992 more (1000)"
    assert len(text.splitlines()) < 12


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_columns_line_up_and_nothing_is_lost(width: int) -> None:
    words = "kube_pod_cidr 10.244.0.0/16 and kube_service_cidr 10.244.128.0/17 overlap"
    lines = report.findings_text(
        [fatal("control-plane-1", "overlap", words, "choose networks that do not touch")], 1, width
    ).splitlines()
    found, step = lines[1].index("FOUND"), lines[1].index("WHAT TO DO")
    assert " ".join(line[found:step].strip() for line in lines[3:]).split() == words.split()
    assert all(len(line) <= max(width, found + report.LEAST_WIDTH + 2) for line in lines)


def test_plan_of_few_hosts_names_each() -> None:
    text = report.plan_text("new", "cp1", {"w10": "join_worker", "w2": "join_worker", "cp1": "init", "lb1": "lb"})
    assert text.splitlines() == [
        "A new cluster begins on cp1. 3 of 4 hosts join.",
        "  cp1  starts the cluster: first control plane",
        "  lb1  load balancer",
        "  w2   joins as a worker",
        "  w10  joins as a worker",
    ]


def test_plan_of_many_hosts_is_by_action() -> None:
    text = report.plan_text("existing", "cp1", {**dict.fromkeys(MANY, "keep"), "w7": "join_worker"})
    assert len(text.splitlines()) < 8
    assert "joins as a worker: w7" in text
    assert "(999)" in text


def test_failure_text_has_every_fatal_finding_and_no_other() -> None:
    findings = [
        fatal("w1", "a", "this", "that"),
        fatal("w2", "b", "these", "those"),
        warning("w3", "c", "minor", "none"),
    ]
    assert report.failure_text(findings).splitlines() == [
        "Preflight found 2 reason(s) to stop; nothing was changed.",
        "w1: this. Next: that.",
        "w2: these. Next: those.",
    ]


def test_natural_order() -> None:
    assert sorted(["node10", "node2", "cp-2", "cp", "1"], key=report.natural) == ["1", "cp", "cp-2", "node2", "node10"]
