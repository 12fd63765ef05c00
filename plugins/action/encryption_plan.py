# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what is left of a rotation of keys, and before each stage whether it may begin. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.module_utils import encryption_rotation as rotation
from ansible_collections.quorum.kubeadm.plugins.module_utils.encryption import Key
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.hosts_read import problem_of
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain

SEEN = "__encryption_seen"
SPEC: dict[str, Any] = {
    "stage": {"type": "str", "choices": ["begin", "promote", "rewrite", "drop"], "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "nodes": {"type": "list", "elements": "str", "default": []},
    "new": {"type": "str", "default": ""},
    "stored": {"type": "dict", "default": {}},
    "names": {"type": "dict", "default": {}},
}


def keys_of(told: Sequence[Mapping[str, str]]) -> tuple[Key, ...]:
    """What encryption_key tells, as values."""
    return tuple(Key(one["name"], one["mark"]) for one in told)


def servers_of(hosts: Sequence[str], nodes: Sequence[str], hostvars: Mapping[str, Any]) -> list[rotation.Server]:
    """Every control plane's keys. RefusedError when one of the cluster's cannot be looked at."""
    servers, silent = [], {}
    for name in sorted(hosts):
        told = plain(hostvars.get(name, {}).get(SEEN) or {})
        if "keys" not in told:
            silent[name] = problem_of(told)[1]
            continue
        loaded = None if told["loaded"] is None else keys_of(told["loaded"])
        servers.append(rotation.Server(name, keys_of(told["keys"]), loaded, told["rest"]))
    silent |= dict.fromkeys(
        sorted(set(nodes) - set(hosts)), "a control plane of the cluster that is not in the inventory"
    )
    if silent or not servers:
        raise RefusedError(
            "the keys of every control plane have to be known",
            where=", ".join(silent) or "the group kube_control_plane",
            found="; ".join(f"{name}: {why}" for name, why in silent.items()) or "no control plane",
            next_step="bring them back, or take one that is lost out of the cluster: "
            "ansible-playbook quorum.kubeadm.remove_node -e node=NAME",
        )
    return servers


def decide(given: Mapping[str, Any], hostvars: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The plan when a rotation begins, else {}; and lines for a person."""
    servers, new = servers_of(given["hosts"], given["nodes"], hostvars), given["new"]
    if given["stage"] == "begin":
        decided = rotation.plan(servers)
        lines = ["", "KEYS OF THE API SERVERS", *(f"  {server.name}: {rotation.told(server)}" for server in servers)]
        return decided.result(), [*lines, "STEPS", *(f"  {step}" for step in decided.steps()), ""]
    if given["stage"] == "promote":
        rotation.require_promotable(servers, new)
        return {}, []
    rotation.require_rewritable(servers, new)
    if given["stage"] == "drop":
        others = [name for key, found in given["names"].items() if key != f"secretbox:{new}" for name in found]
        rotation.require_unused({name: int(count) for name, count in given["stored"].items()}, others, new)
        return {}, [f"etcd: {', '.join(f'{count} under {name}' for name, count in given['stored'].items())}"]
    return {}, []


class ActionModule(ActionBase):
    """Prints the plan; fails when the next stage would not be safe."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(SPEC)
        try:
            plan, lines = decide(given, (task_vars or {})["hostvars"])
        except KubeadmError as exc:
            return result | {"failed": True, **exc.result()}
        if lines:
            self._display.display("\n".join(lines))
        return result | {"changed": False, "plan": plan}
