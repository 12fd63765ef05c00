# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PKI of a host in one archive that only root reads, or that only the owner of a private key can open."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Sequence

from .backup_places import private_file
from .errors import CommandError, RefusedError
from .host_io import Host

OPENSSL = "/usr/bin/openssl"
# Authenticated: a changed archive does not decrypt.
CIPHER = "-aes-256-gcm"


def archive(paths: Sequence[str], target: str) -> list[str]:
    """Write what is below the paths, read it back and compare; the names. Links are kept as links."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream, tarfile.open(fileobj=stream, mode="w:gz") as tar:
            for path in paths:
                if os.path.lexists(path):
                    tar.add(path, arcname=path.lstrip("/"))
            names = tar.getnames()
        _compare(target)
    except OSError as exc:
        next_step = "look at the disk's free space"
        raise CommandError("cannot archive the PKI", where=target, found=str(exc), next_step=next_step) from exc
    if not any(name.endswith("/ca.crt") for name in names):
        raise RefusedError(
            "there is no certificate of a CA in what shall be archived",
            where=", ".join(paths),
            found=f"{len(names)} files",
            next_step="run this on a control plane or an etcd machine, or correct `etcd_backup_pki_paths`",
        )
    return names


def _compare(target: str) -> None:
    """What comes out of the archive is what is on the disk now."""
    with tarfile.open(target, "r:gz") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                continue
            with open(f"/{member.name}", "rb") as now:
                if hashlib.sha256(content.read()).digest() != hashlib.sha256(now.read()).digest():
                    raise OSError(f"/{member.name} has changed meanwhile")


def encrypt(host: Host, source: str, recipient: str, target: str, work: str) -> None:
    """CMS to an X.509 certificate, by openssl. Decrypt: openssl cms -decrypt -inform DER -in ARCHIVE -inkey KEY."""
    certificate = private_file(os.path.join(work, "recipient.pem"), recipient.encode())
    _openssl(host, ["x509", "-in", certificate, "-noout", "-checkend", "0"], "the recipient's certificate has expired")
    private_file(target, b"")
    argv = ["cms", "-encrypt", "-binary", CIPHER, "-outform", "DER", "-in", source, "-out", target, certificate]
    _openssl(host, argv, "openssl could not encrypt the PKI")
    _openssl(host, ["cms", "-cmsout", "-noout", "-inform", "DER", "-in", target], "openssl cannot read what it wrote")


def _openssl(host: Host, words: Sequence[str], what: str) -> None:
    answer = host.run([OPENSSL, *words])
    if answer.code:
        raise CommandError(
            what,
            where=OPENSSL,
            found=f"exit status {answer.code}: {answer.text[-500:]}",
            next_step="look at `etcd_backup_recipient`, a certificate (PEM) that is valid now; openssl has to be 3.0",
        )
