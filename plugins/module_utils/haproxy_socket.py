# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy's admin socket: one connection for each command, as HAProxy closes it after the answer."""

from __future__ import annotations

import socket

from .errors import UnreachableError

SECONDS = 5.0
NEXT = "Look at the service: systemctl status haproxy. Where it runs, haproxy.cfg has to have this stats socket"


class AdminSocket:
    """Asks the HAProxy behind this path."""

    def __init__(self, path: str, seconds: float = SECONDS) -> None:
        self.path = path
        self.seconds = seconds

    def __call__(self, command: str) -> str:
        """The answer to one command."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(self.seconds)
                connection.connect(self.path)
                connection.sendall(f"{command}\n".encode())
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError as exc:
            found = "no answer in time" if isinstance(exc, socket.timeout) else exc.strerror or str(exc)
            raise UnreachableError("HAProxy does not answer", where=self.path, found=found, next_step=NEXT) from exc
        return answer.decode("utf-8", "replace")
