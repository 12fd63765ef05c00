# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cluster a snapshot is of: the CA that Kubernetes publishes in every namespace, found in the file itself. Pure.

A value lies in one piece in etcd's database, behind its key. Where ConfigMaps are encrypted nothing is found.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from typing import Protocol

KEY = b"/kube-root-ca.crt"
# Between the key and the certificate there are the object's name, labels and who has managed it.
NEAR = 8192
PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


class Bytes(Protocol):
    """A file in memory, or one that is mapped."""

    def find(self, sub: bytes, start: int = ..., /) -> int: ...

    def __getitem__(self, index: slice, /) -> bytes: ...


def fingerprint(pem: bytes) -> str:
    """SHA-256 of the first certificate of a PEM file, as `openssl x509 -fingerprint -sha256` has it; "" without one."""
    found = PEM.search(pem)
    return _digest(found.group(1)) if found else ""


def _digest(body: bytes) -> str:
    try:
        return hashlib.sha256(base64.b64decode(b"".join(body.split()), validate=True)).hexdigest()
    except binascii.Error:
        return ""


def _near(content: Bytes) -> Iterator[bytes]:
    """What follows each of the keys, up to the next one."""
    at = content.find(KEY)
    while at >= 0:
        start = at + len(KEY)
        at = content.find(KEY, start)
        end = start + NEAR if at < 0 else min(start + NEAR, at)
        yield content[start:end]


def authorities(content: Bytes) -> list[str]:
    """Fingerprints of the CAs, sorted."""
    found = {_digest(match.group(1)) for piece in _near(content) for match in PEM.finditer(piece)}
    return sorted(found - {""})
