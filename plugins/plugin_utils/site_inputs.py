# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that the tasks which prepare a host are made from, as one digest.

The same inputs make the same tasks. So when every receipt of a host is proven and was left with the same inputs, the
tasks need not even be made: most of the time of a run with nothing to do would go there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ansible import release

from ansible_collections.quorum.kubeadm.plugins.plugin_utils import role_arguments

COLLECTION = Path(__file__).resolve().parent.parent.parent
PARTS = ("plugins", "roles", "playbooks")
LEFT_OUT = (".md", ".pyc")


@cache
def collection_digest(root: Path = COLLECTION) -> str:
    """Changes with the collection's content and with Ansible: another template renders another file."""
    digest = hashlib.sha256(release.__version__.encode())
    for path in sorted(path for part in PARTS for path in (root / part).rglob("*")):
        if path.is_file() and path.suffix not in LEFT_OUT:
            digest.update(f"\0{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def shared_inputs(groups: Mapping[str, Iterable[str]], addresses: Mapping[str, str], os_family: str) -> dict[str, Any]:
    """What the plays derive from the inventory. Sorted: the difference of two groups has another order in every run."""
    members = {group: sorted(names) for group, names in groups.items()}
    return {"groups": members, "addresses": dict(addresses), "os_family": os_family}


def inputs_digest(host: str, values: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    """The digest for one host; "" when a secret is among its values, of which not even a hash is kept.

    values: the roles' variables as the host sees them. shared: see shared_inputs.
    """
    if role_arguments.secrets(values):
        return ""
    text = json.dumps([collection_digest(), host, values, shared], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
