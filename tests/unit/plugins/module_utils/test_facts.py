"""node_info's result as value objects: everything may be missing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils.facts import parse_node
from ansible_collections.quorum.kubeadm.plugins.module_utils.pki import same_ca
from tests.unit.preflight_world import CA, FOREIGN_CA, blank_node, existing

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_nothing_known() -> None:
    node = parse_node("w1", {})
    assert (node.name, node.memory_mib, node.kubernetes.etcd_data, node.kubernetes.runs_api) == (
        "w1",
        None,
        "absent",
        False,
    )


def test_every_key_null() -> None:
    raw = dict.fromkeys(blank_node("w1", "10.0.0.41"))
    assert parse_node("w1", raw) == parse_node("w1", {})


@given(st.sampled_from(sorted(blank_node("w1", "10.0.0.41"))), ANYTHING)
def test_a_value_of_another_shape_is_unknown_and_no_crash(key: str, value: Any) -> None:
    raw = {**blank_node("w1", "10.0.0.41"), key: value}
    assert parse_node("w1", raw).name == "w1"


def test_a_running_control_plane() -> None:
    node = parse_node("cp1", existing().nodes["cp1"])
    facts = node.kubernetes
    assert facts.runs_api
    assert facts.kubelet_server == "https://10.0.0.21:6443"
    assert {(probe.host, probe.port, probe.live) for probe in facts.probes} == {
        (address, 6443, True) for address in ("10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.100")
    }
    assert str(node.network_of("10.0.0.21").network) == "10.0.0.0/24"  # type: ignore[union-attr]  # - it is there


def test_probe_urls_with_a_path_and_without_a_port() -> None:
    api = {"https://10.0.0.1:6443/readyz": {"status": 200}, "https://10.0.0.2": {"status": None}}
    probes = parse_node("w1", {"kubernetes": {"api": api}}).kubernetes.probes
    assert [(probe.host, probe.port, probe.live) for probe in probes] == [
        ("10.0.0.1", 6443, True),
        ("10.0.0.2", 443, False),
    ]


@pytest.mark.parametrize("marker", [{"action": "unknown", "started": None}, {"started": 1}, "x"])
def test_a_marker_that_cannot_be_read_is_one(marker: Any) -> None:
    assert parse_node("w1", {"kubernetes": {"marker": marker}}).kubernetes.marker == "unknown"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (CA, CA.replace("\n", "\r\n"), True),
        (CA, "# comment\n" + CA, True),
        (CA, FOREIGN_CA + CA, True),
        (CA, FOREIGN_CA, False),
        ("no pem", "no pem", True),
        ("no pem", "other", False),
        (CA, "", False),
    ],
)
def test_same_ca(one: str, other: str, same: bool) -> None:
    assert same_ca(one, other) is same
    assert same_ca(other, one) is same


def test_disk_use_as_the_kubelet_computes_it() -> None:
    raw = {"disks": {"/x": {"mount": "/", "total_bytes": 1000, "free_bytes": 150, "writable": True}, "/y": None}}
    disks = parse_node("w1", raw).disks
    assert disks["/x"].used_percent == pytest.approx(85.0)
    assert list(disks) == ["/x"]
