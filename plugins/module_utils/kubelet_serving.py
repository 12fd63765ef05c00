# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""May a kubelet have this serving certificate? Pure: what was asked for and what the inventory knows, to reasons.

A node that was broken into can ask for any name under its own account. So nothing that a node says of itself counts,
its Node object's addresses least of all: only the inventory says which names and addresses are whose.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import InputError

SIGNER = "kubernetes.io/kubelet-serving"
PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
USER = "system:node:"
ORGANIZATION = "system:nodes"
GROUPS = frozenset({ORGANIZATION, "system:authenticated"})
# With an RSA key a kubelet asks for the second one as well.
USAGES = (
    frozenset({"digital signature", "server auth"}),
    frozenset({"digital signature", "key encipherment", "server auth"}),
)
CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
LEAST_RSA = 2048
SHOWN = 80
DECIDED = ("Approved", "Denied", "Failed")
Object = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """A PKCS#10 request, parsed. subject: (attribute, value) in order; others: kinds of names that are neither.

    addresses: packed, 4 or 16 bytes, as they stand in the request. extensions: object identifiers beside the names.
    """

    subject: tuple[tuple[str, str], ...]
    names: tuple[str, ...] = ()
    addresses: tuple[bytes, ...] = ()
    others: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    key: str = ""
    bits: int = 0
    signed: bool = False


@dataclass(frozen=True)
class Asked:
    """A CertificateSigningRequest: who asks, by the API server's word, and for what. request None: it is damaged."""

    name: str
    user: str
    groups: tuple[str, ...]
    usages: tuple[str, ...]
    request: Request | None

    @property
    def node(self) -> str:
        """The node whose kubelet asks, "" when it is none."""
        return self.user[len(USER) :] if self.user.startswith(USER) else ""


@dataclass(frozen=True)
class Machine:
    """What the inventory says a node may be called."""

    names: frozenset[str]
    addresses: frozenset[bytes]


def machines(given: Mapping[str, Collection[str]]) -> dict[str, Machine]:
    """Node to names and addresses; the node's own name is among them. What two nodes would share is refused."""
    found: dict[str, Machine] = {}
    owners: dict[str | bytes, str] = {}
    for node, values in sorted(given.items()):
        names: set[str] = {node}
        addresses: set[bytes] = set()
        for value in values:
            try:
                addresses.add(ipaddress.ip_address(value).packed)
            except ValueError:
                names.add(str(value))
        every: list[str | bytes] = [*names, *addresses]
        for one in every:
            if owners.setdefault(one, node) != node:
                raise InputError(
                    "two nodes would have the same name or address in their certificates",
                    where=f"{owners[one]} and {node}",
                    found=str(one) if isinstance(one, str) else str(ipaddress.ip_address(one)),
                    next_step="give each node what is its own alone",
                )
        found[node] = Machine(frozenset(names), frozenset(addresses))
    return found


def pending(csr: Object) -> bool:
    """Whether it is for a kubelet's serving certificate and nobody has decided about it."""
    status = csr.get("status") or {}
    decided = any(one.get("type") in DECIDED for one in status.get("conditions") or [])
    return csr["spec"].get("signerName") == SIGNER and not decided and not status.get("certificate")


def reasons(asked: Asked, known: Mapping[str, Machine], nodes: Collection[str]) -> list[str]:
    """Why it may not be approved; empty when it may. nodes: the names of the cluster's Node objects."""
    machine = known.get(asked.node)
    if machine is None:
        return [f"the requester {_shown(asked.user)} is the kubelet of no node of the inventory"]
    found = []
    if asked.node not in nodes:
        found.append(f"the cluster has no node {asked.node}")
    if set(asked.groups) != GROUPS:
        found.append(f"the requester's groups are {_listed(asked.groups)}")
    if frozenset(asked.usages) not in USAGES or len(set(asked.usages)) != len(asked.usages):
        found.append(f"usages {_listed(asked.usages)}")
    if asked.request is None:
        return [*found, "the request cannot be read, or is more than one"]
    return found + _of_request(asked.request, asked.user, machine)


def _of_request(request: Request, user: str, machine: Machine) -> list[str]:
    found = []
    if sorted(request.subject) != [("CN", user), ("O", ORGANIZATION)]:
        found.append(f"subject {_listed(f'{kind}={value}' for kind, value in request.subject)}")
    if not request.names and not request.addresses:
        found.append("neither a DNS name nor an address")
    foreign = [_shown(name) for name in request.names if name not in machine.names]
    foreign += [_address(packed) for packed in request.addresses if packed not in machine.addresses]
    if foreign:
        found.append(f"not the node's: {_listed(foreign)}")
    if request.others:
        found.append(f"names of other kinds: {_listed(request.others)}")
    if request.extensions:
        found.append(f"extensions {_listed(request.extensions)}")
    if not (request.key in CURVES or (request.key == "rsa" and request.bits >= LEAST_RSA)):
        found.append(f"a key of {request.bits} bits ({_shown(request.key)})")
    if not request.signed:
        found.append("it is not signed with its own key")
    return found


def _address(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed)) if len(packed) in (4, 16) else f"an address of {len(packed)} bytes"


def _shown(value: str) -> str:
    """What a stranger wrote, on one line."""
    return ascii(value)[:SHOWN]


def _listed(values: Any) -> str:
    listed = [str(value) for value in values]
    more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
    return (", ".join(ascii(value)[1:-1][:SHOWN] for value in listed[:5]) or "none") + more


def approval(csr: Object, by: str) -> dict[str, Any]:
    """The patch that approves this request, as it was read and no other."""
    return _decision(csr, "Approved", "MatchesInventory", f"{by}: requester and names are those of the inventory")


def denial(csr: Object, why: list[str], by: str) -> dict[str, Any]:
    """The patch that denies it."""
    return _decision(csr, "Denied", "NotTheInventory", f"{by}: {'; '.join(why)}"[:500])


def _decision(csr: Object, kind: str, reason: str, message: str) -> dict[str, Any]:
    metadata = csr["metadata"]
    conditions = [*((csr.get("status") or {}).get("conditions") or [])]
    decided = {"type": kind, "status": "True", "reason": reason, "message": message}
    return {
        "metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
        "status": {"conditions": [*conditions, decided]},
    }
