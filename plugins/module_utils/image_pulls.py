# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images pulled by containerd through the registries' own configuration, and pinned like those of a bundle."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle import REF
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_store import Containerd, Image
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, KubeadmError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import check_path
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host

PARALLEL = 3


@dataclass(frozen=True)
class PullPlan:
    """References that are missing, and those that are there and not pinned."""

    pulls: tuple[str, ...]
    pins: tuple[str, ...]

    def steps(self) -> list[str]:
        return [f"pull {ref}" for ref in self.pulls] + [f"pin {ref}" for ref in self.pins]


def plan_pulls(refs: list[str], have: dict[str, Image]) -> PullPlan:
    """A reference that is there is not pulled again: those of releases never move."""
    bad = [ref for ref in refs if not REF.fullmatch(ref)]
    if bad:
        raise InputError("these are no images' references", found=", ".join(bad)[:300], next_step="correct `refs`")
    missing = tuple(ref for ref in refs if ref not in have)
    return PullPlan(missing, tuple(ref for ref in refs if ref in have and not have[ref].pinned))


def pull_images(host: Host, params: dict[str, Any], *, effects: bool) -> dict[str, Any]:
    """Compare, pull side by side, pin. Every image that cannot be had is named in one error."""
    containerd = Containerd(host, check_path(params["ctr"]), "k8s.io", params["timeout"], absent_is_empty=not effects)
    plan = plan_pulls(params["refs"], containerd.images())
    if effects:
        with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
            outcomes = list(pool.map(lambda ref: _pull(containerd, ref, params["hosts_dir"]), plan.pulls))
        wrong = [f"{ref}: {why}" for ref, why in zip(plan.pulls, outcomes) if why]
        if wrong:
            raise UnreachableError(
                f"{len(wrong)} of {len(params['refs'])} images could not be pulled",
                where=params["hosts_dir"],
                found="; ".join(wrong)[-3000:],
                next_step="correct containerd_registry_mirrors or the registry, then run the same playbook again",
            )
        for ref in (*plan.pulls, *plan.pins):
            containerd.pin(ref)
    return {"changed": bool(plan.steps()), "pulled": list(plan.pulls) if effects else [], "steps": plan.steps()}


def _pull(containerd: Containerd, ref: str, hosts_dir: str) -> str:
    """Why an image could not be pulled, "" when it was."""
    try:
        containerd.pull(ref, hosts_dir)
    except KubeadmError as exc:
        return exc.found
    return ""
