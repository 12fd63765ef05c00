"""Where every certificate lies, by what a host is."""

from __future__ import annotations

from itertools import combinations

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_pki, host_upgrade
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_places import (
    CA,
    CONTROL_PLANE,
    ETCD,
    KUBEADM,
    KUBECONFIG,
    LEAF,
    LOAD_BALANCER,
    MEMORY,
    NOBODY,
    ON_ETCD,
    ROLES,
    WORKER,
    Place,
    places,
)

STACKED = (CONTROL_PLANE, ETCD)
# `kubeadm certs renew --help` and `kubeadm certs check-expiration` of 1.36, with a stacked etcd.
RENEW = {
    "admin.conf", "apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "controller-manager.conf",
    "etcd-healthcheck-client", "etcd-peer", "etcd-server", "front-proxy-client", "scheduler.conf", "super-admin.conf",
}  # fmt: skip
AUTHORITIES = {"ca", "etcd-ca", "front-proxy-ca"}
COMBINATIONS = [roles for size in range(1, len(ROLES) + 1) for roles in combinations(ROLES, size)]


def by_name(*roles: str) -> dict[str, Place]:
    return {one.name: one for one in places(roles)}


def test_a_control_plane_with_stacked_etcd_has_all_that_kubeadm_has_and_the_kubelets() -> None:
    found = by_name(*STACKED)
    assert {name for name, one in found.items() if one.renewed_by == KUBEADM} == RENEW
    assert {name for name, one in found.items() if one.kind == CA} == AUTHORITIES
    rest = set(found) - RENEW - AUTHORITIES
    assert {name for name in rest if found[name].kind == MEMORY} == {"controller-manager-serving", "scheduler-serving"}
    assert {name for name in rest if found[name].kind != MEMORY} == {
        "kubelet.conf", "kubelet-client", "kubelet-serving", "kubelet-serving-self-signed",
    }  # fmt: skip


def test_a_control_plane_with_external_etcd_has_only_the_client_of_etcd_and_cannot_renew_it() -> None:
    found = by_name(CONTROL_PLANE)
    assert {name for name in found if "etcd" in name} == {"etcd-ca", "apiserver-etcd-client"}
    assert found["apiserver-etcd-client"].renewed_by == ON_ETCD
    assert found["apiserver-etcd-client"].restarts == ("kube-apiserver",)


def test_an_external_etcd_machine_has_what_the_role_etcd_makes_there() -> None:
    found = by_name(ETCD)
    made = {(phase, f"{path}.crt") for phase, path, _serves in etcd_pki.CERTIFICATES}
    assert {(one.phase, one.path) for one in found.values() if one.kind == LEAF} == made
    assert {name for name, one in found.items() if one.kind == CA} == {"etcd-ca"}
    # The role gives these two keys to etcd's group, and no other.
    assert {name for name, one in found.items() if one.key_mode == 0o640} == {"etcd-server", "etcd-peer"}
    assert {one.key_mode for one in places(STACKED)} == {0o600}
    assert {service for one in found.values() for service in one.restarts} == {"etcd"}


def test_a_worker_has_the_cluster_ca_and_the_kubelets_own() -> None:
    assert list(by_name(WORKER)) == [
        "ca", "kubelet.conf", "kubelet-client", "kubelet-serving", "kubelet-serving-self-signed"
    ]  # fmt: skip
    assert list(by_name(LOAD_BALANCER)) == ["haproxy-ca"]
    assert set(by_name(*STACKED, LOAD_BALANCER)) == set(by_name(*STACKED)) | {"haproxy-ca"}


def test_what_is_served_where() -> None:
    assert {(one.name, one.port) for one in places(STACKED, api_port=6444) if one.port} == {
        ("apiserver", 6444), ("etcd-server", 2379), ("etcd-peer", 2380), ("kubelet-serving", 10250),
        ("kubelet-serving-self-signed", 10250), ("controller-manager-serving", 10257), ("scheduler-serving", 10259),
    }  # fmt: skip


def test_all_that_an_upgrade_reads_is_in_the_table() -> None:
    paths = {one.path for one in places(STACKED)}
    assert {f"{host_upgrade.ETC}/{name}" for name in host_upgrade.KUBECONFIGS} <= paths
    assert host_upgrade.CLIENT_CERTIFICATE in paths


@pytest.mark.parametrize("roles", COMBINATIONS, ids="+".join)
def test_each_table_is_whole(roles: tuple[str, ...]) -> None:
    found = places(roles)
    names, paths = [one.name for one in found], [one.path for one in found if one.path]
    assert len(set(names)) == len(names)
    assert len(set(paths)) == len(paths)
    for one in found:
        # Whatever signs is in the table of the same host, before what it signs.
        assert not one.signer or names.index(one.signer) < names.index(one.name)
        assert bool(one.path) == (one.kind != MEMORY)
        assert one.kind != KUBECONFIG or one.key == one.path
        assert one.kind != CA or (one.renewed_by, one.signer) == (NOBODY, "")
        assert not one.unless or one.unless in names
        assert set(one.restarts) <= {
            "kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "kubelet", "haproxy"
        }  # fmt: skip


def test_the_key_lies_beside_the_certificate_or_with_it() -> None:
    found = by_name(*STACKED)
    assert found["etcd-peer"].key == "/etc/kubernetes/pki/etcd/peer.key"
    assert found["kubelet-client"].key == found["kubelet-client"].path
