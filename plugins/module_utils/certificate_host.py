# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates as they lie on a host and as they are served there: public PEM only, for the controller to judge.

A private key is opened by nobody but OpenSSL, which says whether it belongs to its certificate. No API is asked.
"""

from __future__ import annotations

import os
import socket
import ssl
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils import kubeconfig
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_places import (
    ETCD_PEER_PORT,
    ETCD_PORT,
    KUBECONFIG,
    PKI,
    Place,
    key_of,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_kubernetes import public_pem

LOOPBACK = "127.0.0.1"
# Far more than any certificate, kubeconfig or bundle of CAs.
LIMIT = 1024 * 1024
MISMATCH = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH")
# Without one etcd would write a line about each connection into its log.
CLIENTS = {ETCD_PORT: f"{PKI}/etcd/healthcheck-client.crt", ETCD_PEER_PORT: f"{PKI}/etcd/peer.crt"}

# address, port, paths of a client's certificate and key, seconds -> the certificate that was served, in PEM
Handshake = Callable[[str, int, "tuple[str, str] | None", float], str]


class NoCertificateError(Exception):
    """Somebody listens and shows no certificate."""


def handshake(address: str, port: int, client: tuple[str, str] | None, timeout: float) -> str:
    """The certificate that is served at an address. Nothing is verified: it is what this is about."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if client and key_state(*client)[0] == "own":
        context.load_cert_chain(*client)
    with socket.create_connection((address, port), timeout) as plain:
        try:
            with context.wrap_socket(plain) as stream:
                found = stream.getpeercert(binary_form=True)
        except OSError as exc:
            raise NoCertificateError(str(getattr(exc, "reason", None) or exc or type(exc).__name__)) from None
    return ssl.DER_cert_to_PEM_cert(found) if found else ""


def key_state(cert: str, key: str) -> tuple[str, str]:
    """Whether a key belongs to a certificate: own, other, or unusable with the reason."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Whether it is long enough is not the question.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    try:
        context.load_cert_chain(cert, key, password=lambda: b"")
    except ssl.SSLError as exc:
        return ("other", "") if exc.reason in MISMATCH else ("unusable", str(exc.reason or "not a key in PEM"))
    except (OSError, ValueError) as exc:
        return "unusable", str(getattr(exc, "strerror", None) or exc)
    return "own", ""


def read_all(
    host: Host, places: Sequence[Place], address: str, timeout: float, ask: Handshake = handshake
) -> list[dict[str, Any]]:
    """All that can be told of these places, the ports asked side by side."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        asked = {one.port: pool.submit(_served, host, one.port, address, timeout, ask) for one in places if one.port}
        found = [_read(host, one) for one in places]
        answers = {port: answer.result() for port, answer in asked.items()}
    return [{**told, "served": answers.get(place.port)} for place, told in zip(places, found)]


def _served(host: Host, port: int, address: str, timeout: float, ask: Handshake) -> dict[str, str]:
    """At the host's own address, else on loopback, where the controller manager and the scheduler listen."""
    client = CLIENTS.get(port)
    pair = (host.real(client), host.real(key_of(client))) if client else None
    told = {"state": "silent", "address": "", "pem": "", "found": ""}
    for where in dict.fromkeys((address or LOOPBACK, LOOPBACK)):
        told["address"] = where
        try:
            return {**told, "state": "answers", "pem": ask(where, port, pair, timeout)}
        except NoCertificateError as exc:
            return {**told, "state": "no certificate", "found": str(exc)}
        except OSError as exc:
            told["found"] = told["found"] or str(exc.strerror or exc)
    return told


def _read(host: Host, place: Place) -> dict[str, Any]:
    told: dict[str, Any] = {"name": place.name, "state": "memory", "found": "", "pem": "", "ca_pem": "", "uses": ""}
    told["key"] = {"state": "", "mode": "", "found": ""}
    if not place.path:
        return told
    text, state, why = read_file(host.real(place.path))
    told.update(state=state, found=why)
    if state == "present":
        told.update(_kubeconfig(host, place, text) if place.kind == KUBECONFIG else {"pem": public_pem(text) or ""})
    # A kubeconfig is its own key file, also when it only names another one.
    if state != "absent":
        told["key"] = _key(host, place)
    return told


def read_file(path: str) -> tuple[str, str, str]:
    """Text, state (present, absent, unreadable), and why it is unreadable."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return "", "unreadable", "it is no file"
        with open(path, "rb") as stream:
            return stream.read(LIMIT).decode("utf-8", "replace"), "present", ""
    except FileNotFoundError:
        return "", "absent", ""
    except OSError as exc:
        return "", "unreadable", str(exc.strerror or exc)


def _kubeconfig(host: Host, place: Place, text: str) -> dict[str, Any]:
    named: dict[str, str] = {}

    def read(path: str) -> str:
        full = os.path.join(os.path.dirname(place.path), path)
        content, state, why = read_file(host.real(full))
        if state != "present":
            raise InputError("a file that it names cannot be read", where=full, found=why or state)
        named[full] = public_pem(content) or ""
        return content

    try:
        config = kubeconfig.parse(text, place.path, read)
    except InputError as exc:
        return {"state": "damaged", "found": str(exc)}
    pem, ca_pem = public_pem(config.client_cert_pem) or "", public_pem(config.ca_pem) or ""
    if config.client_cert_pem and not pem:
        return {"state": "damaged", "found": "its client certificate is no whole one in PEM"}
    uses = [path for path, certificate in named.items() if pem and certificate == pem]
    return {"pem": pem, "ca_pem": ca_pem, "uses": uses[0] if uses else ""}


def _key(host: Host, place: Place) -> dict[str, str]:
    path = host.real(place.key)
    try:
        mode = f"{stat.S_IMODE(os.stat(path).st_mode):04o}"
    except FileNotFoundError:
        return {"state": "absent", "mode": "", "found": ""}
    except OSError as exc:
        return {"state": "unusable", "mode": "", "found": str(exc.strerror or exc)}
    state, found = ("", "") if place.kind == KUBECONFIG else key_state(host.real(place.path), path)
    return {"state": state, "mode": mode, "found": found}
