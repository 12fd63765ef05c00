# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane's static pods taken away from the kubelet, proven to have ended, and given back. Pure.

What is kept outlives a reboot: a member that must not live again does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import RefusedError
from .static_pods import COMPONENTS, ETCD, Change, Pods


@dataclass(frozen=True)
class Held:
    """What a host has. manifests: those that the kubelet runs; kept: those that were taken away; runs: processes."""

    manifests: Mapping[str, str]
    kept: Mapping[str, str]
    runs: tuple[str, ...]

    @property
    def held(self) -> list[str]:
        """Components that were taken away."""
        return [name for name in COMPONENTS if name in self.kept and name not in self.manifests]


def look(pods: Pods) -> Held:
    """What there is now."""
    return Held(pods.manifests(), pods.kept(), tuple(name for name in COMPONENTS if pods.runs(name)))


def hold_steps(found: Held, names: Sequence[str]) -> list[str]:
    """The API server ends before etcd does."""
    return [f"stop {name}" for name in reversed(COMPONENTS) if name in names and _is_there(found, name)]


def _is_there(found: Held, name: str) -> bool:
    return name in found.manifests or name in found.runs


def release_steps(found: Held, names: Sequence[str]) -> list[str]:
    """etcd starts before the API server does."""
    return [f"start {name}" for name in found.held if name in names]


def hold(change: Change, names: Sequence[str]) -> None:
    """Until no process of theirs is left."""
    pods, found = change.pods, look(change.pods)
    order = [name for name in reversed(COMPONENTS) if name in names]
    for group in ([name for name in order if name != ETCD], [name for name in order if name == ETCD]):
        for name in group:
            if name in found.manifests:
                pods.keep(name)
        change.wait_for_end(group)


def release(change: Change, names: Sequence[str], *, wait: bool = True) -> None:
    """One after another, each when the one before it is healthy.

    wait: not for a member of etcd that is healthy only when others have started, too. What is kept then stays.
    """
    pods, found = change.pods, look(change.pods)
    chosen = [name for name in COMPONENTS if name in names and name in found.kept]
    for name in chosen:
        if name in found.held:
            pods.place(name, found.kept[name])
        if wait:
            change.settle({name: found.kept[name]})
    if wait and not look(pods).held:
        pods.forget()


def require_known(found: Held, names: Sequence[str], where: str) -> None:
    """What is to be given back is somewhere."""
    missing = [name for name in COMPONENTS if name in names and name not in {**found.manifests, **found.kept}]
    if missing:
        raise RefusedError(
            "there is no manifest that could be given back to the kubelet",
            where=where,
            found=f"none of {', '.join(missing)}",
            next_step="run site.yml, which lets kubeadm write it",
        )
