# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second look at a host that was reset, by other means than the first: whatever is still there is named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from . import host_reset_net as net
from . import host_reset_ours as ours
from .host_io import Host
from .host_net import read_listening
from .host_reset_facts import Facts
from .host_reset_look import MEMBER, identify, keepers, pod_processes, saved

# What is printed of many.
SHOWN = 5
CHAIN = re.compile(r"^\s*chain (\S+) \{|^:(\S+) ", re.MULTILINE)


def leftovers(host: Host, before: Facts, ports: Sequence[int]) -> list[str]:
    """What stayed, in words. before: the first look, which knew the cluster's CA, its VIP and whose services run."""
    return [
        *_interfaces(host, before),
        *_rules(host, before),
        *_services(host, before),
        *_processes(host),
        *_listeners(host, before, ports),
        *_mounted(host),
        *_files(host, before),
    ]


def _some(what: str, found: Iterable[str]) -> list[str]:
    listed = sorted(set(found))
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return [f"{what}: {', '.join(listed[:SHOWN])}{more}"] if listed else []


def _interfaces(host: Host, before: Facts) -> list[str]:
    names = net.device_names(host.read_text("/proc/net/dev") or "")
    vip = before.network.vip_address
    holding = [f"{vip}/{size} on {name}" for name, size in net.holders(host.run(["ip", "-j", "addr"]).out, vip)]
    spaces = [name for name in host.names(ours.NETNS_DIR) if ours.NETNS.fullmatch(name)]
    return [
        *_some("interface", filter(ours.is_link, names)),
        *_some("VIP", holding),
        *_some("network namespace", spaces),
    ]


def _rules(host: Host, before: Facts) -> list[str]:
    """Chains by the text of both programs, whichever table and family they are in."""
    ruleset = host.run(["nft", "list", "ruleset"])
    chains = {name for found in CHAIN.findall(ruleset.out) for name in found if ours.CHAINS.fullmatch(name)}
    for text in saved(host).values():
        chains |= {name for found in CHAIN.findall(text) for name in found if ours.CHAINS.fullmatch(name)}
        for table in net.parse_save(text):
            chains |= set(net.our_chains(table, before.network.networks))
    services = net.ipvs_services(host.read_text("/proc/net/ip_vs") or "") if before.network.ipvs else []
    return [
        *_some("iptables chain", chains),
        *_some("nftables table", net.our_tables(ruleset.out)),
        *_some("IPVS service", services),
    ]


def _services(host: Host, before: Facts) -> list[str]:
    """Those that were ours before."""
    ours_before = [name for name, path in ours.UNIT_FILES.items() if path in before.identity.marked]
    running = [
        name
        for name in ours_before
        if not (name == ours.CONTAINERD and before.runtime.others)
        and host.run(["systemctl", "is-active", "--", name]).out.strip() in ("active", "activating", "reloading")
    ]
    return _some("service", running)


def _processes(host: Host) -> list[str]:
    found = [f"{_name(host, pid)} ({pid})" for pid in (*pod_processes(host), *keepers(host))]
    for pid in filter(str.isdigit, host.names("/proc")):
        name = _name(host, pid)
        if name in ours.PROGRAMS:
            found.append(f"{name} ({pid})")
    return _some("process", found)


def _name(host: Host, pid: object) -> str:
    return (host.read_text(f"/proc/{pid}/comm") or "").strip()


def _listeners(host: Host, before: Facts, ports: Sequence[int]) -> list[str]:
    """A service that is somebody else's may listen: it did before."""
    foreign = {
        name.partition(".")[0]
        for name, path in ours.UNIT_FILES.items()
        if path not in before.identity.marked and (unit := before.runtime.units.get(name)) and unit.is_running
    }
    rows = read_listening(host, list(ports))
    return _some("listening port", [
        f"{row['port']} ({row['process'] or 'a process that cannot be seen'})"
        for row in rows if row["process"] not in foreign
    ])  # fmt: skip


def _mounted(host: Host) -> list[str]:
    return _some("mount", net.pod_mounts(host.read_text("/proc/self/mountinfo") or ""))


def _files(host: Host, before: Facts) -> list[str]:
    """Paths that were planned to go, and what each of them stands for whether or not it was planned."""
    disk = before.disk
    planned = (*disk.kubeconfigs, *disk.cni, *disk.configs, *disk.files)
    stays = [path for path in planned if host.exists(path)]
    stays += [path for path in (*ours.TREES, *disk.trees) if host.names(path)]
    stays += [MEMBER] if disk.etcd and host.exists(MEMBER) else []
    kept = ours.RUNTIME_FILES if before.runtime.others else ()
    stays += [path for path in identify(host).marked if path not in kept]
    stays += [f"{ours.CNI_DIR}/{name}" for name in host.names(ours.CNI_DIR) if name in ours.CNI_FILES]
    return _some("file", stays)
