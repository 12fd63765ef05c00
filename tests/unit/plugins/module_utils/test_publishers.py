"""What is published where: complete for every release and architecture, and what a mirror makes of it."""

from __future__ import annotations

import re

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import publishers as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.checksums import CHECKSUMS
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.versions import RELEASES

VERSIONS = [release.newest_patch for release in RELEASES.values()]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("arch", subject.ARCHITECTURES)
def test_every_release_has_every_program(version: str, arch: str) -> None:
    rows = subject.files_of(version, arch, ("control_plane",))
    programs = {install for row in rows for install in (*row["members"].values(), row["install"]) if install}
    assert {"/usr/bin/kubeadm", "/usr/bin/kubelet", "/usr/bin/containerd", "/usr/bin/runc", "/usr/bin/ctr"} <= programs
    assert {"/opt/cni/bin/bridge", "/opt/cni/bin/flannel", "/usr/bin/etcdctl", "/usr/bin/etcdutl"} <= programs
    for row in rows:
        assert len({arch, *subject.ARCHITECTURES} & set(re.split(r"[^a-z0-9]", row["urls"][0]))) == 1
        assert "{" not in "".join([row["path"], *row["urls"], *row["sums_urls"], *row["members"]])


def test_a_worker_fetches_no_etcd_and_packages_leave_out_what_they_bring() -> None:
    worker = {row["component"] for row in subject.files_of("1.36.3", "amd64", ("worker",), packaged=True)}
    assert worker == {"containerd", "runc", "flannel_cni"}
    plane = {row["component"] for row in subject.files_of("1.36.3", "amd64", ("control_plane",), packaged=True)}
    assert plane == {"containerd", "runc", "flannel_cni", "etcd"}


@pytest.mark.parametrize("packaged", [True, False])
def test_an_etcd_machine_fetches_etcd_and_kubeadm_alone(packaged: bool) -> None:
    rows = subject.files_of("1.36.3", "amd64", ("etcd",), packaged=packaged)
    programs = {install for row in rows for install in (*row["members"].values(), row["install"]) if install}
    assert programs == {f"/usr/bin/{name}" for name in ("kubeadm", "etcd", "etcdctl", "etcdutl")}
    assert all("etcd" in row["roles"] for row in rows)


def test_a_control_plane_with_packages_gets_kubeadm_from_them_also_beside_etcd() -> None:
    rows = subject.files_of("1.36.3", "amd64", ("control_plane", "etcd"), packaged=True)
    assert "/usr/bin/kubeadm" not in {row["install"] for row in rows}
    assert subject.takes_packages(["control_plane", "etcd"])
    assert not subject.takes_packages(["etcd"])


def test_urls_as_published() -> None:
    rows = {row["component"]: row for row in subject.files_of("1.36.3", "arm64", ("control_plane",), packaged=True)}
    assert rows["flannel_cni"]["urls"] == [
        "https://github.com/flannel-io/cni-plugin/releases/download/v1.9.1-flannel1/"
        "cni-plugin-flannel-linux-arm64-v1.9.1.tgz"
    ]
    assert rows["flannel_cni"]["members"] == {"flannel-arm64": "/opt/cni/bin/flannel"}
    assert rows["etcd"]["sums_urls"] == ["https://github.com/etcd-io/etcd/releases/download/v3.6.16/SHA256SUMS"]


def test_a_mirror_keeps_host_and_path() -> None:
    rows = subject.files_of("1.36.3", "amd64", ("worker",), base="https://files.example.com/k8s/")
    assert all(row["urls"][0].startswith("https://files.example.com/k8s/") for row in rows)
    assert "https://files.example.com/k8s/dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubeadm" in rows[0]["urls"]


def test_given_checksums_come_before_the_table() -> None:
    url = "https://dl.k8s.io/release/v1.34.4/bin/linux/amd64/kubeadm"
    assert subject.files_of("1.34.4", "amd64", ("worker",))[0]["sha256"] == CHECKSUMS[url]
    assert subject.files_of("1.34.4", "amd64", ("worker",), checksums={url: "a" * 64})[0]["sha256"] == "a" * 64


def test_checksums_are_of_files_that_are_published() -> None:
    published = {
        url
        for version in VERSIONS
        for arch in subject.ARCHITECTURES
        for row in subject.files_of(version, arch, subject.NODES)
        for url in row["urls"]
    }
    assert set(CHECKSUMS) <= published, "the table tells of files that no release needs"
    assert all(re.fullmatch(r"[0-9a-f]{64}", sha) for sha in CHECKSUMS.values())
    other = {"amd64": "arm64", "arm64": "amd64"}
    for url in CHECKSUMS:
        arch = "amd64" if "amd64" in url else "arm64"
        assert url.replace(arch, other[arch]) in CHECKSUMS, "both architectures, or none"


def test_repositories() -> None:
    public = subject.repository_of("1.36.3", "deb")
    assert public == {
        "url": "https://pkgs.k8s.io/core:/stable:/v1.36/deb/",
        "key_urls": ["https://pkgs.k8s.io/core:/stable:/v1.36/deb/Release.key"],
    }
    mirror = subject.repository_of("1.35.4", "rpm", "https://m.example.com/{kind}/v{series}")
    assert mirror["url"] == "https://m.example.com/rpm/v1.35/"
    assert mirror["key_urls"] == ["https://m.example.com/rpm/v1.35/repodata/repomd.xml.key"]


def test_what_is_not_published() -> None:
    with pytest.raises(InputError, match="architecture"):
        subject.files_of("1.36.3", "s390x", ("worker",))
    with pytest.raises(InputError, match="not supported"):
        subject.files_of("1.20.0", "amd64", ("worker",))
