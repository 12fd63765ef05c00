# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster as it is found, compared with how it should be: after a run, and in the moment after a kill. Pure.

A look is what machine_look.py tells of each machine, by name; `api` is what the API tells.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes

Looks = Mapping[str, Mapping[str, Any]]
PKI = "/etc/kubernetes/pki"
CA, ETCD_CA, FRONT_CA = f"{PKI}/ca.crt", f"{PKI}/etcd/ca.crt", f"{PKI}/front-proxy-ca.crt"
LB_CA = "/etc/haproxy/kube-ca.crt"
AUTHORITIES = (CA, ETCD_CA, FRONT_CA, LB_CA)
ISSUERS = {f"{PKI}/apiserver-etcd-client.crt": ETCD_CA, f"{PKI}/front-proxy-client.crt": FRONT_CA}
API_SERVER = "/etc/kubernetes/manifests/kube-apiserver.yaml"
ETCD_MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"
# With whom a member began: true when it joined, and read no more.
INITIAL = re.compile(r"^\s*- --initial-cluster(-state)?=.*\n", re.MULTILINE)
CORDONED = "quorum.kubeadm/cordoned"
# The kubelet says what it thinks of the moment, and it says so late.
PASSING_TAINTS = ("node.kubernetes.io/",)


@dataclass
class Tolerance:
    """What serves, and how much of it may fail."""

    voters: int = 0
    healthy: int = 0
    learners: int = 0
    servers: int = 0

    def __str__(self) -> str:
        learner = f", {self.learners} learner" if self.learners else ""
        return f"etcd {self.healthy} of {self.voters}{learner}, {self.servers} API servers"


@dataclass
class End:
    """How a run ended. same: what every such run has to end with; kept: what is no other's, by machine and thing."""

    same: dict[str, Any] = field(default_factory=dict)
    kept: dict[str, dict[str, str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def listed(looks: Looks) -> list[Mapping[str, Any]]:
    """etcd's members, as one who knows them tells."""
    told = [look["members"]["members"] for look in looks.values() if look["members"]]
    return max(told, key=len) if told else []


def tolerance(looks: Looks) -> Tolerance:
    """Count the voters and those of them that answer a linearizable read, the learners, the API servers."""
    members = listed(looks)
    voters = [str(member.get("name", "")) for member in members if not member.get("isLearner")]
    healthy = [name for name in voters if name in looks and looks[name]["healthy"]]
    servers = [name for name, look in looks.items() if API_SERVER in look["configs"] and look["serves"]]
    return Tolerance(len(voters), len(healthy), len(members) - len(voters), len(servers))


def unsafe(looks: Looks, servers: int, begun: bool) -> list[str]:
    """What must never be, not even when a run has just been killed. begun: whether there must be a cluster.

    servers: so many API servers have to serve, whatever the run was about to do.
    """
    now = tolerance(looks)
    found = list(two(looks))
    if (begun or now.voters) and now.healthy < now.voters // 2 + 1:
        found.append(f"etcd has {now.healthy} healthy of {now.voters} voters")
    if now.learners > 1:
        found.append(f"etcd has {now.learners} learners")
    if now.servers < servers:
        found.append(f"{now.servers} API servers serve, {servers} should")
    return found


def two(looks: Looks) -> Iterable[str]:
    """Two clusters, or two CAs, where there must be one."""
    clusters = {look["members"]["header"]["cluster_id"] for look in looks.values() if look["members"]}
    if len(clusters) > 1:
        yield f"{len(clusters)} clusters of etcd"
    prints = [
        {fingerprint(pem) for path, pem in each(looks) if path in same}
        for same in ((CA, LB_CA), (ETCD_CA,), (FRONT_CA,))
    ]
    for name, found in zip(("", " of etcd", " of the front proxy"), prints, strict=True):
        if len(found) > 1:
            yield f"{len(found)} CAs{name}"


def each(looks: Looks) -> Iterable[tuple[str, str]]:
    """Every certificate of every machine."""
    return [item for look in looks.values() for item in look["certificates"].items()]


def fingerprint(pem: str) -> str:
    """A certificate's fingerprint."""
    return x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256()).hex()


def identity(pem: str) -> str:
    """What a certificate says of its holder, without what is new each time it is made."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    try:
        value = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = sorted(str(name.value) for name in value)
    except x509.ExtensionNotFound:
        names = []
    return f"{certificate.subject.rfc4514_string()} by {certificate.issuer.rfc4514_string()}: {', '.join(names)}"


def issuer_of(path: str) -> str:
    """By which CA the certificate in this file has to be."""
    return ISSUERS.get(path, ETCD_CA if path.startswith(f"{PKI}/etcd/") else CA)


def unverified(looks: Looks) -> list[str]:
    """Certificates that their CA has not signed. A machine may lack the CA, which is then another one's."""
    authorities = {path: pem for path, pem in each(looks) if path in AUTHORITIES}
    found = []
    for name, look in looks.items():
        for path, pem in look["certificates"].items():
            if path not in AUTHORITIES and not signed(pem, authorities.get(issuer_of(path), "")):
                found.append(f"{name}: {path} is not by {issuer_of(path)}")
    return found


def signed(pem: str, authority: str) -> bool:
    """Whether this CA has signed the certificate."""
    if not authority:
        return False
    try:
        x509.load_pem_x509_certificate(pem.encode()).verify_directly_issued_by(
            x509.load_pem_x509_certificate(authority.encode())
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def machine(look: Mapping[str, Any]) -> dict[str, Any]:
    """What is the same after every such run on one machine."""
    configs = {path: INITIAL.sub("", text) if path == ETCD_MANIFEST else text for path, text in look["configs"].items()}
    return {
        "certificates": {
            path: identity(pem) for path, pem in look["certificates"].items() if path not in AUTHORITIES
        },
        "configs": {path: hashlib.sha256(text.encode()).hexdigest() for path, text in configs.items()},
        **{part: look[part] for part in ("files", "left", "busy", "services", "data", "backends")},
        "API server": look["serves"],
    }  # fmt: skip


def node(found: Mapping[str, Any]) -> dict[str, Any]:
    """What is the same of a Node."""
    spec, status, metadata = found["spec"], found["status"], found["metadata"]
    taints = [f"{one['key']}:{one['effect']}" for one in spec.get("taints", [])]
    return {
        "ready": any(one["type"] == "Ready" and one["status"] == "True" for one in status["conditions"]),
        "version": status["nodeInfo"]["kubeletVersion"],
        "cordoned": bool(spec.get("unschedulable")) or CORDONED in metadata.get("annotations", {}),
        "taints": sorted(taint for taint in taints if not taint.startswith(PASSING_TAINTS)),
        "labels": metadata.get("labels", {}),
        "addresses": sorted(one["address"] for one in status["addresses"]),
    }


def end(looks: Looks, api: Mapping[str, Any]) -> End:
    """How it ended. api: items (Nodes and Leases) and secrets (the names of those in kube-system)."""
    members = listed(looks)
    leases = [one for one in api["items"] if one["kind"] == "Lease"]
    held = [one["spec"].get("holderIdentity") for one in leases if one["metadata"]["name"] == "quorum-kubeadm"]
    same = {
        "members": sorted(
            f"{one.get('name') or 'never started'} {'learner' if one.get('isLearner') else 'voter'}" for one in members
        ),
        "nodes": {one["metadata"]["name"]: node(one) for one in api["items"] if one["kind"] == "Node"},
        "leases": sorted(
            one["metadata"]["name"] for one in leases if one["metadata"]["namespace"] == "kube-node-lease"
        ),
        "run lock": [who for who in held if who],
        "secrets": sorted(name for name in api["secrets"] if name.startswith(("bootstrap-token", "kubeadm-certs"))),
        "etcd's claims": sorted({key for look in looks.values() for key in look["claims"]}),
        "VIP": sum(look["vip"] for look in looks.values()),
        "machines": {name: machine(look) for name, look in looks.items()},
    }
    kept = {
        name: {path: fingerprint(pem) for path, pem in look["certificates"].items()} for name, look in looks.items()
    }
    for one in members:
        kept.get(one.get("name", ""), {})["etcd member"] = one["ID"]
    return End(same, kept, [*two(looks), *unverified(looks)])


def differences(want: object, got: object, where: str = "") -> list[str]:
    """What is not as it should be: where, what was wanted, what was found."""
    if isinstance(want, Mapping) and isinstance(got, Mapping):
        keys = sorted({*want, *got})
        return [found for key in keys for found in differences(want.get(key), got.get(key), f"{where} {key}".strip())]
    if isinstance(want, list) and isinstance(got, list):
        less, more = [one for one in want if one not in got], [one for one in got if one not in want]
        return [f"{where}: lacks {less}, has {more}"] if less or more or len(want) != len(got) else []
    return [] if want == got else [f"{where}: {got!r} instead of {want!r}"]


def changed(before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]], touched: str) -> list[str]:
    """What is another one than before on machines that the run is not about."""
    return [
        f"{name}: another {thing}" if now.get(name, {}).get(thing) else f"{name}: no {thing} any more"
        for name, things in before.items() if name != touched
        for thing, value in things.items() if now.get(name, {}).get(thing) != value
    ]  # fmt: skip
