# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System users that services run as: planned by what is missing, made by systemd's own tool on every distribution."""

from __future__ import annotations

import grp
import pwd
import re
from typing import Callable

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host

NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}", re.ASCII)


def account_exists(name: str) -> bool:
    """Whether there is such a user, and a group of the same name."""
    try:
        pwd.getpwnam(name)
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def missing_users(names: list[str], exists: Callable[[str], bool] = account_exists) -> tuple[str, ...]:
    """Those of the users that have to be made."""
    for name in names:
        if not NAME.fullmatch(name):
            raise InputError("this is no name of a system user", found=repr(name[:80]), next_step="correct `users`")
    return tuple(name for name in dict.fromkeys(names) if not exists(name))


def make_users(host: Host, names: tuple[str, ...]) -> None:
    """Make them: each with a group of its own, without a login and without a home."""
    if not names:
        return
    answer = host.run(["systemd-sysusers", "--inline", *(f'u {name} - "quorum.kubeadm"' for name in names)])
    if answer.code:
        raise CommandError(
            f"systemd-sysusers could not make {', '.join(names)}",
            where="/etc/passwd, /etc/group",
            found=answer.text,
            next_step="make the user by hand, as a system user with a group of the same name",
        )
