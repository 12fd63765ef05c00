# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane in namespaces of its own: mounts, network and processes, and a kubelet of sorts that runs manifests.

    unshare --mount --net --pid --fork --mount-proc --kill-child python -m tests.integration.lone_host < order.json

It reads an order and answers with what the commands of the order have said. Nothing is left when it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

MANIFESTS = Path("/etc/kubernetes/manifests")
OWN = ("/etc/kubernetes", "/var/lib/etcd", "/var/lib/quorum-kubeadm", "/run/quorum-kubeadm", "/mnt")
LOOK_SECONDS = 0.3
# How long a command may take, and how long it lives on after what it is killed at.
SECONDS, GRACE = 240, 0.3
SYSTEMCTL = """#!/bin/sh
echo "$*" >> /mnt/systemctl.log
[ "$1" != show ] || printf 'Id=kubelet.service\\nLoadState=loaded\\nActiveState=active\\nUnitFileState=enabled\\n'
"""


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def furnish(order: dict[str, Any]) -> None:
    """Directories of this machine alone, and programs beside those that are there."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for name in OWN:
        os.makedirs(name, exist_ok=True)
        mount("-t", "tmpfs", "none", name)
    upper, work = Path("/mnt/upper"), Path("/mnt/work")
    upper.mkdir()
    work.mkdir()
    for program in order["programs"]:
        shutil.copy(program, upper)
    (upper / "systemctl").write_text(SYSTEMCTL)
    (upper / "systemctl").chmod(0o755)
    mount("-t", "overlay", "none", "-o", f"lowerdir=/usr/bin,upperdir={upper},workdir={work}", "/usr/bin")
    for source, target in order["files"].items():
        shutil.copytree(source, target, dirs_exist_ok=True)


class Kubelet(threading.Thread):
    """Starts the command of a manifest that is there, ends that of one that is gone."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def run(self) -> None:
        while True:
            have = {path.stem: path.read_text() for path in MANIFESTS.glob("[!.]*.yaml")}
            for name in [name for name in self.running if name not in have]:
                self.running[name].terminate()
                self.running.pop(name).wait()
            for name, text in have.items():
                if name not in self.running or self.running[name].poll() is not None:
                    self.running[name] = self.begin(name, text)
            time.sleep(LOOK_SECONDS)

    def begin(self, name: str, text: str) -> subprocess.Popen[bytes]:
        program, *argv = re.findall(r"^    - (.*)$", text, re.MULTILINE)
        with open(f"/mnt/{name}.log", "ab") as log:
            return subprocess.Popen([name, *argv], executable=program, stdout=log, stderr=log)


def obey(command: dict[str, Any]) -> dict[str, Any]:
    """Run it to its end, or kill its whole process group soon after it has said something."""
    process = subprocess.Popen(
        command["argv"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    timer = threading.Timer(SECONDS, lambda: os.killpg(process.pid, signal.SIGKILL))
    timer.start()
    said = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if command.get("kill_at") and command["kill_at"] in line:
            time.sleep(GRACE)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            break
    process.stdout.close()
    process.wait()
    timer.cancel()
    return {"code": process.returncode, "said": "".join(said)}


def main() -> None:
    """Read the order, do it, tell."""
    order = json.load(sys.stdin)
    furnish(order)
    Kubelet().start()
    answers = [obey(command) for command in order["commands"]]
    logs = {path.stem: path.read_text(errors="replace")[-3000:] for path in Path("/mnt").glob("*.log")}
    json.dump({"answers": answers, "logs": logs}, sys.stdout)


if __name__ == "__main__":
    main()
