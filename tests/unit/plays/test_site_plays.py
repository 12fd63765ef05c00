# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site as Ansible runs it, with doubles for the modules that touch hosts: who joins, through whom, with what."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.plays.rehearsal import Rehearsal
from tests.unit.plugins.module_utils.certificates import self_signed
from tests.unit.preflight_world import PLANES, VIP, WORKERS, World

ACTIVE = {"active": "active"}
Change = Callable[[World], None]
Make = Callable[..., Rehearsal]


@pytest.fixture
def ca_pem(tmp_path: Path) -> str:
    """The cluster's CA."""
    text = self_signed(tmp_path / "ca.pem").read_text()
    return text[text.index("-----BEGIN CERT") :]


@pytest.fixture
def make(tmp_path: Path, ca_pem: str) -> Make:
    """The machines of a world. nodes: those that are the cluster already; change: what is otherwise with them."""

    def create(nodes: tuple[str, ...] = (*PLANES, *WORKERS), change: Change = lambda _world: None) -> Rehearsal:
        world = World()
        for name in nodes:
            world.node_of(name, ca_pem=ca_pem)
            world.nodes[name]["units"] = {"containerd": ACTIVE, "kubelet": ACTIVE}
        for name in ("lb1", "lb2"):
            world.nodes[name]["units"] = {"haproxy": ACTIVE, "keepalived": ACTIVE}
        planes = [name for name in PLANES if name in nodes]
        world.nodes["lb1"]["addresses"].append({"interface": "eth0", "address": VIP, "prefix": 32, "family": 4})
        if planes:
            world.etcd_runs(*planes)
        world.answers(*(world.hosts[name]["ansible_host"] for name in planes), *([VIP] if planes else []))
        change(world)
        plays = Rehearsal(tmp_path / "rehearsal", world)
        # At the end every control plane that answers is a member, and what the doubles have started runs.
        plays.settle(*(name for name, host in world.hosts.items() if "control_plane" in host["groups"]))
        for name in set(world.nodes) - {"lb1", "lb2"}:
            plays.answers["node_info"][name]["node"]["units"] = {"containerd": ACTIVE, "kubelet": ACTIVE}
        plays.answers["kubeadm"] = {"*": {"ca_pem": ca_pem, "steps": ["done"]}}
        for name, host in world.hosts.items():
            if name not in world.nodes and host["in_play"]:
                away = {"failed": True, "unreachable": True, "msg": "no route to host"}
                plays.answers["node_info"][name] = away
        return plays

    return create


def new(*machines: tuple[str, str, str]) -> Change:
    """Blank machines besides, which have asked every API server as the others have."""

    def change(world: World) -> None:
        for name, group, address in machines:
            world.add(name, group, address)
            world.kubernetes(name)["api"] = dict(world.kubernetes("lb1")["api"])

    return change


def both(*changes: Change) -> Change:
    """One after the other."""

    def change(world: World) -> None:
        for one in changes:
            one(world)

    return change


def actions(plays: Rehearsal) -> list[str]:
    """What kubeadm was asked to do, and where."""
    return [f"{call.arguments['action']} {call.host}" for call in plays.of("kubeadm")]


def lost(*names: str) -> Change:
    """These do not answer, nor do their API servers."""

    def change(world: World) -> None:
        world.unreachable(*names)
        world.answers(*(world.hosts[name]["ansible_host"] for name in names), status=None)

    return change


def quorum_lost(world: World) -> None:
    """Of three control planes one is left, or can be reached: its API server answers and is not ready."""
    lost("cp1", "cp2")(world)
    world.answers("10.0.0.23", VIP, status=500)
    silent = [world.member(name, healthy=False) for name in PLANES]
    world.etcd_runs("cp3", members=silent, linearizable=False, empty=None)


def no_control_plane_answers(world: World) -> None:
    lost(*PLANES)(world)
    world.answers(VIP, status=None)
    new(("cp4", "control_plane", "10.0.0.24"), ("cp5", "control_plane", "10.0.0.25"))(world)


def same(key: str, one: str, other: str) -> Change:
    """A machine that was cloned from another one."""

    def change(world: World) -> None:
        world.nodes[other][key] = world.nodes[one][key]

    return change


def same_address(world: World) -> None:
    world.hosts["w2"]["ansible_host"] = world.hosts["w1"]["ansible_host"]


def etcd_data(world: World) -> None:
    new(("cp4", "control_plane", "10.0.0.24"), ("cp5", "control_plane", "10.0.0.25"))(world)
    world.kubernetes("cp5")["etcd_data"] = "present"


REFUSED: dict[str, tuple[Change, tuple[str, ...]]] = {
    "fault 14": (
        no_control_plane_answers,
        ("a cluster exists, and no API answers", "cp1, cp2, cp3: no API answers, and nothing is known about this host"),
    ),
    "faults 15 and 19": (
        quorum_lost,
        (
            "a cluster exists, and no API answers",
            "cp3, the VIP answers, but is not ready",
            "when etcd has lost its quorum: playbooks/recover_quorum.yml",
        ),
    ),
    "fault 31: machine-id": (same("machine_id", "w1", "w2"), ("w1 and w2 have the same machine-id",)),
    "fault 31: product_uuid": (same("product_uuid", "cp2", "w1"), ("cp2 and w1 have the same product_uuid",)),
    "fault 31: address": (same_address, ("w1 and w2 have the same address 10.0.0.41", "kube_node_ip")),
    "fault 31: name": (new(("W1", "worker", "10.0.0.49")), ("W1 and w1 are the same node name",)),
    "fault 35": (
        etcd_data,
        ("cp5: /var/lib/etcd is not empty, and the host is not a node", "-e reset_hosts=cp5 -e reset_confirm=NAME"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_host_cause_and_next_command_and_calls_nothing_that_changes(make: Make, name: str) -> None:
    change, words = REFUSED[name]
    plays = make(change=change)
    assert plays.play("site") != 0
    output = " ".join(plays.output.split())
    assert "nothing was changed" in output
    for told in words:
        assert told in output, output[-3000:]
    assert {call.module for call in plays.calls} == {"node_info", "run_lock"}
    assert plays.order() == []


def test_fault_2_an_init_that_was_killed_goes_on_with_its_own_ca_on_its_own_host(make: Make, ca_pem: str) -> None:
    """Killed between the certificates and the manifests, on a host that is not the first of the inventory."""

    def killed(world: World) -> None:
        world.kubernetes("cp2").update(ca_pem=ca_pem, marker={"action": "init", "started": 1})

    plays = make(nodes=(), change=killed)
    assert plays.play("site") == 0, plays.output
    assert "A new cluster begins on cp2" in plays.output
    assert [action for action in actions(plays) if action.split()[0] in ("ca", "init")] == ["ca cp2", "init cp2"]
    assert sorted(action for action in actions(plays) if action.startswith("join cp")) == ["join cp1", "join cp3"]
    for balancer in ("lb1", "lb2"):
        (written,) = [call for call in plays.of("host_config", balancer) if "haproxy.cfg" in str(call.arguments)]
        trusted = {file["path"]: file["content"] for file in written.arguments["files"]}["/etc/haproxy/kube-ca.crt"]
        assert trusted.strip() == ca_pem.strip()


# verify has the last word: a control plane that is wanted and does not answer is not in order.
LOST_FIRST: dict[str, tuple[Change, str]] = {
    "dead": (lost("cp1"), "1 failed): hosts"),
    "out of the inventory": (lambda world: world.drop("cp1"), "verify: in order"),
}


@pytest.mark.parametrize("name", LOST_FIRST)
def test_fault_11_without_the_first_control_plane_others_join_through_any_other(make: Make, name: str) -> None:
    change, end = LOST_FIRST[name]
    plays = make(change=both(new(("w3", "worker", "10.0.0.43")), change))
    assert plays.play("site") == (2 if "failed" in end else 0), plays.output
    assert end in plays.output, plays.output[-3000:]
    assert [action for action in actions(plays) if action != "upload_config"] == ["join w3"]
    assert "The cluster exists; cp2 answers for it" in plays.output
    assert not plays.of("etcd_member")
    assert not plays.of("kube_node_absent")


def test_fault_11_add_nodes_finds_another_control_plane_than_the_first(make: Make, ca_pem: str) -> None:
    """The first one would be looked at besides w3; the CA is told by the controller's kubeconfig then."""
    plays = make(change=both(new(("w3", "worker", "10.0.0.43")), lost("cp1")))
    plays.variables["kube_api_via"] = "cp2"
    authority = {"certificate-authority-data": base64.b64encode(ca_pem.encode()).decode()}
    (plays.folder / "kubeconfig").write_text(yaml.safe_dump({"clusters": [{"cluster": authority}]}))
    plays.play("add_nodes", "-e", "nodes=w3")
    assert "The cluster exists; cp2 answers for it" in plays.output, plays.output[-3000:]
    assert actions(plays) == ["join w3"]
    assert {call.host for call in plays.calls if call.module != "node_info"} <= {"w3", "cp2", "localhost"}


def test_fault_18_a_dead_vip_stops_nothing_that_can_do_without_it(make: Make) -> None:
    def dead_vip(world: World) -> None:
        new(("w3", "worker", "10.0.0.43"))(world)
        world.answers(VIP, status=None)

    plays = make(change=dead_vip)
    assert plays.play("site") == 0, plays.output
    words = " ".join(plays.output.split())
    assert "VIP fault, API fine: nothing answers" in words
    assert actions(plays) == ["join w3"], "and no init"
    own = [f"https://10.0.0.2{number}:6443" for number in (1, 2, 3)]
    asked = [call for call in plays.calls if "kubeconfig" in call.arguments and "endpoints" in call.arguments]
    assert {call.module for call in asked} >= {"bootstrap_token", "certificate_key", "kube_node", "cluster_verify"}
    for call in asked:
        assert call.arguments["endpoints"] == [f"https://{VIP}:6443", *own], call


def test_fault_4_a_join_that_fails_tells_what_etcd_says_of_its_member_and_the_next_is_not_begun(make: Make) -> None:
    """With stacked etcd: kubeadm adds and promotes, and tells no lag."""
    plays = make(nodes=("cp1", *WORKERS))
    lag = 'etcd must not promote cp2 now: "cp2" lags 9000 entries behind, 5000 are allowed (1 of 1 voters healthy)'
    plays.answers["etcd_gate"] = {"cp1": [{}, {"failed": True, "msg": lag}]}
    plays.answers["kubeadm"]["cp2"] = {"failed": True, "msg": "kubeadm could not join the cluster (exit 1)"}
    assert plays.play("site") != 0
    words = " ".join(plays.output.split())
    assert "kubeadm could not join the cluster (exit 1)" in words
    assert 'cp2\\" lags 9000 entries behind' in words or '"cp2" lags 9000 entries behind' in words
    assert actions(plays) == ["upload_certs cp1", "join cp2"]
    asked = [(call.arguments["action"], call.arguments["name"], call.host) for call in plays.of("etcd_gate")]
    assert asked == [("add_learner", "cp2", "cp1"), ("promote", "cp2", "cp1")]
    assert not plays.of("etcd_member"), "nobody else's member is touched"


GONE = {"failed": True, "msg": "There is no Secret kubeadm-certs"}


def minted(plays: Rehearsal) -> list[tuple[str, str]]:
    """Token and certificate key of every join, in their order."""
    joins = [call.arguments for call in plays.of("kubeadm") if call.arguments["action"] == "join"]
    return [(call["token"], call["certificate_key"]) for call in joins if call.get("certificate_key")]


def credentials(plays: Rehearsal, *verified: dict[str, Any]) -> None:
    """Each mint makes others; certificate_key is asked in turn: make, verify the upload, then before each join."""
    tokens = [{"token": f"abcde{number}.0123456789abcdef", "token_id": f"abcde{number}"} for number in range(3)]
    plays.answers["bootstrap_token"] = {"localhost": tokens}
    plays.answers["certificate_key"] = {"localhost": list(verified)}


GOOD = {"expires": "2026-01-31T12:15:00Z"}


def test_fault_5_what_is_gone_between_two_joins_is_made_again_before_the_next(make: Make) -> None:
    plays = make(nodes=("cp1", *WORKERS))
    credentials(plays, {"key": "1" * 64}, GOOD, GOOD, GONE, {"key": "2" * 64}, GOOD)
    assert plays.play("site") == 0, plays.output
    assert minted(plays) == [("abcde0.0123456789abcdef", "1" * 64), ("abcde1.0123456789abcdef", "2" * 64)]
    assert actions(plays) == ["upload_certs cp1", "join cp2", "upload_certs cp1", "join cp3"]
    uploads = [call.arguments for call in plays.of("kubeadm") if call.arguments["action"] == "upload_certs"]
    assert [upload["certificate_key"] for upload in uploads] == ["1" * 64, "2" * 64]
    looks = [call.arguments for call in plays.of("certificate_key") if call.arguments.get("token_id")]
    assert [look["token_id"] for look in looks] == ["abcde0", "abcde0"], "before each join"
    assert all(look["least_minutes"] > 0 for look in looks)
    for words in ("fatal:", "failed=1", "0123456789abcdef", "2" * 64):
        assert words not in plays.output
