# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's side of receipts: a task whose call is proven to have nothing to do makes no remote call."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.quorum.kubeadm.plugins.plugin_utils.fenced_action import FencedAction
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain

SECRET = "secret_b64"  # noqa: S105 - the name of an option
PLUGINS = Path(__file__).resolve().parent.parent


def code_digest(module: str) -> str:
    """Changes with the module's code: a receipt that older code left is not what this code would leave."""
    digest = hashlib.sha256((PLUGINS / "modules" / f"{module}.py").read_bytes())
    for path in sorted((PLUGINS / "module_utils").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def holds_secret(value: Any) -> bool:
    """Whether a secret is anywhere in the arguments. Not even its hash is kept."""
    if isinstance(value, Mapping):
        return any(key == SECRET or holds_secret(entry) for key, entry in value.items())
    return isinstance(value, list) and any(holds_secret(entry) for entry in value)


def digest_of(module: str, arguments: Mapping[str, Any]) -> str | None:
    """The digest of a call; None for one with secrets."""
    if holds_secret(arguments):
        return None
    text = json.dumps([code_digest(module), module, arguments], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class ReceiptAction(FencedAction):
    """Answers from a proven receipt, else runs the module, which leaves one.

    UNCHANGED: the lists of the module's result that are empty when there was nothing to do.
    """

    MODULE = ""
    UNCHANGED: tuple[str, ...] = ("steps",)

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = plain(self._task.args)
        receipt = arguments.pop("receipt", None)
        if receipt is not None:
            if not isinstance(receipt, dict) or not receipt.get("name"):
                raise AnsibleActionFail("receipt must be a dictionary with a name")
            digest = digest_of(self.MODULE, arguments)
            known = receipt.get("known") or {}
            asked = {"digest": digest, "inputs": known.get("inputs") or ""}
            if digest and (known.get("proven") or {}).get(receipt["name"]) == asked:
                result.update(changed=False, proven=True, **{name: [] for name in self.UNCHANGED})
                return result
            arguments["receipt"] = {"name": receipt["name"], **asked}
        result.update(
            self._execute_module(
                module_name=f"quorum.kubeadm.{self.MODULE}", module_args=arguments, task_vars=task_vars
            )
        )
        return result
