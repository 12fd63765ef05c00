# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts what a run costs: host-tasks, remote calls, bytes and wall time per role and host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: call_budget
type: aggregate
short_description: Counts remote calls, bytes, skips and wall time per role and host
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Counts, for every role and host, the host-tasks that ran, were skipped, changed something or failed, and the
    handlers that restarted something.
  - Counts the calls that the connection plugins really made (commands and file transfers) and their bytes, in the
    worker processes. Calls over the connection C(local) are counted apart, as calls on the controller.
  - Sizes and times are recorded, command lines and data never are.
  - Prints a small table at the end of the run, and writes all figures as JSON when O(output_path) is set.
options:
  output_path:
    description:
      - File for the figures as JSON. Its directory is created when it is missing.
      - Nothing is written when it is empty.
    type: str
    default: ""
    env:
      - name: ANSIBLE_CALL_BUDGET_OUTPUT
    ini:
      - section: callback_call_budget
        key: output_path
  hosts_shown:
    description: How many hosts the table shows, those with the most remote calls first.
    type: int
    default: 10
    env:
      - name: ANSIBLE_CALL_BUDGET_HOSTS
    ini:
      - section: callback_call_budget
        key: hosts_shown
requirements:
  - enabled in the configuration (C(callbacks_enabled = quorum.kubeadm.call_budget))
notes:
  - Times per role are the time in which at least one task of the role was running on any host.
  - A file transfer counts as one call, also when the connection plugin tries more than one way.
"""

EXAMPLES = r"""
# ansible.cfg:
# [defaults]
# callbacks_enabled = quorum.kubeadm.call_budget
# [callback_call_budget]
# output_path = call_budget.json
#
# For one run:
# ANSIBLE_CALLBACKS_ENABLED=quorum.kubeadm.call_budget ANSIBLE_CALL_BUDGET_OUTPUT=call_budget.json \
#   ansible-playbook quorum.kubeadm.site
"""

import dataclasses
import json
import os
import time
import typing as t

from ansible.executor.process import worker
from ansible.playbook.handler import Handler
from ansible.plugins.callback import CallbackBase
from ansible.plugins.connection import ConnectionBase

from ansible_collections.quorum.kubeadm.plugins.plugin_utils import call_budget as core
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.call_recorder import Origin, Recorder


def role_of(task: t.Any) -> str:
    role = getattr(task, "_role", None)
    return role.get_name(include_role_fqcn=False) if role else core.NO_ROLE


def origin_of(connection: t.Any) -> Origin:
    """In a worker: the host that the connection goes to, and the task that uses it."""
    current = worker.current_worker
    if current is None:
        return Origin("", core.NO_ROLE, "")
    task = current._task
    host = task.delegate_to or current._host.get_name()
    if "{{" in host:  # a loop over delegate_to: the worker holds the template, the connection knows the address
        host = str(connection._play_context.remote_addr)
    return Origin(host, role_of(task), task._uuid)


class CallbackModule(CallbackBase):  # type: ignore[misc]  # - Ansible has no types
    """Keeps the host-tasks' outcomes; the Recorder keeps the calls; both meet in aggregate()."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "quorum.kubeadm.call_budget"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._recorder: Recorder | None = None
        self._began = time.monotonic()
        self._starts: dict[tuple[str, str], float] = {}
        self._names: dict[str, str] = {}
        self._runs: list[core.TaskRun] = []
        self._delegates: dict[str, str] = {}
        self._playbook = ""

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        self._began = time.monotonic()
        self._playbook = os.path.basename(playbook._file_name)
        self._recorder = Recorder(origin_of)
        self._recorder.install(ConnectionBase)

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        self._starts[host.get_name(), task._uuid] = time.monotonic()
        self._names.setdefault(task._uuid, task.get_name())

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._finished(result, "changed" if result.is_changed() else "ok")

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        self._finished(result, "skipped")

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._finished(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._finished(result, "unreachable")

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        """The items of a loop over delegate_to say which address is which host."""
        there = result.result.get("_ansible_delegated_vars") or {}
        name = result.task_fields.get("delegate_to")
        if name and there.get("ansible_host"):
            self._delegates[str(there["ansible_host"])] = str(name)

    v2_runner_item_on_failed = v2_runner_item_on_skipped = v2_runner_item_on_ok

    def _finished(self, result: t.Any, outcome: str) -> None:
        task, host, now = result.task, result.host.get_name(), time.monotonic()
        start = self._starts.pop((host, task._uuid), now)
        self._runs.append(core.TaskRun(host, role_of(task), task._uuid, outcome, start, now, isinstance(task, Handler)))

    def v2_playbook_on_stats(self, stats: t.Any) -> None:  # noqa: ARG002 - Ansible's signature
        if self._recorder is None:
            return
        calls = [
            dataclasses.replace(call, host=self._delegates.get(call.host, call.host)) for call in self._recorder.calls()
        ]
        self._recorder.close()
        report = core.aggregate(self._runs, calls, self._names, time.monotonic() - self._began)
        report["playbook"] = self._playbook
        self._display.banner("CALL BUDGET")
        for line in core.table(report, self.get_option("hosts_shown")):
            self._display.display(line)
        if path := self.get_option("output_path"):
            self._write(os.path.expanduser(path), report)

    def _write(self, path: str, report: dict[str, t.Any]) -> None:
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            with open(f"{path}.tmp", "w", encoding="utf-8") as handle:
                json.dump(report, handle, indent=1)
            os.replace(f"{path}.tmp", path)
        except OSError as exc:
            self._display.warning(f"call_budget: the figures could not be written to {path}: {exc.strerror}.")
