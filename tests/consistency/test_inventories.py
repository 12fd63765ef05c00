# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example inventories, the README's among them: on blank machines, preflight finds nothing and plans a cluster."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from ansible_collections.quorum.kubeadm.plugins.module_utils.preflight import Review, review
from tests.consistency.repo import ROOT, defaults, load, options
from tests.unit.preflight_world import blank_node

GROUPS = {"control_plane": "kube_control_plane", "worker": "kube_node", "lb": "kube_lb", "etcd": "etcd"}
EXAMPLES = sorted(ROOT.glob("inventories/example-*"))
COLOCATED = ROOT / "inventories" / "example-colocated-lb"
STACKED = ROOT / "inventories" / "example-stacked"
EXTERNAL = ROOT / "inventories" / "example-external-etcd"


def ansible(*argv: str) -> str:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@functools.cache
def inventory(path: Path) -> dict[str, Any]:
    """What Ansible makes of it."""
    return dict(json.loads(ansible("ansible-inventory", "-i", str(path), "--list")))


def members(found: dict[str, Any], group: str) -> list[str]:
    """The hosts of a group and of the groups below it."""
    entry = found.get(group, {})
    below = (members(found, child) for child in entry.get("children", []))
    return list(dict.fromkeys([*entry.get("hosts", []), *(name for names in below for name in names)]))


def ask(found: dict[str, Any], **changed: Any) -> Review:
    """Preflight's answer for machines that are as the inventory says, and blank."""
    hostvars = found["_meta"]["hostvars"]
    names = {group: members(found, of) for group, of in GROUPS.items()}
    own = {**next(iter(hostvars.values())), **changed, "inventory_dir": "inventory"}
    given = {name: own.get(name, value) for name, value in defaults("kube").items()} | {"kube_vip": own["kube_vip"]}
    for _depth in range(2):
        given = {
            name: jinja2.Template(value, undefined=jinja2.StrictUndefined).render(own | given)
            if isinstance(value, str) and name != "kube_node_ip"
            else value
            for name, value in given.items()
        }
    hosts = {
        name: {**values, "groups": [group for group in names if name in names[group]], "overrides": {}}
        for name, values in hostvars.items()
    }
    nodes = {name: blank_node(name, values["ansible_host"]) for name, values in hostvars.items()}
    return review({"cluster": given, "hosts": hosts, "rules": {}}, nodes)


def readme_inventory() -> str:
    blocks: list[str] = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return next(block for block in blocks if "kube_control_plane:" in block)


def test_there_are_examples() -> None:
    assert {"example-stacked", "example-colocated-lb", "example-external-etcd"} <= {path.name for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_preflight_accepts_the_example(path: Path) -> None:
    found = inventory(path)
    answer = ask(found)
    # Which checksums are not pinned is told wherever the software comes from its publishers.
    assert not [finding for finding in answer.findings if finding.check != "source"]
    assert answer.plan.state == "new"
    actions = answer.plan.hosts
    assert sorted(actions) == sorted(found["_meta"]["hostvars"])
    assert [actions[name] for name in members(found, "kube_control_plane")].count("init") == 1
    assert {actions[name] for name in members(found, "kube_node")} == {"join_worker"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_site_can_be_read_with_the_example(path: Path) -> None:
    ansible("ansible-playbook", "-i", str(path), "site.yml", "--syntax-check")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_example_sets_only_what_exists_and_spreads_its_control_planes(path: Path) -> None:
    found = inventory(path)
    known = {name for role in (ROOT / "roles").iterdir() for name in options(role.name)}
    for values in found["_meta"]["hostvars"].values():
        assert {name for name in values if not name.startswith("ansible_")} <= known
    labels = [found["_meta"]["hostvars"][name]["kube_node_labels"] for name in members(found, "kube_control_plane")]
    assert len({label["topology.kubernetes.io/zone"] for label in labels}) == len(labels)


def test_stacked_has_a_gpu_pool_that_keeps_others_out() -> None:
    found = inventory(STACKED)
    counts = {group: len(members(found, of)) for group, of in GROUPS.items()}
    assert counts == {"control_plane": 3, "worker": 3, "lb": 2, "etcd": 0}
    pool = found["_meta"]["hostvars"]["gpu1"]
    assert pool["kube_node_labels"]["pool"] == "gpu"
    assert pool["kube_node_taints"] == [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]
    assert "kube_node_taints" not in found["_meta"]["hostvars"]["w1"]


def test_external_etcd_begins_on_machines_of_its_own() -> None:
    found = inventory(EXTERNAL)
    counts = {group: len(members(found, of)) for group, of in GROUPS.items()}
    assert counts == {"control_plane": 3, "worker": 2, "lb": 2, "etcd": 3}
    plan = ask(found).plan
    assert plan.etcd.topology == "external"
    assert plan.etcd.actions == dict.fromkeys(members(found, "etcd"), "bootstrap")
    assert all("topology" not in name for name in found["_meta"]["hostvars"]["etcd1"])


def test_scale_etcd_can_be_read_with_the_example() -> None:
    ansible("ansible-playbook", "-i", str(EXTERNAL), "playbooks/scale_etcd.yml", "--syntax-check")


def test_colocated_load_balancers_are_the_control_planes_on_a_port_of_their_own() -> None:
    found = inventory(COLOCATED)
    assert members(found, "kube_lb") == members(found, "kube_control_plane")
    fatal = [finding.found for finding in ask(found, kube_api_port=6443).fatal]
    assert fatal == ["haproxy and kube-apiserver would both listen on 6443"] * 3


def test_colocated_haproxy_and_keepalived(tmp_path: Path) -> None:
    """With the variables of the play in site.yml, not with some of the test's own."""
    (play,) = (play for play in load(ROOT / "playbooks" / "site.yml") if "kube_lb_backends" in play.get("vars", {}))
    role = ROOT / "roles" / "kube_lb"
    files = ("haproxy.cfg", "keepalived.conf")
    play |= {
        "hosts": "kube_lb",
        "connection": "local",
        "vars": play["vars"]
        | {"role_path": str(role), "kube_lb_interface": "eth0", "kube_lb_ca": "a CA", "ansible_become": False},
        "vars_files": [
            str(ROOT / "playbooks" / "group_vars" / "all.yml"),
            *(str(ROOT / "roles" / name / "defaults" / "main.yml") for name in ("kube", "kube_lb")),
            str(role / "vars" / "main.yml"),
        ],
        "tasks": [
            {
                "name": f"Load balancers | Show {name}",
                "ansible.builtin.debug": {
                    "msg": f"@{{{{ inventory_hostname }}}} {name}\n"
                    f"{{{{ lookup('ansible.builtin.template', '{role}/templates/{name}.j2') }}}}@"
                },
            }
            for name in files
        ],
    }
    # A role's defaults, read as files here, would win over the inventory: what it sets comes after them.
    given = inventory(COLOCATED)["_meta"]["hostvars"]["cp1"]
    play["vars_files"].append(str(tmp_path / "given.yml"))
    (tmp_path / "given.yml").write_text(yaml.safe_dump({k: v for k, v in given.items() if k.startswith("kube_api")}))
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    shown = ansible("ansible-playbook", "-i", str(COLOCATED), str(tmp_path / "play.yml"))
    written = {tuple(head.split()): text for head, text in re.findall(r"@(cp\d \S+)\n(.*?)@", shown, re.DOTALL)}
    assert len(written) == 6, shown
    addresses = {"cp1": "192.0.2.21", "cp2": "192.0.2.22", "cp3": "192.0.2.23"}
    for name, address in addresses.items():
        haproxy, keepalived = (written[name, file] for file in files)
        assert re.findall(r"bind (\S+)", haproxy) == ["127.0.0.1:8405", "*:8443"]
        assert re.findall(r"^ +server (\S+) (\S+)$", haproxy, re.MULTILINE) == [
            (other, f"{at}:6443") for other, at in addresses.items()
        ]
        assert f"unicast_src_ip {address}" in keepalived
        (peers,) = re.findall(r"unicast_peer \{(.*?)\}", keepalived, re.DOTALL)
        assert peers.split() == sorted(set(addresses.values()) - {address})
        assert "192.0.2.10/32" in keepalived


def test_readme_inventory_is_short_and_accepted(tmp_path: Path) -> None:
    text = readme_inventory()
    assert len([line for line in text.splitlines() if line.strip() and not line.startswith("#")]) <= 12
    (tmp_path / "inventory.yml").write_text(text)
    answer = ask(inventory(tmp_path / "inventory.yml"))
    assert not answer.fatal
    assert answer.plan.state == "new"
