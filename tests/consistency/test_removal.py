# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plays derive from the inventory is without the machines that leave, and each play has the right hosts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.consistency.repo import ROOT, load
from tests.consistency.test_inventories import EXTERNAL, STACKED, ansible

DERIVED = (
    "__control_planes", "__workers", "__load_balancers", "__etcd_machines", "__etcd_hosts", "__etcd_urls", "__api_urls",
    "__control_plane_addresses",
)  # fmt: skip


def derived(inventory: Path, tmp_path: Path, **variables: str) -> dict[str, Any]:
    """The plays' variables, as Ansible sees them."""
    shown = "{{ {" + ", ".join(f"'{name}': {name}" for name in DERIVED) + "} | to_json }}"
    play = {
        "hosts": "kube_control_plane[0]",
        "connection": "local",
        "gather_facts": False,
        "vars": {"kube_api_port": 6443, "kube_api_bind_port": 6443, "ansible_become": False, **variables},
        "vars_files": [str(ROOT / "playbooks" / "group_vars" / "all.yml")],
        "tasks": [{"name": "Show | It", "ansible.builtin.debug": {"msg": f"@{shown}@"}}],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    shown = ansible("ansible-playbook", "-i", str(inventory), str(tmp_path / "play.yml"))
    (found,) = re.findall(r"@(.*)@", shown, re.DOTALL)
    return dict(json.loads(" ".join(found.split())))


@pytest.mark.parametrize("inventory", [STACKED, EXTERNAL], ids=lambda path: path.name)
def test_nothing_leaves_unless_a_playbook_says_so(inventory: Path, tmp_path: Path) -> None:
    found = derived(inventory, tmp_path, node="cp2", nodes="cp2")
    assert found["__control_planes"] == ["cp1", "cp2", "cp3"]
    assert len(found["__api_urls"]) == 4


def test_a_control_plane_leaves(tmp_path: Path) -> None:
    found = derived(STACKED, tmp_path, removal_nodes="cp2, w1")
    assert found["__control_planes"] == found["__etcd_hosts"] == ["cp1", "cp3"]
    assert "w1" not in found["__workers"]
    assert found["__etcd_machines"] == []
    assert sorted(found["__control_plane_addresses"]) == ["cp1", "cp3"]
    assert (len(found["__api_urls"]), len(found["__etcd_urls"])) == (3, 2)


def test_a_control_plane_that_the_group_etcd_has_too_leaves(tmp_path: Path) -> None:
    """It must not be taken for a machine that etcd has for itself."""
    both = tmp_path / "hosts.yml"
    hosts = {name: {"ansible_host": f"192.0.2.{number}"} for number, name in enumerate(("cp1", "cp2", "cp3"), 1)}
    groups = {"kube_control_plane": {"hosts": hosts}, "etcd": {"hosts": {name: {} for name in hosts}}}
    both.write_text(yaml.safe_dump({"all": {"vars": {"kube_vip": "192.0.2.9"}, "children": groups}}))
    found = derived(both, tmp_path, removal_nodes="cp1")
    assert (found["__etcd_machines"], found["__etcd_hosts"]) == ([], ["cp2", "cp3"])


def test_a_machine_of_an_external_etcd_and_a_load_balancer_leave(tmp_path: Path) -> None:
    found = derived(EXTERNAL, tmp_path, removal_nodes="etcd1,lb1")
    assert found["__etcd_machines"] == found["__etcd_hosts"] == ["etcd2", "etcd3"]
    assert found["__load_balancers"] == ["lb2"]


def hosts(playbook: str, *words: str) -> dict[str, list[str]]:
    """Each play to its hosts before anything ran."""
    path = ROOT / "playbooks" / f"{playbook}.yml"
    listed = ansible("ansible-playbook", "-i", str(EXTERNAL), str(path), "--list-hosts", *words)
    found: dict[str, list[str]] = {}
    for play in listed.split("\n  play #")[1:]:
        title = play.partition("): ")[2].partition("\t")[0]
        found[title] = play.partition("    hosts (")[2].partition("):")[2].split()
    return found


def test_removing_a_worker_looks_at_no_other_worker() -> None:
    plan = hosts("remove_node", "-e", "node=w2")["Plan | Look at what goes and at what it stands on"]
    assert "w2" in plan
    assert "w1" not in plan


def test_adding_a_worker_looks_at_it_and_one_control_plane() -> None:
    found = hosts("add_nodes", "-e", "nodes=w2")
    assert sorted(found["Plan | Look at every host and decide what each becomes"]) == ["cp1", "w2"]
    assert sorted(found["Verify | Report"]) == ["cp1", "w2"]


def test_site_looks_at_all() -> None:
    every = {"lb1", "lb2", "cp1", "cp2", "cp3", "w1", "w2", "etcd1", "etcd2", "etcd3"}
    found = hosts("site")
    assert set(found["Plan | Look at every host and decide what each becomes"]) == every
    assert set(found["Verify | Report"]) == every
    assert found["Verify | Look at the load balancers"] == []
    assert sorted(hosts("verify")["Verify | Look at the load balancers"]) == ["lb1", "lb2"]


@pytest.mark.parametrize("playbook", ["remove_node", "replace_node"])
def test_before_the_plan_nothing_but_the_plan_has_hosts(playbook: str) -> None:
    found = hosts(playbook, "-e", "node=cp1")
    assert [title for title, names in found.items() if names and not title.startswith(("Plan", "Verify"))] == []


def test_a_plays_variable_reaches_only_those_that_say_so() -> None:
    """removal_nodes belongs to imports: as an extra variable of site it would hide machines."""
    for name in ("remove_node", "replace_node"):
        imports = [
            play for play in load(ROOT / "playbooks" / f"{name}.yml") if "ansible.builtin.import_playbook" in play
        ]
        assert imports
        assert all("removal_nodes" in play["vars"] for play in imports)
