# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was seen on a host to the steps that make it blank again. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from . import host_reset_ours as ours
from .host_reset_facts import Facts
from .host_units import DISABLED

SHOWN = 6


@dataclass(frozen=True)
class Step:
    """One thing to do. kind: how it is done. items: what it is done to, in this order."""

    kind: str
    text: str
    items: tuple[str, ...]


def plan(facts: Facts, *, stamp: str, delete_data: bool = False) -> tuple[Step, ...]:
    """What is to do, in order. Each step leaves what the next run needs to know that the rest is to do.

    stamp: time, for the name under which etcd's data stay.
    """
    disk, network, runtime = facts.disk, facts.network, facts.runtime
    pods = runtime.containers + tuple(str(pid) for pid in runtime.pids)
    found = [
        _units(facts, ours.KUBELET),
        Step("trees", "remove the static pods", tuple(path for path in disk.trees if path == ours.MANIFESTS)),
        Step("pods", f"end {len(runtime.containers)} containers and {len(runtime.pids)} processes of pods", pods),
        _units(facts, ours.KEEPALIVED),
        _units(facts, ours.HAPROXY),
        Step("vip", f"take the VIP away: {_names(f'{a} on {d}' for d, a in network.vip)}",
             tuple(f"{address} {device}" for device, address in network.vip)),
        _units(facts, ours.ETCD),
        *_etcd(facts, stamp, delete_data),
        _units(facts, ours.CONTAINERD),
        Step("keepers", "end what containerd has left of pods", ("pods",) if pods or runtime.keepers else ()),
        Step("netns", f"delete {len(network.netns)} network namespaces of pods", network.netns),
        Step("mounts", f"unmount {len(disk.mounts)} volumes and containers of pods", disk.mounts),
        Step("rules", f"take {len(network.chains)} chains out of iptables: {_names(c for _t, c in network.chains)}",
             tuple(dict.fromkeys(tool for tool, _chain in network.chains))),
        Step("nft", f"delete tables of nftables: {_names(network.nft_tables)}", network.nft_tables),
        Step("ipvs", f"clear IPVS: {_names(network.ipvs)}", network.ipvs),
        Step("links", f"delete interfaces: {_names(network.links)}", network.links),
        _removal("files", disk.kubeconfigs),
        _removal("trees", disk.cni),
        _removal("trees", tuple(path for path in disk.trees if path != ours.MANIFESTS)),
        _removal("files", disk.configs),
        _removal("files", tuple(path for path in disk.files if path != ours.LAST)),
        Step("tidy", f"remove directories that are empty then: {_names(disk.tidy)}", disk.tidy),
        Step("reload", "let systemd read its units again", ("daemon-reload",) if disk.files else ()),
        _removal("files", tuple(path for path in disk.files if path == ours.LAST)),
    ]  # fmt: skip
    return tuple(step for step in found if step.items)


def _units(facts: Facts, name: str) -> Step:
    """Stop and disable a service of ours. One that others need as well goes on."""
    unit = facts.runtime.units.get(name)
    is_ours = ours.UNIT_FILES[name] in facts.identity.marked
    shared = name == ours.CONTAINERD and facts.runtime.others
    idle = unit is None or (
        unit.active in ("inactive", "failed", "unknown") and unit.enabled in (*DISABLED, "not-found")
    )
    return Step("units", f"stop and disable {name}", () if idle or shared or not is_ours else (name,))


def _etcd(facts: Facts, stamp: str, delete_data: bool) -> Sequence[Step]:
    data, kept = facts.disk.etcd, facts.disk.set_aside
    if delete_data:
        items = (*((data,) if data else ()), *kept)
        return [Step("trees", f"delete etcd's data: {_names(items)}", items)]
    text = f"set etcd's data aside: {data} is kept as a directory named ...-removed-{stamp}"
    return [Step("aside", text, (data, stamp) if data else ())]


def _removal(kind: str, paths: tuple[str, ...]) -> Step:
    return Step(kind, f"remove {_names(paths)}", paths)


def _names(found: Iterable[str]) -> str:
    listed = list(found)
    shown = ", ".join(listed[:SHOWN])
    return shown if len(listed) <= SHOWN else f"{shown} and {len(listed) - SHOWN} more"


def apply(steps: Sequence[Step], act: Callable[[Step], None], *, effects: bool) -> list[str]:
    """Do the steps, or only tell them: the same ones."""
    for step in steps if effects else ():
        act(step)
    return [step.text for step in steps]
