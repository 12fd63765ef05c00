# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receipts: what a call that ended well had asked for, kept on the host so that it can be proven again.

A receipt claims nothing. Whoever reads it plans the same call anew against the host as it is now, and only a plan
without steps proves it. So one call per host answers for all calls that earlier runs made there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_memory import json_object, write_json

FOLDER = "/var/lib/quorum-kubeadm/receipts"
OPTION: dict[str, Any] = {
    "type": "dict",
    "options": {
        "name": {"type": "str", "required": True},
        "known": {"type": "dict", "default": {}},
        "digest": {"type": "str"},
        "inputs": {"type": "str"},
    },
}

# digest: of the call's arguments. inputs: of all that the arguments were made from, see plugin_utils/site_inputs.
KEPT = ("digest", "inputs")

# The steps that a module, called with these arguments, would take on the host now.
Prover = Callable[[Host, dict[str, Any]], list[str]]


def path_of(name: str) -> str:
    """Where the receipt of this name lies."""
    if not name.replace("_", "").replace("-", "").isalnum():
        raise InputError(
            "a receipt's name has letters, digits, - and _ only",
            found=repr(name[:80]),
            next_step="correct `receipt`",
        )
    return f"{FOLDER}/{name}.json"


def leave(host: Host, module: str, params: Mapping[str, Any], *, effects: bool) -> None:
    """Keep what the call asked for. Without a digest, as for a call with secrets, nothing is kept."""
    receipt = params.get("receipt")
    if not effects or not receipt:
        return
    path = path_of(receipt["name"])
    if not receipt["digest"]:
        if host.exists(path):
            os.unlink(host.real(path))
        return
    asked = {name: value for name, value in params.items() if name != "receipt" and not name.startswith("_")}
    write_json(host, path, {"module": module, **{key: receipt.get(key) for key in KEPT}, "params": asked})


def proven(host: Host, provers: Mapping[str, Prover]) -> dict[str, dict[str, str]]:
    """Name to digest and inputs of every receipt whose call would find nothing to do."""
    found = {}
    for name in host.names(FOLDER):
        receipt = json_object(host.read_text(f"{FOLDER}/{name}"))
        prover = provers.get(str(receipt.get("module")))
        if name.endswith(".json") and prover and _holds(host, prover, receipt):
            found[name.removesuffix(".json")] = {key: str(receipt.get(key) or "") for key in KEPT}
    return found


def _holds(host: Host, prover: Prover, receipt: Mapping[str, Any]) -> bool:
    """A receipt that cannot be planned, because it is damaged or of another version, proves nothing."""
    try:
        return not prover(host, receipt["params"])
    except (KubeadmError, OSError, KeyError, TypeError, AttributeError, ValueError):
        return False
