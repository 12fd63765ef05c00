"""What Kubernetes left on a host, read from files as kubeadm writes them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_kubernetes as subject
from tests.unit.plugins.module_utils.fake_host import FakeHost

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
KUBELET_CONF = f"""apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {base64.b64encode(PEM.encode()).decode()}
    server: https://192.0.2.10:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: system:node:cp1
users:
- name: system:node:cp1
  user:
    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem
    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem
"""
ETCD_POD = """apiVersion: v1
kind: Pod
metadata:
  name: etcd
spec:
  containers:
  - command:
    - etcd
    - --initial-cluster=cp1=https://192.0.2.11:2380
    image: registry.k8s.io/etcd:3.6.16-0
    imagePullPolicy: IfNotPresent
    name: etcd
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kubernetes v1.36.3\n", "1.36.3"),
        ("v1.37.0-rc.1\n", "1.37.0-rc.1"),
        ("containerd github.com/containerd/containerd/v2 v2.4.2 0123abc\n", "2.4.2"),
        ("containerd github.com/containerd/containerd/v2 2.4.2 v0\n", "2.4.2"),
        ("", None),
        ("kubelet: not found", None),
    ],
)
def test_version(text: str, expected: str | None) -> None:
    assert subject.parse_version(text) == expected


def test_kubeconfig_gives_the_server_and_the_ca_only() -> None:
    found = subject.parse_kubeconfig(KUBELET_CONF, lambda path: None)
    assert found == {"server": "https://192.0.2.10:6443", "ca_pem": PEM}


def test_kubeconfig_with_a_ca_file_and_quotes(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/etc/kubernetes/pki/ca.crt", PEM + KEY)
    text = 'clusters:\n- cluster:\n    "certificate-authority": "/etc/kubernetes/pki/ca.crt"\n    "server": "https://a:1"\n'
    assert subject.parse_kubeconfig(text, host.read_text) == {"server": "https://a:1", "ca_pem": PEM}


@pytest.mark.parametrize("data", ["%%%", base64.b64encode(b"\xff\xfe").decode(), "YWJj"])
def test_a_damaged_ca_is_no_ca(data: str) -> None:
    text = f"    server: https://a:1\n    certificate-authority-data: {data}\n"
    assert subject.parse_kubeconfig(text, lambda path: None) == {"server": "https://a:1", "ca_pem": None}


@given(st.text())
def test_kubeconfig_takes_any_text(text: str) -> None:
    found = subject.parse_kubeconfig(text, lambda path: None)
    assert found is None or found["server"]


def test_a_key_beside_a_certificate_is_never_passed_on() -> None:
    assert subject.public_pem(KEY + PEM + KEY + PEM) == PEM + PEM
    # Cut off in the middle of a certificate, with a key and another certificate behind it.
    assert subject.public_pem(PEM[:40] + "\n" + KEY + PEM) == PEM
    assert subject.public_pem(KEY) is None
    assert subject.public_pem(None) is None


def test_static_pods(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/etc/kubernetes/manifests/etcd.yaml", ETCD_POD)
    host.write("/etc/kubernetes/manifests/kube-apiserver.json", '{\n  "image": "registry/x:1",\n  "name": "a"\n}\n')
    host.write("/etc/kubernetes/manifests/.etcd.yaml.quorum-new", ETCD_POD)
    host.write("/etc/kubernetes/manifests/.hidden.yaml", ETCD_POD)
    host.write("/etc/kubernetes/manifests/notes.txt", "image: x")
    assert subject.read_manifests(host) == {"etcd": "registry.k8s.io/etcd:3.6.16-0", "kube-apiserver": "registry/x:1"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        (
            '{"action": "join", "started": "2026-11-21T12:00:00Z"}',
            {"action": "join", "started": "2026-11-21T12:00:00Z"},
        ),
        ('{"action": "init"}', {"action": "init", "started": None}),
        ("", {"action": "unknown", "started": None}),
        ("[1]", {"action": "unknown", "started": None}),
    ],
)
def test_marker(tmp_path: Path, text: str | None, expected: dict[str, str] | None) -> None:
    host = FakeHost(tmp_path)
    if text is not None:
        host.write(subject.MARKER, text)
    assert subject.read_marker(host) == expected


def test_data_directory(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    assert subject.directory_state(host, "/var/lib/etcd") == "absent"
    host.write("/var/lib/etcd/lost+found", "")
    assert subject.directory_state(host, "/var/lib/etcd") == "empty"
    host.write("/var/lib/etcd/member-removed-8e9e05c52164694d/snap/db", "x")
    assert subject.directory_state(host, "/var/lib/etcd") == "empty", "a removed member's data hinders no join"
    host.write("/var/lib/etcd/member/snap/db", "x")
    assert subject.directory_state(host, "/var/lib/etcd") == "present"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (None, ""),
        ('ETCD_INITIAL_CLUSTER="etcd1=https://192.0.2.31:2380"\nETCD_INITIAL_CLUSTER_STATE="new"\n', "new"),
        ("ETCD_INITIAL_CLUSTER_STATE=existing\n", "existing"),
        ("ETCD_INITIAL_CLUSTER_STATE=\n", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_beginning_of_an_etcd_member(tmp_path: Path, text: str | None, state: str) -> None:
    host = FakeHost(tmp_path)
    if text is not None:
        host.write(subject.ETCD_INITIAL, text)
    assert subject.read_kubernetes(host)["etcd_initial"] == state


def program(host: FakeHost, path: str, says: str) -> Path:
    """A real program that counts how often it was asked."""
    target = host.write(path, f'#!/bin/sh\necho asked >> "{host.root}/asked"\necho "{says}"\n')
    target.chmod(0o755)
    return target


def test_versions_are_asked_once_and_again_after_the_program_changed(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    program(host, "/usr/bin/kubelet", "Kubernetes v1.36.3")
    expected = {"kubelet_version": "1.36.3", "kubeadm_version": None, "containerd_version": None}
    assert subject.read_versions(host) == expected
    assert subject.read_versions(host) == expected
    assert (tmp_path / "asked").read_text().count("asked") == 1
    program(host, "/usr/bin/kubelet", "Kubernetes v1.37.0 newer")
    assert subject.read_versions(host)["kubelet_version"] == "1.37.0"


def test_versions_from_the_bundle_need_no_program(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    program(host, "/usr/bin/kubeadm", "v0.0.0")
    state = {"files": {"/usr/bin/kubeadm": {"id": host.identity("/usr/bin/kubeadm"), "version": "1.36.3"}}}
    host.write(subject.BUNDLE_STATE, json.dumps(state))
    assert subject.read_versions(host)["kubeadm_version"] == "1.36.3"
    assert not (tmp_path / "asked").exists()
    assert not Path(host.real(subject.VERSION_CACHE)).exists(), "nothing new, nothing written"


def test_a_blank_host(tmp_path: Path) -> None:
    found = subject.read_kubernetes(FakeHost(tmp_path))
    assert found["etcd_data"] == found["pods_dir"] == "absent"
    assert found["manifests"] == {}
    assert (found["admin_conf"], found["bootstrap_conf"], found["kubelet_conf"]) == (False, False, None)
    assert list(tmp_path.iterdir()) == [], "looking leaves nothing behind"


def test_a_control_plane(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write("/etc/kubernetes/kubelet.conf", KUBELET_CONF)
    host.write("/etc/kubernetes/admin.conf", "secret")
    host.write("/etc/kubernetes/pki/ca.crt", PEM)
    host.write("/etc/kubernetes/pki/etcd/ca.crt", PEM + KEY)
    host.write("/var/lib/kubelet/pods/uid/x", "")
    found = subject.read_kubernetes(host)
    assert (found["ca_pem"], found["etcd_ca_pem"], found["admin_conf"]) == (PEM, PEM, True)
    assert found["kubelet_conf"] == {"server": "https://192.0.2.10:6443", "ca_pem": PEM}
    assert found["pods_dir"] == "present"
    assert "secret" not in json.dumps(found)
