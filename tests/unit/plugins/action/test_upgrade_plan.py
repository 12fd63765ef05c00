# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""upgrade_plan as a playbook's task: what was read comes from the hosts' variables, so no host is needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.action import upgrade_plan as subject
from tests.unit.plugins.modules.support import run_module
from tests.unit.upgrade_world import NEW, OLD, PLANES, told_balancer, told_cluster, told_etcd, told_hosts

ROOT = Path(__file__).parents[4]
BALANCERS = ("lb1", "lb2")


class World:
    """What the tasks before it registered."""

    def __init__(self, version: str = OLD) -> None:
        self.facts: dict[str, Any] = {name: {"node": node} for name, node in told_hosts(version).items()}
        self.facts |= {name: {"node": {}} for name in BALANCERS}
        self.seen = {name: told_balancer() for name in BALANCERS}
        self.arguments: dict[str, Any] = {
            "version": NEW,
            "control_planes": list(PLANES),
            "workers": ["w1"],
            "balancers": list(BALANCERS),
            "addresses": {name: f"https://{name}:6443" for name in PLANES},
            "cluster": {"changed": False, "cluster": told_cluster(version)},
            "etcd": told_etcd(version),
        }

    def play(self, folder: Path, *words: str) -> tuple[int, str, dict[str, Any]]:
        """Exit code, what was printed, and the registered result."""
        hosts: dict[str, Any] = {name: {"__kube_preflight_node": facts} for name, facts in self.facts.items()}
        for name, seen in self.seen.items():
            hosts[name]["__kube_lb_seen"] = seen
        decide = {"name": "Plan | Decide", "quorum.kubeadm.upgrade_plan": self.arguments, "register": "__decided"}
        show = {"name": "Plan | Show", "ansible.builtin.debug": {"msg": "RESULT={{ __decided | to_json }}"}}
        tasks = [{"run_once": True, "ignore_errors": True, **task} for task in (decide, show)]
        (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
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
        result: dict[str, Any] = json.loads(json.loads(shown.group(1)).removeprefix("RESULT="))
        return done.returncode, done.stdout, result


@pytest.mark.parametrize("words", [[], ["--check"]])
def test_the_plan_of_a_cluster_that_is_well(tmp_path: Path, words: list[str]) -> None:
    _code, printed, result = World().play(tmp_path, *words)
    assert result.get("failed", False) is False, printed
    assert (result["changed"], result["findings"]) == (False, [])
    assert result["plan"]["todo"] == ["cp2", "cp3", "cp1", "w1"]
    assert result["plan"]["running"] == [OLD]
    assert "Preflight of 6 hosts: 0 fatal, 0 warnings" in printed
    assert f"Upgrade {OLD} -> {NEW}" in printed
    assert "2 of 3 API servers" in printed


def test_every_fatal_finding_is_in_the_message_and_the_plan_is_told_all_the_same(tmp_path: Path) -> None:
    world = World()
    world.facts["w1"] = {"unreachable": True, "msg": "no route to host"}
    world.seen["lb2"] = {"answered": False, "servers": {}, "found": "No such file"}
    world.arguments["cluster"]["cluster"]["api_versions"]["https://cp3:6443"]["version"] = ""
    _code, printed, result = world.play(tmp_path)
    assert result["failed"] is True
    for words in ("w1: it does not answer: no route to host", "lb2: HAProxy does not answer", "cp3: its API server"):
        assert words in result["msg"]
    assert "nothing was changed" in result["msg"]
    assert result["plan"]["control_planes"] == ["cp2", "cp3", "cp1"]
    assert f"Upgrade {OLD} -> {NEW}" in printed


def test_the_target_is_reached(tmp_path: Path) -> None:
    _code, _printed, result = World(NEW).play(tmp_path)
    assert (result["findings"], result["plan"]["todo"], result["plan"]["addons"]) == ([], [], [])


@pytest.mark.parametrize(
    ("version", "words"), [("latest", "not a version"), ("1.99.0", "Kubernetes 1.99.0 is not supported")]
)
def test_a_version_that_is_none_is_an_error_with_its_parts(tmp_path: Path, version: str, words: str) -> None:
    world = World()
    world.arguments["version"] = version
    _code, _printed, result = world.play(tmp_path)
    assert words in result["error"]["what"]
    assert result["error"]["where"] == "kube_version"


def test_a_cluster_that_cannot_be_read(tmp_path: Path) -> None:
    world = World()
    world.arguments["cluster"] = {"failed": True, "msg": "no endpoint answered"}
    _code, _printed, result = world.play(tmp_path)
    assert result["msg"] == "the cluster cannot be read: no endpoint answered"


def test_who_gave_facts_and_who_is_away() -> None:
    hostvars = {"a": {subject.FACTS: {"node": {"x": 1}}}, "b": {subject.FACTS: {"msg": "boom"}}, "c": {}}
    assert subject.read_hosts(["a", "b", "c"], hostvars) == (
        {"a": {"x": 1}},
        {"b": "boom", "c": "the task did not run there"},
    )


def test_deprecated_requests_and_hosts_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    variables = {"hostvars": {name: {subject.FACTS: facts} for name, facts in world.facts.items()}}
    given = {key: option.get("default") for key, option in subject.SPEC.items()} | world.arguments
    made = subject.inputs_of(given, variables)
    row = {"group": "flowcontrol.apiserver.k8s.io", "version": "v1beta3", "resource": "x", "removed_release": "1.36"}
    assert [item.level for item in subject.host_gates(made, [row], allow_deprecated=False)] == ["fatal"]
    assert [item.level for item in subject.host_gates(made, [row], allow_deprecated=True)] == ["warning"]
    judged: list[str] = []
    monkeypatch.setattr(subject.upgrade_gates, "judge", lambda facts, now: judged.append(facts.host) or [])
    for facts in world.facts.values():
        facts["node"]["upgrade"] = {}
    subject.host_gates(subject.inputs_of(given, variables), [], allow_deprecated=False)
    assert sorted(judged) == [*PLANES, "w1"], "load balancers have nothing of Kubernetes"


def test_the_module_itself_never_runs() -> None:
    arguments = {"version": NEW, "control_planes": ["cp1"], "addresses": {}}
    assert "controller only" in run_module("upgrade_plan", arguments)["msg"]
