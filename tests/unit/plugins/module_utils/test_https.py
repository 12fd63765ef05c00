# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials on their way into a TLS context."""

from __future__ import annotations

import datetime
import os
import ssl
import tempfile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.https import tls_context
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeconfig import KubeConfig

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
CERT = (
    x509.CertificateBuilder(NAME, NAME, KEY.public_key(), 1, START, START + datetime.timedelta(days=9999))
    .sign(KEY, hashes.SHA256())
    .public_bytes(serialization.Encoding.PEM)
    .decode()
)


def key_pem(encryption: serialization.KeySerializationEncryption) -> str:
    form = serialization.PrivateFormat.PKCS8
    return KEY.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


PLAIN = key_pem(serialization.NoEncryption())


def config(**changes: str) -> KubeConfig:
    values = {"ca_pem": CERT, "client_cert_pem": CERT, "client_key_pem": PLAIN, **changes}
    return KubeConfig("admin.conf", "https://192.0.2.1:6443", **values)


def test_only_the_kubeconfigs_ca_is_trusted_and_names_are_checked() -> None:
    context = tls_context(config())
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) <= 1
    assert context.cert_store_stats()["x509"] == 1


@pytest.mark.parametrize("in_memory", [True, False])
def test_the_key_is_never_left_on_a_disk(
    in_memory: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made: list[int] = []
    real = tempfile.mkstemp

    def watched() -> tuple[int, str]:
        number, path = real()
        made.append(os.stat(path).st_mode & 0o777)
        return number, path

    monkeypatch.setattr(tempfile, "mkstemp", watched)
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create")
    before = len(os.listdir("/proc/self/fd"))
    tls_context(config())
    assert made == ([] if in_memory else [0o600])
    assert os.listdir(tmp_path) == []
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"ca_pem": "nonsense"},
        {"client_key_pem": ""},
        {"client_key_pem": key_pem(serialization.BestAvailableEncryption(b"pw"))},
        {"client_cert_pem": "nonsense"},
    ],
)
def test_what_openssl_cannot_use_is_an_error_in_words(changes: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"certificates in the kubeconfig cannot be used\. Where: admin\.conf"):
        tls_context(config(**changes))
