# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's certificates and the room on its disks, before an upgrade. Pure: facts and the time in, findings out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from . import pki
from .errors import KubeadmError
from .findings import Finding, fatal, warning
from .input_types import NotAllowedError, amount
from .removals import parse_flags
from .upgrade_facts import KUBELET_CONFIG, KubeletFacts, Space, UpgradeNode

GIB = 1 << 30
CONTROL_PLANE_BYTES, WORKER_BYTES = 2 * GIB, GIB
LEAF_WARNING, AUTHORITY_WARNING = timedelta(days=14), timedelta(days=30)
IMAGES, NODE = "/var/lib/containerd", "/var/lib/kubelet"
KUBELET_CLIENT = "/var/lib/kubelet/pki/kubelet-client-current.pem"
# The kubelet's own; they count only where evictionHard is not given, or is to be merged with them.
EVICTION = {
    "nodefs.available": "10%",
    "nodefs.inodesFree": "5%",
    "imagefs.available": "15%",
    "imagefs.inodesFree": "5%",
}
IMAGE_GC_PERCENT = 85
# The kubelet takes this threshold for none.
IGNORED = "100%"
PATHS = {"nodefs": NODE, "imagefs": IMAGES}


@dataclass(frozen=True)
class Limits:
    """What the kubelet does not want to go below or above. eviction: signal to amount."""

    eviction: Mapping[str, str]
    image_gc_percent: int


def limits_of(kubelet: KubeletFacts) -> Limits:
    """From the configuration; the command line overrides it."""
    config = kubelet.config or {}
    flags = dict(parse_flags(kubelet.args))
    given = config.get("evictionHard")
    eviction = {str(key): str(value) for key, value in given.items()} if isinstance(given, Mapping) else dict(EVICTION)
    if "eviction-hard" in flags:
        pairs = (entry.partition("<") for entry in flags["eviction-hard"].split(","))
        eviction = {signal.strip(): value.strip() for signal, _less, value in pairs if value}
    if config.get("mergeDefaultEvictionSettings") is True:
        eviction = {**EVICTION, **eviction}
    percent = flags.get("image-gc-high-threshold", config.get("imageGCHighThresholdPercent"))
    return Limits(eviction, _percent(percent))


def _percent(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return IMAGE_GC_PERCENT


def _is_same(one: Space, other: Space) -> bool:
    """Whether two directories are on one file system: bind mounts have several mount points."""
    sizes = (one.total_bytes, one.inodes_total) == (other.total_bytes, other.inodes_total)
    return one.mount == other.mount or (sizes and one.free_bytes == other.free_bytes)


def _gib(amount_of: float) -> str:
    return f"{amount_of / GIB:.1f} GiB"


def _bytes_left(node: UpgradeNode, path: str, needed: int) -> int:
    """What is free on the file system of a directory after the images and binaries have been staged."""
    space, images = node.disks[path], node.disks.get(IMAGES)
    return space.free_bytes - (needed if images is None or _is_same(space, images) else 0)


def _eviction(node: UpgradeNode, signal: str, value: str, needed: int) -> Iterator[Finding]:
    """One threshold. Inodes: staging takes few, so those that are free now are judged."""
    kind, _dot, of = signal.partition(".")
    path = PATHS.get(kind, "")
    space = node.disks.get(path)
    if space is None or value == IGNORED or of not in ("available", "inodesFree"):
        return
    total = space.total_bytes if of == "available" else space.inodes_total
    try:
        least = amount(value, total)
    except NotAllowedError:
        found = f"evictionHard {signal} is {value}, which is no amount that can be judged here"
        yield warning(node.host, "disk-eviction", found, f"write it like 1Gi or 10% in {KUBELET_CONFIG}")
        return
    if of == "inodesFree":
        if total and space.inodes_free < least:
            found = (
                f"{path}: {space.inodes_free} of {total} inodes are free, the kubelet evicts pods below {least} "
                f"({signal} {value})"
            )
            yield fatal(node.host, "disk-eviction", found, f"delete files on {space.mount}: df -i shows the use")
        return
    left = _bytes_left(node, path, needed)
    if left < least:
        found = (
            f"{path}: {_gib(space.free_bytes)} free now, {_gib(max(left, 0))} after {_gib(needed)} of software is "
            f"staged, and the kubelet evicts pods below {_gib(least)} ({signal} {value})"
        )
        yield fatal(node.host, "disk-eviction", found, _room(space, least - left))


def _room(space: Space, lacking: float) -> str:
    return f"make {_gib(lacking + GIB / 10)} of room on {space.mount}: crictl rmi --prune, old logs, old snapshots"


def _image_gc(node: UpgradeNode, percent: int, needed: int) -> Iterator[Finding]:
    """The kubelet deletes images above this use, as it computes it; 100 turns that off."""
    space = node.disks.get(IMAGES)
    if space is None or not space.total_bytes or percent >= 100:
        return
    left = max(_bytes_left(node, IMAGES, needed), 0)
    now, after = (100 - free * 100 // space.total_bytes for free in (space.free_bytes, left))
    if after >= percent:
        found = (
            f"{IMAGES} is {now} % full, {after} % after {_gib(needed)} of software is staged, and the kubelet deletes "
            f"images from {percent} % on (imageGCHighThresholdPercent)"
        )
        lacking = space.total_bytes * (100 - percent + 1) / 100 - left
        yield fatal(node.host, "disk-images", found, _room(space, lacking))


def disks(node: UpgradeNode, needed_bytes: int | None = None) -> list[Finding]:
    """Whether staging fits. needed_bytes: of images and binaries; by default 2 GiB on a control plane, else 1 GiB."""
    needed = (CONTROL_PLANE_BYTES if node.is_control_plane else WORKER_BYTES) if needed_bytes is None else needed_bytes
    limits = limits_of(node.kubelet)
    found = [one for signal, value in limits.eviction.items() for one in _eviction(node, signal, value, needed)]
    return [*found, *_image_gc(node, limits.image_gc_percent, needed)]


def _renewal(path: str, authority: bool) -> str:
    if authority:
        return (
            "replace the CA first: everything that it signed is worthless with it (kubeadm's guide on manual rotation)"
        )
    if path == KUBELET_CLIENT:
        return (
            "restart the kubelet, which renews it while it is valid; when it is not, "
            "ansible-playbook quorum.kubeadm.renew_certificates"
        )
    if path.startswith("/etc/kubernetes/pki/") or path.endswith(".conf"):
        return "ansible-playbook quorum.kubeadm.renew_certificates"
    return "renew it"


def _certificate(host: str, path: str, pem: str, now: datetime) -> Iterator[Finding]:
    """One file: its first certificate; of CAs, of which a rotation leaves two, the one that is valid longest."""
    try:
        found = pki.certificates(pem)
        authority = bool(found) and pki.is_authority(found[0])
        periods = [pki.validity(der) for der in (found if authority else found[:1])]
    except KubeadmError as exc:
        yield fatal(host, "certificate", f"{path} cannot be read: {exc}", _renewal(path, False))
        return
    if not periods:
        return
    begin, end = max(periods, key=lambda period: period[1])
    kind, soon = ("CA", AUTHORITY_WARNING) if authority else ("certificate", LEAF_WARNING)
    if end <= now:
        text = f"{path}: the {kind} expired on {end:%Y-%m-%d %H:%M} UTC"
        yield fatal(host, "certificate", text, _renewal(path, authority))
    elif begin > now:
        text = f"{path}: the {kind} is valid from {begin:%Y-%m-%d %H:%M} UTC on, and it is {now:%Y-%m-%d %H:%M} UTC"
        yield fatal(host, "certificate", text, "set the clocks right: the hosts' and the controller's")
    elif end - now < soon:
        text = f"{path}: the {kind} expires on {end:%Y-%m-%d %H:%M} UTC, in {(end - now).days} days"
        own = not authority and path != KUBELET_CLIENT
        step = "nothing: kubeadm upgrade renews it" if own else _renewal(path, authority)
        yield warning(host, "certificate", text, step)


def certificates(node: UpgradeNode, now: datetime) -> list[Finding]:
    """Certificates that are no longer, not yet, or not much longer valid. now: with a time zone."""
    files = sorted(node.certificates.items())
    return [one for path, pem in files for one in _certificate(node.host, path, pem, now)]


def judge(node: UpgradeNode, now: datetime, needed_bytes: int | None = None) -> list[Finding]:
    """Everything of this file, for one node."""
    return [*certificates(node, now), *disks(node, needed_bytes)]
