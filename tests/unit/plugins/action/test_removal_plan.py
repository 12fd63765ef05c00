# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""removal_plan as a playbook's task: what was read comes from the hosts' variables, so no host is needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ansible_collections.quorum.kubeadm.plugins.action import removal_plan as subject
from tests.unit.plugins.modules.support import run_module
from tests.unit.removal_world import VIP, Removal

ROOT = Path(__file__).parents[4]


def arguments(world: Removal, names: str, **more: Any) -> dict[str, Any]:
    """The task's."""
    urls = {f"https://{world.address(name)}:6443": name not in world.silent for name in world.planes}
    urls[f"https://{VIP}:6443"] = True
    versions = {url: {"version": "1.36.3" if lives else "", "error": ""} for url, lives in urls.items()}
    return {
        "names": names,
        "groups": world.groups(),
        "vip": VIP,
        "vip_url": f"https://{VIP}:6443",
        "cluster": {"changed": False, "cluster": {**world.cluster(), "api_versions": versions}},
        **more,
    }


def variables(world: Removal) -> dict[str, dict[str, Any]]:
    """What the tasks before it registered on each host."""
    hosts: dict[str, dict[str, Any]] = {}
    for names in world.groups().values():
        for name in names:
            facts: dict[str, Any] = {"node": world.facts(name)}
            if name in world.away:
                facts = {"unreachable": True, "msg": "no route to host"}
            hosts[name] = {subject.FACTS: facts, "ansible_host": world.address(name)}
    for name, seen in world.told_balancers().items():
        hosts[name][subject.BALANCER] = seen
    return hosts


def play(folder: Path, world: Removal, given: dict[str, Any], *words: str) -> tuple[str, dict[str, Any]]:
    """What was printed, and the registered result."""
    decide = {"name": "Plan | Decide", "quorum.kubeadm.removal_plan": given, "register": "__decided"}
    show = {"name": "Plan | Show", "ansible.builtin.debug": {"msg": "RESULT={{ __decided | to_json }}"}}
    tasks = [{"run_once": True, "ignore_errors": True, **task} for task in (decide, show)]
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": variables(world)}}))
    (folder / "play.json").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    (folder / "ansible.cfg").write_text("")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "COLUMNS": "160",
    }
    program = str(Path(sys.executable).parent / "ansible-playbook")
    command = [program, "-i", str(folder / "hosts.json"), str(folder / "play.json"), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    shown = re.search(r'^    "msg": ("RESULT=.*")$', done.stdout, re.MULTILINE)
    assert shown, done.stdout + done.stderr
    return done.stdout, json.loads(json.loads(shown.group(1)).removeprefix("RESULT="))


@pytest.mark.parametrize("words", [[], ["--check"]])
def test_a_dead_control_plane_is_found_out(tmp_path: Path, words: list[str]) -> None:
    world = Removal(planes=("cp1", "cp2", "cp3", "cp4"), leader="cp1").lose("cp2")
    printed, result = play(tmp_path, world, arguments(world, "cp2"), *words)
    assert result.get("failed", False) is False, printed
    assert result["changed"] is False
    assert result["plan"]["machines"][0]["state"] == "dead"
    assert [one["name"] for one in result["plan"]["members"]] == ["cp2"]
    assert "To go: cp2 (control plane and etcd member, dead)." in printed
    assert "Tolerance before: etcd 3 of 4 voters, 0 may fail, 3 API servers" in printed
    assert "Tolerance after: etcd 3 of 3 voters, 1 may fail, 3 API servers" in printed


def test_a_refusal_names_every_reason_and_nothing_was_changed(tmp_path: Path) -> None:
    world = Removal()
    world.away.add("w1")
    printed, result = play(tmp_path, world, arguments(world, "cp3,w1"))
    assert result["failed"] is True
    assert "nothing was changed" in result["msg"]
    assert "-e remove_confirm_no_tolerance=true" in result["msg"]
    assert "power the machine off, or mend the connection" in result["msg"]
    assert "FATAL" in printed


def test_a_replacement_is_told_with_its_hosts(tmp_path: Path) -> None:
    world = Removal(leader="cp2").wipe("cp1")
    printed, result = play(tmp_path, world, arguments(world, "cp1", replacement="cp1"))
    assert result.get("failed", False) is False, printed
    hosts = [one["name"] for one in result["plan"]["groups"] if "kube_replace_hosts" in one["groups"]]
    assert sorted(hosts) == ["cp1", "cp2", "lb1", "lb2"]
    assert "cp1: a blank machine answers under its name" in printed


@pytest.mark.parametrize("names", ["", " , "])
def test_nobody_is_named(tmp_path: Path, names: str) -> None:
    world = Removal()
    _printed, result = play(tmp_path, world, arguments(world, names))
    assert "No machine is named" in result["msg"]


def test_a_cluster_that_cannot_be_read(tmp_path: Path) -> None:
    world = Removal()
    failed = {"failed": False, "msg": "no endpoint answered"}
    _printed, result = play(tmp_path, world, arguments(world, "w1", cluster=failed))
    assert result["msg"].startswith("the cluster cannot be read, and nothing was changed: no endpoint answered. Next: ")
    assert "playbooks/recover_quorum.yml" in result["msg"]


def test_only_hosts_that_matter_are_read() -> None:
    """A thousand workers cost nothing."""

    class Counting(dict[str, Any]):
        read: ClassVar[set[str]] = set()

        def __getitem__(self, name: str) -> Any:
            self.read.add(name)
            return super().__getitem__(name)

    world = Removal(workers=tuple(f"w{number}" for number in range(1, 200)))
    given = {key: option.get("default") for key, option in subject.SPEC.items()} | arguments(world, "w7")
    made = subject.inputs_of(given, Counting(variables(world)))
    assert {name for name in Counting.read if name.startswith("w")} == {"w7"}
    assert made.live == {"cp1", "cp2", "cp3"}
    assert made.vip_live


def test_an_address_of_version_6_has_its_brackets() -> None:
    assert subject.url_of("2001:db8::1", 6443) == "https://[2001:db8::1]:6443"


def test_the_module_itself_never_runs() -> None:
    given = {"names": "w1", "groups": {}, "vip": VIP, "vip_url": "https://x"}
    assert "controller only" in run_module("removal_plan", given)["msg"]
