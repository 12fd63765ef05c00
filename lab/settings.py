# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, addresses and places: everything of a lab follows from LAB_NAME."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

CHECKOUT = Path(__file__).resolve().parent.parent
LAB_DIR = CHECKOUT / "lab"
DEFAULT_NAME = "lab"
DEFAULT_SUBNET = "10.199.0"
# Other labs lie in 10.200.0.0 to 10.239.255.0, away from the default networks of pods and Services.
FIRST_SECOND, SECONDS = 200, 40
VIP_HOST = 100
ZONES = ("zone-a", "zone-b", "zone-c")

# Node name prefix -> inventory group and the last octet just below its first node's address.
ROLES: dict[str, tuple[str, int]] = {
    "lb": ("kube_lb", 10),
    "cp": ("kube_control_plane", 20),
    "w": ("kube_node", 40),
    "etcd": ("etcd", 60),
    # Stands for the publishers of software; in no group of the inventory.
    "pub": ("", 90),
}
MOST_PER_ROLE = {"lb": 10, "cp": 20, "w": 20, "etcd": 20, "pub": 1}
NODE_NAME = re.compile(r"(lb|cp|w|etcd|pub)([1-9][0-9]?)")
LAB_NAME = re.compile(r"[a-z][a-z0-9-]{0,20}")
CPUS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,2})?")
SUBNET = re.compile(r"10\.\d{1,3}\.\d{1,3}")


@dataclass(frozen=True)
class Node:
    """One machine of the lab."""

    name: str
    role: str
    index: int
    address: str

    @property
    def group(self) -> str:
        """The inventory group that this machine belongs to."""
        return ROLES[self.role][0]

    @property
    def zone(self) -> str:
        """Machines of a role are spread over the zones by their number."""
        return ZONES[(self.index - 1) % len(ZONES)]


@dataclass(frozen=True)
class Settings:
    """One lab: two with different names stand side by side."""

    name: str
    subnet: str
    cache: Path
    # How many processors each machine may use at most; 0: all.
    cpus: float = 0.0

    @property
    def cidr(self) -> str:
        """The node network."""
        return f"{self.subnet}.0/24"

    @property
    def gateway(self) -> str:
        """This machine's address in the lab."""
        return f"{self.subnet}.1"

    @property
    def vip(self) -> str:
        """The API servers' virtual address."""
        return f"{self.subnet}.{VIP_HOST}"

    def container(self, node: str) -> str:
        """The container of a node."""
        return f"{self.name}-{node}"

    def node(self, name: str) -> Node:
        """Turn a node's name into its place in the lab."""
        match = NODE_NAME.fullmatch(name)
        if match is None:
            raise LabError(f"{name!r} is not a node name.", "use lb1, cp1, w1, etcd1 and so on")
        role, index = match[1], int(match[2])
        if index > MOST_PER_ROLE[role]:
            raise LabError(f"{name!r}: a lab has room for {role}1 to {role}{MOST_PER_ROLE[role]}.")
        return Node(name, role, index, f"{self.subnet}.{ROLES[role][1] + index}")


def subnet_of(name: str) -> str:
    """Give every lab name its own subnet, always the same one."""
    if name == DEFAULT_NAME:
        return DEFAULT_SUBNET
    third, second = zlib.crc32(name.encode()) % 255, zlib.crc32(name.encode()) // 255 % SECONDS
    return f"10.{FIRST_SECOND + second}.{third}"


def load(env: Mapping[str, str] = os.environ) -> Settings:
    """Read LAB_NAME, LAB_SUBNET, LAB_CPUS and XDG_CACHE_HOME."""
    name = env.get("LAB_NAME") or DEFAULT_NAME
    subnet = env.get("LAB_SUBNET") or subnet_of(name)
    if LAB_NAME.fullmatch(name) is None:
        raise LabError(f"LAB_NAME={name!r}: lower-case letters, digits and dashes, at most 21, a letter first.")
    if SUBNET.fullmatch(subnet) is None or any(int(part) > 255 for part in subnet.split(".")):
        raise LabError(f"LAB_SUBNET={subnet!r}: the first three numbers of a /24, such as 10.199.7.")
    cache = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quorum-kubeadm"
    return Settings(name=name, subnet=subnet, cache=cache, cpus=_cpus(env.get("LAB_CPUS") or "0"))


def _cpus(text: str) -> float:
    if CPUS.fullmatch(text) is None:
        raise LabError(f"LAB_CPUS={text!r}: how many processors a machine may use at most, such as 1 or 0.5.")
    return float(text)


def topology(text: str) -> list[str]:
    """Node names of a topology such as `lb=2,cp=3,w=2`."""
    names: list[str] = []
    for part in text.split(","):
        role, _equals, count = part.strip().partition("=")
        if role not in ROLES or not count.isdigit() or int(count) > MOST_PER_ROLE[role]:
            raise LabError(f"topology {text!r}: {part!r} is not one of lb=N, cp=N, w=N, etcd=N.")
        names += [f"{role}{number}" for number in range(1, int(count) + 1)]
    return names
