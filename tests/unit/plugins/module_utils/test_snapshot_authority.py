# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose snapshot it is, from the CA that Kubernetes publishes in it."""

from __future__ import annotations

import base64
import hashlib

from ansible_collections.quorum.kubeadm.plugins.module_utils.snapshot_authority import NEAR, authorities, fingerprint

ONE, TWO = b"the first CA" * 30, b"the second CA" * 30
KEY = b"\x0a\x2b/registry/configmaps/default/kube-root-ca.crt\x10\x02"


def pem(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


def digest(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def test_the_fingerprint_is_that_of_the_first_certificate() -> None:
    assert fingerprint(pem(ONE) + pem(TWO)) == digest(ONE)
    assert fingerprint(b"no certificate") == ""
    assert fingerprint(b"-----BEGIN CERTIFICATE-----a-----END CERTIFICATE-----") == ""


def test_every_ca_behind_the_key_is_found_once() -> None:
    content = b"x" * 100 + KEY + b"metadata" + pem(ONE) + pem(TWO) + b"y" * 100 + KEY + pem(ONE)
    assert authorities(content) == sorted([digest(ONE), digest(TWO)])


def test_other_certificates_are_nobodys_ca() -> None:
    assert authorities(pem(ONE) + KEY + b"x" * NEAR + pem(TWO)) == []
    assert authorities(b"") == []


def test_a_key_without_a_value_takes_none_from_its_neighbour() -> None:
    other = b"/registry/secrets/default/another"
    assert authorities(KEY + KEY + pem(ONE) + other) == [digest(ONE)]
