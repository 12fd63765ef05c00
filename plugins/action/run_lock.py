# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the lock of the cluster for this run, or say who has it. A process of its own holds it until the run ends."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import time
from datetime import datetime, timezone
from typing import Any

from ansible import constants, context
from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.module_utils import run_lease, run_lock
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import open_api
from ansible_collections.quorum.kubeadm.plugins.modules.run_lock import SPEC
from ansible_collections.quorum.kubeadm.plugins.plugin_utils import controller_lock, run_keeper, run_state
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.fenced_action import state_directory
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain

RELEASE_SECONDS = 5.0


def locks_directory() -> str:
    """Where this user's runs on this controller meet."""
    return os.path.join(os.path.expanduser(constants.config.get_config_value("ANSIBLE_HOME")), "quorum-kubeadm")


def playbook() -> str:
    """What was given to ansible-playbook."""
    given = context.CLIARGS.get("args") or ()
    return ", ".join(os.path.basename(name) for name in ([given] if isinstance(given, str) else given))


def job(given: dict[str, Any]) -> dict[str, Any]:
    """What the keeper is told. The parent of this worker process is the run."""
    if not given["endpoints"]:
        raise InputError("endpoints are needed to take the lock", next_step="give the API servers, the VIP first")
    run = os.getppid()
    return {
        "run": f"{getpass.getuser()}@{socket.gethostname()}:{run}:{secrets.token_hex(4)}",
        "playbook": playbook(),
        "since": run_lock.shown(datetime.now(timezone.utc)),
        "cluster": given["endpoints"][0],
        "kubeconfig": os.path.abspath(given["kubeconfig"]) if given["kubeconfig"] else "",
        "endpoints": given["endpoints"],
        "locks": locks_directory(),
        "state": state_directory(),
        "watched": run,
        "started": run_state.started(run),
    }


def told(held: dict[str, Any]) -> dict[str, Any]:
    """The result of a lock that is held."""
    return {"changed": False, "held": True, "level": held["level"], "token": held["token"], "run": held["run"]}


def take(given: dict[str, Any]) -> dict[str, Any]:
    """Take it, unless this very run has it."""
    directory = state_directory()
    held = run_state.require(directory)
    if held:
        return told(held)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    answer = run_keeper.start(job(given))
    if "error" in answer:
        return {"failed": True, **answer}
    return told(answer) | ({"warnings": [answer["warning"]]} if answer["warning"] else {})


def look(given: dict[str, Any]) -> dict[str, Any]:
    """Who has it. A run that only looks takes no lock, and minds none."""
    holder, warning = controller_lock.look(locks_directory(), given["endpoints"][0]), ""
    path = given["kubeconfig"]
    if not holder and path and os.path.exists(path):
        try:
            holder = run_lease.look(open_api({**given, "timeout": 0}, dry_run=True))
        except KubeadmError as exc:
            warning = f"Whether another run is changing this cluster is not known. {exc}"
    if holder:
        warning = f"Another run is changing this cluster: {holder}"
    result: dict[str, Any] = {"changed": False, "held": False, "holder": vars(holder) if holder else None}
    return result | ({"warnings": [warning]} if warning else {})


def release() -> dict[str, Any]:
    """Give it back before the run has ended."""
    directory = state_directory()
    held = run_state.read(directory)
    if not held:
        return {"changed": False, "held": False}
    with contextlib.suppress(ProcessLookupError):
        os.kill(held["keeper"], signal.SIGTERM)
    until = time.monotonic() + RELEASE_SECONDS
    while run_state.is_alive(held["keeper"]) and time.monotonic() < until:
        time.sleep(run_keeper.LOOK)
    shutil.rmtree(directory)
    return {"changed": False, "held": False}


class ActionModule(ActionBase):
    """Everything but a claim on a host is done here."""

    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(SPEC)
        given = plain(given)
        try:
            if given["state"] == "claimed":
                return result | self._claim(task_vars)
            if self._task.check_mode:
                return result | look(given)
            return result | (take(given) if given["state"] == "held" else release())
        except KubeadmError as exc:
            return result | {"failed": True, **exc.result()}

    def _claim(self, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        directory = state_directory()
        if self._task.check_mode:
            return {"changed": False, "skipped": True, "msg": "a run that changes nothing claims nothing"}
        held = run_state.require(directory)
        if not held:
            raise InputError(
                "a run without a lock cannot claim a host", next_step="take the lock first, with state: held"
            )
        claim = {key: held[key] for key in ("run", "playbook", "place", "cluster")}
        done: dict[str, Any] = self._execute_module(
            module_name="quorum.kubeadm.run_lock", module_args={"state": "claimed", "claim": claim}, task_vars=task_vars
        )
        if not done.get("failed"):
            run_state.note_claims(directory)
        return done
