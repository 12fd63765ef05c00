# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's network: one podman bridge, with fixed addresses."""

from __future__ import annotations

import json

from lab.errors import LabError
from lab.settings import Settings
from lab.shell import output, run

LABEL = "quorum.lab"


def ensure(settings: Settings) -> None:
    """Create the network; one of an older subnet is made again when nobody uses it."""
    subnet = current_subnet(settings)
    if subnet == settings.cidr:
        return
    if subnet is not None and run(["podman", "network", "rm", settings.network], check=False).returncode != 0:
        raise LabError(
            f"The network {settings.network} has the subnet {subnet}, not {settings.cidr}, and nodes use it.",
            "python3 -m lab down",
        )
    command = ["podman", "network", "create", "--label", f"{LABEL}={settings.name}", "--subnet", settings.cidr]
    done = run([*command, "--gateway", settings.gateway, settings.network], check=False)
    if done.returncode != 0:
        raise LabError(
            f"The network {settings.network} ({settings.cidr}) could not be created: {done.stderr.strip()}",
            "set LAB_SUBNET to the first three numbers of a free /24",
        )


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
