# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is this host's etcd still a member of a cluster that others keep alive? A reset does not take members out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import host_reset_ours as ours
from .errors import InputError, RefusedError, UnreachableError
from .etcd_health import Sample
from .host_io import Host
from .quorum import Member

MANIFEST = f"{ours.MANIFESTS}/etcd.yaml"
LOCAL = "https://127.0.0.1:2379"
INITIAL = re.compile(r"--initial-cluster=(\S+)")
ADVERTISED = re.compile(
    r"--initial-advertise-peer-urls=(\S+)|^ETCD_INITIAL_ADVERTISE_PEER_URLS=\"?([^\"\s]+)", re.MULTILINE
)

# Asks these endpoints for the cluster as it is now.
Observe = Callable[[Sequence[str]], Sample]


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
    """Refuse when the member is listed and another voter answers. Where nobody answers there is no such cluster."""
    try:
        sample = observe(here.endpoints)
    except UnreachableError:
        return
    except InputError as exc:
        raise RefusedError(
            "whether this host is a member of an etcd that runs cannot be asked; nothing was changed",
            where=exc.where,
            found=exc.found,
            next_step="bring etcd's client certificates back, or give force when the whole cluster goes",
        ) from exc
    member = own(sample, here, name)
    others = [other for other in answering(sample) if member and other.id != member.id]
    if member and others:
        raise RefusedError(
            "this host's etcd is a member of a cluster that others keep alive; nothing was changed",
            where=name,
            found=f"member {member.name or '(without a name)'}, ID {member.id}; "
            f"{', '.join(other.name or other.id for other in others)} answer",
            next_step="use remove_node, which takes the member out first; force is for a whole cluster that goes",
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
