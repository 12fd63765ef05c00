# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's service on this host at its first start: the file of the beginning, the data, the unit and its log."""

from __future__ import annotations

import os

from .errors import CommandError
from .host_io import Host
from .host_kubernetes import directory_state

LOG_LINES = "20"


class SystemdMachine:
    """A unit that reads `initial_file` as its environment when it is there, and keeps its data in `data_dir`."""

    def __init__(self, host: Host, unit: str, initial_file: str, data_dir: str) -> None:
        self.host, self.unit, self.file, self.data_dir = host, unit, initial_file, data_dir
        self._before: int | None = None

    def has_data(self) -> bool:
        """Data of removed members does not count."""
        return directory_state(self.host, self.data_dir) == "present"

    def initial(self) -> str | None:
        """The beginning that has not finished."""
        return self.host.read_text(self.file)

    def begin(self, text: str) -> None:
        """Whole on the disk, or not at all."""
        real = self.host.real(self.file)
        os.makedirs(os.path.dirname(real), mode=0o755, exist_ok=True)
        descriptor = os.open(f"{real}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(f"{real}.new", real)

    def start(self) -> None:
        """Asked for, not waited for: a first member is up only when a majority is."""
        self.host.run(["systemctl", "reset-failed", "--", self.unit])
        answer = self.host.run(["systemctl", "start", "--no-block", "--", self.unit])
        if answer.code:
            raise CommandError(
                f"{self.unit} cannot be started",
                where="systemctl start",
                found=answer.text,
                next_step=f"look at `systemctl status {self.unit}` on the host",
            )
        self._before = self._restarts()

    def trouble(self, restarts: int) -> str:
        """The end of the log of a unit that has failed, or that came up again so often since the start; else "".

        With 0, the end of the log whatever its state.
        """
        shown = self.host.run(["systemctl", "show", "--property=ActiveState", "--value", "--", self.unit])
        state = shown.out.strip() or "unknown"
        again = 0 if state == "active" or self._before is None else self._restarts() - self._before
        if state != "failed" and again < restarts:
            return ""
        argv = ["journalctl", "--no-pager", "--output=cat", f"--lines={LOG_LINES}", f"--unit={self.unit}"]
        return f"{self.unit} is {state}; its log ends with:\n{self.host.run(argv).out.strip()[-3000:]}"

    def finished(self) -> None:
        """What only the first start needed goes."""
        if self.host.exists(self.file):
            os.unlink(self.host.real(self.file))

    def _restarts(self) -> int:
        text = self.host.run(["systemctl", "show", "--property=NRestarts", "--value", "--", self.unit]).out.strip()
        return int(text) if text.isdigit() else 0
