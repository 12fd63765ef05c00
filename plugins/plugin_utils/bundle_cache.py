# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle on the controller: its signature checked, its parts unpacked once for all hosts and all runs."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_archive import Archive, take
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError


def verify(archive: Archive, public_key: str) -> None:
    """The manifest is signed by the key's owner; with an empty key nothing is asked."""
    if not public_key:
        return
    # ansible-test imports plugins where it is not installed.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - see above

    try:
        key = load_pem_public_key(public_key.encode())
    except ValueError as exc:
        raise _key_error("kube_bundle_key", "no public key in PEM") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise _key_error("kube_bundle_key", f"a key of the kind {type(key).__name__}")
    try:
        key.verify(archive.signature, archive.text.encode())
    except InvalidSignature as exc:
        raise InputError(
            "the bundle is not signed by the given key; no host was touched",
            where=archive.path,
            found="another signature" if archive.signature else "no signature",
            next_step="get the bundle from who owns the key, or correct kube_bundle_key",
        ) from exc


def sign(manifest: bytes, private_key: bytes, where: str) -> bytes:
    """An Ed25519 signature of a manifest."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - as in verify
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - as in verify

    try:
        key = load_pem_private_key(private_key, password=None)
    except (ValueError, TypeError) as exc:
        raise _key_error(where, "no private key in PEM without a password") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise _key_error(where, f"a key of the kind {type(key).__name__}")
    return key.sign(manifest)


def _key_error(where: str, found: str) -> InputError:
    return InputError(
        "the key cannot be used",
        where=where,
        found=found,
        next_step="make an Ed25519 key: openssl genpkey -algorithm ed25519",
    )


def home() -> str:
    """Where the controller keeps unpacked bundles."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "quorum-kubeadm", "unpacked")


class BundleCache:
    """The parts of one bundle as files on the controller, unpacked when they are first asked for."""

    def __init__(self, archive: Archive, directory: str | None = None) -> None:
        self.archive = archive
        name = hashlib.sha256(archive.text.encode()).hexdigest()[:20]
        self.directory = os.path.join(directory or home(), name)

    def part(self, path: str) -> str:
        """A file with this part's content, checked when it was unpacked."""
        target = os.path.join(self.directory, self.archive.sums()[path])
        with self._lock():
            if not os.path.exists(target):
                take(self.archive, path, target)
        return target

    @contextmanager
    def _lock(self) -> Iterator[None]:
        # Ansible serves many hosts by as many processes.
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        with open(os.path.join(self.directory, ".lock"), "a", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield
