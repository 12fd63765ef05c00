# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates as kubeadm handles them: the CA's public-key hash, and the encrypted entries of kubeadm-certs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from .errors import InputError, RefusedError

CERTS_SECRET = "kubeadm-certs"  # noqa: S105 - a Secret's name
KEY_BYTES = 32
NONCE_BYTES = 12
# What a joining control plane cannot do without; kubeadm stores the rest beside it.
REQUIRED = ("ca.crt", "front-proxy-ca.crt", "sa.key", "sa.pub")

# key, nonce, ciphertext -> plain text; ValueError when they do not belong together.
Open = Callable[[bytes, bytes, bytes], bytes]

_AGAIN = "Upload the certificates again on a control plane: kubeadm init phase upload-certs --upload-certs"
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----")
_KEY = re.compile(r"[0-9a-fA-F]{64}")
_SEQUENCE, _VERSION, _EXTENSIONS = 0x30, 0xA0, 0xA3
_ALTERNATIVE_NAMES = bytes.fromhex("0603551d11")
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_BASIC_CONSTRAINTS, _TRUE = bytes.fromhex("0603551d13"), bytes.fromhex("0101ff")
_UTC_TIME = 0x17


def certificates(pem: str) -> list[bytes]:
    """The certificates of a PEM text, in DER."""
    try:
        return [base64.b64decode("".join(block.split()), validate=True) for block in _BLOCK.findall(pem)]
    except (binascii.Error, ValueError):
        raise InputError("A certificate in PEM is damaged", found="not base64") from None


def _wrapped(pem: str) -> frozenset[str]:
    """The certificates of a bundle, without white space: the same one may be wrapped or commented differently."""
    parts = pem.split("-----BEGIN CERTIFICATE-----")[1:]
    return frozenset("".join(part.split("-----END CERTIFICATE-----")[0].split()) for part in parts)


def same_ca(one: str, other: str) -> bool:
    """Whether two CA bundles share a certificate; during a CA rotation a bundle holds two."""
    mine, theirs = _wrapped(one), _wrapped(other)
    return bool(mine & theirs) if mine and theirs else one.split() == other.split()


def ca_hash(pem: str) -> str:
    """kubeadm's --discovery-token-ca-cert-hash of the first certificate: sha256 of its SubjectPublicKeyInfo."""
    found = certificates(pem)
    if not found:
        raise InputError("There is no certificate in the PEM text", next_step="Give the cluster's ca.crt")
    return hash_of(found[0])


def hash_of(der: bytes) -> str:
    """kubeadm's hash of one certificate's public key."""
    return "sha256:" + hashlib.sha256(public_key_info(der)).hexdigest()


def public_key_info(der: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, in DER."""
    fields, signed = _fields(der, 5)
    return der[fields[-1].end : _element(der, fields[-1].end, signed.end, _SEQUENCE).end]


def validity(der: bytes) -> tuple[datetime, datetime]:
    """From when until when a certificate is valid."""
    fields, _signed = _fields(der, 4)
    times = [_time(der, one) for one in _children(der, fields[-1])]
    if len(times) != 2:
        raise InputError("The certificate is damaged", found=f"{len(times)} times of validity")
    return times[0], times[1]


def serial(der: bytes) -> str:
    """The serial number of a certificate, as openssl prints it."""
    fields, _signed = _fields(der, 1)
    return der[fields[0].start : fields[0].end].hex().upper().removeprefix("00")


def is_authority(der: bytes) -> bool:
    """Whether a certificate may sign others."""
    outer = _element(der, 0, len(der), _SEQUENCE)
    signed = _element(der, outer.start, outer.end, _SEQUENCE)
    for extension in _extensions(der, signed):
        if der[extension.start : extension.end].startswith(_BASIC_CONSTRAINTS):
            octets = _children(der, extension)[-1]
            constraints = _element(der, octets.start, octets.end, _SEQUENCE)
            return der[constraints.start : constraints.end].startswith(_TRUE)
    return False


def _fields(der: bytes, count: int) -> tuple[list[_Element], _Element]:
    """The first fields of a certificate's signed part: serial number, algorithm, issuer, validity, subject."""
    outer = _element(der, 0, len(der), _SEQUENCE)
    signed = _element(der, outer.start, outer.end, _SEQUENCE)
    at = signed.start
    if der[at : at + 1] == bytes([_VERSION]):
        at = _element(der, at, signed.end).end
    found: list[_Element] = []
    for _field in range(count):
        found.append(_element(der, at, signed.end))
        at = found[-1].end
    return found, signed


def _time(der: bytes, element: _Element) -> datetime:
    text = der[element.start : element.end].decode("ascii", "replace")
    if der[element.head] == _UTC_TIME:
        # RFC 5280: 50 to 99 are of the last century.
        text = ("19" if text[:2] >= "50" else "20") + text
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        raise InputError("The certificate is damaged", found=f"no time at byte {element.start}") from None


def _extensions(der: bytes, signed: _Element) -> list[_Element]:
    holders = [one for one in _children(der, signed) if der[one.head] == _EXTENSIONS]
    lists = [inner for holder in holders for inner in _children(der, holder)[:1]]
    return [extension for inner in lists for extension in _children(der, inner)]


def names_of(pem: str) -> frozenset[str]:
    """The DNS names and IP addresses that the first certificate is valid for."""
    found = certificates(pem)
    if not found:
        return frozenset()
    der = found[0]
    outer = _element(der, 0, len(der), _SEQUENCE)
    signed = _element(der, outer.start, outer.end, _SEQUENCE)
    names: set[str] = set()
    for extension in _extensions(der, signed):
        if der[extension.start : extension.end].startswith(_ALTERNATIVE_NAMES):
            names |= _alternative_names(der, _children(der, extension)[-1])
    return frozenset(names)


def _alternative_names(der: bytes, octets: _Element) -> set[str]:
    names = set()
    for name in _children(der, _element(der, octets.start, octets.end, _SEQUENCE)):
        value = der[name.start : name.end]
        if der[name.head] == _DNS_NAME:
            names.add(value.decode("ascii", "replace"))
        elif der[name.head] == _IP_ADDRESS and len(value) in (4, 16):
            names.add(str(ipaddress.ip_address(value)))
    return names


@dataclass(frozen=True)
class _Element:
    head: int
    start: int
    end: int


def _children(der: bytes, parent: _Element) -> list[_Element]:
    """The elements that an element is made of."""
    found, at = [], parent.start
    while at < parent.end:
        found.append(_element(der, at, parent.end))
        at = found[-1].end
    return found


def _element(der: bytes, at: int, limit: int, tag: int | None = None) -> _Element:
    """Where the content of the DER element at this place begins and ends."""
    head = der[at : at + 2]
    if len(head) < 2 or (tag is not None and head[0] != tag):
        raise InputError("The certificate is damaged", found=f"no such element at byte {at}")
    size, start = head[1], at + 2
    if size >= 0x80:
        count = size & 0x7F
        size = int.from_bytes(der[start : start + count], "big")
        start += count
    if start + size > limit:
        raise InputError("The certificate is damaged", found=f"it ends before byte {start + size}")
    return _Element(at, start, start + size)


def new_key(random_hex: Callable[[int], str] = secrets.token_hex) -> str:
    """A new certificate key: 32 random bytes in hexadecimal."""
    return random_hex(KEY_BYTES)


def key_bytes(key: str) -> bytes:
    """The certificate key's bytes."""
    if _KEY.fullmatch(key) is None:
        raise InputError(
            "The certificate key is not 64 hexadecimal digits",
            found=f"{len(key)} characters",
            next_step="Make one with certificate_key state=present",
        )
    return bytes.fromhex(key)


def open_entries(data: Mapping[str, str], key: bytes, opened: Open) -> dict[str, bytes]:
    """Decrypt the data of Secret kubeadm-certs: per entry a nonce, then AES-256-GCM's ciphertext; empty stays empty."""
    plain: dict[str, bytes] = {}
    for name, value in sorted(data.items()):
        try:
            sealed = base64.b64decode(value or "", validate=True)
            plain[name] = opened(key, sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]) if sealed else b""
        except (binascii.Error, ValueError):
            raise RefusedError(
                f"Secret {CERTS_SECRET} cannot be decrypted with this certificate key",
                where=f"entry {name}",
                found="another key, or damaged data",
                next_step=_AGAIN,
            ) from None
    return plain


def check_entries(plain: Mapping[str, bytes], live_ca: Sequence[bytes]) -> str:
    """Refuse certificates that cannot serve a join to the cluster with this CA. Returns the CA's hash."""
    lacking = [name for name in REQUIRED if not plain.get(name)]
    if lacking:
        raise RefusedError(f"Secret {CERTS_SECRET} is incomplete", found=f"no {', '.join(lacking)}", next_step=_AGAIN)
    stored = certificates(plain["ca.crt"].decode("ascii", "replace"))
    if not stored or stored[0] not in live_ca:
        found = f"stored {hash_of(stored[0]) if stored else 'none'}, live {', '.join(map(hash_of, live_ca)) or 'none'}"
        raise RefusedError(f"Secret {CERTS_SECRET} is of another CA", found=found, next_step=_AGAIN)
    return hash_of(stored[0])
