# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PKCS#10 requests, read by the cryptography package."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .kubelet_serving import Asked, Request

if TYPE_CHECKING:
    from cryptography import x509

BEGIN = b"-----BEGIN CERTIFICATE REQUEST-----"
# Of an honest kubelet it is less than two.
LONGEST = 16 * 1024


def asked(csr: Mapping[str, Any]) -> Asked:
    """A CertificateSigningRequest as a value. What cannot be read has no request, and so is never approved."""
    spec = csr["spec"]
    return Asked(
        name=str(csr["metadata"]["name"]),
        user=str(spec.get("username") or ""),
        groups=tuple(map(str, spec.get("groups") or [])),
        usages=tuple(map(str, spec.get("usages") or [])),
        request=parse(str(spec.get("request") or "")),
    )


def parse(request_b64: str) -> Request | None:
    """The one request in a PEM text in base64; None when it is damaged, or not alone."""
    try:
        from cryptography import x509  # noqa: PLC0415 - not on every machine, and slow to import
    except ImportError as exc:
        raise InputError(
            "the Python package cryptography is missing where requests for certificates are judged",
            found=str(exc),
            next_step="install it there (python3-cryptography), or set kube_api_via to localhost",
        ) from None
    try:
        pem = base64.b64decode(request_b64, validate=True).strip()
        if len(pem) > LONGEST or pem.count(b"-----BEGIN") != 1 or not pem.startswith(BEGIN):
            return None
        return _request(x509.load_pem_x509_csr(pem))
    except (binascii.Error, ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None


def _request(csr: x509.CertificateSigningRequest) -> Request:
    from cryptography import x509  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 - as above

    names: list[str] = []
    addresses: list[bytes] = []
    others: list[str] = []
    extensions: list[str] = []
    for extension in csr.extensions:
        if not isinstance(extension.value, x509.SubjectAlternativeName):
            extensions.append(extension.oid.dotted_string)
            continue
        for name in extension.value:
            if isinstance(name, x509.DNSName):
                names.append(name.value)
            elif isinstance(name, x509.IPAddress) and hasattr(name.value, "packed"):
                addresses.append(name.value.packed)
            else:
                others.append(type(name).__name__)
    key = csr.public_key()
    kind, bits = type(key).__name__, 0
    if isinstance(key, ec.EllipticCurvePublicKey):
        kind, bits = key.curve.name, key.key_size
    elif isinstance(key, rsa.RSAPublicKey):
        kind, bits = "rsa", key.key_size
    return Request(
        subject=tuple((one.rfc4514_attribute_name, str(one.value)) for one in csr.subject),
        names=tuple(names),
        addresses=tuple(addresses),
        others=tuple(others),
        extensions=tuple(extensions),
        key=kind,
        bits=bits,
        signed=csr.is_signature_valid,
    )
