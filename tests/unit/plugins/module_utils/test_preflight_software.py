"""Preflight: where the software comes from."""

from __future__ import annotations

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.preflight_software import HOST_PACKAGES, LB_PACKAGES
from tests.consistency.repo import ROOT, load
from tests.unit.preflight_world import WORKERS, blank


def test_a_mirror_has_to_be_named() -> None:
    world = blank()
    world.cluster["kube_source"] = "mirror"
    found = {finding.next_step for finding in world.findings("source") if finding.level == "fatal"}
    assert found == {"set kube_source_repository", "set kube_source_files"}
    world.cluster["kube_source_repository"] = "https://mirror.example.com/v{series}/{kind}"
    world.cluster["kube_source_files"] = "https://mirror.example.com:8443/files"
    assert all(finding.level == "warning" for finding in world.findings("source"))


@pytest.mark.parametrize("value", ["mirror.example.com", "https://u:p@mirror/", "https://m/ x", "ftp://m/"])
def test_a_url_that_is_none(value: object) -> None:
    world = blank()
    world.cluster["kube_source_files"] = value
    assert "http or https URL" in world.only_finding("input").next_step


def test_checksums_that_only_the_publisher_knows_are_told() -> None:
    world = blank()
    world.cluster["kube_source"] = "public"
    finding = world.only_finding("source", "warning")
    for name in ("containerd-2.4.2-linux-amd64.tar.gz", "runc.amd64", "etcd-v3.6.16-linux-amd64.tar.gz"):
        assert name in finding.found
    world.cluster["kube_source_checksums"] = {"https://h/a": "a" * 63}
    assert "64 hexadecimal digits" in world.only_finding("input").next_step


@pytest.mark.parametrize(("source", "fatal"), [("bundle", 1), ("public", 0)])
def test_with_a_bundle_nothing_is_installed_from_a_network(source: str, fatal: int) -> None:
    world = blank()
    world.cluster["kube_source"] = source
    del world.nodes["w1"]["packages"]["socat"]
    del world.nodes["lb1"]["packages"]["keepalived"]
    found = [finding for finding in world.findings("packages") if finding.level == "fatal"]
    assert len(found) == 2 * fatal
    if fatal:
        assert {finding.host: finding.found.split(";")[0] for finding in found} == {
            "w1": "not installed: socat",
            "lb1": "not installed: keepalived",
        }


def test_a_system_that_nobody_knows_is_not_judged_by_names() -> None:
    world = blank()
    for name in WORKERS:
        world.nodes[name]["os"]["family"] = "Suse"
        world.nodes[name]["packages"] = {}
    assert not world.findings("packages")


def test_kubernetes_packages_are_foreign_beside_a_bundle_alone() -> None:
    world = blank()
    world.nodes["w1"]["packages"]["kubelet"] = "1.36.3-1.1"
    assert "kubelet 1.36.3-1.1" in world.only_finding("packages", "warning").found
    world.cluster["kube_source"] = "public"
    assert not world.findings("packages")


def test_the_lists_are_the_roles_own() -> None:
    for family, names in HOST_PACKAGES.items():
        assert load(ROOT / "roles" / "kube_host" / "vars" / f"{family}.yml")["kube_host_packages"] == list(names)
        assert load(ROOT / "roles" / "kube_lb" / "vars" / f"{family}.yml")["kube_lb_packages"] == list(LB_PACKAGES)


def test_preflight_looks_for_all_of_them() -> None:
    looked_for = load(ROOT / "roles" / "kube_preflight" / "vars" / "main.yml")["__kube_preflight_host_packages"]
    for name in (*LB_PACKAGES, *(name for names in HOST_PACKAGES.values() for name in names)):
        assert name in looked_for
