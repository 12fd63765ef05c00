# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge of verify.yml: every kind of row, both ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import verify as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify import Answer, Hosts, NodeSeen, Row, TokenSeen, Want

WANT = Want("1.36.3", ("cp1", "cp2"), ("w1",))
NODES = [NodeSeen(name, True, "v1.36.3", zone=zone) for name, zone in (("cp1", "a"), ("cp2", "b"), ("w1", "a"))]
VIP = "192.0.2.10"


def brief(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    return [(row.status, row.subject, row.found) for row in rows]


def test_a_node_object_is_parsed() -> None:
    raw = {
        "metadata": {"name": "cp1", "labels": {subject.ZONE_LABEL: "zone-a"}},
        "spec": {"unschedulable": True},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": "192.0.2.11"},
                {"type": "InternalIP", "address": "2001:db8::11"},
                {"type": "Hostname", "address": "cp1"},
            ],
            "conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "gone"}],
            "nodeInfo": {"kubeletVersion": "v1.36.3"},
        },
    }
    assert subject.node_seen(raw) == NodeSeen(
        "cp1", False, "v1.36.3", reason="gone", zone="zone-a", address="192.0.2.11", cordoned=True
    )
    new = subject.node_seen({"metadata": {"name": "w1"}})
    assert (new.ready, new.version, new.reason) == (False, "", "the kubelet has not reported")


@pytest.mark.parametrize(
    ("token", "status"),
    [
        (TokenSeen("aaaaaa", subject.OUR_TOKENS, 1900.0), "fail"),
        (TokenSeen("aaaaaa", subject.OUR_TOKENS, 900.0), "fail"),
        (TokenSeen("aaaaaa", "somebody's", 1900.0), "warn"),
        (TokenSeen("aaaaaa", "", None), "warn"),
    ],
)
def test_a_token_that_is_left(token: TokenSeen, status: str) -> None:
    (row,) = subject.judge_tokens([token], now=1000.0)
    assert (row.status, row.subject, row.patience) == (status, "aaaaaa", 0)
    assert "bootstrap-token-aaaaaa" in row.next_step


def test_no_token_is_left() -> None:
    expired = TokenSeen("aaaaaa", "somebody's", 900.0)
    assert brief(subject.judge_tokens([expired], now=1000.0)) == [("ok", "bootstrap tokens", "none left")]


def test_the_certificates_secret() -> None:
    assert subject.judge_certs_secret(False)[0].status == "ok"
    (row,) = subject.judge_certs_secret(True)
    assert (row.status, row.patience) == ("fail", 0)


def answer(subject_name: str, status: int) -> Answer:
    return Answer(subject_name, f"https://{subject_name}:6443", status, "ready in 3 ms" if status == 200 else "refused")


def test_api_servers_in_order() -> None:
    rows = subject.judge_apis([answer("cp1", 200), answer("cp2", 200)], answer("VIP", 200))
    assert [(row.status, row.subject) for row in rows] == [("ok", "cp1"), ("ok", "cp2"), ("ok", "VIP")]


def test_one_api_server_down() -> None:
    rows = subject.judge_apis([answer("cp1", 200), answer("cp2", 0)], answer("VIP", 200))
    assert [row.subject for row in rows if row.status == "fail"] == ["cp2"]
    assert "cp2" in rows[1].next_step


@pytest.mark.parametrize("status", [0, 500, 503])
def test_a_dead_vip_over_living_api_servers_is_called_so(status: int) -> None:
    rows = subject.judge_apis([answer("cp1", 200)], answer("VIP", status))
    assert brief(rows)[1] == ("fail", "VIP", "https://VIP:6443 VIP fault, the API servers are fine: refused")
    assert "keepalived" in rows[1].next_step


def test_all_dead_is_not_blamed_on_the_vip() -> None:
    rows = subject.judge_apis([answer("cp1", 0)], answer("VIP", 0))
    assert "VIP fault" not in rows[1].found
    assert "keepalived" not in rows[1].next_step


def machine(*addresses: str, **units: str) -> dict[str, Any]:
    return {
        "addresses": [{"interface": "eth0", "address": one, "prefix": 24, "family": 4} for one in addresses],
        "units": {name: {"active": state} for name, state in units.items()},
    }


def looked(lb1: object, lb2: object, **more: object) -> Hosts:
    seen: Any = {"lb1": lb1, "lb2": lb2, **more}
    return Hosts(seen, nodes=("cp1",), balancers=("lb1", "lb2"))


@pytest.mark.parametrize(
    ("hosts", "rows"),
    [
        (looked(machine(VIP), machine("192.0.2.2")), [("ok", VIP, "on lb1 (eth0)")]),
        (looked(machine(VIP), machine(VIP)), [("fail", VIP, "on lb1 (eth0) and lb2 (eth0)")]),
        (looked(machine(), machine()), [("fail", VIP, "on no machine")]),
        (looked(machine(), None), [("fail", VIP, "on no machine (lb2 was not seen)")]),
        (looked(machine(VIP), None), [("ok", VIP, "on lb1 (eth0)")]),
        (looked(machine("192.0.2.100"), machine("192.0.2.1")), [("fail", VIP, "on no machine")]),
        (looked(machine(VIP), machine(), cp1=machine(VIP)), [("fail", VIP, "on cp1 (eth0) and lb1 (eth0)")]),
        (Hosts({"cp1": machine()}, nodes=("cp1",)), []),
        (Hosts({"lb1": machine()}, balancers=("lb1", "lb2")), []),
    ],
)
def test_the_vip_is_on_exactly_one_machine(hosts: Hosts, rows: list[tuple[str, str, str]]) -> None:
    assert brief(subject.judge_vip(hosts, VIP)) == rows


@pytest.mark.parametrize(
    ("name", "units", "found"),
    [
        ("cp1", {"containerd": "active", "kubelet": "active"}, []),
        ("cp1", {"containerd": "active", "kubelet": "activating"}, ["kubelet is activating"]),
        ("cp1", {"containerd": "failed", "kubelet": "inactive"}, ["containerd is failed", "kubelet is inactive"]),
        ("cp1", {"containerd": "reloading", "kubelet": "unknown"}, ["kubelet is not installed"]),
        ("lb1", {"haproxy": "active", "keepalived": "active"}, []),
        ("lb1", {"haproxy": "active"}, ["keepalived is not installed"]),
        ("other", {}, []),
    ],
)
def test_services(name: str, units: Mapping[str, str], found: list[str]) -> None:
    rows = subject.judge_units(Hosts({name: machine(**units)}, nodes=("cp1",), balancers=("lb1",)))
    assert [row.found for row in rows if row.status == "fail"] == found
    assert any(row.status == "ok" for row in rows) is not bool(found)


def test_a_host_that_is_both_needs_all_services() -> None:
    hosts = Hosts({"cp1": machine(containerd="active", kubelet="active")}, nodes=("cp1",), balancers=("cp1",))
    assert len([row for row in subject.judge_units(hosts) if row.status == "fail"]) == 2


def test_etcd_machines_need_etcd_and_nothing_else() -> None:
    hosts = Hosts({"etcd1": machine(etcd="active"), "etcd2": machine(etcd="failed")}, etcd=("etcd1", "etcd2"))
    assert brief(subject.judge_units(hosts)) == [("fail", "etcd2", "etcd is failed")]


def test_hosts() -> None:
    assert brief(subject.judge_hosts(Hosts({"cp1": machine()}))) == [("ok", "cp1", "1 answered")]
    lost = Hosts({"cp1": machine(), "w1": None, "w2": None}, errors={"w1": "no Python"})
    assert brief(subject.judge_hosts(lost)) == [("fail", "w1", "no Python"), ("fail", "w2", "unreachable")]


def etcd(*members: Mapping[str, Any], **more: object) -> dict[str, Any]:
    base = {"voters": len(members), "healthy_voters": len(members), "tolerance": 1, "findings": []}
    return {"members": list(members), **base, **more}


def member(name: str, **more: object) -> dict[str, Any]:
    base = {"id": f"id-{name}", "name": name, "healthy": True, "learner": False, "alarms": [], "error": ""}
    return {**base, "peer_urls": [f"https://{name}:2380"], **more}


def test_etcd_in_order() -> None:
    rows = subject.judge_etcd(etcd(member("cp1"), member("cp2")), ["cp1", "cp2"])
    assert brief(rows) == [("ok", "cp1, cp2", "2 of 2 voters healthy, 1 may fail")]


@pytest.mark.parametrize(
    ("members", "row"),
    [
        ([member("cp1")], ("fail", "cp2", "not a member")),
        ([member("cp1"), member("cp20")], ("fail", "cp2", "not a member")),
        (
            [member("cp1"), member("cp2", healthy=False, error="timed out")],
            ("fail", "cp2", "unhealthy: timed out"),
        ),
        ([member("cp1"), member("cp2", healthy=False)], ("fail", "cp2", "unhealthy: lags behind")),
        (
            [member("cp1"), member("cp2", healthy=False, alarms=["NOSPACE"])],
            ("fail", "cp2", "raises the alarm NOSPACE"),
        ),
        ([member("cp1"), member("cp2", learner=True)], ("fail", "cp2", "is a learner, it does not vote")),
        (
            [member("cp1"), member("cp2"), member("", healthy=False, peer_urls=["https://cp3:2380"])],
            ("fail", "id-", "never started (peer https://cp3:2380)"),
        ),
    ],
)
def test_a_member_that_is_not_in_order(members: list[Mapping[str, Any]], row: tuple[str, str, str]) -> None:
    rows = subject.judge_etcd(etcd(*members), ["cp1", "cp2"])
    assert row in brief(rows)
    assert not [one for one in rows if one.status == "ok"]


def test_an_extra_member_is_reported_and_fails_only_when_it_is_unhealthy() -> None:
    rows = subject.judge_etcd(etcd(member("cp1"), member("cp2")), ["cp1"])
    assert ("warn", "cp2", "extra: a member, not in the inventory") in brief(rows)
    assert not subject.failed(rows)
    assert subject.failed(subject.judge_etcd(etcd(member("cp1"), member("cp2", healthy=False)), ["cp1"]))


@pytest.mark.parametrize(("level", "status"), [("fatal", "fail"), ("warning", "warn")])
def test_findings_about_the_whole_etcd_cluster(level: str, status: str) -> None:
    finding = {"level": level, "member": "", "found": "different versions", "next_step": "Finish"}
    rows = subject.judge_etcd(etcd(member("cp1"), findings=[finding]), ["cp1"])
    assert (status, "cluster", "different versions") in brief(rows)


def test_many_names_are_cut() -> None:
    assert subject.names(f"w{n}" for n in range(1, 1001)).endswith("w8 and 992 more")
    assert subject.names(f"w{n}" for n in range(1, 9)).endswith("w8")


def test_a_row_as_a_result_has_no_more_than_its_columns() -> None:
    assert Row("nodes", "w1", "ok", "Ready", patience=9).result() == {
        "check": "nodes",
        "subject": "w1",
        "status": "ok",
        "found": "Ready",
        "next_step": "",
    }
