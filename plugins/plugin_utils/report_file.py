# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reports of several hosts share: what each has told, why one told nothing, the document on the controller."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_seen import Seen, seen
from ansible_collections.quorum.kubeadm.plugins.module_utils.verify import Row
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain


def why(result: Mapping[str, Any]) -> str:
    """Why a host has no result, from the one that it has instead."""
    error = result.get("error") or {}
    if error.get("what"):
        return f"{error['what']}: {error.get('found') or 'no reason given'} ({error.get('where')})"
    message = " ".join(str(result.get("msg") or "").split()).removeprefix("Task failed: ")
    if result.get("unreachable"):
        return f"unreachable: {message}" if message else "unreachable"
    return message or "was not asked: no host that could be asked answers"


def certificates_of(hosts: Sequence[str], hostvars: Mapping[str, Any], register: str) -> tuple[list[Seen], list[Row]]:
    """What each host has told, and a row for each that has told nothing."""
    found: list[Seen] = []
    rows: list[Row] = []
    for name in hosts:
        result = plain(hostvars[name].get(register) or {})
        if "certificates" in result:
            found += [seen(one) for one in result["certificates"]]
        else:
            rows.append(Row("hosts", name, "fail", why(result), f"look at {name}: power, network, sshd"))
    return found, rows


def write_document(path: str, document: Mapping[str, Any], what: str) -> None:
    """Replace the file at once, so that nobody reads half of it."""
    temporary = f"{path}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump(document, stream, indent=2)
            stream.write("\n")
        os.replace(temporary, path)
    except OSError as exc:
        raise AnsibleActionFail(f"{what} cannot be written to {path}: {exc.strerror}") from exc
