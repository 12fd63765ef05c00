# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine of a cluster has, as JSON. Sent to it over standard input; needs Python's library only. No secret."""

from __future__ import annotations

import base64
import fcntl
import glob
import json
import os
import re
import socket
import ssl
import subprocess
import sys
from typing import Any

PKI = "/etc/kubernetes/pki"
LOCAL = "https://127.0.0.1:2379"
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
CLIENT = re.compile(r"client-certificate-data: (\S+)")
CERTIFICATES = (f"{PKI}/*.crt", f"{PKI}/etcd/*.crt", "/etc/haproxy/kube-ca.crt")
KUBELET = "/var/lib/kubelet/pki/kubelet-client-current.pem"
CONFIGURED = (
    "/etc/kubernetes/manifests/*.yaml", "/etc/kubernetes/audit/*", "/var/lib/kubelet/config.yaml",
    "/etc/haproxy/haproxy.cfg", "/etc/keepalived/keepalived.conf", "/etc/containerd/config.toml",
    "/etc/systemd/system/kubelet.service", "/etc/systemd/system/kubelet.service.d/*",
)  # fmt: skip
LISTED = ("/etc/kubernetes", "/etc/haproxy", "/etc/keepalived", "/var/lib/quorum-kubeadm", "/etc/cni")
# What is there only while something of ours runs, or has not ended.
PASSING = (
    "/etc/kubernetes/quorum-kubeadm.json", "/etc/etcd/initial.env", "/var/lib/quorum-kubeadm/manifests",
    "/root/.ansible/tmp/*", "/tmp/ansible*", "/var/tmp/ansible*", "/run/quorum-kubeadm/*.tmp",
)  # fmt: skip
SERVICES = ("containerd", "kubelet", "haproxy", "keepalived")


def read(path: str) -> str:
    """A file's text."""
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()


def found(*patterns: str) -> list[str]:
    """Files that are there, by patterns."""
    return sorted(path for pattern in patterns for path in glob.glob(pattern) if os.path.isfile(path))


def program(*argv: str, stdin: str | None = None) -> str:
    """What a program prints, "" when it fails."""
    try:
        ran = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=15, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if ran.returncode else ran.stdout


def etcd(*words: str) -> Any:
    """What the local member answers, None when it does not."""
    files = (f"--cacert={PKI}/etcd/ca.crt", f"--cert={PKI}/etcd/healthcheck-client.crt")
    key = f"--key={PKI}/etcd/healthcheck-client.key"
    text = program("etcdctl", f"--endpoints={LOCAL}", *files, key, "--write-out=json", *words)
    return json.loads(text) if text else None


def claims() -> list[str]:
    """What joins and sweeps wrote into etcd about themselves."""
    told = etcd("get", "quorum.kubeadm/", "--prefix", "--keys-only") or {}
    return sorted(base64.b64decode(one["key"]).decode() for one in told.get("kvs", []))


def certificates() -> dict[str, str]:
    """The certificates by their files; of the kubelet and of kubeconfigs the client's."""
    pems = {path: read(path) for path in found(*CERTIFICATES, KUBELET)}
    for path in found("/etc/kubernetes/*.conf"):
        client = CLIENT.search(read(path))
        if client:
            pems[path] = base64.b64decode(client[1]).decode()
    # The kubelet's file has its key, too.
    return {path: match[0] for path, pem in pems.items() if (match := PEM.search(pem))}


def listing() -> list[str]:
    """Names and modes of the files."""
    paths = [os.path.join(folder, name) for root in LISTED for folder, _dirs, names in os.walk(root) for name in names]
    return sorted(f"{os.stat(path).st_mode & 0o777:o} {path}" for path in paths if os.path.exists(path))


def busy() -> bool:
    """Whether an operation of ours runs on this host."""
    try:
        descriptor = os.open("/run/quorum-kubeadm/operation.lock", os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    os.close(descriptor)
    return False


def serves() -> bool:
    """Whether the API server of this machine is ready."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", 6443), 5) as plain, context.wrap_socket(plain) as channel:
            channel.sendall(request)
            return b" 200 " in channel.recv(64)
    except OSError:
        return False


def balancer() -> list[str]:
    """The API servers in HAProxy, and how they are."""
    told = program("socat", "-", "UNIX-CONNECT:/run/haproxy/admin.sock", stdin="show stat\n")
    rows = [line.split(",") for line in told.splitlines() if line.startswith("kube_api,")]
    return sorted(f"{row[1]} {row[17]}" for row in rows if row[1] not in {"FRONTEND", "BACKEND"})


def look(vip: str) -> dict[str, Any]:
    """Everything."""
    healthy = etcd("endpoint", "health")
    return {
        "certificates": certificates(),
        "configs": {path: read(path) for path in found(*CONFIGURED)},
        "files": listing(),
        "left": sorted(path for pattern in PASSING for path in glob.glob(pattern)),
        "busy": busy(),
        "services": {name: program("systemctl", "is-active", name).strip() or "no" for name in SERVICES},
        "data": os.path.isdir("/var/lib/etcd/member"),
        "healthy": bool(healthy and healthy[0].get("health")),
        "members": etcd("member", "list", "--hex"),
        "claims": claims() if healthy else [],
        "serves": serves(),
        "backends": balancer(),
        "vip": bool(program("ip", "-o", "address", "show", "to", vip)),
    }


if __name__ == "__main__":
    print(json.dumps(look(sys.argv[1])))
