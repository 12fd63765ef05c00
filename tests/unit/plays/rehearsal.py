# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks with doubles for the modules: which module is called on which host, in which order, with what.

Ansible itself runs, with the real plays, roles, variables, filters and plans. A module notes its call and gives the
answer that the test has for it. Nothing is changed anywhere: the hosts are directories.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.unit.preflight_world import VIP, World

ROOT = Path(__file__).parents[3]
# These decide or print; the others would touch something.
REAL = ("removal_plan", "renewal_plan", "restore_plan", "site_plan", "verify_report")
GROUPS = {"control_plane": "kube_control_plane", "worker": "kube_node", "lb": "kube_lb", "etcd": "etcd"}
DOUBLE = """#!/usr/bin/python
# WANT_JSON
import json, os, pathlib, sys

arguments = json.loads(pathlib.Path(sys.argv[1]).read_text())
name = arguments.pop("_ansible_module_name", "").rpartition(".")[2]
check = arguments.get("_ansible_check_mode", False)
home = pathlib.Path({home!r})
host = next(part[5:] for part in pathlib.Path(sys.argv[1]).parts if part.startswith("host_"))
asked = {{key: value for key, value in arguments.items() if not key.startswith("_ansible_")}}
with open(home / "calls.jsonl", "a") as stream:
    stream.write(json.dumps([name, host, asked, check]) + "\\n")
answers = json.loads((home / "answers.json").read_text()).get(name, {{}})
# A list is used up, one answer for each call.
answer = answers.get(host, answers.get("*", {{}}))
if isinstance(answer, list):
    count = home / f"count_{{name}}_{{host}}"
    number = int(count.read_text()) if count.exists() else 0
    count.write_text(str(number + 1))
    answer = answer[min(number, len(answer) - 1)]
print(json.dumps({{"changed": False, **answer}}))
"""


@dataclass(frozen=True)
class Call:
    """A module that was called."""

    module: str
    host: str
    arguments: Mapping[str, Any]
    check: bool = False


@dataclass
class Rehearsal:
    """A collection of doubles in a directory. answers: module to host ("*" is any) to its answer, or several."""

    folder: Path
    world: World
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    output: str = ""

    def __post_init__(self) -> None:
        target = self.folder / "ansible_collections" / "quorum" / "kubeadm"
        for part in ("roles", "playbooks", "meta"):
            shutil.copytree(ROOT / part, target / part)
        plugins = target / "plugins"
        for part in ("module_utils", "filter", "lookup", "plugin_utils", "doc_fragments"):
            shutil.copytree(ROOT / "plugins" / part, plugins / part, ignore=shutil.ignore_patterns("__pycache__"))
        (plugins / "action").mkdir()
        (plugins / "modules").mkdir()
        for name in REAL:
            for part in ("action", "modules"):
                shutil.copy(ROOT / "plugins" / part / f"{name}.py", plugins / part)
        double = DOUBLE.format(home=str(self.folder))
        known = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")} | {"node_reset"}
        for name in known - set(REAL):
            (plugins / "modules" / f"{name}.py").write_text(double)

    def inventory(self) -> dict[str, Any]:
        """The world's hosts, each with a directory of its own."""
        here = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_pipelining": False,
        }

        def variables(name: str) -> dict[str, Any]:
            return {**here, "ansible_remote_tmp": str(self.folder / f"host_{name}")}

        children: dict[str, Any] = {}
        for name, host in self.world.hosts.items():
            for group in host["groups"]:
                own = {**variables(name), "kube_node_ip": host["ansible_host"], "ansible_host": host["ansible_host"]}
                children.setdefault(GROUPS[group], {"hosts": {}})["hosts"][name] = own
        every = {
            "kube_vip": self.world.cluster["kube_vip"],
            "kube_source": "bundle",
            "kube_control_plane_encryption_at_rest": False,
            "kube_kubeconfig": str(self.folder / "kubeconfig"),
            **self.variables,
        }
        return {"all": {"vars": every, "hosts": {"localhost": variables("localhost")}, "children": children}}

    def play(self, playbook: str, *words: str) -> int:
        """Run it; the exit code."""
        (self.folder / "hosts.yml").write_text(yaml.safe_dump(self.inventory()))
        (self.folder / "answers.json").write_text(json.dumps(self.answers))
        (self.folder / "calls.jsonl").write_text("")
        (self.folder / "ansible.cfg").write_text("")
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder),
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_FORKS": "10",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_GATHERING": "explicit",
            "PYTHONPATH": "",
        }
        path = self.folder / "ansible_collections" / "quorum" / "kubeadm" / "playbooks" / f"{playbook}.yml"
        program = str(Path(sys.executable).parent / "ansible-playbook")
        command = [program, "-i", str(self.folder / "hosts.yml"), str(path), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        self.output = done.stdout + done.stderr
        return done.returncode

    def settle(self, *members: str, sick: str = "") -> None:
        """Answers of a cluster of the world's nodes; sick: one whose kubelet, etcd and API server are silent."""
        hosts = self.world.hosts
        known = [name for name in hosts if name in self.world.nodes]
        nodes = [name for name in known if self.world.kubernetes(name)["kubelet_conf"] or name == sick]
        planes = [name for name in nodes if "control_plane" in hosts[name]["groups"]]
        told = [
            {
                "name": name,
                "role": "control_plane" if name in planes else "worker",
                "ready": name != sick,
                "unschedulable": False,
            }
            for name in nodes
        ]
        live = [f"https://{hosts[name]['ansible_host']}:6443" for name in planes if name != sick]
        versions = {url: {"version": "1.36.3", "error": ""} for url in (f"https://{VIP}:6443", *live)}
        ages = {name: 300.0 if name == sick else 3.0 for name in nodes}
        etcd = {"members": [self.world.member(name) for name in members], "voters": len(members)}
        self.answers |= {
            "node_info": {name: {"node": {"receipts": {}, **node}} for name, node in self.world.nodes.items()},
            "cluster_info": {"*": {"cluster": {"nodes": told, "leases": ages, "api_versions": versions}}},
            "kube_drain": {"*": {"blocked": []}},
            "node_reset": {"*": {"leftovers": []}},
            "host_config": {"*": {"stale_units": [], "steps": []}},
            "lb_backend": {"*": {"answered": True, "servers": {name: {"up": True} for name in planes}}},
            "bootstrap_token": {"*": {"token": "abcdef.0123456789abcdef", "token_id": "abcdef"}},
            "certificate_key": {"*": {"key": "1" * 64, "expires": "2026-01-31T12:15:00Z"}},
            "cluster_verify": {"*": {"rows": [], "notes": [], "seconds": {}}},
            "etcd_info": {"*": {"etcd": {**etcd, "healthy_voters": len(members), "tolerance": 1, "findings": []}}},
        }

    @property
    def calls(self) -> list[Call]:
        """What was called, in its order."""
        return [Call(*json.loads(line)) for line in (self.folder / "calls.jsonl").read_text().splitlines()]

    def of(self, module: str, host: str = "") -> list[Call]:
        """The calls of one module."""
        return [call for call in self.calls if call.module == module and host in ("", call.host)]

    def order(self) -> list[str]:
        """What changes something, as "module host", in its order; the same call again and again once."""
        looks = {"node_info", "cluster_info", "etcd_info", "cluster_verify", "etcd_gate", "run_lock"}
        words = [
            f"{call.module} {call.arguments.get('node') or call.host}"
            for call in self.calls
            if call.module not in looks and call.arguments.get("state") not in ("seen", "checked")
        ]
        return [word for number, word in enumerate(words) if number == 0 or words[number - 1] != word]
