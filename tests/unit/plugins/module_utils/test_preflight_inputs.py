"""Inputs are refused by type and pattern before anything uses them (fault 36)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import input_types
from ansible_collections.quorum.kubeadm.plugins.module_utils.preflight_inputs import CLUSTER
from tests.unit.preflight_world import World, blank

EVIL: list[Any] = [
    "x; rm -rf /",
    "$(reboot)",
    "`id`",
    "a b\nc",
    "1.36.3\n",
    "{{ lookup('pipe', 'id') }}",
    "{% raw %}",
    "../../etc/passwd",
    "/srv/../etc",
    "-oProxyCommand=id",
    "--help",
    "a'b",
    'a"b',
    "a|b",
    "a&b",
    "x" * 10_000,
    "\x00",
    "١٢٣",
    "\u202e",
    -1,
    1.5,
    10**30,
    True,
    ["a"],
    {"a": 1},
]
UNSAFE = set("\n\r\t\0;|&$`<>(){}\"'\\*?!#[]")
# A list where one is wanted; a directory of the controller may have a name of any script.
FINE: list[tuple[str, Any]] = [("kube_ignore_preflight_errors", ["a"]), ("kube_kubeconfig", "١٢٣")]


@pytest.mark.parametrize("name", sorted(CLUSTER))
@pytest.mark.parametrize("value", EVIL, ids=lambda value: repr(value)[:20])
def test_fault_36_bad_value_is_refused_and_named(name: str, value: Any) -> None:
    world = blank()
    world.cluster[name] = value
    if (name, value) in FINE:
        assert not world.findings("input")
        return
    found = [finding for finding in world.findings("input") if finding.found.startswith(f"{name} is ")]
    assert len(found) == 1
    assert found[0].level == "fatal"
    assert len(found[0].found) < 200
    assert not {"\n", "\0", "\u202e"} & set(found[0].found)


@pytest.mark.parametrize("name", sorted(CLUSTER))
@given(value=st.text())
def test_fault_36_no_text_that_passes_could_hurt_a_shell_or_a_template(name: str, value: str) -> None:
    reader, _otherwise = CLUSTER[name]
    try:
        reader(value)
    except ValueError:
        return
    assert not UNSAFE & set(value)
    assert not value.startswith("-")
    assert ".." not in value.split("/")


@pytest.mark.parametrize(
    "name", ["Node1", "node_1", "-node", "node-", "a..b", "x" * 64, "a; reboot", "node1\n", "nöde", "{{ x }}", ""]
)
def test_fault_36_host_names_are_rfc_1123(name: str) -> None:
    world = blank()
    world.add(name, "worker", "10.0.0.77")
    assert any("the host's name is" in finding.found for finding in world.findings("input"))


@pytest.mark.parametrize("name", ["node1", "n", "1", "node-1.example.org", "x" * 63])
def test_host_names_that_are_fine(name: str) -> None:
    world = blank()
    world.add(name, "worker", "10.0.0.77")
    assert not world.findings("input")


@pytest.mark.parametrize("value", ["db1.example.org", "10.0.0", 42, "10.0.0.1; id", "fe80::1%eth0", ["10.0.0.1"]])
def test_fault_36_node_addresses(value: Any) -> None:
    world = blank()
    world.hosts["w1"]["kube_node_ip"] = value
    finding = world.only_finding("input")
    assert finding.host == "w1"
    assert "kube_node_ip" in finding.found


@pytest.mark.parametrize(
    "labels",
    [
        {"a b": "c"},
        {"-a": "c"},
        {"a/b/c": "d"},
        {"A.example.org/x": "d"},
        {"x" * 64: "d"},
        {"a": "b c"},
        {"a": "x" * 64},
        {"a": True},
        {"a": 1},
        {"a": None},
        {"a": "b\n"},
        {1: "a"},
        ["a=b"],
        "a=b",
    ],
)
def test_fault_36_labels(labels: Any) -> None:
    world = blank()
    world.hosts["w1"]["kube_node_labels"] = labels
    assert world.only_finding("input").host == "w1"


def test_labels_that_are_fine() -> None:
    world = blank()
    world.hosts["w1"]["kube_node_labels"] = {"topology.kubernetes.io/zone": "zone-a", "pool": "", "a_b.C": "1.36_x"}
    assert not world.findings("input")


@pytest.mark.parametrize(
    "taint",
    [
        {"key": "dedicated", "effect": "noschedule"},
        {"key": "dedicated"},
        {"effect": "NoSchedule"},
        {"key": "a b", "effect": "NoSchedule"},
        {"key": "a", "value": "b c", "effect": "NoSchedule"},
        {"key": "a", "value": 1, "effect": "NoSchedule"},
        {"key": "a", "effect": "NoSchedule", "extra": "x"},
        "dedicated=gpu:NoSchedule",
    ],
)
def test_fault_36_taints(taint: Any) -> None:
    world = blank()
    world.hosts["w1"]["kube_node_taints"] = [taint]
    assert world.only_finding("input").host == "w1"


def test_taints_that_are_fine() -> None:
    world = blank()
    world.hosts["w1"]["kube_node_taints"] = [
        {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"},
        {"key": "example.org/x", "effect": "NoExecute"},
    ]
    assert not world.findings("input")


@pytest.mark.parametrize(
    ("value", "found"), [("8443", 0), (8443, 0), ("0", 1), (65536, 1), ("6443x", 1), ("", 1), (None, 1)]
)
def test_ports_also_as_extra_vars_give_them(value: Any, found: int) -> None:
    world = blank()
    world.cluster["kube_api_port"] = value
    assert len(world.findings("input")) == found


@pytest.mark.parametrize("value", ["10.244.1.0/16", "10.244.0.0", "10.244.0.0/33", "/16"])
def test_networks_have_no_host_bits(value: str) -> None:
    world = blank()
    world.cluster["kube_pod_cidr"] = value
    assert "10.244.0.0/16" in world.only_finding("input").next_step


@pytest.mark.parametrize("name", ["kube_version", "kube_vip", "kube_pod_cidr", "kube_service_cidr"])
def test_what_has_no_safe_default_must_be_set(name: str) -> None:
    world = blank()
    del world.cluster[name]
    assert f"{name} is not set" in world.only_finding("input").found


def test_a_cluster_variable_with_two_values() -> None:
    world = blank()
    world.hosts["w2"]["overrides"] = {"kube_version": "1.35.4", "kube_vip": "10.0.0.100"}
    finding = world.only_finding("input")
    assert finding.host == "w2"
    assert "'1.35.4' for this host and '1.36.3' for the others" in finding.found


def test_a_variable_that_no_role_knows_is_only_told() -> None:
    world = blank()
    world.hosts["w2"]["unknown"] = ["kube_host_swp"]
    finding = world.only_finding("input", "warning")
    assert finding.host == "w2"
    assert "kube_host_swp" in finding.found


def test_a_variable_whose_template_fails() -> None:
    world = blank()
    world.hosts["w2"]["unreadable"] = {"kube_node_labels": "'zone' is undefined"}
    assert "kube_node_labels cannot be used: 'zone' is undefined" in world.only_finding("input").found


def test_a_host_in_two_groups() -> None:
    world = blank()
    world.hosts["w1"]["groups"] = ["control_plane", "worker"]
    assert world.only_finding("groups").host == "w1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_memory_worker", "much"),
        ("swap", "maybe"),
        ("max_clock_skew", 0),
        ("kubelet_config", {"evictionHard": {"nodefs.available": "lots"}}),
        ("min_free", {"../etc": 1}),
        ("allow_even", "perhaps"),
    ],
)
def test_rules_are_inputs_too(name: str, value: Any) -> None:
    world = blank()
    world.rules[name] = value
    assert world.only_finding("input").found.startswith(f"{name} is ")


@pytest.mark.parametrize(
    ("text", "total", "expected"), [("10%", 1000, 100), ("1Gi", 0, 1 << 30), ("500M", 0, 500_000_000), ("7", 0, 7)]
)
def test_amounts(text: str, total: int, expected: int) -> None:
    assert input_types.amount(text, total) == expected


def test_every_wrong_input_is_told_at_once() -> None:
    world = World()
    world.cluster |= {"kube_version": "v1", "kube_vip": "x", "kube_pod_cidr": "y", "kube_api_port": "z"}
    world.hosts["w1"]["kube_node_labels"] = "q"
    assert len(world.findings("input")) == 5


@pytest.mark.parametrize(
    ("value", "shown"), [(True, "True (a boolean)"), (["a"], "['a'] (a list)"), ("a\nb", "'a\\nb'")]
)
def test_values_in_messages(value: Any, shown: str) -> None:
    assert input_types.show(value) == shown
