# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""THE table of where every certificate of a cluster lies, by what the host is. Pure.

Who reads certificates and who renews them share it: what is not in it is neither reported nor renewed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

ETC = "/etc/kubernetes"
PKI = f"{ETC}/pki"
KUBELET_PKI = "/var/lib/kubelet/pki"

# What a host is. A control plane that is `etcd`, too, has it stacked; a host that is `etcd` alone has it as a service.
CONTROL_PLANE, WORKER, ETCD, LOAD_BALANCER = "control_plane", "worker", "etcd", "load_balancer"
ROLES = (CONTROL_PLANE, WORKER, ETCD, LOAD_BALANCER)

# What is at the path. Of what is served from memory there is no file.
CA, LEAF, KUBECONFIG, MEMORY = "ca", "leaf", "kubeconfig", "memory"

# Who makes it anew. ON_ETCD: kubeadm on a machine of the external etcd, which has the CA; from there it is carried.
KUBEADM, KUBELET, ON_ETCD, NOBODY = "kubeadm", "kubelet", "etcd", "nobody"

API_SERVER, CONTROLLER_MANAGER, SCHEDULER = "kube-apiserver", "kube-controller-manager", "kube-scheduler"
API_PORT, ETCD_PORT, ETCD_PEER_PORT, KUBELET_PORT = 6443, 2379, 2380, 10250
CONTROLLER_MANAGER_PORT, SCHEDULER_PORT = 10257, 10259


@dataclass(frozen=True)
class Place:
    """One certificate of one host.

    name: as `kubeadm certs renew` and `kubeadm certs check-expiration` call it, where they know it.
    path: its file; "" when it is only in memory.
    signer: the name of the CA; "" = itself.
    port: where it is served, 0 = nowhere.
    renewed_by: whoever makes a new one with the same CA.
    phase: that of `kubeadm init phase certs`, or `kubeconfig`, which makes it from nothing.
    restarts: static pods, or services, that go on with the old one until they are restarted, as kubeadm's guide has it.
    rereads: these do take a new one by themselves, if not at once; tests/integration/test_certificate_info.py.
    optional: a host may well be without it.
    unless: the name of another place; where that has a file, this one's is a leftover.
    key_mode: what its key, or the kubeconfig, may be set to at most.
    """

    name: str
    kind: str
    path: str = ""
    signer: str = ""
    port: int = 0
    renewed_by: str = NOBODY
    phase: str = ""
    restarts: tuple[str, ...] = ()
    rereads: bool = False
    optional: bool = False
    unless: str = ""
    key_mode: int = 0o600

    @property
    def key(self) -> str:
        """The file with its private key: beside it, or the same one."""
        return key_of(self.path)


def key_of(path: str) -> str:
    """Where the key of the certificate at a path lies."""
    return f"{path[: -len('.crt')]}.key" if path.endswith(".crt") else path


def _ca(name: str, path: str) -> Place:
    return Place(name, CA, path, phase=name)


def _leaf(name: str, path: str, signer: str, user: str = "", port: int = 0) -> Place:
    return Place(name, LEAF, path, signer, port, KUBEADM, name, (user,) if user else (), rereads=port > 0)


def _kubeconfig(name: str, phase: str, user: str = "", optional: bool = False) -> Place:
    restarts = (user,) if user else ()
    return Place(name, KUBECONFIG, f"{ETC}/{name}", "ca", 0, KUBEADM, phase, restarts, optional=optional)


CLUSTER_CA = _ca("ca", f"{PKI}/ca.crt")
FRONT_PROXY_CA = _ca("front-proxy-ca", f"{PKI}/front-proxy-ca.crt")
ETCD_CA = _ca("etcd-ca", f"{PKI}/etcd/ca.crt")
API_ETCD_CLIENT = _leaf("apiserver-etcd-client", f"{PKI}/apiserver-etcd-client.crt", "etcd-ca", API_SERVER)

OF_CONTROL_PLANES = (
    CLUSTER_CA,
    FRONT_PROXY_CA,
    _leaf("apiserver", f"{PKI}/apiserver.crt", "ca", API_SERVER, API_PORT),
    _leaf("apiserver-kubelet-client", f"{PKI}/apiserver-kubelet-client.crt", "ca", API_SERVER),
    _leaf("front-proxy-client", f"{PKI}/front-proxy-client.crt", "front-proxy-ca", API_SERVER),
    _kubeconfig("admin.conf", "admin"),
    # Only where the cluster was begun.
    _kubeconfig("super-admin.conf", "super-admin", optional=True),
    _kubeconfig("controller-manager.conf", "controller-manager", CONTROLLER_MANAGER),
    _kubeconfig("scheduler.conf", "scheduler", SCHEDULER),
    # Signed by nobody, made anew at each start; whoever asks for metrics there cannot verify it.
    Place("controller-manager-serving", MEMORY, port=CONTROLLER_MANAGER_PORT, restarts=(CONTROLLER_MANAGER,)),
    Place("scheduler-serving", MEMORY, port=SCHEDULER_PORT, restarts=(SCHEDULER,)),
)
# The same paths with stacked and with external etcd. etcd reads its files anew at each connection.
OF_ETCD = (
    ETCD_CA,
    _leaf("etcd-server", f"{PKI}/etcd/server.crt", "etcd-ca", "etcd", ETCD_PORT),
    _leaf("etcd-peer", f"{PKI}/etcd/peer.crt", "etcd-ca", "etcd", ETCD_PEER_PORT),
    # Read by each probe, so nothing has to restart.
    _leaf("etcd-healthcheck-client", f"{PKI}/etcd/healthcheck-client.crt", "etcd-ca"),
)
OF_NODES = (
    # It names the kubelet's own certificate, or has one inside, as kubeadm makes it; that one nobody renews.
    Place("kubelet.conf", KUBECONFIG, f"{ETC}/kubelet.conf", "ca", phase="kubelet", restarts=("kubelet",)),
    Place("kubelet-client", LEAF, f"{KUBELET_PKI}/kubelet-client-current.pem", "ca", 0, KUBELET, "", ("kubelet",)),
    # With serverTLSBootstrap, signed by the cluster's CA.
    Place(
        "kubelet-serving",
        LEAF,
        f"{KUBELET_PKI}/kubelet-server-current.pem",
        "ca",
        KUBELET_PORT,
        KUBELET,
        restarts=("kubelet",),
        optional=True,
    ),
    # Without it the kubelet signs one for itself, for a year, and never makes another while the file is there.
    Place(
        "kubelet-serving-self-signed",
        LEAF,
        f"{KUBELET_PKI}/kubelet.crt",
        port=KUBELET_PORT,
        restarts=("kubelet",),
        optional=True,
        unless="kubelet-serving",
    ),
)
# With these HAProxy verifies the API servers.
OF_BALANCERS = (Place("haproxy-ca", CA, "/etc/haproxy/kube-ca.crt", restarts=("haproxy",)),)


def places(roles: Collection[str], api_port: int = API_PORT) -> tuple[Place, ...]:
    """Every certificate of a host, CAs before what they sign. api_port: the API server's own, not the balancers'."""
    external = ETCD in roles and CONTROL_PLANE not in roles
    found: list[Place] = []
    if CONTROL_PLANE in roles:
        found += [replace(one, port=api_port) if one.name == "apiserver" else one for one in OF_CONTROL_PLANES]
        found += [API_ETCD_CLIENT] if ETCD in roles else [ETCD_CA, replace(API_ETCD_CLIENT, renewed_by=ON_ETCD)]
    elif WORKER in roles:
        found.append(CLUSTER_CA)
    if ETCD in roles:
        found += [_of_service(one) for one in OF_ETCD] if external else OF_ETCD
    if external:
        # Made here, since the CA's key is here; no API server runs beside it.
        found.append(replace(API_ETCD_CLIENT, restarts=()))
    if CONTROL_PLANE in roles or WORKER in roles:
        found += OF_NODES
    if LOAD_BALANCER in roles:
        found += OF_BALANCERS
    return tuple(sorted(found, key=lambda one: one.kind != CA))


def _of_service(place: Place) -> Place:
    """An external etcd runs as its own user, whose group may read the two keys that it serves with."""
    return replace(place, key_mode=0o640) if place.port else place
