# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certificate_key against a real API server, with the Secret that kubeadm itself uploads."""

from __future__ import annotations

import re
import secrets
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from tests.integration.certificates import Authority
from tests.integration.conftest import Run
from tests.integration.servers import VERSION, Cluster
from tests.integration.support import run_module

CONFIG = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: 192.0.2.1}}
certificateKey: {key}
nodeRegistration: {{name: cp1, criSocket: "unix:///run/containerd/containerd.sock"}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v{version}
certificatesDir: {pki}
"""


def upload(cluster: Cluster, key: str, pki: Path | None = None) -> None:
    config = cluster.directory / "kubeadm.yaml"
    config.write_text(CONFIG.format(version=VERSION, pki=pki or cluster.pki, key=key))
    cluster.kubeadm("init", "phase", "upload-certs", "--upload-certs", "--config", str(config))


def secret_names(cluster: Cluster) -> set[str]:
    return set(cluster.kubectl("-n", "kube-system", "get", "secrets", "-o", "name").split())


def certs_secret(cluster: Cluster) -> dict[str, Any]:
    return cluster.kubectl_json("-n", "kube-system", "get", "secret", "kubeadm-certs")


@pytest.fixture
def uploaded(cluster: Cluster, module: Run) -> str:
    """The key under which kubeadm has just uploaded the certificates."""
    key: str = run_module("certificate_key", {})["key"]
    upload(cluster, key)
    return key


def test_a_new_key_needs_no_api(cluster: Cluster) -> None:
    first, second = (run_module("certificate_key", {}) for _n in range(2))
    assert re.fullmatch(r"[0-9a-f]{64}", first["key"])
    assert first["key"] != second["key"]
    assert first["changed"]


def test_what_kubeadm_uploaded_is_verified_and_lives_shorter(cluster: Cluster, module: Run, uploaded: str) -> None:
    predicted = module("certificate_key", check=True, state="verified", key=uploaded, ttl_minutes=10)
    result = module("certificate_key", state="verified", key=uploaded, ttl_minutes=10)
    assert result["changed"]
    assert predicted["changed"]
    left = datetime.fromisoformat(result["expires"].replace("Z", "+00:00")) - datetime.now(timezone.utc)
    assert timedelta(minutes=9) < left <= timedelta(minutes=10, seconds=2)
    assert {"ca.crt", "ca.key", "etcd-ca.crt", "sa.key", "front-proxy-ca.key"} <= set(result["entries"])
    owner = certs_secret(cluster)["metadata"]["ownerReferences"][0]["name"].rpartition("-")[2]
    line = next(line for line in cluster.kubeadm("token", "list").splitlines() if line.startswith(owner))
    assert result["expires"] in line
    again = module("certificate_key", state="verified", key=uploaded, ttl_minutes=10)
    assert (again["changed"], again["expires"]) == (False, result["expires"])


def test_the_hash_is_that_of_the_ca_key(cluster: Cluster, module: Run, uploaded: str) -> None:
    key = x509.load_pem_x509_certificate(cluster.ca_pem.encode()).public_key()
    digest = hashes.Hash(hashes.SHA256())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    digest.update(key.public_bytes(serialization.Encoding.DER, form))
    result = module("certificate_key", state="verified", key=uploaded)
    assert result["ca_sha256"] == "sha256:" + digest.finalize().hex()


def test_another_key_is_refused_and_nothing_changes(cluster: Cluster, module: Run, uploaded: str) -> None:
    before = cluster.kubeadm("token", "list")
    wrong = secrets.token_hex(32)
    result = module("certificate_key", state="verified", key=wrong)
    assert result["failed"]
    assert "cannot be decrypted with this certificate key" in result["msg"]
    assert "kubeadm init phase upload-certs --upload-certs" in result["msg"]
    assert wrong not in str(result)
    assert cluster.kubeadm("token", "list") == before


def test_a_foreign_ca_in_the_secret_is_refused(cluster: Cluster, module: Run, tmp_path: Path) -> None:
    foreign = Authority(tmp_path)
    Authority(tmp_path, name="front-proxy-ca", stem="front-proxy-ca")
    Authority(tmp_path, name="etcd-ca", stem="etcd/ca")
    for name in ("sa.key", "sa.pub"):
        (tmp_path / name).write_bytes((cluster.pki / name).read_bytes())
    key = secrets.token_hex(32)
    upload(cluster, key, pki=tmp_path)
    result = module("certificate_key", state="verified", key=key)
    assert result["failed"]
    assert "Secret kubeadm-certs is of another CA" in result["msg"]
    assert re.search(r"stored sha256:[0-9a-f]{64}, live sha256:[0-9a-f]{64}", result["error"]["found"])
    assert foreign.pair.key_pem not in str(result)


def test_a_secret_whose_token_is_gone_has_expired(cluster: Cluster, module: Run, uploaded: str) -> None:
    owner = certs_secret(cluster)["metadata"]["ownerReferences"][0]["name"]
    cluster.kubectl("-n", "kube-system", "delete", "secret", owner)
    result = module("certificate_key", state="verified", key=uploaded)
    assert result["failed"]
    assert "Secret kubeadm-certs has expired" in result["msg"]
    assert "the token that owns it is gone" in result["msg"]


def test_the_token_of_the_joins_is_looked_at_too_and_both_have_to_live_on(
    cluster: Cluster, module: Run, uploaded: str
) -> None:
    """FAULTS 5: what a join needs ends, or somebody takes it away, after it was made."""
    ask = {"state": "verified", "key": uploaded, "ttl_minutes": 10}
    token = module("bootstrap_token", ttl_minutes=7)["token_id"]
    assert module("certificate_key", token_id=token, least_minutes=5, **ask)["expires"]
    ends = module("certificate_key", token_id=token, least_minutes=8, **ask)
    assert re.search(rf"Bootstrap token {token} ends at \d{{4}}-", ends["msg"])
    both = module("certificate_key", token_id=token, least_minutes=11, **ask)
    assert "Secret kubeadm-certs has expired or soon will" in both["msg"]
    assert "the token that owns it ends at" in both["msg"]
    module("bootstrap_token", state="absent", token_id=token)
    gone = module("certificate_key", token_id=token, **ask)
    assert f"Bootstrap token {token} is gone" in gone["msg"]
    assert "kubeadm token create" in gone["msg"]
    assert "not 6 characters" in module("certificate_key", token_id=f"{token}.0123456789abcdef", **ask)["msg"]


def test_withdrawn_with_its_tokens_and_nothing_else(cluster: Cluster, module: Run, uploaded: str) -> None:
    """Each upload makes an owner; the Secret refers to the last of them only."""
    earlier = certs_secret(cluster)["metadata"]["ownerReferences"][0]["name"]
    upload(cluster, uploaded)
    kept = module("bootstrap_token", description="Proxy for managing TTL for the kubeadm-certs secret")["token_id"]
    owner = certs_secret(cluster)["metadata"]["ownerReferences"][0]["name"]
    before = secret_names(cluster)
    predicted = module("certificate_key", check=True, state="absent")
    assert secret_names(cluster) == before
    result = module("certificate_key", state="absent")
    assert result["deleted"] == predicted["deleted"]
    assert {"kubeadm-certs", owner, earlier} <= set(result["deleted"])
    assert before - secret_names(cluster) == {f"secret/{name}" for name in result["deleted"]}
    assert f"secret/bootstrap-token-{kept}" in secret_names(cluster)
    assert not module("certificate_key", state="absent")["changed"]
    missing = module("certificate_key", state="verified", key=uploaded)
    assert "There is no Secret kubeadm-certs" in missing["msg"]


def test_a_key_of_the_wrong_form_is_refused_without_being_repeated(module: Run) -> None:
    result = module("certificate_key", state="verified", key="deadbeef" * 7)
    assert "not 64 hexadecimal digits" in result["msg"]
    assert "56 characters" in result["msg"]
    assert "deadbeef" not in str(result)


def test_without_cryptography_the_package_is_named(module: Run, uploaded: str, tmp_path: Path) -> None:
    (tmp_path / "cryptography.py").write_text("raise ImportError('blocked')\n")
    result = module("certificate_key", before=[tmp_path], state="verified", key=uploaded)
    assert result["failed"]
    assert "cryptography" in result["msg"]
    assert "module" not in run_module("certificate_key", {}, before=[tmp_path])
