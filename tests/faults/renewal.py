# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates renewed: under the prober, twice, killed, with everything expired and no API, under a CA that ends soon.

They expire for real: kubeadm makes them anew with a life of minutes, and the cluster is watched until it dies of it.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.releases import release
from lab.settings import CHECKOUT
from tests.e2e.support import Run, Site
from tests.e2e.upgrading import GENTLY, watched
from tests.e2e.workload import Workload
from tests.faults.killing import Point, kill_at
from tests.lanes import KUBE_VERSION

MACHINES = ("lb1", "lb2", "cp1", "cp2", "cp3", "w1", "w2")
CPUS = 1.0
IMAGE = f"registry.k8s.io/e2e-test-images/agnhost:{release(KUBE_VERSION).agnhost}"
PLAYBOOK = "playbooks/renew_certificates.yml"
LOGS = Path(CHECKOUT, ".build", "logs")
PKI, KUBELET_PEM = "/etc/kubernetes/pki", "/var/lib/kubelet/pki/kubelet-client-current.pem"
# What each port serves.
SERVED = {6443: f"{PKI}/apiserver.crt", 2379: f"{PKI}/etcd/server.crt", 2380: f"{PKI}/etcd/peer.crt"}
COMPONENTS = "etcd kube-apiserver kube-controller-manager kube-scheduler"
# How long the certificates live that expire: enough to start everything with them.
LIFE = 240
SHORT = {
    "apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration", "encryptionAlgorithm": "ECDSA-P256",
    "certificateValidityPeriod": f"{LIFE}s",
}  # fmt: skip
KILLED = (
    Point("the first control plane's static pods are stopped", r"TASK .*renew \| Renew, restart", 6),
    Point("the second control plane has left HAProxy", r"TASK .*renew \| Move etcd's leadership", 0.2, 2),
)


@dataclass
class Row:
    """What became of one case."""

    name: str
    problem: str = ""
    seconds: float = 0.0
    gap: float = 0.0
    share: float = 0.0
    acknowledged: int = 0
    told: str = ""


class Renewals:
    """The cases, on one lab."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.planes = [name for name in site.cluster.names if name.startswith("cp")]

    def rows(self) -> Iterator[Row]:
        """All of them; each begins with the cluster that the one before has left."""
        self.site.cluster.recreate()
        run = self.site.play("site.yml")
        if run.status:
            raise RuntimeError(f"site failed: {run.problem()}")
        workload = Workload(self.site)
        workload.start(IMAGE)
        yield from self.cases(workload)

    def cases(self, workload: Workload) -> Iterator[Row]:
        """On a cluster that is there."""
        yield self.under_the_prober(workload)
        yield self._timed("a second run", self.second)
        for ends, name in ((timedelta(days=30), "the CA ends in 30 days"), (timedelta(days=-1), "the CA has expired")):
            yield self._timed(name, partial(self.refused, ends))
        yield self._timed("everything expired, no API", self.everything_expired)
        yield from self.killed()

    def _timed(self, name: str, action: Callable[[], tuple[str, str]]) -> Row:
        began = time.monotonic()
        problem, told = action()
        return Row(name, problem, round(time.monotonic() - began, 1), told=told)

    def play(self, name: str, *words: str) -> Run:
        """One run of the renewal; its output is kept for a person."""
        run = self.site.play(PLAYBOOK, *GENTLY, *words)
        LOGS.mkdir(parents=True, exist_ok=True)
        (LOGS / f"renewal-{name}.log").write_text(run.text, encoding="utf-8")
        return run

    def files(self) -> dict[str, dict[str, str]]:
        """Digests of everything with a certificate or a key, by control plane."""
        look = "find /etc/kubernetes /var/lib/kubelet/pki -type f | xargs sha256sum"
        return {
            name: {path: digest for digest, path in map(str.split, self.site.on(name, "sh", "-c", look).splitlines())}
            for name in self.planes
        }

    def wrong(self) -> list[str]:
        """Where what is served is not what lies in the file; what an end must not leave behind."""
        found = []
        for name in self.planes:
            address = self.site.settings.node(name).address
            for port, path in SERVED.items():
                served = ssl.get_server_certificate((address, port), timeout=10)
                if served.split() != self.site.on(name, "cat", path).split():
                    found.append(f"{name} serves another certificate at {port} than {path}")
        left = "ls -d /var/lib/quorum-kubeadm/certificates /etc/kubernetes/quorum-kubeadm.json 2>/dev/null || true"
        nodes = [name for name in self.site.cluster.names if not name.startswith("lb")]
        return found + [
            f"{name} keeps {kept}" for name in nodes if (kept := self.site.on(name, "sh", "-c", left).split())
        ]

    def under_the_prober(self, workload: Workload) -> Row:
        """All certificates, while somebody uses the cluster."""
        before = self.files()
        began = time.monotonic()
        with watched(self.site, workload, "renewal") as seen:
            run = self.play("all", "-e", "renew_all=true")
        seconds = round(time.monotonic() - began, 1)
        after = self.files()
        kept = [
            f"{path} on {name} is the old one"
            for name in self.planes
            for path, digest in after[name].items()
            if _is_renewed(path) and before[name].get(path) == digest
        ]
        problem = "; ".join(filter(None, [run.problem(), *kept, *self.wrong(), *seen.problems]))
        told = f"{sum(map(_is_renewed, after['cp1']))} files of cp1"
        api = seen.api
        ledger = api["ledger"]["acknowledged"]
        return Row(
            "all certificates, under the prober",
            problem,
            seconds,
            api["longest_gap"],
            api["failed_share"],
            ledger,
            told,
        )

    def second(self) -> tuple[str, str]:
        """Nothing is due any more: nothing changes, nothing is restarted."""
        files, processes = self.files(), self.site.cluster.processes()
        run = self.play("second")
        wrong = [run.problem()] if run.problem() else []
        wrong += [f"changed: {run.changed()}"] if run.changed() else []
        wrong += ["files changed"] if self.files() != files else []
        wrong += ["processes were restarted"] if self.site.cluster.processes() != processes else []
        return "; ".join(
            wrong
        ), "nothing is due" if "nothing is due" in run.text else "it did not say that nothing is due"

    def killed(self) -> Iterator[Row]:
        """Killed twice, then run to its end."""
        self.shorten(timedelta(days=20))
        for point in KILLED:
            yield self._timed(f"killed while {point.name}", partial(self._kill, point))
        yield self._timed("the run after both", self._finished)

    def _kill(self, point: Point) -> tuple[str, str]:
        return "" if kill_at(self.site, PLAYBOOK, point).reached else "the point was not reached: this says nothing", ""

    def _finished(self) -> tuple[str, str]:
        run = self.play("killed")
        return "; ".join(filter(None, [run.problem(), *self.wrong(), self.second()[0]])), ""

    def shorten(self, life: timedelta) -> None:
        """Certificates of the control planes that live so long, by kubeadm; and everything started with them."""
        document = json.dumps(SHORT | {
            "kubernetesVersion": f"v{self.site.version}", "certificateValidityPeriod": f"{life.total_seconds():.0f}s",
        })  # fmt: skip
        for name in self.planes:
            self.site.on(name, "sh", "-c", f"echo '{document}' > /run/short.json")
            self.site.on(name, "kubeadm", "certs", "renew", "all", "--config", "/run/short.json")
            self.site.on(name, "rm", "/run/short.json")
            self.site.on(name, "sh", "-c", f"kill $(pidof {COMPONENTS})")
            self._wait(partial(self.ready, name), f"{name} did not come back")

    def ready(self, name: str) -> bool:
        """Whether the control plane's own API server is there for a client that verifies it."""
        server = f"--server https://{self.site.settings.node(name).address}:6443"
        told = self.site.on(name, "sh", "-c", (
            f"kubectl --kubeconfig /etc/kubernetes/admin.conf {server} --request-timeout 3s get --raw /readyz 2>&1"
            " || true"
        ))  # fmt: skip
        return told.strip() == "ok"

    def _wait(self, ask: Callable[[], bool], what: str, seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while not ask():
            if time.monotonic() > deadline:
                raise RuntimeError(what)
            time.sleep(2)

    def refused(self, ends: timedelta) -> tuple[str, str]:
        """The cluster's CA on one control plane ends then: refused, and nothing changed anywhere."""
        whole = self.site.on("cp2", "cat", f"{PKI}/ca.crt")
        self._write("cp2", f"{PKI}/ca.crt", self._ca_until(whole, ends))
        try:
            files, processes = self.files(), self.site.cluster.processes()
            run = self.play("ca", "-e", "renew_all=true")
            wrong = [] if run.status else ["it was not refused"]
            wrong += ["files changed"] if self.files() != files else []
            wrong += ["processes were restarted"] if self.site.cluster.processes() != processes else []
            said = [line.strip() for line in run.text.splitlines() if line.strip().startswith("cp2: the CA ca")]
            return "; ".join(wrong + ([] if said else ["it does not say why"])), said[0] if said else ""
        finally:
            self._write("cp2", f"{PKI}/ca.crt", whole)

    def _write(self, node: str, path: str, text: str) -> None:
        self.site.on(node, "sh", "-c", f"cat > {path} <<'END'\n{text.strip()}\nEND")

    def _ca_key(self) -> ec.EllipticCurvePrivateKey:
        key = serialization.load_pem_private_key(self.site.on("cp2", "cat", f"{PKI}/ca.key").encode(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("the lab's CA has an ECDSA key")
        return key

    def _ca_until(self, pem: str, ends: timedelta) -> str:
        """The same CA with another end."""
        old = x509.load_pem_x509_certificate(pem.encode())
        builder = x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), old.serial_number)
        for extension in old.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        now = datetime.now(timezone.utc)
        made = builder.not_valid_before(now - timedelta(days=60)).not_valid_after(now + ends)
        return made.sign(self._ca_key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def _expire_kubelet(self, node: str) -> None:
        """The kubelet's own client certificate has ended; the kubelet starts with it, as after a reboot, and ends."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(timezone.utc)
        ca = x509.load_pem_x509_certificate(self.site.on("cp2", "cat", f"{PKI}/ca.crt").encode())
        subject = x509.Name([
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}"),
        ])  # fmt: skip
        made = (
            x509.CertificateBuilder(ca.subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now - timedelta(days=1))
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self._ca_key(), hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        pem = made.public_bytes(serialization.Encoding.PEM) + private
        # The name is a link to the newest one.
        self._write(node, KUBELET_PEM, pem.decode())
        self.site.on(node, "systemctl", "restart", "--no-block", "kubelet")

    def everything_expired(self) -> tuple[str, str]:
        """No certificate of any control plane is valid, two kubelets do not start: one command, and all is well."""
        self.shorten(timedelta(seconds=LIFE))
        for node in ("cp1", "w1"):
            self._expire_kubelet(node)
        self._wait(lambda: not any(map(self.ready, self.planes)), "the API lives with expired certificates", LIFE + 120)
        # Nobody lives on an old connection: as after a power cut.
        for name in self.planes:
            self.site.on(name, "sh", "-c", f"kill $(pidof {COMPONENTS}) 2>/dev/null || true")
        time.sleep(10)
        if any(map(self.ready, self.planes)):
            return "the API was not dead", ""
        began = time.monotonic()
        run = self.play("expired")
        seconds = time.monotonic() - began
        again = self.second()[0] if not run.status else ""
        said = "no API server can be used" if "No API server can be used" in run.text else "it did not see the API dead"
        return "; ".join(
            filter(None, [run.problem(), *self.wrong(), again])
        ), f"{said}; {seconds:.0f} s for one command"


def _is_renewed(path: str) -> bool:
    """Whether a renewal makes this file anew: certificates, their keys and kubeconfigs; no CA, nothing of a kubelet."""
    name = path.rpartition("/")[2]
    if path.startswith(PKI):
        return not name.startswith(("ca.", "front-proxy-ca.", "sa."))
    return name in ("admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf")
