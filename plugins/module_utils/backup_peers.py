# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a cluster as places for each other's copies: a key of their own that opens nothing but SFTP there."""

from __future__ import annotations

import os
import re

from .backup_config import HOST_KEY, Config
from .backup_turn import USER, Agreement, Peer
from .errors import CommandError
from .host_io import Host

KEY = "/etc/quorum-kubeadm/etcd-backup-key"
# Read by sshd, which a drop-in of role etcd_backup tells to.
ALLOWED = "/etc/quorum-kubeadm/etcd-backup.keys"
SSHD = "/etc/ssh"
SSHD_KEY = re.compile(r"ssh_host_[a-z0-9]+_key\.pub", re.ASCII)


def own_key(host: Host) -> str:
    """The public key; made where there is none. The private one never leaves the host."""
    if not host.exists(KEY):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "quorum-kubeadm", "-f", host.real(KEY)]
        answer = host.run(argv)
        if answer.code:
            raise CommandError(
                "ssh-keygen made no key",
                where=KEY,
                found=f"exit status {answer.code}: {answer.text[-300:]}",
                next_step="install openssh-client, or set `etcd_backup_peers: false`",
            )
    return two_words(host.read_text(KEY + ".pub") or "")


def two_words(line: str) -> str:
    """A public key without its comment."""
    return " ".join(line.split()[:2])


def host_keys(host: Host) -> tuple[str, ...]:
    """The public keys of the host's own sshd."""
    names = [name for name in host.names(SSHD) if SSHD_KEY.fullmatch(name)]
    keys = [two_words(host.read_text(f"{SSHD}/{name}") or "") for name in names]
    return tuple(key for key in keys if HOST_KEY.fullmatch(key))


def unlock(host: Host) -> None:
    """Let the account have a password that nothing fits: one that is locked is refused by sshd where it asks no PAM."""
    lines = [line.split(":") for line in (host.read_text("/etc/shadow") or "").splitlines()]
    if any(words[0] == USER and words[1:2] and words[1].startswith("!") for words in lines):
        answer = host.run(["usermod", "-p", "*", USER])
        if answer.code:
            found = f"exit status {answer.code}: {answer.text[-300:]}"
            raise CommandError(
                "usermod could not unlock the account", where=USER, found=found, next_step="run it by hand"
            )


def allowed(peers: list[Peer]) -> str:
    """Who may bring copies. What they may do is in sshd's configuration as well."""
    return "".join(f"restrict {peer.key} quorum-kubeadm:{peer.name.replace(' ', '_')}\n" for peer in peers)


def meet(host: Host, agreement: Agreement, config: Config, now: float) -> list[Peer]:
    """Show this host to the others, and let in those that have shown themselves; who they are."""
    if not config.address:
        return []
    me = Peer(config.host, config.kind, config.address, config.ssh_port, own_key(host), host_keys(host), now)
    agreement.register(me)
    peers = agreement.peers(now)
    text = allowed(peers)
    if host.read_text(ALLOWED) != text:
        path = host.real(ALLOWED)
        descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.rename(f"{path}.new", path)
    return peers
