# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster for the tests of removals: any number of control planes, external etcd if asked for, workers, balancers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.removal import Inputs, Outcome, review

VIP = "192.0.2.100"
CA = "the cluster's CA"


@dataclass
class Removal:
    """What the modules tell. Everything is well until a test says otherwise."""

    planes: tuple[str, ...] = ("cp1", "cp2", "cp3")
    workers: tuple[str, ...] = ("w1", "w10")
    balancers: tuple[str, ...] = ("lb1", "lb2")
    etcd: tuple[str, ...] = ()
    leader: str = ""
    away: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    blank: set[str] = field(default_factory=set)
    unready: set[str] = field(default_factory=set)
    sick: set[str] = field(default_factory=set)
    nodeless: set[str] = field(default_factory=set)
    memberless: set[str] = field(default_factory=set)
    unlisted: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    quorum: bool = True
    ages: dict[str, float] = field(default_factory=dict)
    holder: str = "lb1"
    authorities: dict[str, str] = field(default_factory=dict)
    joining: set[str] = field(default_factory=set)
    more: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def lose(self, *names: str) -> Removal:
        """Machines that are dead for good, known to be so."""
        self.away.update(names)
        self.unready.update(names)
        self.sick.update(names)
        self.silent.update(names)
        return self

    def wipe(self, *names: str) -> Removal:
        """Machines that are dead, with a blank one under their name."""
        self.lose(*names)
        self.away.difference_update(names)
        self.blank.update(names)
        return self

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the etcd members."""
        return tuple(name for name in (self.etcd or self.planes) if name not in self.memberless)

    def groups(self) -> dict[str, list[str]]:
        """The inventory."""
        every = {"control_plane": self.planes, "worker": self.workers, "lb": self.balancers, "etcd": self.etcd}
        listed = {role: [name for name in names if name not in self.unlisted] for role, names in every.items()}
        return {role: [*names, *self.more.get(role, ())] for role, names in listed.items()}

    def address(self, name: str) -> str:
        """Of its own."""
        every = [
            *self.planes,
            *self.workers,
            *self.balancers,
            *self.etcd,
            *(name for names in self.more.values() for name in names),
        ]
        return f"192.0.2.{sorted(set(every)).index(name) + 1}"

    def look(self) -> dict[str, Any]:
        """node_info's `etcd`."""
        members = [
            {
                "id": f"id-{name}",
                "name": name,
                "peer_urls": [f"https://{self.address(name)}:2380"],
                "client_urls": [f"https://{self.address(name)}:2379"],
                "healthy": name not in self.sick,
                "leader": name == (self.leader or self.members[0]),
                "version": "3.6.16",
            }
            for name in self.members
        ]
        return {"etcd": {"cluster_id": "1", "linearizable": self.quorum, "members": members}}

    def facts(self, name: str) -> dict[str, Any]:
        """node_info's `node`."""
        holds = [{"interface": "eth0", "address": VIP, "prefix": 32}] if name == self.holder else []
        facts: dict[str, Any] = {"addresses": holds, "kubernetes": {}, "units": {}}
        every = (*self.planes, *self.workers, *self.balancers, *self.etcd)
        if name in self.blank or name not in every:
            return facts
        kubernetes: dict[str, Any] = {}
        if name in (*self.planes, *self.workers):
            kubernetes = {"kubelet_conf": {"server": f"https://{VIP}:6443", "ca_pem": self.authorities.get(name, CA)}}
        if name in self.planes:
            kubernetes |= {"ca_pem": self.authorities.get(name, CA), "manifests": {"kube-apiserver": "x:v1.36.3"}}
            kubernetes["etcd_servers"] = [f"https://{self.address(member)}:2379" for member in self.etcd]
        if name in self.members and name not in self.sick:
            facts["etcd"] = self.look()
            kubernetes["etcd_data"] = "present"
        if name in self.joining:
            kubernetes["marker"] = {"action": "join"}
        if name in self.etcd:
            kubernetes["etcd_ca_pem"] = "etcd's CA"
        if name in self.balancers:
            facts["units"] = {unit: {"active": "active"} for unit in ("haproxy", "keepalived")}
        return facts | {"kubernetes": kubernetes}

    def cluster(self) -> dict[str, Any]:
        """cluster_info's `cluster`."""
        names = [name for name in (*self.planes, *self.workers) if name not in self.nodeless]
        return {
            "nodes": [
                {
                    "name": name,
                    "role": "control_plane" if name in self.planes else "worker",
                    "ready": name not in self.unready,
                    "unschedulable": False,
                }
                for name in names
            ],
            "leases": {name: self.ages.get(name, 300.0 if name in self.unready else 3.0) for name in names},
        }

    def told_balancers(self) -> dict[str, Any]:
        """lb_backend's results."""
        servers = {name: {"up": True, "admin": "ready"} for name in self.planes}
        return {name: {"servers": {} if name in self.silent else servers} for name in self.balancers}

    def inputs(self, names: Iterable[str], **more: Any) -> Inputs:
        """As the action gives them."""
        named, groups = tuple(names), self.groups()
        looked = [*groups["lb"], *groups["control_plane"], *groups["etcd"]]
        looked += [name for name in (*named, more.get("replacement", "")) if name in groups["worker"]]
        lost = self.away | self.broken
        made = Inputs(
            names=named,
            groups=groups,
            addresses={name: self.address(name) for name in looked},
            hosts={name: self.facts(name) for name in looked if name not in lost},
            away={name: "no route to host" for name in looked if name in self.away},
            broken={name: "sudo: a password is required" for name in looked if name in self.broken},
            cluster=self.cluster(),
            live=frozenset(name for name in self.planes if name not in self.silent),
            vip=VIP,
            vip_live=True,
            balancers=self.told_balancers(),
        )
        return replace(made, **more)

    def ask(self, *names: str, **more: Any) -> Outcome:
        """The answer."""
        return review(self.inputs(names, **more))


def fatal(outcome: Outcome) -> list[str]:
    """What speaks against it."""
    return [finding.found for finding in outcome.findings if finding.level == "fatal"]


def parts(outcome: Outcome) -> Mapping[str, list[str]]:
    """The hosts of each group, without the groups' prefix."""
    found: dict[str, list[str]] = {}
    for entry in outcome.as_dict()["groups"]:
        for group in entry["groups"]:
            found.setdefault(group.removeprefix(f"kube_removal_{outcome.turn}_"), []).append(entry["name"])
    # Only those that are taken one after another have an order.
    return {part: names if part == "drain" else sorted(names) for part, names in found.items()}
