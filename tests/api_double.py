"""Certificates for servers that stand in for API servers: the first one's CA is the cluster's, the others' are foreign.

Usage: python3 -m tests.api_double DIRECTORY NAME=ADDRESS[,ADDRESS] ...
Writes DIRECTORY/ca.crt and, for each name, DIRECTORY/NAME.pem with key and certificate.
"""

from __future__ import annotations

import datetime
import ipaddress
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def certificate(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey, addresses: list[str]
) -> x509.Certificate:
    """A certificate of one day; a CA's when there are no addresses."""
    now = datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=not addresses, path_length=None), critical=True)
    )
    if addresses:
        names = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256())


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def main(argv: list[str]) -> int:
    directory = Path(argv[0])
    for position, word in enumerate(argv[1:]):
        name, _equals, addresses = word.partition("=")
        authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        # Both CAs have the same name, so that only the signature tells them apart.
        ca = certificate("kubernetes", authority, "kubernetes", authority, [])
        leaf = certificate("kube-apiserver", key, "kubernetes", authority, addresses.split(","))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        target = directory / f"{name}.pem"
        target.touch(mode=0o600)
        target.write_bytes(private + pem(leaf))
        if position == 0:
            (directory / "ca.crt").write_bytes(pem(ca))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
