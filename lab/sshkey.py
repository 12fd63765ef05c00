# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key with which this machine, and Ansible on it, enters the nodes."""

from __future__ import annotations

from pathlib import Path

from lab.cache import lock
from lab.settings import Settings
from lab.shell import run


def ensure(settings: Settings) -> Path:
    """Return the private key's path; make the pair when there is none."""
    directory = settings.cache / "ssh"
    key = directory / "id_ed25519"
    with lock(settings.cache / "locks" / "ssh.lock", "ssh key"):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.chmod(0o700)
        if not key.exists() or not public(settings).exists():
            for part in (key, public(settings)):
                part.unlink(missing_ok=True)
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", key])
        key.chmod(0o600)
    return key


def public(settings: Settings) -> Path:
    """Return the public half's path."""
    return settings.cache / "ssh" / "id_ed25519.pub"


def options(settings: Settings) -> list[str]:
    """Options for ssh: host keys are as short-lived as the nodes, so nobody remembers them."""
    return [
        "-i", str(ensure(settings)),
        "-o", "StrictHostKeyChecking=no",
        "-o", "UserKnownHostsFile=/dev/null",
        "-o", "LogLevel=ERROR",
        "-o", "BatchMode=yes",
        "-o", "ConnectTimeout=5",
    ]  # fmt: skip
