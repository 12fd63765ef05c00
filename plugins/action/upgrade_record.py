# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the record of an upgrade on the controller, and stop a node's steps when one of them did not happen."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.module_utils import upgrade_record
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain

SPEC: dict[str, Any] = {
    "event": {"type": "str", "choices": ["begun", "node", "step", "failed", "done"], "required": True},
    "path": {"type": "path", "required": True},
    "cluster": {"type": "str", "default": ""},
    "plan": {"type": "dict", "default": {}},
    "findings": {"type": "list", "elements": "dict", "default": []},
    "node": {"type": "str", "default": ""},
    "step": {"type": "str", "default": ""},
    "told": {"type": "str", "default": ""},
    "results": {"type": "list", "elements": "dict", "default": []},
    "after": {"type": "dict", "default": {}},
    "availability_file": {"type": "path", "default": ""},
}
# What is kept of an event, besides its kind and time.
KEPT = {
    "begun": ("cluster", "plan", "findings"),
    "node": ("node",),
    "step": ("node", "step", "told"),
    "failed": ("node", "step", "problem", "left"),
    "done": ("after", "availability", "left"),
}


def events_of(path: str) -> list[dict[str, Any]]:
    """The events so far; a last line that was cut by a kill is not one."""
    try:
        with open(f"{path}.events", encoding="utf-8") as stream:
            lines = stream.read().splitlines()
    except FileNotFoundError:
        return []
    events = []
    for line in lines:
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events


def append(path: str, event: Mapping[str, Any]) -> None:
    """One write for one event: several nodes write at the same time."""
    os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
    descriptor = os.open(f"{path}.events", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, (json.dumps(event) + "\n").encode())
    finally:
        os.close(descriptor)


def write(path: str, events: list[dict[str, Any]]) -> None:
    """The record as JSON and as Markdown."""
    document = upgrade_record.record(events)
    texts = {".json": json.dumps(document, indent=2) + "\n", ".md": upgrade_record.markdown(document)}
    for suffix, text in texts.items():
        with open(f"{path}{suffix}.new", "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(f"{path}{suffix}.new", f"{path}{suffix}")


def problem_of(results: list[Mapping[str, Any]]) -> str:
    """Why a step did not happen; "" when all of its results are well."""
    for result in results:
        for one in result.get("results") or [result]:
            if one.get("unreachable"):
                return f"the host became unreachable: {' '.join(str(one.get('msg') or '').split())}"
            if one.get("failed"):
                return str(one.get("msg") or "it failed")
    return ""


def availability_of(path: str) -> Any:
    """What a prober wrote down, if one ran."""
    if not path or not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


class ActionModule(ActionBase):
    """Runs on the controller and connects to nothing."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(SPEC)
        given = plain(given)
        path, event = given["path"], given["event"]
        problem = problem_of(given["results"])
        result.update(changed=False, path=path)
        if self._task.check_mode:
            return result
        if event == "step" and problem:
            # Not a step: the failure is recorded by the rescue that follows.
            return result | {"failed": True, "msg": f"{given['node']}: {given['step']}: {problem}"}
        try:
            if event in ("failed", "done"):
                given["left"] = upgrade_record.left(events_of(path))
                given["problem"] = problem or given["told"]
                given["after"] = upgrade_record.running(given["after"])
                given["availability"] = availability_of(given["availability_file"])
            append(path, {"event": event, "at": time.time(), **{key: given[key] for key in KEPT[event]}})
            if event in ("begun", "failed", "done"):
                write(path, events_of(path))
        except (OSError, ValueError) as exc:
            raise AnsibleActionFail(f"the record cannot be written to {path}: {exc}") from exc
        return result | ({"failed": True, "msg": self.told(given)} if event == "failed" else {})

    @staticmethod
    def told(given: Mapping[str, Any]) -> str:
        """The last words of a run that stops."""
        left = ", ".join(given["left"]) or "none"
        return (
            f"{given['problem']}\nThe upgrade stopped at {given['node']}. Not finished: {left}. "
            f"The other nodes are untouched. When it is mended, run the same playbook again: it goes on with "
            f"{given['node']}. Record: {given['path']}.md"
        )
