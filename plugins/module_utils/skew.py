# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Version policy: what may run beside what, and which way leads from one version to another."""

from __future__ import annotations

from dataclasses import dataclass

from .version import Version, parse_version
from .versions import RELEASES, release_for

KUBELET_MINORS_BEHIND = 3
# The oldest patch of an etcd minor version from which the next one may be reached. 3.5.32 migrates the v2 store, and
# before 3.5.26 removed members may come back in 3.6; 3.6.11 knows the flags of 3.7.
ETCD_LEAVES = {"3.5": "3.5.32", "3.6": "3.6.11"}


@dataclass(frozen=True)
class Verdict:
    """allowed; otherwise `reason` in a sentence, and `path` the versions to go through, one after another."""

    allowed: bool
    reason: str = ""
    path: tuple[str, ...] = ()


YES = Verdict(True)


def kubelet_with_api(kubelet: Version, api: Version) -> Verdict:
    """A kubelet is never newer than any API server and at most three minor versions older."""
    if kubelet.minors_after(api) > 0:
        return Verdict(False, f"the kubelet ({kubelet}) is newer than the API server ({api})")
    if api.minors_after(kubelet) > KUBELET_MINORS_BEHIND:
        behind = api.minors_after(kubelet)
        return Verdict(False, f"the kubelet ({kubelet}) is {behind} minor versions older than the API server ({api})")
    return YES


def etcd_with_kubernetes(etcd: Version, kube: Version) -> Verdict:
    """Whether an etcd may serve this Kubernetes."""
    least = parse_version(release_for(kube).etcd_min)
    if etcd < least:
        return Verdict(False, f"etcd {etcd} is too old for Kubernetes {kube}, which needs {least} or newer")
    return YES


def upgrade_path(running: Version, wanted: Version) -> tuple[str, ...]:
    """The versions from the running one to the wanted one: the newest patch of each minor version between."""
    steps = []
    if wanted.minors_after(running) > 0:
        for minor in range(running.minor, wanted.minor):
            series = f"{running.major}.{minor}"
            newest = RELEASES[series].newest_patch if series in RELEASES else f"{series}.x"
            if newest != str(running) and not _older(newest, running):
                steps.append(newest)
    return (*steps, str(wanted))


def _older(newest: str, running: Version) -> bool:
    return not newest.endswith(".x") and parse_version(newest) < running


def upgrade(running: Version, wanted: Version) -> Verdict:
    """Whether one upgrade may go from one version to the other."""
    if wanted < running:
        return Verdict(False, f"{wanted} is older than {running}, which runs: Kubernetes cannot be downgraded")
    ahead = wanted.minors_after(running)
    if ahead > 1:
        path = upgrade_path(running, wanted)
        return Verdict(False, f"{running} to {wanted} skips {ahead - 1} minor version(s)", path)
    return YES


def etcd_upgrade(running: Version, wanted: Version) -> Verdict:
    """Whether an etcd cluster may go from one version to the other, its oldest running member deciding."""
    if wanted < running:
        return Verdict(False, f"etcd {wanted} is older than {running}, which runs: etcd cannot be downgraded")
    ahead = wanted.minors_after(running)
    if ahead > 1:
        path = (f"{running.major}.{running.minor + 1}.x", str(wanted))
        return Verdict(False, f"etcd {running} to {wanted} skips {ahead - 1} minor version(s)", path)
    least = ETCD_LEAVES.get(running.series) if ahead else None
    if least and running < parse_version(least):
        path = (least, str(wanted))
        return Verdict(False, f"etcd {running} must be {least} or newer before it becomes {wanted}", path)
    return YES


def upgrade_command(wanted: str, inventory: str) -> str:
    """The command that upgrades."""
    return f"ansible-playbook playbooks/upgrade.yml -i {inventory or '<inventory>'} -e kube_version={wanted}"


def site(running: Version, wanted: Version, inventory: str) -> Verdict:
    """`site` converges and never upgrades: only the version that runs is allowed. `path` holds what to do then."""
    if running == wanted:
        return YES
    verdict = upgrade(running, wanted)
    if not verdict.allowed and not verdict.path:
        return Verdict(False, verdict.reason, (f"set kube_version to {running}",))
    reason = f"kube_version is {wanted}, but the cluster runs {running}, and site never upgrades"
    if verdict.path:
        commands = ", then ".join(upgrade_command(step, inventory) for step in verdict.path)
        return Verdict(False, f"{reason} ({verdict.reason}; the way is {' -> '.join(verdict.path)})", (commands,))
    return Verdict(False, reason, (upgrade_command(str(wanted), inventory),))
