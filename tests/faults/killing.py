# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook's run that is killed at a point of its output. What it had started on a host goes on there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass

from lab.settings import CHECKOUT
from tests.e2e.support import PLAYBOOK, Site


@dataclass(frozen=True)
class Point:
    """Where the run is killed: so many seconds after the n-th line that matches; after its start where nth is 0."""

    name: str
    line: str
    seconds: float = 0.0
    nth: int = 1


@dataclass(frozen=True)
class Killed:
    """What became of it. reached: whether it was killed, and had not ended before."""

    reached: bool
    text: str


def kill_at(site: Site, playbook: str, point: Point, *arguments: str) -> Killed:
    """Start the playbook, kill its whole process group at the point."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1", "ANSIBLE_NOCOLOR": "1"}
    with tempfile.TemporaryDirectory() as sockets:
        env["ANSIBLE_SSH_CONTROL_PATH_DIR"] = sockets
        process = subprocess.Popen(
            [str(PLAYBOOK), playbook, "-i", str(site.inventory), "-e", f"kube_version={site.version}", *arguments],
            cwd=CHECKOUT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            encoding="utf-8", start_new_session=True,
        )  # fmt: skip
        timer = threading.Timer(point.seconds, os.killpg, (process.pid, signal.SIGKILL))
        left, lines = point.nth, []
        if not left:
            timer.start()
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if left and re.match(point.line, line):
                left -= 1
                if not left:
                    timer.start()
        process.wait()
        timer.cancel()
    return Killed(process.returncode == -signal.SIGKILL, "".join(lines))
