# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's network: one podman bridge, with fixed addresses."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from lab.cache import lock
from lab.errors import LabError
from lab.settings import Settings
from lab.shell import output, run, say

LABEL = "quorum.lab"


def ensure(settings: Settings) -> str:
    """Create the lab's network where it is missing, and return its name.

    One of an older subnet is made again when nobody uses it. Every one has a name of its own: a podman that is killed
    while it starts a container leaves the address taken in a network of that name, for as long as the machine runs.
    """
    # One at a time: podman gives two networks that are made at the same moment the same bridge.
    with lock(settings.cache / "locks" / "network.lock", "network"):
        for name, subnet in existing(settings).items():
            if subnet == settings.cidr:
                return name
            if run(["podman", "network", "rm", name], check=False).returncode != 0:
                raise LabError(
                    f"The network {name} has the subnet {subnet}, not {settings.cidr}, and nodes use it.",
                    "python3 -m lab down",
                )
        return _create(settings)


def _create(settings: Settings) -> str:
    _remove_orphans(settings)
    name = f"{settings.name}-{secrets.token_hex(3)}"
    command = ["podman", "network", "create", "--label", f"{LABEL}={settings.name}", "--subnet", settings.cidr]
    done = run([*command, "--gateway", settings.gateway, name], check=False)
    if done.returncode != 0:
        raise LabError(
            f"The network {name} ({settings.cidr}) could not be created: {done.stderr.strip()}",
            "set LAB_SUBNET to the first three numbers of a free /24",
        )
    return name


def orphans(links: Sequence[Mapping[str, Any]], networks: Sequence[Mapping[str, Any]], gateway: str) -> list[str]:
    """Return podman's bridges that carry the gateway's address and that no network owns.

    A podman that is killed while it starts a container leaves one, with a network namespace that nothing runs in;
    podman then refuses the subnet for good. What a container uses is owned: podman removes no network in use.
    links: `ip -j -d address show`. networks: `podman network ls --format json`.
    """
    owned = {network.get("network_interface") for network in networks}
    return [
        name
        for link in links
        if (name := str(link.get("ifname"))).startswith("podman")
        and (link.get("linkinfo") or {}).get("info_kind") == "bridge"
        and any(address.get("local") == gateway for address in link.get("addr_info") or [])
        and name not in owned
    ]


def _remove_orphans(settings: Settings) -> None:
    links = json.loads(output(["ip", "-j", "-d", "address", "show"]))
    for name in orphans(links, _networks(), settings.gateway):
        say(f"bridge {name}: left by a network of podman that is gone, removed")
        run(["ip", "link", "delete", name], check=False)


def existing(settings: Settings) -> dict[str, str]:
    """Return the lab's networks, name to subnet; more than one only when a person made one."""
    labelled = [one for one in _networks() if (one.get("labels") or {}).get(LABEL) == settings.name]
    return {str(one["name"]): str(one["subnets"][0]["subnet"]) for one in labelled}


def _networks() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(output(["podman", "network", "ls", "--format", "json"]) or "[]")
    return found


def remove(settings: Settings) -> None:
    """Remove the lab's networks."""
    for name in existing(settings):
        run(["podman", "network", "rm", name])
