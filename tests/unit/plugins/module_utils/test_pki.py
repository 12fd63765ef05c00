# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CA's hash and kubeadm-certs, judged by the cryptography package."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import pki
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.modules.certificate_key import open_gcm
from tests.integration.certificates import Authority

KEY = bytes(range(32))
SIGNER = ec.generate_private_key(ec.SECP256R1())
KINDS: dict[str, Callable[[], rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ecdsa": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


def certificate(kind: str, name: str = "kubernetes") -> x509.Certificate:
    key = KINDS[kind]()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def pem(*found: x509.Certificate) -> str:
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in found)


def expected(one: x509.Certificate) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return "sha256:" + hashlib.sha256(one.public_key().public_bytes(serialization.Encoding.DER, form)).hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_the_hash_is_of_the_first_certificates_public_key(kind: str) -> None:
    first, second = certificate(kind), certificate("ecdsa")
    assert pki.ca_hash(f"# A comment\n{pem(first, second)}") == expected(first)


def test_no_certificate_or_a_damaged_one_is_refused() -> None:
    whole = certificate("ecdsa").public_bytes(serialization.Encoding.DER)
    with pytest.raises(InputError, match="no certificate"):
        pki.ca_hash("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n")
    with pytest.raises(InputError, match="damaged"):
        pki.hash_of(whole[:100])


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damage_is_an_error_in_words_never_a_crash(noise: bytes, at: int) -> None:
    whole = certificate_der()
    with contextlib.suppress(InputError):
        assert pki.hash_of(whole[:at] + noise).startswith("sha256:")


@given(
    st.datetimes(datetime.datetime(1951, 1, 1), datetime.datetime(2150, 1, 1)),
    st.integers(1, 10**9),
    st.sampled_from([True, False, None]),
)
def test_validity_and_kind(start: datetime.datetime, seconds: int, authority: bool | None) -> None:
    begin = start.replace(microsecond=0, tzinfo=datetime.timezone.utc)
    end = begin + datetime.timedelta(seconds=seconds)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(SIGNER.public_key())
    builder = builder.serial_number(1).not_valid_before(begin).not_valid_after(end)
    if authority is not None:
        names = x509.SubjectAlternativeName([x509.DNSName("a")])
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    der = builder.sign(SIGNER, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    assert pki.validity(der) == (begin, end)
    assert pki.is_authority(der) is bool(authority)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_a_damaged_certificate_has_no_validity(noise: bytes, at: int) -> None:
    whole = certificate_der()
    with contextlib.suppress(InputError):
        assert len(pki.validity(whole[:at] + noise)) == 2
    with contextlib.suppress(InputError):
        assert pki.is_authority(whole[:at] + noise) in (True, False)


def certificate_der(known: list[bytes] = []) -> bytes:  # noqa: B006 - made once on purpose
    if not known:
        known.append(certificate("ecdsa").public_bytes(serialization.Encoding.DER))
    return known[0]


def seal(plain: bytes, key: bytes = KEY) -> str:
    """As kubeadm: a random nonce, then the ciphertext with its tag, all in base64."""
    nonce = os.urandom(12)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain, None)).decode()


@given(st.dictionaries(st.text(min_size=1, max_size=10), st.binary(max_size=100), max_size=4))
def test_what_kubeadm_seals_is_opened(entries: dict[str, bytes]) -> None:
    data = {name: seal(value) for name, value in entries.items()}
    assert pki.open_entries({**data, "empty": ""}, KEY, open_gcm) == {**entries, "empty": b""}


@pytest.mark.parametrize(
    "value",
    [seal(b"x", bytes(32)), "AAAA", "!!", base64.b64encode(b"n" * 12).decode()],
    ids=["another key", "short", "no base64", "empty"],  # what is sealed differs each time, and so would its name
)
def test_another_key_or_damage_is_refused_by_entry(value: str) -> None:
    with pytest.raises(RefusedError, match=r"cannot be decrypted.*entry ca\.key"):
        pki.open_entries({"ca.crt": seal(b"fine"), "ca.key": value}, KEY, open_gcm)


def stored(ca: x509.Certificate) -> dict[str, bytes]:
    return {"ca.crt": pem(ca).encode(), "front-proxy-ca.crt": b"x", "sa.key": b"x", "sa.pub": b"x", "ca.key": b""}


def test_the_stored_ca_must_be_a_live_one() -> None:
    old, new, other = (certificate("ecdsa") for _n in range(3))
    live = pki.certificates(pem(old, new))
    assert pki.check_entries(stored(new), live) == expected(new)
    with pytest.raises(
        RefusedError, match=f"another CA.*stored {expected(other)}, live {expected(old)}, {expected(new)}"
    ):
        pki.check_entries(stored(other), live)
    with pytest.raises(RefusedError, match="another CA"):
        pki.check_entries(stored(new), [])


def test_what_a_join_needs_must_be_there() -> None:
    ca = certificate("ecdsa")
    with pytest.raises(RefusedError, match=r"incomplete.*no sa\.key, sa\.pub"):
        pki.check_entries({**stored(ca), "sa.key": b"", "sa.pub": b""}, pki.certificates(pem(ca)))


def test_keys_are_random_and_of_kubeadms_form() -> None:
    keys = {pki.new_key() for _n in range(50)}
    assert len(keys) == 50
    assert all(len(pki.key_bytes(key)) == 32 for key in keys)


@pytest.mark.parametrize("key", ["", "ab" * 31, "zz" * 32, "ab" * 32 + "\n", " " + "ab" * 32])
def test_what_is_no_key_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(InputError, match="64 hexadecimal digits") as caught:
        pki.key_bytes(key)
    assert "abab" not in str(caught.value)


def test_names_of_a_certificate(tmp_path: Path) -> None:
    names = ["etcd1", "localhost", "*.etcd.example.com", "192.0.2.31", "127.0.0.1", "::1", "2001:db8::7"]
    pair = Authority(tmp_path).issue("server", "etcd1", names=names)
    assert pki.names_of(pair.cert_pem) == set(names)


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_without_names_has_none(kind: str) -> None:
    assert pki.names_of(pem(certificate(kind))) == frozenset()
    assert pki.names_of("") == frozenset()


@given(st.integers(min_value=0, max_value=400), st.integers(min_value=0, max_value=255))
def test_a_damaged_certificate_has_names_or_is_refused(at: int, byte: int) -> None:
    der = bytearray(NAMED)
    der[at % len(der)] = byte
    text = f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(bytes(der)).decode()}\n-----END CERTIFICATE-----\n"
    with contextlib.suppress(InputError):
        assert all(isinstance(name, str) for name in pki.names_of(text))


def named() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        return pki.certificates(Authority(Path(name)).issue("s", "etcd1", names=["etcd1", "192.0.2.31"]).cert_pem)[0]


NAMED = named()
