# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests for serving certificates: an honest kubelet's, and all that somebody might try instead."""

from __future__ import annotations

import base64
import functools
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

NODE, OTHER, ABSENT, LONGER = "serve1", "serve2", "serve3", "serve10"
VIP = "192.0.2.10"
ADDRESSES = {NODE: ["192.0.2.21"], OTHER: ["192.0.2.22", "2001:db8::22", "serve2.example.org"], ABSENT: ["192.0.2.23"]}
USAGES = ("digital signature", "server auth")
GROUPS = ("system:nodes",)
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
Subject = tuple[tuple[ObjectIdentifier, str], ...]


@functools.cache
def key(kind: str) -> PrivateKey:
    """A key of a kind; one of each is enough."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP224R1() if kind == "p224" else ec.SECP256R1())


def subject_of(user: str, *organizations: str) -> Subject:
    """O and CN."""
    return (*((NameOID.ORGANIZATION_NAME, one) for one in organizations), (NameOID.COMMON_NAME, user))


@dataclass(frozen=True)
class Wish:
    """What is asked for, and by whom. pem: instead of all that."""

    label: str
    user: str = f"system:node:{NODE}"
    groups: tuple[str, ...] = GROUPS
    usages: tuple[str, ...] = USAGES
    subject: Subject = field(default_factory=lambda: subject_of(f"system:node:{NODE}", "system:nodes"))
    names: tuple[x509.GeneralName, ...] = (x509.DNSName(NODE), x509.IPAddress(ipaddress.ip_address("192.0.2.21")))
    key: str = "p256"
    more: tuple[x509.ExtensionType, ...] = ()
    after: bytes = b""
    before: bytes = b""

    def pem(self) -> bytes:
        """The request."""
        builder = x509.CertificateSigningRequestBuilder().subject_name(
            x509.Name([x509.NameAttribute(kind, value, _validate=False) for kind, value in self.subject])
        )
        if self.names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(self.names)), critical=False)
        for one in self.more:
            builder = builder.add_extension(one, critical=False)
        made = builder.sign(key(self.key), None if self.key == "ed25519" else hashes.SHA256())
        return self.before + made.public_bytes(serialization.Encoding.PEM) + self.after

    def body(self, name: str) -> dict[str, object]:
        """The object that is created; who asks, the API server says."""
        return {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": {
                "request": base64.b64encode(self.pem()).decode(),
                "signerName": "kubernetes.io/kubelet-serving",
                "usages": list(self.usages),
            },
        }

    def seen(self, name: str) -> dict[str, object]:
        """The object as the API server gives it back, without an API server."""
        body = self.body(name)
        spec = dict(body["spec"]) if isinstance(body["spec"], dict) else {}
        spec |= {"username": self.user, "groups": [*self.groups, "system:authenticated"]}
        return {**body, "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"}, "spec": spec}


def honest() -> Iterator[Wish]:
    """What kubelets really ask for."""
    yield Wish("an elliptic curve")
    yield Wish("RSA", key="rsa2048", usages=(*USAGES, "key encipherment"))
    yield Wish("the name alone", names=(x509.DNSName(NODE),))
    user = f"system:node:{OTHER}"
    names: list[x509.GeneralName] = [x509.DNSName(OTHER), x509.DNSName("serve2.example.org")]
    names += [x509.IPAddress(ipaddress.ip_address(one)) for one in ("192.0.2.22", "2001:db8::22")]
    yield Wish("all that the inventory has", user=user, subject=subject_of(user, "system:nodes"), names=tuple(names))


def forged() -> Iterator[Wish]:
    """What may never be approved. Every one of them differs from an honest one in what its label says."""
    yield from _users()
    yield from _claims()
    yield from _names()
    yield from _subjects()
    yield from _shapes()


def _users() -> Iterator[Wish]:
    for user in (
        f"system:node:{LONGER}", "system:node:serve", "system:node:SERVE1", "system:node:serve1 ",
        "system:node:serve1/x", "system:node:serve1.example.org", "serve1", "system:node:", "system:nodes:serve1",
        f"System:Node:{NODE}",
        "system:serviceaccount:kube-system:default", "kubernetes-admin", f"system:node:{OTHER}", "x:system:node:serve1",
    ):  # fmt: skip
        yield Wish(f"asked by {user!r}", user=user)
        yield Wish(f"asked by {user!r} for itself", user=user, subject=subject_of(user, "system:nodes"))
    absent = f"system:node:{ABSENT}"
    names = (x509.DNSName(ABSENT), x509.IPAddress(ipaddress.ip_address("192.0.2.23")))
    yield Wish("a node that never joined", user=absent, subject=subject_of(absent, "system:nodes"), names=names)


def _claims() -> Iterator[Wish]:
    for groups in (
        (), ("system:masters",), ("system:nodes", "system:masters"), ("system:bootstrappers",), ("system:nodesx",),
        ("system:node",), ("system:nodes", "more"),
    ):  # fmt: skip
        yield Wish(f"groups {groups}", groups=groups)
    for usages in (
        ("client auth",), ("server auth",), (*USAGES, "client auth"), ("any",), (*USAGES, "cert sign"),
        ("digital signature",), (*USAGES, "code signing"), ("key encipherment", "server auth"), (*USAGES, "crl sign"),
        (*USAGES, "key encipherment", "data encipherment"),
    ):  # fmt: skip
        yield Wish(f"usages {usages}", usages=usages)


def _names() -> Iterator[Wish]:
    foreign: list[x509.GeneralName] = [
        x509.DNSName(name)
        for name in (
            OTHER, LONGER, "serve", "SERVE1", "Serve1", "*.serve1", "*", "serve1.", "serve1.example.org", "xserve1",
            "kubernetes", "kubernetes.default.svc", "localhost", "serve1 ", "serve2.example.org", "192.0.2.21",
        )
    ]  # fmt: skip
    foreign += [
        x509.IPAddress(ipaddress.ip_address(address))
        for address in (
            "192.0.2.22", VIP, "::ffff:192.0.2.21", "::192.0.2.21", "127.0.0.1", "::1", "192.0.2.2", "192.0.2.210",
            "0.0.0.0", "10.96.0.1", "2001:db8::22",
        )
    ]  # fmt: skip
    other = x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x01x")
    foreign += [
        x509.UniformResourceIdentifier("spiffe://cluster.local/ns/kube-system"),
        x509.RFC822Name("root@serve1"),
        x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "serve1")])),
        x509.RegisteredID(ObjectIdentifier("1.2.3.4")),
        other,
    ]
    own = Wish("").names
    for name in foreign:
        yield Wish(f"{name} alone", names=(name,))
        yield Wish(f"{name} beside its own", names=(*own, name))
    yield Wish("no name at all", names=())


def _subjects() -> Iterator[Wish]:
    user = f"system:node:{NODE}"
    for subject in (
        subject_of(user, "system:masters"), subject_of(user), subject_of(user, "system:nodes", "system:masters"),
        subject_of(f"system:node:{OTHER}", "system:nodes"), subject_of("kubernetes-admin", "system:nodes"),
        ((NameOID.ORGANIZATION_NAME, "system:nodes"),),
        (*subject_of(user, "system:nodes"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "x")),
        (*subject_of(user, "system:nodes"), (NameOID.COMMON_NAME, "kubernetes-admin")),
        subject_of("System:Node:serve1", "system:nodes"), subject_of(user, "System:Nodes"), (),
    ):  # fmt: skip
        yield Wish(f"subject {[value for _kind, value in subject]}", subject=subject)


def _shapes() -> Iterator[Wish]:
    plain = Wish("a foreign one", names=(x509.DNSName(OTHER),)).pem()
    yield Wish("another request after it", after=plain)
    yield Wish("another request before it", before=plain)
    yield Wish("text before it", before=b"serve1\n")
    for kind in ("rsa1024", "ed25519", "p224"):
        yield Wish(f"a key of the kind {kind}", key=kind)
    for more in (
        x509.BasicConstraints(ca=True, path_length=None),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
        x509.KeyUsage(True, False, False, False, False, True, False, False, False),
    ):
        yield Wish(f"with the extension {type(more).__name__}", more=(more,))
