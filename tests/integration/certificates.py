# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates for the tests, in kubeadm's layout."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BEFORE = datetime.timedelta(minutes=5)
LIFE = datetime.timedelta(days=2)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in PEM, and where they are."""

    cert: Path
    key: Path

    @property
    def cert_pem(self) -> str:
        """The certificate's text."""
        return self.cert.read_text()

    @property
    def key_pem(self) -> str:
        """The key's text."""
        return self.key.read_text()


class Authority:
    """A CA that writes what it issues below one directory."""

    def __init__(
        self, directory: Path, name: str = "kubernetes", stem: str = "ca", life: datetime.timedelta = LIFE
    ) -> None:
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(True, False, True, False, False, True, False, False, False)
        builder = (
            _builder(self._name, self._name, self._key.public_key(), life=life)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        )
        self.certificate = builder.sign(self._key, hashes.SHA256())
        self.pair = _write(directory, stem, self.certificate, self._key)

    def issue(
        self,
        stem: str,
        common_name: str,
        *,
        organization: str = "",
        names: Sequence[str] = (),
        expired: bool = False,
        life: datetime.timedelta = LIFE,
    ) -> Pair:
        """A certificate for clients and servers, with these host names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
        subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        both = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = (
            _builder(subject, self._name, key.public_key(), expired, life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(both), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_alternative, names))), critical=False)
        return _write(self.directory, stem, builder.sign(self._key, hashes.SHA256()), key)


def service_account_keys(directory: Path) -> tuple[Path, Path]:
    """sa.key and sa.pub."""
    key = rsa.generate_private_key(65537, 2048)
    private, public = directory / "sa.key", directory / "sa.pub"
    _write_key(private, key)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    return private, public


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    expired: bool = False,
    life: datetime.timedelta = LIFE,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - (2 * LIFE if expired else BEFORE))
        .not_valid_after(now - BEFORE if expired else now + life)
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(directory: Path, stem: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    pair = Pair(directory / f"{stem}.crt", directory / f"{stem}.key")
    pair.cert.parent.mkdir(parents=True, exist_ok=True)
    pair.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_key(pair.key, key)
    return pair


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    plain = serialization.NoEncryption()
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
