# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PKI of a cluster in an archive: what of it makes the same cluster again, and what a host may be given.

Certificates of single hosts and components are left out: kubeadm makes them with these CAs.
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from typing import Protocol

from .errors import InputError, RefusedError

ETC = "/etc/kubernetes"
# A certificate and its key.
PAIRS = tuple((f"pki/{name}.crt", f"pki/{name}.key") for name in ("ca", "front-proxy-ca", "etcd/ca"))
ACCOUNTS = ("pki/sa.pub", "pki/sa.key")
NEEDED = (*(name for pair in PAIRS for name in pair), *ACCOUNTS)
ENCRYPTION = "encryption/config.yaml"
# None of them is larger, whatever an archive says.
LIMIT = 1 << 20
ANOTHER = "use the archive that was made together with the snapshot"


class Host(Protocol):
    """The host that is given the PKI."""

    def exists(self, path: str) -> bool: ...

    def read(self, path: str) -> str: ...

    def write(self, path: str, text: str, mode: int) -> None: ...

    def belong_together(self, cert: str, key: str) -> bool: ...


def _known(name: str) -> str:
    """The file below /etc/kubernetes that an archive's member is, "" for others."""
    path = "/" + name.removeprefix("./").lstrip("/")
    below = next((path.removeprefix(top) for top in (ETC, "/kubernetes") if path.startswith(f"{top}/")), path)
    return below[1:] if below[1:] in (*NEEDED, ENCRYPTION) else ""


def read_archive(path: str) -> dict[str, str]:
    """The files that count, by their names below /etc/kubernetes. Nothing is unpacked."""
    files: dict[str, str] = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name, stream = _known(member.name), archive.extractfile(member) if member.isfile() else None
                if name and stream and member.size <= LIMIT:
                    files[name] = stream.read(LIMIT).decode("ascii")
    except (OSError, EOFError, tarfile.TarError, UnicodeDecodeError) as exc:
        raise InputError(
            "this is no archive of a PKI",
            where=path,
            found=str(exc) or type(exc).__name__,
            next_step=f"{ANOTHER}; an encrypted one is decrypted first: openssl cms -decrypt -binary -inform DER",
        ) from exc
    return files


def judge(files: Mapping[str, str], host: Host, where: str) -> None:
    """Refuse what does not make the cluster again, before anything is written."""
    missing = [name for name in NEEDED if name not in files]
    if missing:
        raise InputError(
            "the archive does not have what makes the cluster again",
            where=where,
            found=f"without {', '.join(missing)}",
            next_step=ANOTHER,
        )
    apart = [cert for cert, key in PAIRS if not host.belong_together(files[cert], files[key])]
    if apart:
        raise InputError(
            "a certificate and its key do not belong together", where=where, found=", ".join(apart), next_step=ANOTHER
        )
    other = [name for name in files if host.exists(f"{ETC}/{name}") and host.read(f"{ETC}/{name}") != files[name]]
    if other:
        raise RefusedError(
            "this host has another cluster's PKI",
            where=ETC,
            found=", ".join(sorted(other)),
            next_step="reset the host by name when nothing on it is needed, or take the archive of its own cluster",
        )


def missing_on(files: Mapping[str, str], host: Host) -> list[str]:
    """What is still to be written; the CA, by which a beginning is known, is the last."""
    names = [name for name in files if not host.exists(f"{ETC}/{name}")]
    return sorted(names, key=lambda name: (name in PAIRS[0], name))


def place(files: Mapping[str, str], host: Host, names: list[str]) -> None:
    """Write them, keys readable by root alone from the first byte on."""
    for name in names:
        host.write(f"{ETC}/{name}", files[name], 0o644 if name.endswith(".crt") else 0o600)
