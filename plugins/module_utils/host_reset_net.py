# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs and the kernel tell about a host's network, and which part of that is ours. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field

from . import host_reset_ours as ours

NAMED = re.compile(r'name: "([^"]*)"')
OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass
class Table:
    """One table of an iptables-save: its chains, and its rules as (chain, line, target, network named in a comment)."""

    name: str
    chains: list[str] = field(default_factory=list)
    rules: list[tuple[str, str, str, str]] = field(default_factory=list)


def parse_save(text: str) -> list[Table]:
    """The tables of an iptables-save."""
    tables: list[Table] = []
    for line in text.splitlines():
        if line.startswith("*"):
            tables.append(Table(line[1:].strip()))
        elif line.startswith(":") and tables:
            tables[-1].chains.append(line[1:].split()[0])
        elif line.startswith("-A ") and tables:
            words = _words(line)
            after = dict(zip(words, words[1:]))
            named = NAMED.search(after.get("--comment", ""))
            tables[-1].rules.append(
                (words[1], line, after.get("-j") or after.get("-g") or "", named.group(1) if named else "")
            )
    return tables


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def our_chains(table: Table, networks: Iterable[str]) -> list[str]:
    """Chains that kube-proxy, the kubelet and the pod network have made.

    The CNI plugins serve other runtimes as well. A chain that a rule gives to a network which is not ours stays, and
    with it the chains that all networks share.
    """
    mine = set(networks)
    foreign = {target for _chain, _line, target, network in table.rules if network and network not in mine}
    shares = any(ours.CNI_POD_CHAIN.fullmatch(chain) for chain in foreign)
    return [
        chain
        for chain in table.chains
        if ours.CHAINS.fullmatch(chain)
        or (ours.CNI_POD_CHAIN.fullmatch(chain) and chain not in foreign)
        or (ours.CNI_SHARED_CHAIN.fullmatch(chain) and not shares)
    ]


def removal(text: str, networks: Iterable[str]) -> tuple[str, list[str]]:
    """What iptables-restore --noflush is given to take our chains out, all at once; and these chains.

    "" when there are none.
    """
    lines, gone = [], []
    for table in parse_save(text):
        chains = our_chains(table, networks)
        if not chains:
            continue
        mine = set(chains)
        jumps = [line for chain, line, target, _network in table.rules if target in mine and chain not in mine]
        lines += [f"*{table.name}", *(f"-D {line[3:]}" for line in jumps)]
        lines += [*(f"-F {chain}" for chain in chains), *(f"-X {chain}" for chain in chains), "COMMIT"]
        gone += [f"{table.name} {chain}" for chain in chains]
    return "".join(f"{line}\n" for line in lines), gone


def our_tables(text: str) -> list[str]:
    """Tables of nftables that are ours, from `nft list tables`: family and name."""
    listed = {" ".join(line.split()[1:3]) for line in text.splitlines() if line.startswith("table ")}
    return [table for table in ours.NFT_TABLES if table in listed]


def links(text: str) -> dict[str, str]:
    """Interface to the bridge that it belongs to, "" without one, from `ip -j addr`."""
    try:
        listed = json.loads(text or "[]")
    except ValueError:
        return {}
    return {str(link.get("ifname", "")): str(link.get("master", "")) for link in listed if link.get("ifname")}


def our_links(listed: dict[str, str]) -> list[str]:
    """Interfaces to delete: the pods' ends before the bridge that they belong to."""
    pods = [name for name, master in listed.items() if master == ours.BRIDGE]
    return [*sorted(pods), *sorted(name for name in listed if ours.is_link(name) and name not in pods)]


def device_names(text: str) -> list[str]:
    """Interfaces, from /proc/net/dev."""
    return [line.partition(":")[0].strip() for line in text.splitlines()[2:] if ":" in line]


def holders(text: str, address: str) -> list[tuple[str, int]]:
    """(interface, prefix length) wherever the host has this address, from `ip -j addr`."""
    try:
        listed = json.loads(text or "[]")
    except ValueError:
        return []
    return [
        (str(link.get("ifname")), int(entry.get("prefixlen", 0)))
        for link in listed
        for entry in link.get("addr_info", [])
        if address and entry.get("local") == address
    ]


def vip_of(keepalived: str) -> str:
    """The address that keepalived moves, from a configuration of ours."""
    found = re.search(r"virtual_ipaddress\s*\{\s*([0-9a-fA-F.:]+)(?:/\d+)?\s*\}", keepalived)
    return found.group(1) if found else ""


def ipvs_services(text: str) -> list[str]:
    """Virtual services, from /proc/net/ip_vs."""
    rows = (line.split() for line in text.splitlines())
    return [" ".join(row[:2]) for row in rows if len(row) >= 2 and row[0] in ("TCP", "UDP", "SCTP", "FWM")]


def mounted(text: str) -> list[str]:
    """Every mount point, from /proc/self/mountinfo; what was mounted later, and so lies deeper, first."""
    rows = (line.split() for line in text.splitlines())
    paths = [OCTAL.sub(lambda found: chr(int(found.group(1), 8)), row[4]) for row in rows if len(row) > 4]
    return paths[::-1]


def pod_mounts(text: str) -> list[str]:
    """Where pods have something mounted."""
    return [path for path in mounted(text) if ours.is_mount(path)]
