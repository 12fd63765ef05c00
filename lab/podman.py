# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What podman knows about a lab's containers."""

from __future__ import annotations

import json
from dataclasses import dataclass

from lab.network import LABEL
from lab.settings import Node, Settings
from lab.shell import output, run

IMAGE_LABEL = "quorum.image"
# The most that a process here may have: the machine of the lab may itself be without CAP_SYS_RESOURCE.
LIMITS = ("nofile=20000:20000", "nproc=32768:32768")
RUN = ("podman", "run", "--runtime", "runc", *(word for limit in LIMITS for word in ("--ulimit", limit)))


@dataclass(frozen=True)
class Container:
    """One node's container as it is now."""

    node: Node
    identifier: str
    state: str
    image: str
    started: float

    @property
    def running(self) -> bool:
        """Whether its processes can make progress."""
        return self.state == "running"


def containers(settings: Settings) -> dict[str, Container]:
    """Return the lab's containers by node name, in the order of their addresses."""
    listing = output(["podman", "ps", "-a", "--filter", f"label={LABEL}={settings.name}", "--format", "json"])
    found = []
    for entry in json.loads(listing or "[]"):
        node = settings.node(entry["Names"][0].removeprefix(f"{settings.name}-"))
        found.append(
            Container(node, entry["Id"], entry["State"], entry["Labels"].get(IMAGE_LABEL, ""), entry["StartedAt"])
        )
    return {one.node.name: one for one in sorted(found, key=lambda one: int(one.node.address.rpartition(".")[2]))}


def exec_argv(settings: Settings, node: str, command: list[str], interactive: bool = False) -> list[str]:
    """Return the command line that runs a program in a node."""
    return ["podman", "exec", *(["-it"] if interactive else []), settings.container(node), *command]


def inside(settings: Settings, node: str, script: str, check: bool = True, timeout: float = 60) -> str:
    """Run a shell script in a node and return what it printed."""
    argv = exec_argv(settings, node, ["sh", "-c", script])
    return run(argv, check=check, timeout=timeout).stdout.strip()
