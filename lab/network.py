# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's network: one podman bridge, with fixed addresses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lab.cache import lock
from lab.errors import LabError
from lab.settings import Settings
from lab.shell import output, run, say

LABEL = "quorum.lab"


def ensure(settings: Settings) -> None:
    """Create the network; one of an older subnet is made again when nobody uses it."""
    # One at a time: podman gives two networks that are made at the same moment the same bridge.
    with lock(settings.cache / "locks" / "network.lock", "network"):
        _ensure(settings)


def _ensure(settings: Settings) -> None:
    subnet = current_subnet(settings)
    if subnet == settings.cidr:
        return
    if subnet is not None and run(["podman", "network", "rm", settings.network], check=False).returncode != 0:
        raise LabError(
            f"The network {settings.network} has the subnet {subnet}, not {settings.cidr}, and nodes use it.",
            "python3 -m lab down",
        )
    _remove_orphans(settings)
    command = ["podman", "network", "create", "--label", f"{LABEL}={settings.name}", "--subnet", settings.cidr]
    done = run([*command, "--gateway", settings.gateway, settings.network], check=False)
    if done.returncode != 0:
        raise LabError(
            f"The network {settings.network} ({settings.cidr}) could not be created: {done.stderr.strip()}",
            "set LAB_SUBNET to the first three numbers of a free /24",
        )


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
    networks = json.loads(output(["podman", "network", "ls", "--format", "json"]) or "[]")
    for name in orphans(links, networks, settings.gateway):
        say(f"bridge {name}: left by a network of podman that is gone, removed")
        run(["ip", "link", "delete", name], check=False)


def current_subnet(settings: Settings) -> str | None:
    """Return the existing network's subnet."""
    if run(["podman", "network", "exists", settings.network], check=False).returncode != 0:
        return None
    found = json.loads(output(["podman", "network", "inspect", settings.network]))
    return str(found[0]["subnets"][0]["subnet"])


def remove(settings: Settings) -> None:
    """Remove the network."""
    if current_subnet(settings) is not None:
        run(["podman", "network", "rm", settings.network])
