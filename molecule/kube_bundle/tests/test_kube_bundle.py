"""A release on a host: the binaries byte for byte, the images by name, pinned, and each host only its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host

from ansible_collections.quorum.kubeadm.plugins.module_utils.versions import images
from tests.consistency.repo import defaults

testinfra_hosts = ["ssh://cp1", "ssh://w1"]
VERSION = defaults("kube")["kube_version"]


@pytest.fixture
def manifest(host: Host) -> dict[str, Any]:
    return dict(json.loads(host.file(f"/srv/bundles/{VERSION}/manifest.json").content_string))


def role_of(host: Host) -> str:
    return "control_plane" if host.backend.get_hostname().startswith("cp") else "worker"


def test_every_file_of_the_role_is_installed_unaltered(host: Host, manifest: dict[str, Any]) -> None:
    mine = [item for item in manifest["files"] if role_of(host) in item["roles"]]
    found = dict(reversed(line.split()) for line in host.check_output(
        "sha256sum " + " ".join(item["install"] for item in mine)).splitlines())  # fmt: skip
    assert found == {item["install"]: item["sha256"] for item in mine}
    assert {"/usr/bin/kubeadm", "/usr/bin/kubelet", "/usr/bin/containerd"} <= set(found)


def test_the_programs_are_of_the_release(host: Host) -> None:
    assert host.check_output("kubeadm version -o short") == f"v{VERSION}"
    assert host.check_output("kubelet --version") == f"Kubernetes v{VERSION}"


def test_files_of_other_roles_are_left_out(host: Host) -> None:
    assert host.file("/usr/bin/etcdutl").exists == (role_of(host) == "control_plane")


def test_images_of_the_role_are_there_and_pinned(host: Host) -> None:
    listed = host.check_output("ctr -n k8s.io images ls 'labels.\"io.cri-containerd.pinned\"==pinned' -q").splitlines()
    wanted = images(VERSION, control_plane=role_of(host) == "control_plane")
    assert set(wanted) <= set(listed), "an image that is not pinned is collected when the disk fills"


def test_a_worker_carries_no_control_plane_images(host: Host) -> None:
    listed = host.check_output("ctr -n k8s.io images ls -q")
    assert ("kube-apiserver" in listed) == (role_of(host) == "control_plane")
