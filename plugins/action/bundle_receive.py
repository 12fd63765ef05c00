# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a bundle's parts from the controller to a host: asked first, then only what its roles need and it lacks."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle import require
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_archive import open_archive
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.modules.bundle_receive import SPEC
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.bundle_cache import BundleCache, verify
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.fenced_action import FencedAction
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.receipts import digest_of
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain


class ActionModule(FencedAction):
    """See the module's documentation."""

    TRANSFERS_FILES = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec({**SPEC, "receipt": {"type": "dict"}})
        given = plain(given)
        receipt = given.pop("receipt") or {}
        try:
            archive = open_archive(given["bundle"])
            verify(archive, given["key"])
            require(archive.bundle, given["bundle"], given["kube_version"], given["arch"])
        except KubeadmError as exc:
            return result | {"failed": True, **exc.result()}
        arguments = {**given, "manifest": archive.text}
        known = receipt.get("known") or {}
        # What is sent differs from host to host and from run to run; what shall be there in the end does not.
        asked = {"digest": digest_of("bundle_receive", arguments), "inputs": known.get("inputs") or ""}
        if receipt and (known.get("proven") or {}).get(receipt["name"]) == asked:
            return result | {"changed": False, "proven": True, "steps": [], "sent": []}
        if receipt:
            arguments["receipt"] = {"name": receipt["name"], **asked}
        return result | self._deliver(arguments, BundleCache(archive), task_vars)

    def _deliver(
        self, arguments: dict[str, Any], cache: BundleCache, task_vars: dict[str, Any] | None
    ) -> dict[str, Any]:
        told = self._call(arguments, task_vars)
        if told.get("failed") or not told.get("missing") or self._task.check_mode:
            return {**told, "sent": []}
        folder = self._make_tmp_path()
        try:
            incoming = {}
            for path in told["missing"]:
                local = cache.part(path)
                incoming[path] = self._transfer_file(local, self._connection._shell.join_path(folder, local[-64:]))
            done = self._call({**arguments, "incoming": incoming}, task_vars)
        except KubeadmError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        finally:
            self._remove_tmp_path(folder)
        return {**done, "changed": True, "steps": told["steps"], "sent": told["missing"]}

    def _call(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        told: dict[str, Any] = self._execute_module(
            module_name="quorum.kubeadm.bundle_receive", module_args=arguments, task_vars=task_vars
        )
        return told
