# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's systemd unit on this host: first start, failures, data. And: does anybody accept connections at a URL?"""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

from .errors import CommandError, InputError
from .host_io import Host
from .host_kubernetes import directory_state

LOG_LINES = 20
DIAL_SECONDS = 2.0
# A service that is restarted by systemd so often will not be well without help.
RESTARTS = 3


def dial(url: str, seconds: float = DIAL_SECONDS) -> bool:
    """Whether somebody accepts a connection there."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 2380), seconds):
            return True
    except OSError:
        return False


class SystemdUnit:
    """A unit that reads `initial_file` as its environment when it is there, and keeps its data in `data_dir`."""

    def __init__(self, host: Host, unit: str, initial_file: str, data_dir: str) -> None:
        self._host = host
        self._unit = unit
        self._initial = initial_file
        self._data = data_dir.rstrip("/") + "/member"

    def has_data(self) -> bool:
        """etcd makes this directory at its first start."""
        return self._host.exists(self._data)

    def begun(self) -> bool:
        """The file is there from before the first start until the member is healthy."""
        return self._host.exists(self._initial)

    def begin(self, initial_cluster: str) -> None:
        """A join. The names of the others come from etcd, which takes any."""
        if not set(initial_cluster).isdisjoint('"\\$`\n'):
            raise InputError(
                "The members' names cannot stand in an environment file",
                where=self._initial,
                found=repr(initial_cluster),
                next_step="look who is a member of this etcd: a name of ours never looks like that",
            )
        self.write(f'ETCD_INITIAL_CLUSTER="{initial_cluster}"\nETCD_INITIAL_CLUSTER_STATE="existing"\n')

    def write(self, text: str) -> None:
        """The file of the first start, whole on the disk or not at all."""
        path = self._host.real(self._initial)
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with open(f"{path}.new", "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(f"{path}.new", path)

    def start(self) -> None:
        """Asked for, not waited for: a member that catches up slowly must not be killed by the unit's own patience."""
        self._host.run(["systemctl", "reset-failed", self._unit])
        done = self._host.run(["systemctl", "start", "--no-block", self._unit])
        if done.code:
            raise CommandError(
                f"{self._unit} cannot be started",
                where="systemctl start",
                found=done.text,
                next_step=f"systemctl status {self._unit}",
            )

    def failure(self) -> str:
        """It has failed, or it comes up and ends again and again."""
        shown = self._host.run(["systemctl", "show", "--property=ActiveState,NRestarts", self._unit]).out
        values = dict(line.partition("=")[::2] for line in shown.split())
        state, restarts = values.get("ActiveState", ""), values.get("NRestarts", "")
        again = state != "active" and restarts.isdigit() and int(restarts) >= RESTARTS
        if state != "failed" and not again:
            return ""
        what = "failed" if state == "failed" else f"ended {restarts} times since it was started"
        return f"{self._unit} {what}; the end of its log:\n{self.log()}"

    def finished(self) -> None:
        """The file goes: what is left is the constant configuration."""
        if self.begun():
            os.unlink(self._host.real(self._initial))

    def discard(self, member: str) -> None:
        """Renamed, not deleted: it can be looked at, and it does not stop the next join."""
        done = self._host.run(["systemctl", "stop", self._unit])
        if done.code:
            raise CommandError(
                f"{self._unit} cannot be stopped",
                where="systemctl stop",
                found=done.text,
                next_step=f"systemctl status {self._unit}",
            )
        if self.has_data():
            os.rename(self._host.real(self._data), self._host.real(f"{self._data}-removed-{member}"))
        self.finished()

    def log(self) -> str:
        """Its last lines."""
        lines = ["journalctl", "--no-pager", "--output=cat", f"--lines={LOG_LINES}", f"--unit={self._unit}"]
        return self._host.run(lines).out.strip()


class FirstUnit(SystemdUnit):
    """The unit of a member of a new cluster."""

    def has_data(self) -> bool:
        """Anything but what removed members have left: also what is no data of etcd is not ours to begin with."""
        return directory_state(self._host, os.path.dirname(self._data)) == "present"

    def initial(self) -> str | None:
        """The beginning that has not finished."""
        return self._host.read_text(self._initial)
