"""Checks that compare hosts (faults 23, 30, 31 and 37): each with what breaks it and what does not."""

from __future__ import annotations

import pytest

from tests.unit.preflight_world import CA, PLANES, WORKERS, World, blank, existing


def test_fault_31_duplicate_name() -> None:
    world = blank()
    world.add("W1", "worker", "10.0.0.49")
    assert "W1 and w1 are the same node name" in world.only_finding("duplicate-name").found


def test_fault_31_duplicate_address_names_both() -> None:
    world = blank()
    world.hosts["w2"]["ansible_host"] = "10.0.0.41"
    assert "w1 and w2 have the same address 10.0.0.41" in world.only_finding("duplicate-address").found


def test_fault_31_duplicate_machine_id_names_all() -> None:
    world = blank()
    for name in ("cp1", "cp3", "w1"):
        world.nodes[name]["machine_id"] = "f" * 32
    assert "cp1, cp3 and w1 have the same machine-id" in world.only_finding("duplicate-machine-id").found


def test_fault_31_duplicate_product_uuid() -> None:
    world = blank()
    world.nodes["w2"]["product_uuid"] = world.nodes["w1"]["product_uuid"].upper()
    assert "w1 and w2 have the same product_uuid" in world.only_finding("duplicate-product-uuid").found


@pytest.mark.parametrize("value", [None, "", "03000200-0400-0500-0006-000700080009"])
def test_fault_31_no_product_uuid_is_no_duplicate(value: str | None) -> None:
    world = blank()
    for name in world.nodes:
        world.nodes[name].update(product_uuid=value)
    assert not world.findings("duplicate-product-uuid")


def test_fault_31_containers_of_one_kernel_share_its_product_uuid() -> None:
    world = blank()
    for name in world.nodes:
        world.nodes[name].update(product_uuid="one", boot_id="same")
    assert not world.findings("duplicate-product-uuid")


def test_fault_31_product_uuid_without_a_boot_id_is_told() -> None:
    world = blank()
    for name in WORKERS:
        world.nodes[name].update(product_uuid="one", boot_id=None)
    assert "w1 and w2" in world.only_finding("duplicate-product-uuid", "warning").found


@pytest.mark.parametrize("key", ["machine_id"])
def test_fault_31_unknown_machine_ids_are_no_duplicates(key: str) -> None:
    world = blank()
    for name in world.nodes:
        world.nodes[name][key] = None
    assert not world.findings("duplicate-machine-id")


def test_fault_37_names_and_addresses_that_contain_one_another_are_different() -> None:
    world = World().running(*PLANES, *WORKERS)
    for name, group, address in (
        ("w10", "worker", "10.0.0.4"),
        ("w", "worker", "10.0.0.5"),
        ("w1-2", "worker", "10.0.0.2"),
    ):
        world.add(name, group, address)
    world.answers("10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.100")
    outcome = world.ask()
    assert not outcome.findings
    assert {name: outcome.plan.hosts[name] for name in ("w", "w1", "w10", "w1-2")} == {
        "w": "join_worker",
        "w1": "keep",
        "w10": "join_worker",
        "w1-2": "join_worker",
    }


def test_fault_37_only_the_very_host_is_found() -> None:
    world = World()
    for name in ("cp", "cp-2", "cp10"):
        world.add(name, "worker", f"10.0.1.{len(name)}")
    world.nodes["cp1"]["memory_mib"] = 1
    assert world.only_finding("memory").host == "cp1"


@pytest.mark.parametrize("names", [("cp3",), ("cp2", "cp3")])
def test_fault_23_control_plane_counts_when_one_begins(names: tuple[str, ...]) -> None:
    world = blank()
    for name in names:
        world.drop(name)
    level = "fatal" if len(names) == 1 else "warning"
    assert world.only_finding("control-planes", level).next_step
    world.rules["allow_even"] = True
    assert world.only_finding("control-planes", "warning")


def test_fault_23_even_count_that_nobody_joins_is_told() -> None:
    world = existing()
    world.drop("cp1")
    assert "2 control planes tolerate the loss of 0" in world.only_finding("control-planes", "warning").found


def test_fault_23_even_count_that_is_asked_for() -> None:
    world = existing()
    world.add("cp4", "control_plane", "10.0.0.24")
    assert "4 control planes tolerate the loss of 1, as 3 do" in world.only_finding("control-planes").found


def test_fault_30_site_never_upgrades_and_says_how() -> None:
    world = World()
    for name in (*PLANES, *WORKERS):
        world.node_of(name, version="1.35.4")
    world.answers("10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.100")
    finding = world.only_finding("version")
    assert "kube_version is 1.36.3, but the cluster runs 1.35.4, and site never upgrades" in finding.found
    assert finding.next_step == "ansible-playbook playbooks/upgrade.yml -i hosts.yml -e kube_version=1.36.3"


def test_fault_30_downgrade() -> None:
    world = existing()
    world.cluster["kube_version"] = "1.35.4"
    fatal = [finding for finding in world.findings("version") if finding.host == ""]
    assert "cannot be downgraded" in fatal[0].found
    assert fatal[0].next_step == "set kube_version to 1.36.3"


def test_fault_30_skipped_minor_gives_the_path() -> None:
    world = World()
    for name in (*PLANES, *WORKERS):
        world.node_of(name, version="1.34.2")
    world.answers("10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.100")
    finding = world.only_finding("version")
    assert "1.34.4 -> 1.35.4 -> 1.36.3" in finding.found
    assert finding.next_step.index("kube_version=1.34.4") < finding.next_step.index("kube_version=1.35.4")


def test_fault_30_unfinished_upgrade() -> None:
    world = existing()
    world.node_of("cp1", version="1.36.1")
    assert any("an upgrade is not finished: cp1 1.36.1, cp2 1.36.3" in f.found for f in world.findings("version"))


def test_fault_30_kubelet_newer_than_the_api() -> None:
    world = existing()
    world.kubernetes("w1")["kubelet_version"] = "1.37.0"
    assert "is newer than the API server" in world.only_finding("version").found


def test_fault_30_kubelet_older_than_what_runs() -> None:
    world = existing()
    world.kubernetes("w1")["kubelet_version"] = "1.35.4"
    assert "its kubelet is 1.35.4" in world.only_finding("version").found


def test_fault_30_programs_on_a_blank_host_are_not_its_version() -> None:
    world = existing()
    world.add("w3", "worker", "10.0.0.43")
    world.kubernetes("w3")["kubelet_version"] = "1.29.0"
    assert not world.findings("version")


@pytest.mark.parametrize(("tag", "found"), [("3.5.23-0", 1), ("3.5.24-0", 0), ("3.6.16-0", 0)])
def test_fault_30_etcd_too_old(tag: str, found: int) -> None:
    world = existing()
    world.kubernetes("cp2")["manifests"]["etcd"] = f"registry.k8s.io/etcd:{tag}"
    assert len(world.findings("etcd-version")) == found


@pytest.mark.parametrize(
    ("version", "level", "words"),
    [
        ("v1.35.4", "fatal", "the cluster runs 1.35.4"),
        ("", "warning", "the version of the running API is not known"),
        ("v1.36.3", "", ""),
    ],
)
def test_fault_30_run_limited_to_a_new_worker(version: str, level: str, words: str) -> None:
    world = existing()
    world.add("w3", "worker", "10.0.0.43")
    world.answers("10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.100")
    world.only("w3")
    world.api_version = version
    if not level:
        assert not world.findings("version")
        return
    assert words in world.only_finding("version", level).found


def test_a_new_load_balancer_alone_would_take_the_vip_too() -> None:
    world = existing()
    world.outside("lb1", *PLANES, *WORKERS)
    world.ca_pem = CA
    world.nodes["lb2"]["listening"] = []
    assert "lb1" in world.only_finding("limit").found
    world.nodes["lb2"]["listening"] = [{"port": 6443, "address": "0.0.0.0", "process": "haproxy"}]
    assert not world.findings("limit")


def test_a_new_control_plane_that_no_balancer_knows_is_told() -> None:
    world = existing()
    world.add("cp4", "control_plane", "10.0.0.24")
    world.add("cp5", "control_plane", "10.0.0.25")
    world.answers("10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.100")
    world.outside("lb1", "lb2")
    assert "lb1, lb2" in world.only_finding("limit", "warning").found


def test_nobody_joins_a_cluster_whose_authority_is_unknown() -> None:
    world = existing()
    world.add("w3", "worker", "10.0.0.43")
    world.answers("10.0.0.21", "10.0.0.22", "10.0.0.23", "10.0.0.100")
    world.only("w3")
    assert "CA is not known" in world.only_finding("authority").found
    world.ca_pem = CA
    assert not world.findings("authority")


def test_fault_30_version_outside_of_the_table() -> None:
    world = blank()
    world.cluster["kube_version"] = "1.37.0"
    assert world.only_finding("version").next_step == "use one of 1.34, 1.35, 1.36"


def test_api_via_must_exist() -> None:
    world = blank()
    world.cluster["kube_api_via"] = "cp9"
    assert "cp9" in world.only_finding("input").found
    world.cluster["kube_api_via"] = "cp2"
    assert not world.findings("input")


def test_no_worker_is_told() -> None:
    world = blank()
    for name in WORKERS:
        world.drop(name)
    assert world.only_finding("workers", "warning")
