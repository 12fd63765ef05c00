# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Under which keys the values in etcd are, by the prefix that the API servers write. Pure: it is given an etcd.

Everything below /registry/ is read, wherever it lies: also what no API server would list.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .etcd_api import revision

PREFIX, END = b"/registry/", b"/registry0"
PAGE = 200
ENCRYPTED = b"k8s:enc:"
# k8s:enc:secretbox:v1:key1:
PARTS = 5
# Of values that are under none although their resource is encrypted.
PLAIN = "identity"
LONGEST = 300


class Etcd(Protocol):
    """What is needed of etcd_api's client."""

    def call(self, path: str, body: Mapping[str, object] | None = None) -> Mapping[str, Any]:
        """POST to a path below /v3/."""


@dataclass
class Stored:
    """counts: values by provider and key, like secretbox:key1. names: the keys in etcd of each, a few."""

    counts: Counter[str] = field(default_factory=Counter)
    names: dict[str, list[str]] = field(default_factory=dict)
    read: int = 0

    def note(self, key: str, value: bytes, plain: Sequence[str], shown: int = 5) -> None:
        """One value. plain: prefixes of etcd keys below which no value should be without encryption."""
        self.read += 1
        found = under(value)
        if not found and not any(key.startswith(prefix) for prefix in plain):
            return
        self.counts[found or PLAIN] += 1
        if len(self.names.setdefault(found or PLAIN, [])) < shown:
            self.names[found or PLAIN].append(key[:LONGEST])


def under(value: bytes) -> str:
    """Provider and key by the value's prefix, "" of what is not encrypted."""
    if not value.startswith(ENCRYPTED):
        return ""
    parts = value[:LONGEST].split(b":", PARTS)
    provider = parts[2].decode("ascii", "replace")
    return f"{provider}:{parts[4].decode('utf-8', 'replace')}" if len(parts) > PARTS else f"{provider}:?"


def prefixes(resources: Sequence[str]) -> list[str]:
    """Where the objects of these resources usually lie. Only for telling what was never encrypted."""
    found = []
    for resource in resources:
        plural, _dot, group = resource.partition(".")
        found += [f"/registry/{plural}/", *([f"/registry/{group}/{plural}/"] if group else [])]
    return found


def census(etcd: Etcd, resources: Sequence[str]) -> Stored:
    """Every value at one revision, page by page."""
    stored, plain = Stored(), prefixes(resources)
    after, at = PREFIX, 0
    while True:
        asked: dict[str, object] = {"key": _b64(after), "range_end": _b64(END), "limit": str(PAGE)}
        if at:
            asked["revision"] = str(at)
        answer = etcd.call("kv/range", asked)
        at = at or revision(answer)
        pairs = answer.get("kvs") or []
        for pair in pairs:
            key = base64.b64decode(pair["key"])
            # Four characters are three bytes: the beginning is enough.
            head = base64.b64decode(str(pair.get("value") or "")[: LONGEST // 3 * 4])
            stored.note(key.decode("utf-8", "replace"), head, plain)
            after = key + b"\0"
        if not answer.get("more") or not pairs:
            return stored


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode()
