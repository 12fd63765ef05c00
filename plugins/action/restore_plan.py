# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a restore of a snapshot would do, from what all hosts told, and say what it gives up. Changes nothing."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.restoration import Outcome, decide
from ansible_collections.quorum.kubeadm.plugins.module_utils.restoration_seen import Asked, Place
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.etcd_seen import DATA, ETCD, PODS, machine, silent
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain

SPEC: dict[str, Any] = {
    "hosts": {"type": "list", "elements": "str", "required": True},
    "control_planes": {"type": "list", "elements": "str", "required": True},
    "addresses": {"type": "dict", "required": True},
    "snapshot": {"type": "str", "required": True},
    "snapshot_host": {"type": "str", "default": ""},
    "cluster": {"type": "str", "default": ""},
    "lost": {"type": "list", "elements": "str", "default": []},
    "acknowledge": {"type": "str", "default": ""},
}


def peer_url(address: str) -> str:
    """Where a member is reached by the others."""
    return f"https://[{address}]:2380" if ":" in address else f"https://{address}:2380"


def outsiders(seen: Mapping[str, Any], ours: set[str]) -> tuple[str, ...]:
    """Members that answer and are on none of our addresses."""
    members = (plain(seen.get(ETCD) or {}).get("etcd") or {}).get("members") or []
    urls = [url for one in members if one["healthy"] for url in one["peer_urls"]]
    return tuple(url for url in urls if urlsplit(url).hostname not in ours)


def place(name: str, seen: Mapping[str, Any], given: Mapping[str, Any], away: Mapping[str, str]) -> Place:
    """A host's registers as one value."""
    data, pods = (plain(seen.get(key) or {}) for key in (DATA, PODS))
    urls = {host: peer_url(str(address)) for host, address in given["addresses"].items()}
    return Place(
        **vars(machine(name, seen, away)),
        peer_url=urls.get(name, ""),
        etcd_host=name in given["hosts"],
        control_plane=name in given["control_planes"],
        ca=str(data.get("ca") or ""),
        etcdutl=str(data.get("etcdutl") or ""),
        free=int(data.get("free_bytes") or 0),
        service=bool(data.get("service")),
        known=tuple(pods.get("known") or ()),
        held=tuple(pods.get("held") or ()),
        outsiders=outsiders(seen, set(map(str, given["addresses"].values()))),
    )


def places_of(given: Mapping[str, Any], hostvars: Mapping[str, Any]) -> list[Place]:
    """All control planes and all hosts of etcd."""
    names = sorted({*given["hosts"], *given["control_planes"]})
    away = silent(names, given["addresses"], hostvars)
    return [place(name, hostvars[name], given, away) for name in names]


def text_of(outcome: Outcome, asked: Asked, *, effects: bool = True) -> str:
    """What a person reads."""
    lines = ["", "ETCD, AS IT WAS FOUND", *(f"  {line}" for line in outcome.told)]
    if outcome.refusals:
        lines += ["REFUSED", *(f"  {line}" for line in outcome.refusals)]
    if outcome.steps:
        title = "IS DONE NOW" if outcome.works and effects else "WOULD BE DONE"
        lines += [title, *(f"  {line}" for line in outcome.steps)]
    if outcome.words and not outcome.refusals and not outcome.works:
        where = f" -e snapshot_host={asked.host}" if asked.host else ""
        lost = f" -e restore_lost={','.join(asked.lost)}" if asked.lost else ""
        lines += [
            "NOTHING WAS CHANGED. To do it, give back what is given up:",
            f"  -e snapshot={asked.snapshot}{where}{lost} -e restore_acknowledge={outcome.words}",
        ]
    return "\n".join([*lines, ""])


class ActionModule(ActionBase):
    """Prints what was found and what would be done; fails when it may not be done."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(SPEC)
        given = plain(given)
        asked = Asked(
            given["snapshot"], given["snapshot_host"], tuple(given["lost"]), given["acknowledge"], given["cluster"]
        )
        places = places_of(given, (task_vars or {})["hostvars"])
        outcome = decide(places, asked, time.time(), f"quorum-{secrets.token_hex(8)}")
        color = constants.COLOR_ERROR if outcome.refusals else constants.COLOR_OK
        self._display.display(text_of(outcome, asked, effects=not self._task.check_mode), color=color)
        result.update(changed=False, plan=outcome.as_dict())
        if outcome.refusals:
            refusal = RefusedError(
                "etcd is not restored; nothing was changed",
                where="etcd",
                found="; ".join(outcome.refusals),
                next_step="see docs/disaster-recovery.md",
            )
            result.update(failed=True, **refusal.result())
        return result
