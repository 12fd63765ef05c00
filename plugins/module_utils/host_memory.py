# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was learned about files, kept while size, mtime and inode stay the same. Losing it only costs time."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host

BLOCK = 1024 * 1024


def json_object(text: str | None) -> dict[str, Any]:
    """The JSON object in a text, {} for anything else: a damaged memory is no memory."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def file_sha256(path: str) -> str:
    """The checksum of a file."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


class Memory:
    """Facts about files, by path, in one JSON file on the host."""

    def __init__(self, host: Host, path: str) -> None:
        self.host = host
        self.path = path
        files = json_object(host.read_text(path)).get("files")
        self.files: dict[str, Any] = files if isinstance(files, dict) else {}
        self._known = json.dumps(self.files, sort_keys=True)

    def recall(self, path: str, key: str) -> Any:
        """What is known under `key` about the file as it is now; None when nothing is, or the file has changed."""
        entry = self.files.get(path)
        if not isinstance(entry, dict) or entry.get("id") is None or entry["id"] != self.host.identity(path):
            return None
        return entry.get(key)

    def learn(self, path: str, **facts: Any) -> None:
        """Keep facts about the file as it is now. What was known about a former one is forgotten."""
        identity = self.host.identity(path)
        entry = self.files.get(path)
        old = entry if isinstance(entry, dict) and entry.get("id") == identity else {}
        self.files[path] = {**old, "id": identity, **facts}

    def sha256(self, path: str) -> str:
        """The file's checksum, computed once."""
        known = self.recall(path, "sha256")
        if isinstance(known, str):
            return known
        computed = file_sha256(self.host.real(path))
        self.learn(path, sha256=computed)
        return computed

    def save(self) -> None:
        """Write it down, atomically, when there is something new. Files that are gone are forgotten."""
        files = {path: entry for path, entry in self.files.items() if self.host.identity(path)}
        if json.dumps(files, sort_keys=True) != self._known:
            write_json(self.host, self.path, {"files": files})


def write_json(host: Host, path: str, value: dict[str, Any]) -> None:
    """An atomic write that may fail without harm (read-only disk): the next run learns it again."""
    real = host.real(path)
    temporary = f"{real}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(real), mode=0o755, exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump(value, stream)
        os.rename(temporary, real)
    except OSError:
        return
