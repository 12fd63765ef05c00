# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe needs of a kubeconfig: the server, whom to trust, who one is."""

from __future__ import annotations

import base64
import re
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

KEYS = ("server", "certificate-authority-data", "client-certificate-data", "client-key-data")


@dataclass(frozen=True)
class Access:
    """A server and the two ways to talk to it: with a client certificate and as nobody."""

    server: str
    as_user: ssl.SSLContext
    as_nobody: ssl.SSLContext


def load(path: Path, server: str = "") -> Access:
    """Read a kubeconfig of one cluster and one user with embedded certificates, such as kubeadm makes.

    `server` overrides its server.
    """
    try:
        text = path.read_text()
    except OSError as exc:
        raise LabError(f"{path} cannot be read: {exc.strerror}.") from exc
    values = {key: _only(path, text, key) for key in KEYS}
    try:
        authority = _decode(values["certificate-authority-data"]).decode()
        certificate = _decode(values["client-certificate-data"]) + b"\n" + _decode(values["client-key-data"])
        as_nobody = ssl.create_default_context(cadata=authority)
        as_user = ssl.create_default_context(cadata=authority)
        # The ssl module takes a key only from a file; this one is readable for its owner alone.
        with tempfile.NamedTemporaryFile(suffix=".pem") as pem:
            pem.write(certificate)
            pem.flush()
            as_user.load_cert_chain(pem.name)
    except (ValueError, ssl.SSLError) as exc:
        raise LabError(f"The certificates in {path} cannot be used: {exc}.") from exc
    return Access(server or values["server"], as_user, as_nobody)


def _only(path: Path, text: str, key: str) -> str:
    found = re.findall(rf'^[\s-]*"?{key}"?:\s*"?([^"\s,]+)', text, re.MULTILINE)
    if len(found) != 1:
        raise LabError(
            f"{path} has {len(found)} values of {key}, not one.",
            "use a kubeconfig of one cluster and one user with embedded certificates, such as kubeadm's admin.conf",
        )
    return str(found[0])


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
