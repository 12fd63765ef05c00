# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that shall exist and how they differ from what is there: values, their checks and their diffs. No I/O."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError

MODE = re.compile(r"[0-7]{3,4}")
DIFF_LIMIT = 256 * 1024


@dataclass(frozen=True)
class Entry:
    """A file or directory that shall exist. `content` is None for a directory."""

    path: str
    content: bytes | None
    mode: int
    owner: str = "root"
    group: str = "root"
    secret: bool = False
    validate: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """One difference between an entry and the host."""

    entry: Entry
    target: str
    kind: str  # create, content, attributes
    old: bytes | None
    text: str
    before_mode: str = ""


@dataclass
class FilePlan:
    """What would change, in order, and what to check before."""

    directories: list[Change] = field(default_factory=list)
    files: list[Change] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)

    @property
    def changed(self) -> list[str]:
        return [c.entry.path for c in self.directories + self.files] + self.absent

    def steps(self) -> list[str]:
        return [c.text for c in self.directories + self.files] + [f"remove {path}" for path in self.absent]

    def diffs(self) -> list[dict[str, str]]:
        rows = [
            {"before_header": p, "after_header": p, "before": "present\n", "after": "absent\n"} for p in self.absent
        ]
        return [diff_of(change) for change in self.directories + self.files] + rows


def check_path(path: str) -> str:
    """An absolute path without tricks."""
    parts = path.split("/")
    bad = not path.startswith("/") or ".." in parts or len(path) > 4096 or any(ord(c) < 32 for c in path)
    if bad or (path != "/" and path.endswith("/")):
        next_step = "give an absolute path without '..', line breaks or a trailing slash"
        raise InputError("this path cannot be used", found=repr(path[:120]), next_step=next_step)
    return path


def parse_mode(mode: str, path: str) -> int:
    if not MODE.fullmatch(mode):
        raise InputError("a mode must be octal", where=path, found=repr(mode[:40]), next_step='write it as in "0644"')
    return int(mode, 8)


def describe(entry: Entry) -> str:
    kind = "directory " if entry.content is None else ""
    return f"{kind}{entry.path} ({entry.mode:04o} {entry.owner}:{entry.group})"


def diff_of(change: Change) -> dict[str, str]:
    """Before and after for --diff; of a secret file only that it changes."""
    path = change.entry.path
    after = f"{change.entry.mode:04o} {change.entry.owner}:{change.entry.group}\n"
    pair = {"before_header": path, "after_header": path}
    if change.kind == "attributes" or change.entry.content is None:
        before = "" if change.kind == "create" else f"{change.before_mode}\n"
        return dict(pair, before=before, after=after)
    if change.entry.secret:
        before = "" if change.old is None else "(secret)\n"
        return dict(pair, before=before, after="(secret, sha256 changed)\n")
    return dict(pair, before=_printable(change.old), after=_printable(change.entry.content))


def _printable(content: bytes | None) -> str:
    if content is None:
        return ""
    if b"\0" in content or len(content) > DIFF_LIMIT:
        return f"({len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()})\n"
    return content.decode("utf-8", "replace")


def entry_from(options: dict[str, Any], content: bytes | None) -> Entry:
    """An entry from module options."""
    path = check_path(options["path"])
    return Entry(
        path=path,
        content=content,
        mode=parse_mode(options["mode"], path),
        owner=options["owner"],
        group=options["group"],
        secret=options.get("secret_b64") is not None,
        validate=tuple(options.get("validate") or ()),
    )
