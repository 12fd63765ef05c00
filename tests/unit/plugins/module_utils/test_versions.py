"""The table of versions, and versions as values."""

from __future__ import annotations

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import versions
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.version import (
    Version,
    image_version,
    known_version,
    parse_version,
)


@pytest.mark.parametrize(
    ("kube", "name", "expected"),
    [
        ("1.36.3", "etcd", "3.6.16"),
        ("1.36.3", "coredns", "1.14.2"),
        ("1.36.0", "pause", "3.10.2"),
        ("1.35.4", "etcd", "3.6.14"),
        ("1.35.4", "coredns", "1.13.1"),
        ("1.35.4", "pause", "3.10.1"),
        ("1.34.4", "coredns", "1.12.1"),
        ("v1.36.3", "flannel", "0.28.4"),
    ],
)
def test_component(kube: str, name: str, expected: str) -> None:
    assert versions.component(kube, name) == expected


def test_etcd_of_every_release_is_new_enough_for_it() -> None:
    for release in versions.RELEASES.values():
        assert parse_version(release.etcd) >= parse_version(release.etcd_min)
        assert parse_version(release.containerd) >= parse_version(release.containerd_min) >= Version(2, 0, 0)


def test_newest_patch_belongs_to_its_series() -> None:
    assert all(parse_version(release.newest_patch).series == series for series, release in versions.RELEASES.items())


def test_unknown_release_names_the_supported_ones() -> None:
    with pytest.raises(InputError, match=r"1\.34, 1\.35, 1\.36"):
        versions.release_for("1.33.1")


def test_unknown_component_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="coredns"):
        versions.component("1.36.3", "calico")


def test_images_are_named_as_the_bundle_names_them() -> None:
    assert versions.images("1.36.3", control_plane=False) == [
        "registry.k8s.io/kube-proxy:v1.36.3",
        "registry.k8s.io/pause:3.10.2",
        "registry.k8s.io/pause:3.10.1",
        "registry.k8s.io/coredns/coredns:v1.14.2",
        "registry.k8s.io/e2e-test-images/agnhost:2.63.0",
        "ghcr.io/flannel-io/flannel:v0.28.4",
    ]
    assert "registry.k8s.io/etcd:3.6.16-0" in versions.images("1.36.3", control_plane=True)
    assert versions.etcd_image_tag("1.35.4") == "3.6.14-0"


def test_an_upgrade_of_kubernetes_leaves_containerds_sandbox_image_alone() -> None:
    assert len({release.sandbox for release in versions.RELEASES.values()}) == 1


@pytest.mark.parametrize(
    ("text", "expected"), [("1.36.3", (1, 36, 3)), ("v1.36.3", (1, 36, 3)), ("3.6.16-0", (3, 6, 16))]
)
def test_parse_version(text: str, expected: tuple[int, int, int]) -> None:
    assert parse_version(text) == Version(*expected)


@pytest.mark.parametrize("text", ["", "1.36", "1.36.3\n", "latest", "1.36.x", "\u0661.2.3"])
def test_parse_version_refuses(text: str) -> None:
    with pytest.raises(InputError):
        parse_version(text)
    assert known_version(text) is None


def test_versions_compare_by_number() -> None:
    assert parse_version("1.9.10") < parse_version("1.10.9")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("registry.k8s.io/kube-apiserver:v1.36.3", "1.36.3"),
        ("localhost:5000/etcd:3.6.16-0", "3.6.16"),
        ("localhost:5000/etcd", None),
        ("registry.k8s.io/kube-apiserver:v1.36.3@sha256:00", "1.36.3"),
        ("", None),
    ],
)
def test_image_version(image: str, expected: str | None) -> None:
    assert image_version(image) == (parse_version(expected) if expected else None)


def test_images_of_another_repository_are_named_as_kubeadm_names_them() -> None:
    found = versions.images("1.36.3", control_plane=True, repository="mirror.example.com/k8s")
    assert "mirror.example.com/k8s/coredns:v1.14.2" in found
    assert "mirror.example.com/k8s/etcd:3.6.16-0" in found
    assert "ghcr.io/flannel-io/flannel:v0.28.4" in found
