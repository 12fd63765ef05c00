"""A release from a company's mirror: signed packages in one version, binaries and images, no secret left open."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from ansible_collections.quorum.kubeadm.plugins.module_utils.publishers import PACKAGES
from ansible_collections.quorum.kubeadm.plugins.module_utils.versions import RELEASES, images
from tests.consistency.repo import defaults

testinfra_hosts = ["ssh://cp1", "ssh://w1"]
VERSION = defaults("kube")["kube_version"]
FACTS = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"], ".build/molecule/kube_bundle_published/publisher.json")


def machine(name: str) -> Host:
    """Another machine than the one that a test is about."""
    return Host.get_host(f"ssh://{name}", ssh_config=str(FACTS.parent / "ssh_config"))


@pytest.fixture
def mirror() -> dict[str, Any]:
    return dict(json.loads(FACTS.read_text()))


def role_of(host: Host) -> str:
    return "control_plane" if host.backend.get_hostname().startswith("cp") else "worker"


def test_kubernetes_comes_as_packages_of_the_release(host: Host) -> None:
    for name in PACKAGES:
        assert host.package(name).version.startswith(f"{VERSION}-"), name
    assert host.check_output("kubelet --version") == f"Kubernetes v{VERSION}"
    assert host.file("/opt/cni/bin/bridge").is_file, "kubernetes-cni came as a dependency"


def test_an_upgrade_of_the_host_leaves_it_alone(host: Host) -> None:
    # The repository has a newer patch.
    offered = host.check_output("apt-cache madison kubelet")
    assert "1.36.99" in offered
    plan = host.check_output("apt-get --simulate dist-upgrade")
    assert not [line for line in plan.splitlines() if line.startswith("Inst kube")]


def test_programs_that_are_no_packages(host: Host) -> None:
    release = RELEASES[".".join(VERSION.split(".")[:2])]
    assert f"v{release.containerd}" in host.check_output("containerd --version")
    assert host.file("/usr/bin/runc").mode == 0o755
    assert host.file("/opt/cni/bin/flannel").mode == 0o755
    assert host.file("/usr/bin/etcdctl").exists == (role_of(host) == "control_plane")


def test_images_of_the_role_are_there_and_pinned(host: Host) -> None:
    listed = host.check_output("ctr -n k8s.io images ls 'labels.\"io.cri-containerd.pinned\"==pinned' -q").splitlines()
    wanted = set(images(VERSION, control_plane=role_of(host) == "control_plane"))
    assert wanted <= set(listed)
    assert ("kube-apiserver" in " ".join(listed)) == (role_of(host) == "control_plane")


def test_the_login_is_for_root_alone(host: Host, mirror: dict[str, Any]) -> None:
    found = host.check_output(f"grep -rlF {mirror['password']} /etc /var/lib/quorum-kubeadm /tmp /root || true").split()
    assert found == ["/etc/apt/auth.conf.d/quorum-kubernetes.conf"]
    # In containerd's files it is encoded.
    for path in (*found, "/etc/containerd/certs.d/registry.k8s.io/hosts.toml"):
        assert (host.file(path).mode, host.file(path).user) == (0o600, "root"), path


def test_nothing_tried_to_leave_the_lab(host: Host) -> None:
    chain = json.loads(host.check_output("nft -j list chain inet lab_fence out"))
    rules = [entry["rule"]["expr"] for entry in chain["nftables"] if "rule" in entry]
    assert [part["counter"]["packets"] for rule in rules for part in rule if "counter" in part] == [0]


def test_an_etcd_machine_has_etcd_and_kubeadm_and_nothing_of_a_node() -> None:
    host = machine("etcd1")
    assert host.check_output("kubeadm version -o short") == f"v{VERSION}"
    release = RELEASES[".".join(VERSION.split(".")[:2])]
    assert f"etcd Version: {release.etcd}" in host.check_output("etcd --version")
    for name in ("kubelet", "kubectl", "containerd", "runc"):
        assert not host.file(f"/usr/bin/{name}").exists, name
    assert not [name for name in PACKAGES if host.package(name).is_installed]
    assert not host.file("/etc/apt/auth.conf.d/quorum-kubernetes.conf").exists, "no repository, no login for it"
