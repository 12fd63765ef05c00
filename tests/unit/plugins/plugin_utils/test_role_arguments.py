"""Variables of the inventory against the roles' own argument specs."""

from __future__ import annotations

import pytest

from ansible_collections.quorum.kubeadm.plugins.plugin_utils.role_arguments import all_options, read, secrets, unknown


def wrong(variables: dict[str, object]) -> dict[str, str]:
    return read(variables)[1]


def test_right_values_are_right_and_returned() -> None:
    values = {"kube_vip": "192.0.2.1", "kubelet_limit_nofile": 1024, "kube_host_swap": "keep"}
    assert read({**values, "of_somebody_else": 1}) == (values, {})


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("kubelet_limit_nofile", "many", "cannot be converted to an int"),
        ("kube_host_swap", "sometimes", "must be one of"),
        ("kube_node_taints", [{"key": "dedicated"}], "effect"),
        ("kube_node_labels", ["zone"], "cannot be converted to a dict"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_wanted(variable: str, value: object, says: str) -> None:
    assert says in wrong({variable: value})[variable]


def test_a_variable_that_only_looks_like_a_roles() -> None:
    names = ["kube_host_swp", "kubelet_extra_args", "kube_of_another_software", "__kube_host_config", "containerd_x"]
    # What playbooks are given by -e belongs to no role.
    names += ["etcd_remove", "etcd_removed"]
    assert unknown(names) == ["containerd_x", "etcd_removed", "kube_host_swp"]


def test_every_role_is_known() -> None:
    assert {"kube_vip", "containerd_registry_mirrors", "kube_cni_manifest", "kube_lb_vrid"} <= set(all_options())


def test_a_secret_in_a_wrong_value_is_not_repeated() -> None:
    secret = secrets(all_options())
    for name in secret:
        assert "hunter2" not in str(wrong({name: [{"password": {"a": "hunter2"}, "host": 1}]}))
