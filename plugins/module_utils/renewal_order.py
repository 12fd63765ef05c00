# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The renewal of a whole cluster: who comes when, whether the gates protect anything, and what is refused. Pure.

While certificates are valid, one control plane after another is renewed and restarted: a renewal that goes wrong is one
host's. Once some have expired, the gates can no longer be asked with them. So all files are made anew first, which
stops nothing; API servers and etcd read most of them again by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .certificate_places import CONTROL_PLANE, ETCD
from .quorum import quorum
from .renewal import JOIN

NOTHING, ROLLING, EXPIRED = "nothing", "rolling", "expired"
# Without these nothing of the cluster stops working.
UNUSED = ("super-admin.conf",)
# With these the API is served. Where one has expired, an API server that runs is no API.
SERVES = ("apiserver", "apiserver-etcd-client", "etcd-server", "etcd-peer")


@dataclass(frozen=True)
class Host:
    """One host as it was looked at. plan: of renewal.HostPlan.as_dict(); None when it could not be looked at: why.

    api: whether its API server answers that it is ready. drained: load balancers that a killed run has left without it.
    """

    name: str
    roles: tuple[str, ...]
    plan: Mapping[str, Any] | None = None
    steps: tuple[str, ...] = ()
    why: str = ""
    api: bool = False
    drained: tuple[str, ...] = ()

    @property
    def todo(self) -> tuple[str, ...]:
        """Every step, in words."""
        return (*self.steps, *(f"come back into service on {name}" for name in self.drained))

    def has(self, *parts: str) -> bool:
        """Whether any of these parts of its plan is not empty."""
        return any((self.plan or {}).get(part) for part in parts)

    @property
    def expired(self) -> tuple[str, ...]:
        """What has expired and is needed. A worker's kubelet harms nobody else."""
        if self.plan is None or not {CONTROL_PLANE, ETCD} & set(self.roles):
            return ()
        return tuple(name for name in self.plan["expired"] if name not in (*UNUSED, *KUBELETS))

    @property
    def serves(self) -> bool:
        """Whether clients can use its API server."""
        return self.api and not set(self.expired) & set(SERVES)


KUBELETS = ("kubelet.conf", "kubelet-client", "kubelet-serving")


@dataclass(frozen=True)
class Outcome:
    """mode: nothing, rolling or expired. dead: no API server can be used, so that a gate has nothing to protect.

    groups: the hosts of each play, in their order.
    """

    mode: str
    dead: bool = False
    told: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def works(self) -> bool:
        """Whether there is something to do that may be done."""
        return self.mode != NOTHING and not self.refusals

    def as_dict(self) -> dict[str, Any]:
        """For the playbook."""
        return {
            "mode": self.mode,
            "dead": self.dead,
            "works": self.works,
            "told": list(self.told),
            "refusals": list(self.refusals),
            "groups": {name: list(hosts) for name, hosts in self.groups.items()},
        }


def decide(hosts: Sequence[Host], leader: str = "", api_error: str = "") -> Outcome:
    """Everything, from what was seen. leader: etcd's, which comes last. api_error: why the API does not answer us.

    First comes who was left out of service: while it is, no other control plane may go.
    """
    ordered = sorted(hosts, key=lambda host: (not host.drained, host.name == leader, host.name))
    planes = [host for host in ordered if CONTROL_PLANE in host.roles]
    dead = bool(api_error) and not any(host.serves for host in planes)
    expired = any(host.expired for host in ordered)
    todo = any(host.todo for host in ordered)
    mode = (EXPIRED if expired else ROLLING) if todo else NOTHING
    refusals = [f"{host.name}: {why}" for host in ordered if host.plan for why in host.plan["refusals"]]
    if todo:
        refusals += _not_by_renewal(ordered, dead, expired, api_error)
    groups = _groups(ordered, mode == EXPIRED) if todo else {}
    return Outcome(mode, dead, tuple(_told(ordered, mode, dead)), tuple(refusals), groups)


def _not_by_renewal(hosts: Sequence[Host], dead: bool, expired: bool, api_error: str) -> list[str]:
    """What has another cure."""
    found = []
    if dead and not expired:
        found.append(
            f"no API server can be used ({api_error}), and no certificate has expired: that has another cause, which a"
            " renewal does not mend. See it with verify; where etcd has lost its majority, recover_quorum"
        )
    voters = [host for host in hosts if ETCD in host.roles]
    there = [host for host in voters if host.plan is not None]
    if dead and len(there) < quorum(len(voters)):
        found.append(
            f"only {len(there)} of {len(voters)} hosts of etcd can be reached, which are no majority: start the others,"
            " or see recover_quorum"
        )
    return found


def _groups(hosts: Sequence[Host], files_first: bool) -> dict[str, tuple[str, ...]]:
    def those(role: str, *parts: str) -> tuple[str, ...]:
        return tuple(host.name for host in hosts if role in host.roles and host.has(*parts))

    due = set(those(CONTROL_PLANE, "renew", "carried", "restarts", "interrupted", "kept"))
    planes = tuple(host.name for host in hosts if host.name in due or (host.plan is not None and host.drained))
    machines = tuple(
        host.name
        for host in hosts
        if ETCD in host.roles and CONTROL_PLANE not in host.roles and host.has("renew", "restarts", "kept")
    )
    workers = tuple(host.name for host in hosts if host.plan and host.plan["kubelet"] == JOIN)
    return {
        "kube_renew_etcd_files": machines if files_first else (),
        "kube_renew_files": those(CONTROL_PLANE, "renew", "carried", "kubelet") if files_first else (),
        "kube_renew_etcd": machines,
        "kube_renew_control_plane": planes,
        "kube_renew_kubelet": those(CONTROL_PLANE, "kubelet"),
        "kube_renew_worker": workers,
    }


def _told(hosts: Sequence[Host], mode: str, dead: bool) -> list[str]:
    """What a person reads, host by host."""
    lines = [f"{host.name}: not looked at: {host.why}" for host in hosts if host.plan is None]
    for host in hosts:
        lines += [f"{host.name}: {step}" for step in host.todo]
    if mode == EXPIRED:
        gone = sorted({name for host in hosts for name in host.expired})
        lines.append(f"Expired: {', '.join(gone)}. So all files are made anew before anything is restarted.")
    if dead:
        lines.append("No API server can be used: the hosts are claimed, and no gate is waited for.")
    return lines or ["nothing is due"]
