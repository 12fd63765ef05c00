"""What an upgrade must know of a node, read from files as kubeadm writes them."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_upgrade as subject
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0LWtleQ==\n-----END EC PRIVATE KEY-----\n"
MANIFEST = """apiVersion: v1
kind: Pod
metadata:
  annotations:
    kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 192.0.2.21:6443
  labels:
    component: kube-controller-manager
    tier: control-plane
  name: kube-controller-manager
  namespace: kube-system
spec:
  containers:
  - command:
    - kube-controller-manager
    - --allocate-node-cidrs=true
    - --controllers=*,bootstrapsigner,tokencleaner
    - --feature-gates=A=true,B=false
    image: registry.k8s.io/kube-controller-manager:v1.35.4
    imagePullPolicy: IfNotPresent
    livenessProbe:
      failureThreshold: 8
      httpGet:
        host: 127.0.0.1
        path: /healthz
        port: probe-port
        scheme: HTTPS
    name: kube-controller-manager
    resources:
      requests:
        cpu: 200m
  - command:
    - sidecar
    image: example.org/sidecar:1
    name: sidecar
  hostNetwork: true
status: {}
"""
CONFIG = """apiVersion: kubelet.config.k8s.io/v1beta1
clusterDNS:
- 10.96.0.10
evictionHard:
  imagefs.available: 1Gi
  nodefs.available: 10%
kind: KubeletConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
memorySwap: {}
staticPodURLHeader:
  Authorization:
  - Bearer very-secret
syncFrequency: 0s
"""
COMMAND = [
    "kube-controller-manager",
    "--allocate-node-cidrs=true",
    "--controllers=*,bootstrapsigner,tokencleaner",
    "--feature-gates=A=true,B=false",
]


def put(host: FakeHost, name: str, content: str) -> None:
    host.write(f"/etc/kubernetes/manifests/{name}.yaml", content)


def test_static_pods(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    put(host, "kube-controller-manager", MANIFEST)
    put(host, "vip", MANIFEST.replace("--controllers", "--password"))
    put(host, "kube-scheduler", json.dumps({"spec": {"containers": [{"image": "a/b:v1", "args": ["--x"]}]}}))
    assert subject.read_static_pods(host) == {
        "kube-controller-manager": {"image": "registry.k8s.io/kube-controller-manager:v1.35.4", "args": COMMAND},
        "kube-scheduler": {"image": "a/b:v1", "args": ["--x"]},
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spec: {}\n",
        "spec:\n  containers: []\n",
        "spec:\n  containers:\n  - command: |\n      sh\n",
        "- a\n",
        "{",
        "x",
    ],
)
def test_a_manifest_that_cannot_be_read_has_no_command_line(tmp_path: Path, text: str) -> None:
    host = FakeHost(tmp_path)
    put(host, "etcd", text)
    assert subject.read_static_pods(host) == {"etcd": {"image": "", "args": None}}


def test_the_image_is_told_even_when_the_rest_cannot_be_read(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    put(host, "etcd", "spec:\n  containers:\n  - image: a/etcd:3.6.14-0\n    x: &anchor 1\n")
    assert subject.read_static_pods(host) == {"etcd": {"image": "a/etcd:3.6.14-0", "args": None}}


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ('KUBELET_KUBEADM_ARGS="--node-ip=192.0.2.21 --v=2"\n', ["--node-ip=192.0.2.21", "--v=2"]),
        ("KUBELET_EXTRA_ARGS=\n", []),
        ("KUBELET_EXTRA_ARGS=--v 2", ["--v", "2"]),
        ("# KUBELET_EXTRA_ARGS=--v=2\n", []),
        ("KUBELET_EXTRA_ARGS=--v=1\nKUBELET_EXTRA_ARGS='--v=2'\n", ["--v=2"]),
        ("HTTPS_PROXY=http://user:secret@proxy\nKUBELET_EXTRA_ARGS=--v=2\n", ["--v=2"]),
        ('KUBELET_EXTRA_ARGS="--v=2', ['"--v=2']),
    ],
)
def test_environment_files(text: str, flags: list[str]) -> None:
    assert subject.parse_environment(text) == flags


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["--storage-driver-password=x", "--v=2"], ["--storage-driver-password", "--v=2"]),
        (["--storage-driver-password", "x", "--v", "2"], ["--storage-driver-password", "--v", "2"]),
        (["--storage-driver-password", "--v=2"], ["--storage-driver-password", "--v=2"]),
        (["--token-auth-file=/x", "--oidc-client-id", "a"], ["--token-auth-file=/x", "--oidc-client-id", "a"]),
    ],
)
def test_the_value_of_a_secret_flag_is_not_told(words: list[str], kept: list[str]) -> None:
    assert subject.without_secrets(words) == kept


@given(st.text())
def test_an_environment_file_may_hold_anything(text: str) -> None:
    assert isinstance(subject.parse_environment(text), list)


def running(host: FakeHost, program: str, argv: list[str]) -> None:
    host.write("/proc/7/cmdline", "\0".join(argv) + "\0")
    os.symlink(program, host.real("/proc/7/exe"))


def test_a_running_kubelet(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    running(host, "/usr/bin/kubelet", ["/usr/bin/kubelet", "--config=/var/lib/kubelet/config.yaml", "--v=2"])
    host.write(subject.KUBELET_CONFIG, CONFIG)
    host.write(subject.ENVIRONMENTS[0], 'KUBELET_KUBEADM_ARGS="--v=2"\n')
    host.write(subject.ENVIRONMENTS[1], "KUBELET_EXTRA_ARGS=\n")
    found = subject.read_kubelet(host, 7, "1.35.4")
    assert found["environment"] == {subject.ENVIRONMENTS[0]: ["--v=2"], subject.ENVIRONMENTS[1]: []}
    assert found["args"] == ["--config=/var/lib/kubelet/config.yaml", "--v=2"]
    assert (found["running_version"], found["config_present"]) == ("1.35.4", True)
    assert found["config"]["evictionHard"] == {"imagefs.available": "1Gi", "nodefs.available": "10%"}
    assert found["config"]["staticPodURLHeader"] is None
    assert "secret" not in json.dumps(found)
    assert host.calls == []


@pytest.mark.parametrize(
    ("program", "version", "expected"),
    [
        ("/usr/bin/kubelet", "1.36.3", "1.36.3"),
        ("/usr/bin/kubelet (deleted)", "1.36.3", ""),
        ("/opt/kubelet", "1.36.3", "1.35.4"),
        ("/opt/other", "1.36.3", ""),
    ],
)
def test_the_version_that_runs(tmp_path: Path, program: str, version: str, expected: str) -> None:
    host = FakeHost(tmp_path, {"/opt/kubelet --version": ok("Kubernetes v1.35.4\n")})
    running(host, program, ["kubelet"])
    assert subject.read_kubelet(host, 7, version)["running_version"] == expected


def test_no_kubelet(tmp_path: Path) -> None:
    unknown: dict[str, Any] = {"environment": {}, "config": None, "config_present": False, "args": []}
    for pid in (0, 7):
        assert subject.read_kubelet(FakeHost(tmp_path), pid, "1.36.3") == {**unknown, "running_version": ""}


def test_a_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.write(subject.KUBELET_CONFIG, "kind: &a KubeletConfiguration\n")
    found = subject.read_kubelet(host, 0, None)
    assert (found["config"], found["config_present"]) == (None, True)


def kubeconfig(certificate: str) -> str:
    data = base64.b64encode(certificate.encode()).decode()
    key = base64.b64encode(KEY.encode()).decode()
    return f"users:\n- name: a\n  user:\n    client-certificate-data: {data}\n    client-key-data: {key}\n"


def test_certificates_and_never_a_key(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    for name in ("ca", "apiserver", "etcd/ca", "etcd/peer"):
        host.write(f"/etc/kubernetes/pki/{name}.crt", PEM)
        host.write(f"/etc/kubernetes/pki/{name}.key", KEY)
    host.write("/etc/kubernetes/pki/combined.crt", KEY + PEM)
    host.write("/etc/kubernetes/pki/broken.crt", "")
    host.write("/etc/kubernetes/admin.conf", kubeconfig(PEM))
    host.write("/etc/kubernetes/super-admin.conf", kubeconfig(KEY + PEM))
    host.write("/etc/kubernetes/scheduler.conf", "users:\n- user:\n    client-certificate: /x.pem\n")
    host.write("/etc/kubernetes/controller-manager.conf", "users:\n- user:\n    client-certificate-data: '%%%'\n")
    host.write(subject.CLIENT_CERTIFICATE, PEM + KEY)
    found = subject.read_certificates(host)
    names = ("admin.conf", "super-admin.conf", "pki/ca.crt", "pki/apiserver.crt", "pki/combined.crt", "pki/etcd/ca.crt")
    assert found == {
        **{f"/etc/kubernetes/{name}": PEM for name in (*names, "pki/etcd/peer.crt")},
        subject.CLIENT_CERTIFICATE: PEM,
    }


def test_disks_and_everything_together_on_a_blank_host(tmp_path: Path) -> None:
    found = subject.read_upgrade(FakeHost(tmp_path), 0, None)
    assert set(found["disks"]) == {"/var/lib/containerd", "/var/lib/kubelet", "/var/lib/etcd"}
    assert {"mount", "total_bytes", "free_bytes", "inodes_total", "inodes_free"} <= set(found["disks"]["/var/lib/etcd"])
    assert (found["static_pods"], found["certificates"]) == ({}, {})
    assert list(tmp_path.iterdir()) == [], "looking leaves nothing behind"
