"""node_info's `upgrade` as value objects: everything may be missing."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.upgrade_facts import (
    KubeletFacts,
    Space,
    StaticPod,
    UpgradeNode,
    parse_upgrade,
)

RAW: dict[str, Any] = {
    "static_pods": {
        "kube-apiserver": {"image": "registry.k8s.io/kube-apiserver:v1.35.4", "args": ["kube-apiserver", "--a=b"]},
        "etcd": {"image": "", "args": None},
    },
    "kubelet": {
        "environment": {"/etc/default/kubelet": ["--v=2"]},
        "config": {"kind": "KubeletConfiguration"},
        "config_present": True,
        "args": ["--v=2"],
        "running_version": "1.35.4",
    },
    "certificates": {"/etc/kubernetes/pki/ca.crt": "PEM"},
    "disks": {"/var/lib/etcd": {"mount": "/", "total_bytes": 10, "free_bytes": 5, "inodes_total": 0, "inodes_free": 0}},
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_a_control_plane() -> None:
    node = parse_upgrade("cp1", {"upgrade": RAW})
    assert node == UpgradeNode(
        host="cp1",
        static_pods={
            "kube-apiserver": StaticPod("registry.k8s.io/kube-apiserver:v1.35.4", ("kube-apiserver", "--a=b")),
            "etcd": StaticPod("", None),
        },
        kubelet=KubeletFacts(
            {"/etc/default/kubelet": ("--v=2",)}, {"kind": "KubeletConfiguration"}, True, ("--v=2",), "1.35.4"
        ),
        certificates={"/etc/kubernetes/pki/ca.crt": "PEM"},
        disks={"/var/lib/etcd": Space("/", 10, 5)},
    )
    assert node.is_control_plane


def test_not_asked_and_nothing_known() -> None:
    assert parse_upgrade("w1", {}) is None
    assert parse_upgrade("w1", {"upgrade": None}) is None
    assert parse_upgrade("w1", {"upgrade": dict.fromkeys(RAW)}) == UpgradeNode("w1")
    assert not UpgradeNode("w1").is_control_plane


@given(st.sampled_from(sorted(RAW)), ANYTHING, st.sampled_from(sorted(RAW["kubelet"])), ANYTHING)
def test_a_value_of_another_shape_is_unknown_and_no_crash(key: str, value: Any, inner: str, other: Any) -> None:
    for raw in ({**RAW, key: value}, {**RAW, "kubelet": {**RAW["kubelet"], inner: other}}):
        found = parse_upgrade("cp1", {"upgrade": raw})
        assert found is not None
        assert found.host == "cp1"
