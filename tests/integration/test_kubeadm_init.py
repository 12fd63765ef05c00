# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an init that goes on relies on (FAULTS 2): kubeadm itself keeps the CAs that are there, and signs with them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from tests.integration.servers import VERSION, program

CONFIG = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: 192.0.2.11}}
nodeRegistration: {{name: cp1, criSocket: "unix:///run/containerd/containerd.sock"}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v{version}
controlPlaneEndpoint: 192.0.2.100:6443
encryptionAlgorithm: ECDSA-P256
certificatesDir: {pki}
"""
AUTHORITIES = ("ca", "front-proxy-ca", "etcd/ca")
SIGNED = {
    "apiserver": "ca",
    "apiserver-kubelet-client": "ca",
    "front-proxy-client": "front-proxy-ca",
    "etcd/peer": "etcd/ca",
}


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    """Where the certificates come."""
    return tmp_path / "pki"


def phase(pki: Path, name: str) -> str:
    """One of kubeadm's phases, as the module kubeadm runs it."""
    config = pki.parent / "kubeadm.yaml"
    config.write_text(CONFIG.format(version=VERSION, pki=pki))
    argv = [program("kubernetes", "kubeadm"), "init", "phase", "certs", name, "--config", config]
    done: subprocess.CompletedProcess[str] = subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def certificate(pki: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((pki / f"{name}.crt").read_bytes())


# What was there when it was killed; the first is what our own action `ca` leaves before init.
@pytest.mark.parametrize("left", [("ca",), AUTHORITIES, (*AUTHORITIES, "apiserver", "sa"), ()])
def test_the_ca_of_an_init_that_was_killed_is_used_again(pki: Path, left: tuple[str, ...]) -> None:
    phase(pki, "ca")
    phase(pki, "all")
    for path in sorted(pki.rglob("*")):
        if path.is_file() and str(path.relative_to(pki).with_suffix("")) not in left:
            path.unlink()
    before = {path: path.read_bytes() for path in pki.rglob("*") if path.is_file()}
    assert len(before) == 2 * len(left)
    said = phase(pki, "all")
    assert {path: path.read_bytes() for path in before} == before, "neither a CA nor its key was made again"
    assert ("Using existing ca certificate authority" in said) is ("ca" in left)
    for name, authority in SIGNED.items():
        certificate(pki, name).verify_directly_issued_by(certificate(pki, authority))
