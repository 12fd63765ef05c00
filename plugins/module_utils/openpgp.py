# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which keys a public OpenPGP file holds, and when they expire (RFC 9580). Signatures are the package manager's job.

A minimal Debian has no gpg, and apt tells of an expired key only in the words of its verifier.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import InputError

ARMOR = re.compile(r"-----BEGIN PGP PUBLIC KEY BLOCK-----(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)
SIGNATURE, PUBLIC_KEY = 2, 6
# Certifications of a user ID, and a signature directly on the key: those that say how long it is good.
SELF_SIGNATURES = (0x10, 0x11, 0x12, 0x13, 0x1F)
CREATED, KEY_EXPIRES = 2, 9


@dataclass(frozen=True)
class Key:
    """A primary key. created, expires: seconds since 1970; expires 0: never."""

    fingerprint: str
    created: int
    expires: int


def read_keys(text: str, where: str) -> list[Key]:
    """The primary keys of an armored file."""
    try:
        keys = [key for block in ARMOR.findall(text) for key in _keys(_dearmor(block))]
    except (ValueError, IndexError, struct.error, binascii.Error) as exc:
        raise _unusable(where, f"it is damaged: {exc}") from exc
    if not keys:
        raise _unusable(where, f"no public key in {text[:60]!r}")
    return keys


def require_key(text: str, where: str, fingerprint: str, now: float) -> Key:
    """The key with this fingerprint, or the file's only one where none is named; refused when it has expired."""
    keys = read_keys(text, where)
    wanted = fingerprint.replace(" ", "").upper()
    found = [key for key in keys if not wanted or key.fingerprint == wanted]
    if not found:
        told = ", ".join(key.fingerprint for key in keys)
        raise InputError(
            "the repository's key is not the expected one",
            where=where,
            found=f"{told}, expected {wanted}",
            next_step="find out who changed it before you set kube_source_key_fingerprint",
        )
    key = max(found, key=lambda one: one.expires or float("inf"))
    if key.expires and key.expires <= now:
        raise InputError(
            "the repository's key has expired",
            where=where,
            found=f"{key.fingerprint} expired on {_day(key.expires)}",
            next_step="get the publisher's renewed key, or the mirror's, and set kube_source_key to it",
        )
    return key


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _unusable(where: str, found: str) -> InputError:
    return InputError(
        "the repository's key cannot be used", where=where, found=found, next_step="give an armored public OpenPGP key"
    )


def _dearmor(block: str) -> bytes:
    """The bytes between the armor's headers and its checksum."""
    _headers, _empty, body = block.partition("\n\n") if "\n\n" in block else ("", "", block)
    lines = [line.strip() for line in body.splitlines()]
    return base64.b64decode("".join(line for line in lines if line and not line.startswith("=")), validate=True)


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        head = data[at]
        if not head & 0x80:
            raise ValueError("no packet where one should begin")
        if head & 0x40:
            tag, (length, at) = head & 0x3F, _new_length(data, at + 1)
        else:
            tag, width = head >> 2 & 0x0F, 1 << (head & 3)
            if width == 8:
                raise ValueError("a packet of unknown length")
            length, at = int.from_bytes(data[at + 1 : at + 1 + width], "big"), at + 1 + width
        if at + length > len(data):
            raise ValueError("a packet goes beyond the end")
        yield tag, data[at : at + length]
        at += length


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < 192:
        return first, at + 1
    if first < 224:
        return ((first - 192) << 8) + data[at + 1] + 192, at + 2
    if first == 255:
        return int(struct.unpack(">I", data[at + 1 : at + 5])[0]), at + 5
    raise ValueError("a packet in parts")


def _keys(data: bytes) -> Iterator[Key]:
    key: Key | None = None
    newest = -1
    for tag, body in _packets(data):
        if tag == PUBLIC_KEY:
            if key:
                yield key
            key, newest = _key(body), -1
        elif tag == SIGNATURE and key:
            created, lifetime = _validity(body)
            # The newest self-signature counts: a key is renewed by signing it again.
            if created > newest:
                newest, key = created, Key(key.fingerprint, key.created, key.created + lifetime if lifetime else 0)
    if key:
        yield key


def _key(body: bytes) -> Key:
    version, created = body[0], int(struct.unpack(">I", body[1:5])[0])
    if version == 4:
        fingerprint = hashlib.sha1(b"\x99" + struct.pack(">H", len(body)) + body).hexdigest()  # noqa: S324 - RFC 9580
    elif version == 6:
        fingerprint = hashlib.sha256(b"\x9b" + struct.pack(">I", len(body)) + body).hexdigest()
    else:
        raise ValueError(f"a key of version {version}")
    return Key(fingerprint.upper(), created, 0)


def _validity(body: bytes) -> tuple[int, int]:
    """When a self-signature was made and how long after its creation the key expires; (-1, 0) for any other one."""
    if body[0] not in (4, 6) or body[1] not in SELF_SIGNATURES:
        return -1, 0
    width = 2 if body[0] == 4 else 4
    length = int.from_bytes(body[4 : 4 + width], "big")
    created, lifetime = -1, 0
    area, at = body[4 + width : 4 + width + length], 0
    while at < len(area):
        size, at = _subpacket_length(area, at)
        kind, value = area[at] & 0x7F, area[at + 1 : at + size]
        if kind == CREATED:
            created = int.from_bytes(value, "big")
        elif kind == KEY_EXPIRES:
            lifetime = int.from_bytes(value, "big")
        at += size
    return created, lifetime


def _subpacket_length(area: bytes, at: int) -> tuple[int, int]:
    first = area[at]
    if first < 192:
        return first, at + 1
    if first < 255:
        return ((first - 192) << 8) + area[at + 1] + 192, at + 2
    return int(struct.unpack(">I", area[at + 1 : at + 5])[0]), at + 5
