# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What refuses a reset before anything is done: another host, Kubernetes that is not ours, a cluster that needs it.

A reset takes no node out of a cluster and no member out of etcd.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import host_reset_ours as ours
from .errors import ApiError, InputError, RefusedError, UnreachableError
from .etcd_health import Sample
from .host_io import Host
from .host_reset_facts import Facts
from .quorum import Member

MANIFEST = f"{ours.MANIFESTS}/etcd.yaml"
LOCAL = "https://127.0.0.1:2379"
INITIAL = re.compile(r"--initial-cluster=(\S+)")
ADVERTISED = re.compile(
    r"--initial-advertise-peer-urls=(\S+)|^ETCD_INITIAL_ADVERTISE_PEER_URLS=\"?([^\"\s]+)", re.MULTILINE
)

# Asks these endpoints for the cluster as it is now.
Observe = Callable[[Sequence[str]], Sample]
# Whether the cluster has a node of this name.
HasNode = Callable[[str], bool]
REMOVE = "use remove_node, which takes it out first; a whole cluster goes when all of its hosts are named (force)"


def check_name(name: str, confirm: str) -> None:
    """A host is reset only by its own name, spelled out."""
    if confirm != name:
        raise RefusedError(
            "the confirmation is not the name of this host; nothing was changed",
            where=name,
            found=f"confirm is {confirm[:80]!r}",
            next_step=f"give confirm the name {name!r} when it is this host that shall be blank",
        )


def check_owner(name: str, facts: Facts) -> None:
    """Refuse a host that is another node, and one whose Kubernetes is not ours."""
    others = [seen for seen in facts.identity.names if seen != name]
    if others:
        raise RefusedError(
            "this host is another node than the one that was named; nothing was changed",
            where=name,
            found=f"Kubernetes or etcd calls it {', '.join(others)}",
            next_step="look at the address that the inventory gives this name",
        )
    foreign = _foreign(facts)
    if foreign:
        raise RefusedError(
            "this host runs Kubernetes that is not ours; nothing was changed",
            where=name,
            found=foreign,
            next_step="reset it with what has set it up, for kubeadm with `kubeadm reset`",
        )


def _foreign(facts: Facts) -> str:
    marked, units = facts.identity.marked, facts.runtime.units
    kubelet = units.get(ours.KUBELET)
    if kubelet and kubelet.is_running and ours.UNIT_FILES[ours.KUBELET] not in marked:
        return f"{ours.KUBELET} runs, and its unit file is not ours"
    if not marked and (ours.PKI in facts.disk.trees or facts.disk.configs):
        return f"{ours.ETC} has certificates or kubeconfigs, and no file of ours is on this host"
    return ""


def check_node(name: str, facts: Facts, has_node: HasNode) -> None:
    """Refuse a node that its cluster still has. Where no API of that cluster answers there is nothing to leave."""
    if ours.KUBELET_CONF not in facts.disk.configs:
        return
    try:
        found = f"the cluster has a node {name}" if has_node(name) else ""
    except (UnreachableError, InputError):
        # No API, or no certificate left to ask with: an interrupted reset removes that early.
        return
    except ApiError as exc:
        found = f"the API answers {exc.status or 'nothing that can be understood'} to the question: {exc.found[:200]}"
    if found:
        raise RefusedError(
            "this host is a node of a cluster that lives; nothing was changed",
            where=name,
            found=found,
            next_step=REMOVE,
        )


@dataclass(frozen=True)
class Place:
    """Where this host's member is reached by the others, and where etcd may be asked about it."""

    peer_urls: tuple[str, ...]
    endpoints: tuple[str, ...]


def place(host: Host, endpoints: Sequence[str]) -> Place:
    """From what the member itself is started with."""
    text = "\n".join(host.read_text(path) or "" for path in (MANIFEST, "/etc/etcd/etcd.env"))
    advertised = [url for found in ADVERTISED.findall(text) for one in found for url in one.split(",") if url]
    listed = [pair.partition("=")[2] for found in INITIAL.findall(text) for pair in found.split(",")]
    others = [re.sub(r":2380$", ":2379", url) for url in listed]
    return Place(tuple(advertised), tuple(dict.fromkeys((LOCAL, *others, *endpoints))))


def check_membership(here: Place, name: str, observe: Observe) -> None:
    """Refuse a member that its cluster still has, where another voter answers. Where nobody does, nothing is left."""
    try:
        sample = observe(here.endpoints)
    except UnreachableError:
        return
    except InputError as exc:
        raise RefusedError(
            "whether this host is a member of an etcd that runs cannot be asked; nothing was changed",
            where=exc.where,
            found=exc.found,
            next_step="bring etcd's client certificates back; where the whole cluster goes, name all hosts (force)",
        ) from exc
    member = own(sample, here, name)
    others = [other for other in answering(sample) if member and other.id != member.id]
    if member and others:
        raise RefusedError(
            "this host's etcd is a member of a cluster that others keep alive; nothing was changed",
            where=name,
            found=f"member {member.name or '(without a name)'}, ID {member.id}; "
            f"{', '.join(other.name or other.id for other in others)} answer",
            next_step=REMOVE,
        )


def own(sample: Sample, here: Place, name: str) -> Member | None:
    """This host's member, by its peer URL; by its name only where no file tells a URL."""
    if here.peer_urls:
        mine = set(here.peer_urls)
        return next((member for member in sample.members if mine & set(member.peer_urls)), None)
    return next((member for member in sample.members if member.name == name), None)


def answering(sample: Sample) -> list[Member]:
    """Voters that told their state."""
    return [member for member in sample.members if not member.learner and sample.probes[member.id].status is not None]
