# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible inventory of the lab's running nodes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from lab import sshkey
from lab.errors import LabError
from lab.podman import containers
from lab.settings import CHECKOUT, ROLES, Node, Settings

ZONE_LABEL = "topology.kubernetes.io/zone"
SSH_ARGS = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
GROUP_VARS = CHECKOUT / "inventories" / "lab" / "group_vars"
Inventory = dict[str, dict[str, object]]


def inventory(settings: Settings, nodes: Iterable[Node], key: Path) -> Inventory:
    """Group the nodes; what depends on this machine and this lab is set for all of them."""
    members = list(nodes)
    children: dict[str, object] = {}
    for group, _first in ROLES.values():
        hosts = {node.name: _host(node) for node in members if group and node.group == group}
        if hosts:
            children[group] = {"hosts": hosts}
    return {
        "all": {
            "vars": {
                "ansible_user": "root",
                "ansible_ssh_private_key_file": str(key),
                "ansible_ssh_common_args": SSH_ARGS,
                "kube_vip": settings.vip,
                "lab_name": settings.name,
            },
            "children": children,
        }
    }


def _host(node: Node) -> dict[str, object]:
    host: dict[str, object] = {"ansible_host": node.address}
    if node.role in {"cp", "w"}:
        host["kube_node_labels"] = {ZONE_LABEL: node.zone}
    return host


def render(content: Inventory) -> str:
    """Print the inventory as YAML, of which JSON strings are a part."""
    return "---\n" + "\n".join(_lines(content, "")) + "\n"


def _lines(value: Mapping[str, object], indent: str) -> list[str]:
    lines: list[str] = []
    for name, item in value.items():
        if isinstance(item, dict):
            lines += [f"{indent}{name}:", *_lines(item, f"{indent}  ")]
        else:
            lines.append(f"{indent}{name}: {json.dumps(item)}")
    return lines


def current(settings: Settings) -> str:
    """Return the inventory of the nodes that exist, whatever their state: a dead node is still in the inventory."""
    nodes = [container.node for container in containers(settings).values()]
    if not nodes:
        raise LabError(f"The lab {settings.name!r} has no nodes.", "python3 -m lab up")
    return render(inventory(settings, nodes, sshkey.ensure(settings)))


def write(settings: Settings, directory: Path) -> Path:
    """Write hosts.yml, and let group_vars be those of inventories/lab; nothing that somebody else wrote is replaced."""
    directory.mkdir(parents=True, exist_ok=True)
    link = directory / "group_vars"
    if not link.is_symlink() and link.exists() and link.resolve() != GROUP_VARS.resolve():
        raise LabError(f"{link} is not a link that this command made.", "name another directory")
    if link.is_symlink() or not link.exists():
        fresh = directory / f".group_vars.{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(GROUP_VARS)
        fresh.replace(link)
    hosts = directory / "hosts.yml"
    fresh = directory / f".hosts.yml.{os.getpid()}"
    fresh.write_text(current(settings))
    fresh.replace(hosts)
    return hosts
