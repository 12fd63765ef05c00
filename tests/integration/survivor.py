# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane with a real etcd and a real kube-apiserver in namespaces of its own, whose fellows are gone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.certificates import Authority, service_account_keys
from tests.integration.etcd_cluster import EtcdCluster
from tests.integration.servers import LOOPBACK, Cluster, Server, program
from tests.integration.support import ROOT

PKI = "/etc/kubernetes/pki"
ETCDCTL = ["/usr/bin/etcdctl", f"--cacert={PKI}/etcd/ca.crt", f"--cert={PKI}/etcd/healthcheck-client.crt",
           f"--key={PKI}/etcd/healthcheck-client.key"]  # fmt: skip
# A process of that name which answers at the component's port.
STAND_IN = """
import http.server, ssl, sys
class Ok(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Ok)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def namespaces() -> bool:
    """Whether this machine lets us make some."""
    argv = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "ip", "link", "set", "lo", "up"]
    return os.geteuid() == 0 and subprocess.run(argv, check=False, capture_output=True).returncode == 0


needs_namespaces = pytest.mark.skipif(
    not namespaces(), reason="namespaces can only be made by root, with unshare and ip"
)


def manifest(folder: Path, name: str, command: list[object]) -> None:
    lines = "".join(f"    - {word}\n" for word in command)
    (folder / f"{name}.yaml").write_text(f"spec:\n  containers:\n  - command:\n{lines}    image: none\n")


def write_etcd(folder: Path, cluster: EtcdCluster) -> None:
    own, peer = f"{PKI}/etcd/server", cluster.members["cp1"].peer_url
    flags = {
        "name": "cp1",
        "data-dir": "/var/lib/etcd",
        "listen-client-urls": "https://127.0.0.1:2379",
        "advertise-client-urls": "https://127.0.0.1:2379",
        "listen-peer-urls": peer,
        "listen-metrics-urls": "http://127.0.0.1:2381",
        "client-cert-auth": "true",
    }
    for kind in ("", "peer-"):
        flags |= {f"{kind}cert-file": f"{own}.crt", f"{kind}key-file": f"{own}.key"}
        flags[f"{kind}trusted-ca-file"] = f"{PKI}/etcd/ca.crt"
    manifest(folder, "etcd", ["/usr/bin/etcd", *(f"--{name}={value}" for name, value in flags.items())])


def write_api(home: Path) -> None:
    """The API server's certificates, its manifest, and the administrator's kubeconfig."""
    pki = home / "pki"
    authority = Authority(pki)
    service_account_keys(pki)
    authority.issue("apiserver", "kube-apiserver", names=[LOOPBACK, "localhost"])
    admin = authority.issue("admin", "kubernetes-admin", organization="system:masters")
    flags = {
        "advertise-address": "192.0.2.1",
        "bind-address": LOOPBACK,
        "secure-port": 6443,
        "cert-dir": "/run",
        "tls-cert-file": f"{PKI}/apiserver.crt",
        "tls-private-key-file": f"{PKI}/apiserver.key",
        "client-ca-file": f"{PKI}/ca.crt",
        "etcd-servers": "https://127.0.0.1:2379",
        "etcd-cafile": f"{PKI}/etcd/ca.crt",
        "etcd-certfile": f"{PKI}/etcd/healthcheck-client.crt",
        "etcd-keyfile": f"{PKI}/etcd/healthcheck-client.key",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": f"{PKI}/sa.pub",
        "service-account-signing-key-file": f"{PKI}/sa.key",
        "service-cluster-ip-range": "10.96.0.0/24",
        "authorization-mode": "Node,RBAC",
        "endpoint-reconciler-type": "none",
    }
    api = program("kubernetes", "kube-apiserver")
    manifest(home / "manifests", "kube-apiserver", [api, *(f"--{key}={value}" for key, value in flags.items())])
    server = Server("", "https://127.0.0.1:6443", home, None)
    Cluster(home, authority, server, admin, pki).kubeconfig()


class Survivor:
    """cp1, with what it had when the two others were killed."""

    def __init__(self, directory: Path, cluster: EtcdCluster) -> None:
        self.directory, self.home, self.data = directory, directory / "kubernetes", cluster.directory / "cp1"
        (self.home / "manifests").mkdir(parents=True)
        (directory / "stand_in.py").write_text(STAND_IN)
        write_etcd(self.home / "manifests", cluster)
        write_api(self.home)
        shutil.copytree(cluster.authority.directory, self.home / "pki" / "etcd")
        serving = [f"{PKI}/apiserver.crt", f"{PKI}/apiserver.key"]
        for name, port in (("kube-controller-manager", 10257), ("kube-scheduler", 10259)):
            words = [sys.executable, directory / "stand_in.py", port, *serving]
            manifest(self.home / "manifests", name, words)
        self.inventory = directory / "hosts.yml"
        gone = {"ansible_host": "127.0.0.9", "ansible_port": 9}
        cp1 = {
            "ansible_connection": "local",
            "ansible_host": LOOPBACK,
            "ansible_python_interpreter": sys.executable,
            "kube_node_ip": LOOPBACK,
        }
        planes = {
            "cp1": cp1,
            "cp2": {**gone, "kube_node_ip": "192.0.2.12"},
            "cp3": {**gone, "kube_node_ip": "192.0.2.13"},
        }
        own = {"kube_vip": "192.0.2.100", "kube_api_via": "cp1"}
        groups = {"kube_control_plane": {"hosts": planes}}
        self.inventory.write_text(yaml.safe_dump({"all": {"vars": own, "children": groups}}))
        self.peer_url = cluster.members["cp1"].peer_url

    def argv(self, name: str, *words: str) -> list[str]:
        base = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(self.inventory)]
        return [*base, str(ROOT / "playbooks" / f"{name}.yml"), *(word for value in words for word in ("-e", value))]

    def playbook(self, *words: str, kill_at: str = "") -> dict[str, Any]:
        return {"argv": self.argv("recover_quorum", "recover_lost=cp2,cp3", *words), "kill_at": kill_at}

    def run(self, *commands: dict[str, Any]) -> list[dict[str, Any]]:
        """What each command has said, and after them what is in etcd."""
        order = {
            "programs": [str(program("etcd", name)) for name in ("etcd", "etcdctl", "etcdutl")],
            "files": {str(self.home): "/etc/kubernetes", str(self.data): "/var/lib/etcd"},
            "commands": [
                *commands,
                {"argv": [*ETCDCTL, "get", "--prefix", "/ledger/", "-w", "json"]},
                {"argv": [*ETCDCTL, "member", "list", "-w", "json"]},
                {"argv": ["ls", "/var/lib/etcd", "/var/lib/quorum-kubeadm", "/etc/kubernetes/manifests"]},
            ],
        }
        argv = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable]
        done = subprocess.run(
            [*argv, "-m", "tests.integration.lone_host"],
            cwd=ROOT,
            # The lock of the controller is this test's own: another run of the same test may be at work.
            env={**os.environ, "ANSIBLE_HOME": str(self.directory / "ansible")},
            input=json.dumps(order),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        self.logs = told["logs"]
        return list(told["answers"])
