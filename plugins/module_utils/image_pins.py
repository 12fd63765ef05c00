# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images the kubelet's garbage collection spares: those that run while they are replaced, and the new ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_store import NAMESPACE, Containerd, Image
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import check_path
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_kubernetes import read_manifests

# One reference, as it stands in an image list: never an option of ctr, nothing that ends a word.
REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,511}", re.ASCII)


@dataclass(frozen=True)
class PinPlan:
    """Labels to set and to take away. missing: references that no image on this host has."""

    pins: tuple[str, ...]
    unpins: tuple[str, ...]
    missing: tuple[str, ...]

    def steps(self) -> list[str]:
        return [f"pin {ref}" for ref in self.pins] + [f"unpin {ref}" for ref in self.unpins]


def _refs(refs: Sequence[str], option: str) -> list[str]:
    wrong = [ref for ref in refs if not REF.fullmatch(ref)]
    if wrong:
        raise InputError(
            "this is no reference of an image",
            where=option,
            found=repr(wrong[0][:120]),
            next_step=f"correct `{option}`",
        )
    return list(dict.fromkeys(refs))


def plan_pins(
    have: Mapping[str, Image], pinned: Sequence[str], unpinned: Sequence[str], used: Sequence[str], *, ignore: bool
) -> PinPlan:
    """pinned: must be there, unless `ignore`. used: pinned where they are there. unpinned: gone is fine."""
    both = sorted(set(unpinned) & {*pinned, *used})
    if both:
        raise RefusedError(
            "an image that is needed cannot be given to the garbage collection",
            where=", ".join(both),
            found="it is in `unpinned`, and in `pinned` or used by a container or a static pod of this host",
            next_step="take it out of one of the lists, or unpin it when nothing uses it any more",
        )
    missing = [ref for ref in pinned if ref not in have]
    if missing and not ignore:
        raise InputError(
            "images that shall be pinned are not on this host; nothing was changed",
            where="pinned",
            found=", ".join(missing),
            next_step="bring them with role kube_bundle, or set `missing: ignore`",
        )
    wanted = list(dict.fromkeys([*pinned, *used]))
    return PinPlan(
        tuple(ref for ref in wanted if ref in have and not have[ref].pinned),
        tuple(ref for ref in unpinned if ref in have and have[ref].pinned),
        tuple(ref for ref in wanted if ref not in have),
    )


def pin_images(host: Host, params: Mapping[str, Any], *, effects: bool) -> dict[str, Any]:
    """Compare, then label."""
    if not re.fullmatch(NAMESPACE, params["namespace"]):
        found = repr(params["namespace"][:80])
        raise InputError("this is no namespace of containerd", found=found, next_step="correct `namespace`")
    pinned, unpinned = _refs(params["pinned"], "pinned"), _refs(params["unpinned"], "unpinned")
    containerd = Containerd(host, check_path(params["ctr"]), params["namespace"], params["timeout"])
    used: list[str] = []
    if params["running"]:
        static = [image for image in read_manifests(host).values() if image]
        used = sorted({*containerd.used(), *static})
    have = containerd.images()
    plan = plan_pins(have, pinned, unpinned, used, ignore=params["missing"] == "ignore")
    if effects:
        for ref in plan.pins:
            containerd.pin(ref)
        for ref in plan.unpins:
            containerd.unpin(ref)
    now = ({ref for ref, image in have.items() if image.pinned} | set(plan.pins)) - set(plan.unpins)
    return {
        "changed": bool(plan.steps()),
        "pinned": sorted(now),
        "used": used,
        "missing": list(plan.missing),
        "steps": plan.steps(),
    }
