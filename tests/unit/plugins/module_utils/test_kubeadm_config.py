"""kubeadm's documents from inputs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import kubeadm_config as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError

AUDIT = {"max_age_days": 30, "max_backups": 10, "max_size_mb": 100}


def cluster(**changes: Any) -> subject.ClusterInputs:
    values = {
        "version": "1.36.3",
        "vip": "192.0.2.100",
        "api_port": 6443,
        "pod_cidr": "10.244.0.0/16",
        "service_cidr": "10.96.0.0/12",
        "cert_sans": ["192.0.2.100", "localhost", "192.0.2.100"],
        "audit": AUDIT,
    }
    return subject.cluster_inputs({**values, **changes})


def node(**changes: Any) -> subject.NodeInputs:
    return subject.node_inputs({"name": "cp1", "address": "192.0.2.11", **changes})


def args(component: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["value"] for item in component["extraArgs"]}


def by_kind(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {document["kind"]: document for document in documents}


def test_init_has_all_four_documents_and_the_vip_as_endpoint() -> None:
    documents = by_kind(subject.init_documents(cluster(), node()))
    assert set(documents) == {
        "InitConfiguration",
        "ClusterConfiguration",
        "KubeletConfiguration",
        "KubeProxyConfiguration",
    }
    assert documents["ClusterConfiguration"]["controlPlaneEndpoint"] == "192.0.2.100:6443"
    assert documents["ClusterConfiguration"]["kubernetesVersion"] == "v1.36.3"
    assert documents["InitConfiguration"]["localAPIEndpoint"] == {"advertiseAddress": "192.0.2.11", "bindPort": 6443}


def test_hardening_is_on_by_default() -> None:
    documents = by_kind(subject.init_documents(cluster(), node()))
    configuration = documents["ClusterConfiguration"]
    for component in ("apiServer", "controllerManager", "scheduler"):
        assert args(configuration[component])["profiling"] == "false"
    api = args(configuration["apiServer"])
    assert api["audit-policy-file"] == subject.AUDIT_POLICY
    assert api["audit-log-maxage"] == "30"
    assert api["encryption-provider-config"] == subject.ENCRYPTION_CONFIG
    mounts = {volume["hostPath"]: volume["readOnly"] for volume in configuration["apiServer"]["extraVolumes"]}
    assert mounts == {subject.AUDIT_POLICY: True, subject.AUDIT_LOG_DIR: False, subject.ENCRYPTION_CONFIG: True}
    assert documents["KubeletConfiguration"]["readOnlyPort"] == 0


def test_audit_and_encryption_can_be_turned_off() -> None:
    configuration = subject.cluster_configuration(cluster(audit={}, encryption_at_rest=False))
    assert set(args(configuration["apiServer"])) == {"profiling", "shutdown-watch-termination-grace-period"}
    assert "extraVolumes" not in configuration["apiServer"]


def test_a_users_flag_wins_over_ours() -> None:
    configuration = subject.cluster_configuration(cluster(api_server_args={"profiling": True, "v": 2}))
    assert args(configuration["apiServer"])["profiling"] == "true"
    assert args(configuration["apiServer"])["v"] == "2"


def test_cert_sans_are_each_there_once() -> None:
    assert subject.cluster_configuration(cluster())["apiServer"]["certSANs"] == ["192.0.2.100", "localhost"]


def test_stacked_etcd_is_the_default_and_external_replaces_it() -> None:
    assert subject.cluster_configuration(cluster(etcd_image_tag="3.6.16-0"))["etcd"] == {
        "local": {"dataDir": "/var/lib/etcd", "imageTag": "3.6.16-0"}
    }
    external = {"endpoints": ["https://192.0.2.61:2379"], "caFile": "/a", "certFile": "/b", "keyFile": "/c"}
    assert subject.cluster_configuration(cluster(etcd_external=external))["etcd"] == {"external": external}


def test_cluster_dns_is_the_tenth_address() -> None:
    assert subject.cluster_dns("10.96.0.0/12") == "10.96.0.10"
    assert subject.cluster_dns("172.20.4.0/22,fd00::/112") == "172.20.4.10"


def test_labels_and_taints_reach_the_registration() -> None:
    taint = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
    [join] = subject.join_documents(
        "192.0.2.100:6443", "sha256:00", node(labels={"b": "2", "a": "1"}, taints=[taint]), control_plane=False
    )
    registration = join["nodeRegistration"]
    assert {item["name"]: item["value"] for item in registration["kubeletExtraArgs"]}["node-labels"] == "a=1,b=2"
    assert registration["taints"] == [taint]
    assert "controlPlane" not in join


def test_taints_unset_leaves_kubeadms_default_and_empty_means_none() -> None:
    [unset] = subject.join_documents("v:6443", "sha256:00", node(), control_plane=True)
    [none] = subject.join_documents("v:6443", "sha256:00", node(taints=[]), control_plane=True)
    assert "taints" not in unset["nodeRegistration"]
    assert none["nodeRegistration"]["taints"] == []


def test_a_join_without_a_pinned_ca_cannot_be_built() -> None:
    for ca_hash in ("", "00ff", "md5:00"):
        with pytest.raises(InputError, match="hash of the cluster's CA"):
            subject.join_documents("v:6443", ca_hash, node(), control_plane=False)


def test_a_joining_control_plane_advertises_its_own_address() -> None:
    [join] = subject.join_documents("v:6443", "sha256:00", node(bind_port=7443), control_plane=True)
    assert join["controlPlane"]["localAPIEndpoint"] == {"advertiseAddress": "192.0.2.11", "bindPort": 7443}


def test_unknown_and_missing_inputs_are_named() -> None:
    with pytest.raises(InputError, match="verison"):
        subject.cluster_inputs({"verison": "1.36.3"})
    with pytest.raises(InputError, match="address"):
        subject.node_inputs({"name": "cp1"})


@given(st.dictionaries(st.text("abc-", min_size=1, max_size=8), st.text(max_size=20), max_size=6))
def test_the_same_flags_in_any_order_give_the_same_document(flags: dict[str, str]) -> None:
    reordered = dict(reversed(list(flags.items())))
    assert subject.cluster_configuration(cluster(api_server_args=flags)) == subject.cluster_configuration(
        cluster(api_server_args=reordered)
    )
