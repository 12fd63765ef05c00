# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab looks like now."""

from __future__ import annotations

import json
import time

from lab.podman import containers
from lab.settings import Settings
from lab.shell import run

# podman's words for a container whose processes have ended.
STOPPED = {"created", "exited", "stopped"}
HEADER = ("NODE", "GROUP", "ADDRESS", "STATE", "UP", "MEMORY")


def table(settings: Settings) -> str:
    """Return a table of the nodes."""
    there = containers(settings)
    memory = _memory(settings, [name for name, container in there.items() if container.running])
    now = time.time()
    rows = [HEADER]
    for name, container in there.items():
        up = f"{int(now - container.started)} s" if container.running else "-"
        node = container.node
        state = "stopped" if container.state in STOPPED else container.state
        rows.append((name, node.group, node.address, state, up, memory.get(name, "-")))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def _memory(settings: Settings, names: list[str]) -> dict[str, str]:
    if not names:
        return {}
    argv = ["podman", "stats", "--no-stream", "--format", "json", *(settings.container(name) for name in names)]
    # A container may end between the two questions, and podman then answers for none of them.
    done = run(argv, check=False)
    listing = json.loads(done.stdout or "[]") if done.returncode == 0 else []
    used = {entry["name"].removeprefix(f"{settings.name}-"): entry["mem_usage"] for entry in listing}
    return {name: str(text).partition("/")[0].strip() for name, text in used.items()}


def environment(settings: Settings) -> dict[str, str]:
    """What a script wants to know, in the form of shell variables."""
    return {
        "LAB_NAME": settings.name,
        "LAB_SUBNET": settings.subnet,
        "LAB_VIP": settings.vip,
        "LAB_GATEWAY": settings.gateway,
        "LAB_CACHE": str(settings.cache),
        "LAB_BUNDLES": str(settings.cache / "bundles"),
        "LAB_SSH_KEY": str(settings.cache / "ssh" / "id_ed25519"),
    }
