# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certificate_renewal on a control plane with real kubeadm, etcd and kube-apiserver, their certificates expired."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.servers import LOOPBACK, program
from tests.integration.support import COLLECTIONS, ROOT
from tests.integration.survivor import PKI, STAND_IN, manifest, namespaces

pytestmark = pytest.mark.skipif(not namespaces(), reason="namespaces can only be made by root, with unshare and ip")

UNSHARE = ("unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")
KEPT = "/var/lib/quorum-kubeadm/certificates"
RENEWED = 11
# What each port serves, and which file that is; who may read the keys; what is left.
LOOK = f"""
import json, os, ssl, stat
ports = {{6443: "apiserver", 2379: "etcd/server", 2380: "etcd/peer"}}
def compared(port, name):
    try:
        served = ssl.get_server_certificate(("127.0.0.1", port))
    except OSError:
        return None  # not up yet, where nothing was waited for
    return served.split() == open(f"{PKI}/{{name}}.crt").read().split()
same = [compared(port, name) for port, name in ports.items()]
keys = [os.path.join(at, name) for at, _, names in os.walk("/etc/kubernetes") for name in names
        if name.endswith((".key", ".conf"))]
print(json.dumps({{"same": same, "open": [key for key in keys if stat.S_IMODE(os.stat(key).st_mode) & 0o077],
                  "kept": os.path.exists("{KEPT}"), "marker": os.path.exists("/etc/kubernetes/quorum-kubeadm.json")}}))
"""


class Plane:
    """cp1 with etcd; `life` is how long kubeadm lets its certificates live."""

    def __init__(self, directory: Path, life: str) -> None:
        self.directory, self.home = directory, directory / "kubernetes"
        (self.home / "manifests").mkdir(parents=True)
        self.documents: list[dict[str, Any]] = [
            {
                "apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "InitConfiguration",
                "localAPIEndpoint": {"advertiseAddress": "192.0.2.1", "bindPort": 6443},
                "nodeRegistration": {"name": "cp1", "criSocket": "unix:///run/none.sock"},
            },
            {
                "apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration", "kubernetesVersion": "v1.36.3",
                "encryptionAlgorithm": "ECDSA-P256", "controlPlaneEndpoint": f"{LOOPBACK}:6443",
            },
        ]  # fmt: skip
        self._kubeadm(life)
        self._manifests()

    def _kubeadm(self, life: str) -> None:
        init, cluster = self.documents
        cluster = {**cluster, "certificatesDir": str(self.home / "pki"), "certificateValidityPeriod": life}
        config = self.directory / "kubeadm.json"
        config.write_text(f"{json.dumps(init)}\n---\n{json.dumps(cluster)}\n")
        base = [str(program("kubernetes", "kubeadm")), "init", "phase"]
        for phase in (["certs", "all"], ["kubeconfig", "all", "--kubeconfig-dir", str(self.home)]):
            subprocess.run([*base, *phase, "--config", str(config)], check=True, capture_output=True, timeout=60)
        # No kubelet is here: what it would do with its own is tried in the lab.
        (self.home / "kubelet.conf").unlink()

    def _manifests(self) -> None:
        folder, own = self.home / "manifests", f"{PKI}/etcd"
        etcd = {
            "name": "cp1", "data-dir": "/var/lib/etcd", "listen-client-urls": "https://127.0.0.1:2379",
            "advertise-client-urls": "https://127.0.0.1:2379", "listen-peer-urls": "https://127.0.0.1:2380",
            "initial-advertise-peer-urls": "https://127.0.0.1:2380", "initial-cluster": "cp1=https://127.0.0.1:2380",
            "listen-metrics-urls": "http://127.0.0.1:2381", "client-cert-auth": "true", "peer-client-cert-auth": "true",
            "cert-file": f"{own}/server.crt", "key-file": f"{own}/server.key", "trusted-ca-file": f"{own}/ca.crt",
            "peer-cert-file": f"{own}/peer.crt", "peer-key-file": f"{own}/peer.key",
            "peer-trusted-ca-file": f"{own}/ca.crt",
        }  # fmt: skip
        api = {
            "advertise-address": "192.0.2.1", "bind-address": LOOPBACK, "secure-port": 6443, "cert-dir": "/run",
            "tls-cert-file": f"{PKI}/apiserver.crt", "tls-private-key-file": f"{PKI}/apiserver.key",
            "client-ca-file": f"{PKI}/ca.crt", "etcd-servers": "https://127.0.0.1:2379", "etcd-cafile": f"{own}/ca.crt",
            "etcd-certfile": f"{PKI}/apiserver-etcd-client.crt", "etcd-keyfile": f"{PKI}/apiserver-etcd-client.key",
            "service-account-issuer": "https://kubernetes.default.svc", "service-account-key-file": f"{PKI}/sa.pub",
            "service-account-signing-key-file": f"{PKI}/sa.key", "service-cluster-ip-range": "10.96.0.0/24",
            "authorization-mode": "Node,RBAC", "endpoint-reconciler-type": "none",
        }  # fmt: skip
        manifest(folder, "etcd", ["/usr/bin/etcd", *(f"--{key}={value}" for key, value in etcd.items())])
        server = program("kubernetes", "kube-apiserver")
        manifest(folder, "kube-apiserver", [server, *(f"--{key}={value}" for key, value in api.items())])
        (self.directory / "stand_in.py").write_text(STAND_IN)
        for name, port in (("kube-controller-manager", 10257), ("kube-scheduler", 10259)):
            serving = [f"{PKI}/apiserver.crt", f"{PKI}/apiserver.key"]
            manifest(folder, name, [sys.executable, self.directory / "stand_in.py", port, *serving])

    def module(self, check: bool = False, kill_at: str = "", **more: Any) -> dict[str, Any]:
        """A call of the module."""
        path = self.directory / f"call-{time.monotonic_ns()}.json"
        arguments = {
            "roles": ["control_plane", "etcd"], "address": LOOPBACK, "config": self.documents,
            "_ansible_check_mode": check, **more,
        }  # fmt: skip
        path.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
        program_path = str(ROOT / "plugins" / "modules" / "certificate_renewal.py")
        return {"argv": [sys.executable, program_path, str(path)], "kill_at": kill_at}

    def run(self, *commands: dict[str, Any]) -> list[Any]:
        """What each command has told, and after them what there is."""
        order = {
            "programs": [str(program("etcd", "etcd")), str(program("kubernetes", "kubeadm"))],
            "files": {str(self.home): "/etc/kubernetes"},
            "commands": [*commands, {"argv": [sys.executable, "-c", LOOK]}],
        }
        path = os.pathsep.join([str(ROOT), str(COLLECTIONS)])
        done = subprocess.run(
            [*UNSHARE, sys.executable, "-m", "tests.integration.lone_host"], cwd=ROOT, input=json.dumps(order),
            env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        self.logs = told["logs"]
        return [json.loads(answer["said"] or "{}") for answer in told["answers"]]


def test_everything_expired_and_no_api(tmp_path: Path) -> None:
    """Local files only: renewed, restarted, served, and nothing the second time."""
    plane = Plane(tmp_path, "1s")
    time.sleep(1.5)
    check, done, again, look = plane.run(plane.module(check=True), plane.module(), plane.module(check=True))
    assert "msg" not in done, (done, plane.logs)
    assert len(check["plan"]["renew"]) == RENEWED
    assert sorted(check["plan"]["expired"]) == sorted(check["plan"]["renew"])
    assert done["steps"] == check["steps"]
    assert (again["changed"], again["steps"]) == (False, [])
    assert look == {"same": [True, True, True], "open": [], "kept": False, "marker": False}


def test_what_lasts_is_left_alone_and_all_are_renewed_when_asked_for(tmp_path: Path) -> None:
    plane = Plane(tmp_path, "8760h")
    first, every, again, look = plane.run(
        plane.module(), plane.module(every=True, within_days=90), plane.module(check=True)
    )
    assert (first["changed"], first["steps"]) == (False, [])
    assert len(every["plan"]["renew"]) == RENEWED
    assert again["steps"] == []
    assert look["same"] == [True, True, True]
    assert not look["kept"]


def test_a_ca_that_ends_before_what_it_would_sign_is_refused(tmp_path: Path) -> None:
    """kubeadm would sign, and say nothing."""
    plane = Plane(tmp_path, "1s")
    authority = {**plane.documents[1], "certificateValidityPeriod": "87700h"}
    plane.documents[1] = authority
    refused, look = plane.run(plane.module())
    assert refused["failed"]
    assert "nothing was changed" in refused["msg"]
    assert "it would be refused before its own end" in refused["error"]["found"]
    assert not look["kept"]
