"""site_plan as a playbook's task: facts come from the hosts' variables, so no host is needed."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.action.site_plan import (
    ask_cluster,
    authority_of,
    read_host,
    version_of,
)
from tests.unit.preflight_world import CA, CLUSTER, World, blank, existing

ROOT = Path(__file__).parents[4]
GROUPS = {"control_plane": "kube_control_plane", "worker": "kube_node", "lb": "kube_lb", "etcd": "etcd"}
PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Plan | Decide",
                "quorum.kubeadm.site_plan": {
                    "cluster": {name: "{{ " + name + " }}" for name in CLUSTER},
                    "members": {short: "{{ groups['" + name + "'] }}" for short, name in GROUPS.items()},
                    "rules": {"allow_even": False},
                },
                "register": "__kube_preflight_plan",
                "run_once": True,
            },
            {
                "name": "Plan | Show",
                "ansible.builtin.debug": {"msg": "RESULT={{ __kube_preflight_plan | to_json }}"},
                "run_once": True,
            },
        ],
    }
]


def inventory_of(world: World) -> dict[str, Any]:
    children: dict[str, Any] = {name: {"hosts": {}} for name in GROUPS.values()}
    for name, host in world.hosts.items():
        facts: dict[str, Any] = {"clock": {"sent": host["sent"], "received": host["received"]}}
        if name in world.nodes:
            facts["node"] = world.nodes[name]
        elif host.get("unreachable"):
            facts |= {"unreachable": True, "msg": host["problem"]}
        shown = {key: value for key, value in host.items() if key.startswith(("kube_", "ansible_"))}
        children[GROUPS[host["groups"][0]]]["hosts"][name] = {**shown, "__kube_preflight_node": facts}
    return {"all": {"vars": world.cluster, "children": children}}


def play(world: World, tmp_path: Path, *arguments: str) -> tuple[int, str, dict[str, Any]]:
    """Exit code, what was printed, and the registered result."""
    inventory, book = tmp_path / "hosts.json", tmp_path / "play.json"
    inventory.write_text(json.dumps(inventory_of(world)))
    book.write_text(json.dumps(PLAY))
    config = tmp_path / "ansible.cfg"
    config.write_text("")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CONFIG": str(config),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "COLUMNS": "120",
    }
    program = str(Path(sys.executable).parent / "ansible-playbook")
    command = [program, "-i", str(inventory), str(book), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    shown = re.search(r'^    "msg": ("RESULT=.*")$', done.stdout, re.MULTILINE)
    result = json.loads(json.loads(shown.group(1)).removeprefix("RESULT=")) if shown else {}
    return done.returncode, done.stdout + done.stderr, result


def test_new_cluster(tmp_path: Path) -> None:
    world = blank()
    world.hosts["w1"]["kube_node_labels"] = {"topology.kubernetes.io/zone": "zone-a"}
    code, printed, result = play(world, tmp_path)
    assert code == 0, printed
    assert result["plan"]["state"] == "new"
    assert result["plan"]["hosts"]["cp1"] == "init"
    assert result["findings"] == []
    assert result["changed"] is False
    assert "A new cluster begins on cp1. 5 of 7 hosts join." in printed


def test_the_inputs_of_every_host_are_told_and_prove_a_prepared_one(tmp_path: Path) -> None:
    world = existing()
    _code, printed, result = play(world, tmp_path)
    assert len(set(result["inputs"].values())) == len(world.nodes), printed
    world.nodes["lb1"]["receipts"] = {
        name: {"digest": "d", "inputs": result["inputs"]["lb1"]} for name in ("kube_host", "kube_lb")
    }
    _code, printed, again = play(world, tmp_path)
    assert again["plan"]["prepared"] == ["lb1"], printed
    world.hosts["lb1"]["kube_node_labels"] = {"rack": "r1"}
    _code, printed, other = play(world, tmp_path)
    assert other["plan"]["prepared"] == [], printed


def test_check_mode_says_the_same(tmp_path: Path) -> None:
    world = blank()
    _code, printed, _result = play(world, tmp_path, "--check")
    assert "A new cluster begins on cp1. 5 of 7 hosts join." in printed


def test_every_fatal_finding_of_every_host_is_in_the_message(tmp_path: Path) -> None:
    world = blank()
    world.nodes["w1"]["cgroup"] = "v1"
    world.nodes["cp2"]["memory_mib"] = 5
    world.hosts["w2"]["kube_node_labels"] = {"zone": "{{ undefined_here }}"}
    world.unreachable("lb2")
    code, printed, result = play(world, tmp_path)
    assert code != 0
    assert not result
    assert "Preflight of 7 hosts: 3 fatal" in printed
    message = " ".join(printed[printed.index("reason(s) to stop") :].split())
    assert "w1: control groups v1" in message
    assert "cp2: 5 MiB of memory" in message
    assert "w2: kube_node_labels cannot be used" in message
    assert "A new cluster begins" not in printed


def test_limit_to_a_new_host(tmp_path: Path) -> None:
    world = existing()
    world.add("w3", "worker", "10.0.0.43")
    world.answers("10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.100")
    code, printed, result = play(world, tmp_path, "--limit", "w3")
    assert code != 0
    assert "CA is not known" in " ".join(printed.split())
    world.cluster |= {"kube_kubeconfig": kubeconfig(tmp_path), "kube_api_via": "cp1"}
    code, printed, result = play(world, tmp_path, "--limit", "w3")
    assert code == 0, printed
    assert result["plan"]["hosts"] == {"w3": "join_worker"}
    assert result["plan"]["seed"] == "cp1"
    assert result["plan"]["node_ips"]["cp2"] == "10.0.0.22"


def test_authority_of_a_kubeconfig(tmp_path: Path) -> None:
    assert authority_of(kubeconfig(tmp_path)) == CA


@pytest.mark.parametrize("content", ["", "[]", "{", '{"clusters": [{"cluster": {"certificate-authority-data": "?"}}]}'])
def test_no_authority_in_a_broken_kubeconfig(tmp_path: Path, content: str) -> None:
    path = tmp_path / "admin.conf"
    path.write_text(content)
    assert authority_of(str(path)) == ""
    assert authority_of(str(tmp_path / "missing")) == ""
    assert version_of(str(path), ["https://127.0.0.1:1"]) == ""


def kubeconfig(tmp_path: Path) -> str:
    path = tmp_path / "admin.conf"
    data = base64.b64encode(CA.encode()).decode()
    path.write_text(json.dumps({"clusters": [{"cluster": {"certificate-authority-data": data}}]}))
    return str(path)


HOSTS = {"cp1": {"groups": ["control_plane"], "ansible_host": "10.0.0.21"}, "w1": {"groups": ["worker"]}}
PORTS = {"kube_vip": "10.0.0.100", "kube_api_port": 8443, "kube_api_bind_port": 6443}


def test_the_cluster_is_asked_when_no_control_plane_is_in_the_play(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def version(_path: str, endpoints: list[str]) -> str:
        asked.append(endpoints)
        return "v1.36.3"

    monkeypatch.setattr(f"{ask_cluster.__module__}.version_of", version)
    cluster = {**PORTS, "kube_kubeconfig": kubeconfig(tmp_path)}
    assert ask_cluster(cluster, HOSTS, {"w1": {}}) == {"ca_pem": CA, "api_version": "v1.36.3"}
    assert asked == [["https://10.0.0.100:8443", "https://10.0.0.21:6443"]]
    assert ask_cluster(cluster, HOSTS, {"cp1": {}, "w1": {}}) == {}
    assert len(asked) == 1


def test_the_ca_of_an_old_kubeconfig_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{ask_cluster.__module__}.version_of", lambda _path, _endpoints: "")
    cluster = {**PORTS, "kube_kubeconfig": kubeconfig(tmp_path)}
    assert ask_cluster(cluster, HOSTS, {}) == {}
    assert ask_cluster({**cluster, "kube_api_via": "cp1"}, HOSTS, {}) == {"ca_pem": CA}


@pytest.mark.parametrize(
    ("groups", "in_play", "read"),
    [
        (["worker"], False, {"ansible_host"}),
        (["worker"], True, {"ansible_host", "kube_node_labels", "kube_vip"}),
        (["control_plane"], False, {"ansible_host", "kube_node_labels", "kube_vip"}),
        (["lb"], False, {"ansible_host", "kube_node_labels", "kube_vip"}),
    ],
)
def test_of_a_worker_outside_of_the_play_only_the_address_is_read(
    groups: list[str], in_play: bool, read: set[str]
) -> None:
    asked = []

    class Noting(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            asked.append(name)
            return super().__getitem__(name)

    host = read_host(Noting(ansible_host="192.0.2.9", kube_node_labels={}, kube_vip="192.0.2.1"), groups, in_play)
    assert set(asked) >= read
    assert in_play or set(asked) == read
    assert host["ansible_host"] == "192.0.2.9"
