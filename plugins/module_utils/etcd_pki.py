# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates of an external etcd, where stacked etcd has them: what is there, what kubeadm makes, who reads it.

A CA that is there is never replaced. A certificate is made again only when it lacks a name that it shall have; etcd
reads its certificates from their files at every connection, so that takes no restart.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any, Protocol

from .errors import InputError, RefusedError
from .kubeadm_run import NodeIo, Plan, Secrets, Step, apply_plan, kind_of
from .pki import certificates, names_of, same_ca

PKI = "/etc/kubernetes/pki"
CA = f"{PKI}/etcd/ca"
# kubeadm's phase, the files that it makes, and whether etcd itself serves with them.
CERTIFICATES = (
    ("etcd-server", f"{PKI}/etcd/server", True),
    ("etcd-peer", f"{PKI}/etcd/peer", True),
    ("etcd-healthcheck-client", f"{PKI}/etcd/healthcheck-client", False),
    ("apiserver-etcd-client", f"{PKI}/apiserver-etcd-client", False),
)
ACTIONS = ("etcd_ca", "etcd_certs")
# kubeadm's own names of every etcd server and peer, besides the host's name and address.
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


class PkiIo(NodeIo, Protocol):
    """The node as this file needs it."""

    def group_id(self, name: str) -> int | None: ...

    def access(self, path: str) -> tuple[int, int]: ...

    def grant(self, path: str, group: int | None, mode: int) -> None: ...

    def belong_together(self, cert: str, key: str) -> bool: ...


@dataclass(frozen=True)
class Pair:
    """The CA that was given, in PEM; "" when none was."""

    cert: str = ""
    key: str = field(default="", repr=False)


@dataclass(frozen=True)
class Grant:
    """Who may read a file besides root: a group (empty: root's own), and by which mode.

    fresh: the file comes with this very call, so that this is a part of making it.
    """

    path: str
    group: str
    mode: int
    fresh: bool = False

    @property
    def does(self) -> str:
        """In plain words."""
        return f"set {self.path} to {self.mode:04o} root:{self.group or 'root'}"


@dataclass(frozen=True)
class EtcdPlan:
    """The CA's files to write, kubeadm's commands, and then who may read what."""

    kubeadm: Plan
    takes_ca: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()

    def steps(self) -> list[str]:
        """In plain words, in their order."""
        taken = [f"write {path}, as it was given" for path in self.takes_ca]
        return (
            taken
            + [step.does for step in self.kubeadm.steps]
            + [grant.does for grant in self.grants if not grant.fresh]
        )


def wanted_names(documents: list[dict[str, Any]]) -> set[str]:
    """The names and addresses that etcd's server and peer certificates shall have."""
    init, cluster = kind_of(documents, "InitConfiguration") or {}, kind_of(documents, "ClusterConfiguration") or {}
    local = (cluster.get("etcd") or {}).get("local") or {}
    own = (init["nodeRegistration"]["name"], init["localAPIEndpoint"]["advertiseAddress"])
    return {_same_form(name) for name in (*LOCAL_NAMES, *own, *local.get("serverCertSANs", []))}


def _same_form(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def make_etcd_plan(io: PkiIo, action: str, documents: list[dict[str, Any]], given: Pair, group: str = "") -> EtcdPlan:
    """What is left to do. group: whoever is in it may read the keys that etcd serves with."""
    takes = _take_ca(io, given) if given.cert or given.key else ()
    makes_ca = action == "etcd_ca" and not takes and not _has_ca(io)
    if action == "etcd_ca":
        step = Step(("init", "phase", "certs", "etcd-ca"), "make etcd's CA")
        plan = Plan(action, (step,) if makes_ca else ())
        return EtcdPlan(plan, takes, _grants(io, [(f"{CA}.crt", "", 0o644)], {f"{CA}.crt"} if makes_ca else {*takes}))
    if not takes and not _has_ca(io):
        raise RefusedError(
            "etcd's CA is not on this host",
            where=f"{CA}.crt, {CA}.key",
            next_step="run the role's entry point ca on etcd_ca_host first",
        )
    steps = _certificate_steps(io, wanted_names(documents))
    made = {phase: path for phase, path, _serves in CERTIFICATES}
    served = [path for _phase, path, serves in CERTIFICATES if serves]
    public = [(f"{path}.crt", "", 0o644) for path in (CA, *served)]
    keys = [(f"{path}.key", group, 0o640) for path in served] if group else []
    fresh = {*takes, *(f"{made[step.words[-1]]}.{end}" for step in steps for end in ("crt", "key"))}
    return EtcdPlan(Plan(action, steps), takes, _grants(io, public + keys, fresh))


def _has_ca(io: PkiIo) -> bool:
    cert, key = io.exists(f"{CA}.crt"), io.exists(f"{CA}.key")
    if cert != key:
        raise RefusedError(
            "etcd's CA is on this host by half",
            where=f"{CA}.crt, {CA}.key",
            found=f"only {'the certificate' if cert else 'the key'}",
            next_step="bring the other half, or give both as etcd_ca_cert and etcd_ca_key",
        )
    return cert


def _take_ca(io: PkiIo, given: Pair) -> tuple[str, ...]:
    """The files to write. Another CA that is there already is refused: every certificate would have to change."""
    if not certificates(given.cert) or not io.belong_together(given.cert, given.key):
        raise InputError(
            "etcd's CA that was given cannot be used",
            where="etcd_ca_cert, etcd_ca_key",
            found="not a certificate and its own key, both in PEM and the key without a passphrase",
            next_step="give both of the same CA, or neither",
        )
    if io.exists(f"{CA}.crt") and not same_ca(io.read(f"{CA}.crt"), given.cert):
        raise RefusedError(
            "another CA of etcd is on this host; nothing was changed",
            where=f"{CA}.crt",
            found="it differs from the one that was given",
            next_step="leave etcd_ca_cert and etcd_ca_key as they were when the cluster was made",
        )
    return tuple(path for path in (f"{CA}.key", f"{CA}.crt") if not io.exists(path))


def _certificate_steps(io: PkiIo, names: set[str]) -> tuple[Step, ...]:
    steps = []
    for phase, path, serves in CERTIFICATES:
        pair = (f"{path}.crt", f"{path}.key")
        whole = all(io.exists(file) for file in pair)
        lacking = sorted(names - names_of(io.read(pair[0]))) if whole and serves else []
        if whole and not lacking:
            continue
        why = f", which lacks {', '.join(lacking)}" if lacking else ""
        # kubeadm keeps what it finds, and refuses what lacks a name.
        present = tuple(file for file in pair if io.exists(file))
        steps.append(Step(("init", "phase", "certs", phase), f"make the certificate {phase}{why}", present))
    return tuple(steps)


def _grants(io: PkiIo, wanted: list[tuple[str, str, int]], fresh: set[str]) -> tuple[Grant, ...]:
    """Those that are not as they shall be, and those of files that come now."""
    found = []
    for path, group, mode in wanted:
        there = io.access(path) if io.exists(path) and path not in fresh else None
        if path in fresh or (there and there != ((io.group_id(group) if group else 0), mode)):
            found.append(Grant(path, group, mode, path in fresh))
    return tuple(found)


def apply_etcd_plan(
    io: PkiIo, plan: EtcdPlan, documents: list[dict[str, Any]], given: Pair, timeout: float
) -> list[str]:
    """Write, run, grant; the tail of kubeadm's output."""
    for path in plan.takes_ca:
        io.write(path, (given.key if path.endswith(".key") else given.cert).strip() + "\n", 0o600)
    output = apply_plan(io, plan.kubeadm, documents, Secrets(), timeout)
    for grant in plan.grants:
        number = io.group_id(grant.group) if grant.group else 0
        if number is None:
            raise InputError(
                "there is no such group", where=grant.path, found=grant.group, next_step="run the role's main first"
            )
        io.grant(grant.path, number, grant.mode)
    return output
