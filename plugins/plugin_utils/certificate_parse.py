# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certificates say, and who signed them: PEM that a host has read becomes values. Needs cryptography."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_places import (
    CA,
    KUBECONFIG,
    LEAF,
    MEMORY,
    Place,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_seen import (
    ABSENT,
    DAMAGED,
    FORM,
    FROM_MEMORY,
    NO,
    NO_CERTIFICATE,
    OTHER,
    PRESENT,
    SAME,
    SILENT,
    UNKNOWN,
    YES,
    Seen,
)

# Whatever a damaged certificate makes cryptography say, at once or when a field is read.
BROKEN = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)
SERVERS = ("apiserver", "etcd-server", "etcd-peer", "kubelet-serving")
ALGORITHMS = ((rsa.RSAPublicKey, "RSA"), (ec.EllipticCurvePublicKey, "ECDSA"))


@dataclass
class Reader:
    """Reads one host's places, CAs first, as the table has them."""

    host: str
    own: Sequence[str]
    api_names: Sequence[str]
    now: datetime
    authorities: dict[str, list[x509.Certificate]] = field(default_factory=dict)

    def read(self, places: Sequence[Place], told: Sequence[Mapping[str, Any]]) -> list[Seen]:
        """All that belongs to the host. What it may be without, and is, is left out."""
        by_name = {str(one["name"]): one for one in told}
        there = {name for name, one in by_name.items() if one["state"] != ABSENT}
        paths = {place.path: place.name for place in places if place.path}
        wanted = [place for place in places if place.name in there or not place.optional]
        found = [self._one(place, by_name[place.name]) for place in wanted if place.unless not in there]
        # What only names another place's file is no certificate of its own.
        return [_undated(one) if paths.get(one.uses) else one for one in found]

    def _one(self, place: Place, told: Mapping[str, Any]) -> Seen:
        key = told["key"]
        base = Seen(
            host=self.host,
            name=place.name,
            kind=place.kind,
            path=place.path,
            uses=told["uses"],
            state=told["state"],
            found=told["found"],
            signer=place.signer,
            key_path=place.key,
            key_mode=key["mode"],
            key_state=key["state"],
            key_found=key["found"],
            key_mode_allowed=f"{place.key_mode:04o}",
            served_port=place.port,
            renewed_by=place.renewed_by,
            restarts=place.restarts,
            rereads=place.rereads,
        )
        served = told["served"] or {"state": "", "pem": "", "found": ""}
        pem = served["pem"] if place.kind == MEMORY else told["pem"]
        try:
            chain = x509.load_pem_x509_certificates(pem.encode()) if pem else []
            read = self._dated(base, place, chain, told["ca_pem"]) if chain else _unread(base)
        except BROKEN as exc:
            return replace(base, state=DAMAGED, found=" ".join(str(exc).split())[:200], **_served(place, served, ""))
        return replace(read, **_served(place, served, read.sha256))

    def _dated(self, base: Seen, place: Place, chain: list[x509.Certificate], ca_pem: str) -> Seen:
        # While a CA is rotated its file has two: the one that lives longer signs.
        first = max(chain, key=lambda one: one.not_valid_after_utc) if place.kind == CA else chain[0]
        sans = names_of(first)
        end = first.not_valid_after_utc
        read = replace(
            base,
            subject=first.subject.rfc4514_string(),
            issuer=first.issuer.rfc4514_string(),
            serial=serial_of(first),
            not_before=first.not_valid_before_utc.strftime(FORM),
            not_after=end.strftime(FORM),
            seconds_left=int((end - self.now).total_seconds()),
            sans=sans,
            lacks=tuple(name for name in self._wanted(place) if name not in sans),
            key_algorithm=algorithm_of(first),
            key_size=getattr(first.public_key(), "key_size", 256),
            sha256=print_of(first),
        )
        if place.kind == CA:
            self.authorities[place.name] = chain
            return replace(read, bundle=tuple(print_of(one) for one in chain))
        return replace(read, **self._signer(place, chain, ca_pem)) if place.kind != MEMORY else read

    def _wanted(self, place: Place) -> list[str]:
        if place.name not in SERVERS:
            return []
        more = self.api_names if place.name == "apiserver" else ()
        return [same_form(name) for name in dict.fromkeys((*self.own, *more)) if name]

    def _signer(self, place: Place, chain: list[x509.Certificate], ca_pem: str) -> dict[str, Any]:
        """What signs itself, as the kubelet does, has its CA behind it in the file, or is its own."""
        known = self.authorities.get(place.signer, []) if place.signer else [*chain[1:], chain[0]]
        by = [one for one in known if _has_signed(one, chain[0])]
        told: dict[str, Any] = {"signed": (YES if by else NO) if known else UNKNOWN}
        if by and place.signer:
            told["signer_not_after"] = max(one.not_valid_after_utc for one in by).strftime(FORM)
        if place.kind == KUBECONFIG:
            told["trusts"] = _trust(known, ca_pem)
        return told


def _has_signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    """By its public key; a name alone proves nothing."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, *BROKEN):
        return False
    return True


def _trust(known: Sequence[x509.Certificate], ca_pem: str) -> str:
    if not known:
        return UNKNOWN
    try:
        trusted = x509.load_pem_x509_certificates(ca_pem.encode()) if ca_pem else []
    except BROKEN:
        return NO
    return YES if set(map(print_of, trusted)) & set(map(print_of, known)) else NO


def _unread(base: Seen) -> Seen:
    """Without a certificate: a kubeconfig may do without."""
    if base.state == PRESENT and base.kind in (CA, LEAF):
        return replace(base, state=DAMAGED, found="there is no whole certificate in PEM in it")
    return base


def _undated(one: Seen) -> Seen:
    return replace(one, not_before="", not_after="", seconds_left=0, signed="", signer_not_after="", sha256="")


def _served(place: Place, served: Mapping[str, Any], sha256: str) -> dict[str, Any]:
    """Compared as a whole, not only by the serial number."""
    if not place.port:
        return {}
    if not served["pem"]:
        return {"served": SILENT if served["state"] == "silent" else NO_CERTIFICATE, "served_found": served["found"]}
    try:
        shown = x509.load_pem_x509_certificate(served["pem"].encode())
    except BROKEN as exc:
        return {"served": NO_CERTIFICATE, "served_found": str(exc)}
    state = FROM_MEMORY if place.kind == MEMORY else SAME if print_of(shown) == sha256 else OTHER
    return {"served": state, "served_serial": serial_of(shown)}


def serial_of(certificate: x509.Certificate) -> str:
    """In hexadecimal."""
    return f"{certificate.serial_number:x}"


def print_of(certificate: x509.Certificate) -> str:
    """The fingerprint."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def algorithm_of(certificate: x509.Certificate) -> str:
    """Of its public key."""
    key = certificate.public_key()
    known = [name for kind, name in ALGORITHMS if isinstance(key, kind)]
    return known[0] if known else type(key).__name__.removesuffix("PublicKey").lstrip("_")


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """DNS names and addresses that it is valid for."""
    try:
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = [str(address) for address in held.get_values_for_type(x509.IPAddress)]
    return (*held.get_values_for_type(x509.DNSName), *addresses)


def same_form(name: str) -> str:
    """An address as cryptography writes it."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
