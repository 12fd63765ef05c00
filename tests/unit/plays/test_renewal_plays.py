# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""renew_certificates as Ansible runs it, with doubles for the modules that touch hosts."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.renewal import Kubelet
from tests.unit.plays.rehearsal import Rehearsal
from tests.unit.plugins.module_utils.certificates import self_signed
from tests.unit.preflight_world import PLANES, VIP, WORKERS
from tests.unit.preflight_world import World as Machines
from tests.unit.renewal_world import NOW, STACKED, World

ENDED = Kubelet(conf=True, rotated=True, ends=NOW - timedelta(days=1))


def look(days: float, roles: tuple[str, ...] = STACKED, kubelet: Kubelet | None = None) -> dict[str, Any]:
    """What certificate_renewal tells in check mode."""
    plan = World(roles=roles, left=timedelta(days=days), kubelet=kubelet).plan()
    return {"plan": plan.as_dict(), "steps": plan.steps(), "changed": bool(plan.steps()), "ca_pem": "CA"}


@pytest.fixture
def plays(tmp_path: Path) -> Rehearsal:
    """Three control planes whose certificates end in ten days; the leader is the first."""
    world, active = Machines(), {"active": "active"}
    text = self_signed(tmp_path / "ca.pem").read_text()
    for name in (*PLANES, *WORKERS):
        world.node_of(name, ca_pem=text[text.index("-----BEGIN CERT") :])
        world.nodes[name]["units"] = {"containerd": active, "kubelet": active}
    for name in ("lb1", "lb2"):
        world.nodes[name]["units"] = {"haproxy": active, "keepalived": active}
        world.nodes[name]["listening"] = [{"port": 6443, "address": "0.0.0.0", "process": "haproxy"}]
    world.nodes["lb1"]["addresses"].append({"interface": "eth0", "address": VIP, "prefix": 32, "family": 4})
    world.etcd_runs(*PLANES, members=[world.member(name, leader=name == PLANES[0]) for name in PLANES])
    world.answers(VIP, *(world.hosts[name]["ansible_host"] for name in PLANES))
    made = Rehearsal(tmp_path / "rehearsal", world)
    made.settle(*PLANES)
    members = [world.member(name, leader=name == PLANES[0]) for name in PLANES]
    made.answers["etcd_info"]["*"]["etcd"]["members"] = members
    made.answers["control_plane_info"] = {name: {"control_plane": {"name": name, "api": True}} for name in PLANES}
    servers = {name: {"up": True, "admin": "ready"} for name in PLANES}
    made.answers["lb_backend"] = {"*": {"answered": True, "servers": servers, "backends_up": 3}}
    made.answers["certificate_renewal"] = {
        **{name: look(10) for name in PLANES},
        **{name: look(200, ("worker",)) for name in WORKERS},
    }
    return made


def renewed(plays: Rehearsal) -> list[tuple[str, list[str]]]:
    """Hosts and stages of the calls that change something, in their order."""
    calls = plays.of("certificate_renewal")
    return [(call.host, call.arguments["stages"]) for call in calls if not call.check]


ALL = ["files", "pods", "proof"]


def test_one_after_another_the_leader_last_and_each_behind_its_gates(plays: Rehearsal) -> None:
    assert plays.play("renew_certificates") == 0, plays.output
    assert renewed(plays) == [("cp2", ALL), ("cp3", ALL), ("cp1", ALL)]
    assert plays.output.index("CERTIFICATES: IS DONE NOW") < plays.output.index("Renew one")
    for name in PLANES:
        own = [
            f"{call.module} {call.arguments.get('action') or call.arguments.get('state') or ''}".strip()
            for call in plays.calls
            if name in (call.arguments.get("name"), call.arguments.get("server"), call.arguments.get("away_from"))
            or (call.module in ("certificate_renewal", "node_settled") and call.host == name and not call.check)
        ]
        assert [word for word in own if not word.startswith(("control_plane_info", "certificate_info"))] == [
            "etcd_gate take_down", "lb_backend drained", "lb_backend drained", "etcd_maintenance move_leader",
            "etcd_gate restart", "certificate_renewal", "node_settled", "lb_backend ready", "lb_backend ready",
        ]  # fmt: skip


def test_check_changes_nothing_and_says_everything(plays: Rehearsal) -> None:
    assert plays.play("renew_certificates", "--check") == 0, plays.output
    assert renewed(plays) == []
    assert not [call for call in plays.of("lb_backend") if call.arguments["state"] != "seen"]
    assert "CERTIFICATES: WOULD BE DONE" in plays.output
    assert "cp3: renew apiserver (ends on" in plays.output


def test_nothing_due_touches_nothing(plays: Rehearsal) -> None:
    plays.answers["certificate_renewal"] |= {name: look(200) for name in PLANES}
    assert plays.play("renew_certificates") == 0, plays.output
    assert renewed(plays) == []
    assert plays.of("cluster_verify") == []
    assert "nothing is due" in plays.output


def test_with_everything_expired_and_no_api_the_files_come_first_and_no_gate_stops_it(plays: Rehearsal) -> None:
    plays.answers["certificate_renewal"] |= {name: look(-1) for name in PLANES}
    plays.answers["cluster_info"] = {"*": {"failed": True, "msg": "no API server answers"}}
    plays.answers["etcd_info"] = {
        "*": [{"failed": True, "msg": "certificate has expired"}, plays.answers["etcd_info"]["*"]]
    }
    plays.answers["etcd_gate"] = {"*": {"failed": True, "msg": "etcd must not restart"}}
    assert plays.play("renew_certificates") == 0, plays.output
    assert renewed(plays) == [(name, ["files"]) for name in PLANES] + [(name, ["pods", "proof"]) for name in PLANES]
    claimed = [call.host for call in plays.of("run_lock") if call.arguments.get("state") == "claimed"]
    assert sorted(claimed) == sorted(PLANES)
    assert not [call for call in plays.of("lb_backend") if call.arguments["state"] == "drained"]


def test_with_an_api_a_gate_that_says_no_stops_it(plays: Rehearsal) -> None:
    plays.answers["etcd_gate"] = {"*": {"failed": True, "msg": "etcd must not restart"}}
    assert plays.play("renew_certificates") != 0
    assert renewed(plays) == []


def test_what_is_refused_on_one_host_changes_nothing_on_any(plays: Rehearsal) -> None:
    told = look(10)
    told["plan"]["refusals"] = ["the CA ca expired on 2026-11-27"]
    plays.answers["certificate_renewal"]["cp2"] = told
    assert plays.play("renew_certificates") != 0
    assert renewed(plays) == []
    assert "cp2: the CA ca expired on 2026-11-27" in plays.output


def test_a_control_plane_that_was_left_out_of_haproxy_comes_back(plays: Rehearsal) -> None:
    plays.answers["certificate_renewal"] |= {name: look(200) for name in PLANES}
    servers = {name: {"up": True, "admin": "drain" if name == "cp3" else "ready"} for name in PLANES}
    plays.answers["lb_backend"]["lb1"] = {"answered": True, "servers": servers, "backends_up": 2}
    assert plays.play("renew_certificates") == 0, plays.output
    back = [
        (call.host, call.arguments["server"]) for call in plays.of("lb_backend") if call.arguments["state"] == "ready"
    ]
    assert back == [("lb1", "cp3"), ("lb2", "cp3")]
    assert plays.of("etcd_maintenance") == []


def test_kubelets_with_an_expired_certificate_get_another_one(plays: Rehearsal) -> None:
    plays.answers["certificate_renewal"] |= {name: look(200) for name in PLANES}
    plays.answers["certificate_renewal"]["cp1"] = look(200, kubelet=ENDED)
    plays.answers["certificate_renewal"]["w1"] = look(200, ("worker",), ENDED)
    assert plays.play("renew_certificates") == 0, plays.output
    assert renewed(plays) == [("cp1", ["kubelet", "proof"]), ("w1", ["kubelet"]), ("w1", ["proof"])]
    (join,) = plays.of("kubeadm")
    assert (join.host, join.arguments["action"], join.arguments["token"]) == ("w1", "join", "abcdef.0123456789abcdef")
    assert [call.arguments.get("state") for call in plays.of("bootstrap_token")] == [None, "absent"]


def test_machines_of_an_external_etcd_are_renewed_and_restarted_behind_their_gate(plays: Rehearsal) -> None:
    machines, mine = ("etcd1", "etcd2", "etcd3"), dict(plays.answers)
    plays.world.with_etcd().etcd_runs(*machines).external(*machines)
    for name in PLANES:
        plays.world.nodes[name].pop("etcd")
    plays.settle(*machines)
    plays.answers |= {key: mine[key] for key in ("certificate_renewal", "control_plane_info", "lb_backend")}
    for name in machines:
        plays.answers["certificate_renewal"][name] = look(10, ("etcd",))
        plays.answers["host_config"][name] = {"stale_units": ["etcd.service"], "steps": []}
    plays.answers["certificate_renewal"] |= {name: look(200, ("control_plane",)) for name in PLANES}
    assert plays.play("renew_certificates") == 0, plays.output
    assert renewed(plays) == [
        (name, stages) for name in ("etcd2", "etcd3", "etcd1") for stages in (["files"], ["proof"])
    ]
    for name in machines:
        own = [call.module for call in plays.calls if call.host == name and not call.check]
        assert own.index("certificate_renewal") < own.index("etcd_gate") < own.index("stale_units")
        (restarted,) = plays.of("host_config", name)
        assert "/etc/kubernetes/pki/etcd/server.crt" in restarted.arguments["units"][0]["reads"]
