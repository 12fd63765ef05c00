"""The report on certificates: all of a cluster, what is served, the metrics, and every kind of thing that is wrong."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

ROOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
DIRECTORY = ROOT / ".build/molecule/kube_certificates"
PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
PKI = "/etc/kubernetes/pki"
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
METRICS = "/var/lib/prometheus/node-exporter"
# The order of the tests is that of this file: each leaves the hosts as it found them.
Report = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture(scope="module")
def cp1() -> Host:
    return testinfra.get_host("ssh://cp1", ssh_config=str(DIRECTORY / "ssh_config"))


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Run the playbook: exit code, document, output."""

    def run(*words: str, playbook: str = "certificates") -> tuple[int, dict[str, Any], str]:
        path = tmp_path / "report.json"
        path.unlink(missing_ok=True)
        argv = [PLAYBOOK, "-i", DIRECTORY / "hosts.yml", f"playbooks/{playbook}.yml"]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        file = f"kube_certificates_output_file={path}"
        done = subprocess.run(
            [*argv, "-e", file, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert path.exists() or playbook != "certificates", done.stdout + done.stderr
        return done.returncode, json.loads(path.read_text())["certificates"] if path.exists() else {}, done.stdout

    return run


def wrong(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(row["status"], row["check"], row["subject"]) for row in document["rows"]}


def by_name(document: dict[str, Any], host: str = "cp1") -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in document["certificates"] if one["host"] == host}


@contextlib.contextmanager
def kept(host: Host, path: str) -> Iterator[None]:
    """The file comes back as it was."""
    host.check_output(f"cp -a --remove-destination {path} /var/tmp/kept")
    try:
        yield
    finally:
        host.check_output(f"mv /var/tmp/kept {path}")


def put(host: Host, path: str, text: str) -> None:
    host.check_output("printf '%%s\\n' %s > %s", text, path)


def test_a_new_cluster_is_in_order(report: Report) -> None:
    code, document, printed = report()
    assert code == 0, printed
    assert document["rows"] == []
    mine = by_name(document)
    assert set(mine) == {
        "ca", "front-proxy-ca", "etcd-ca", "apiserver", "apiserver-kubelet-client", "apiserver-etcd-client",
        "front-proxy-client", "etcd-server", "etcd-peer", "etcd-healthcheck-client", "admin.conf", "super-admin.conf",
        "controller-manager.conf", "scheduler.conf", "kubelet.conf", "kubelet-client", "kubelet-serving-self-signed",
        "controller-manager-serving", "scheduler-serving",
    }  # fmt: skip
    same = {name for name, one in mine.items() if one["served"] == "same"}
    assert same == {"apiserver", "etcd-server", "etcd-peer", "kubelet-serving-self-signed"}
    assert {name for name, one in mine.items() if one["served"] == "memory"} == {
        "controller-manager-serving", "scheduler-serving",
    }  # fmt: skip
    assert set(by_name(document, "w1")) == {"ca", "kubelet.conf", "kubelet-client", "kubelet-serving-self-signed"}
    assert set(by_name(document, "lb1")) == {"haproxy-ca"}
    assert "certificates: in order (" in printed


def test_kubeadm_says_the_same(report: Report, cp1: Host) -> None:
    """Its own check knows ten of them, and the CAs."""
    told = json.loads(cp1.check_output("kubeadm certs check-expiration -o json 2>/dev/null"))
    mine = by_name(report()[1])
    entries = [*told["certificates"], *told["certificateAuthorities"]]
    assert len(entries) > 12
    for entry in entries:
        if not entry.get("missing"):
            assert mine[entry["name"]]["not_after"] == entry["expirationDate"], entry


def test_check_mode_says_the_same_and_writes_nothing(report: Report, cp1: Host) -> None:
    cp1.check_output(f"rm -rf {METRICS} && mkdir -p {METRICS}")
    real = report()[1]
    code, checked, printed = report("--check", "-e", f"kube_certificates_metrics_dir={METRICS}", "--limit", "cp1")
    assert code == 0, printed
    now = {name: {**one, "seconds_left": 0} for name, one in by_name(real).items()}
    assert {name: {**one, "seconds_left": 0} for name, one in by_name(checked).items()} == now
    assert "hosts not looked at, this run was limited: " in printed
    assert cp1.file(METRICS).listdir() == []


def test_metrics(report: Report, cp1: Host) -> None:
    words = ("-e", f"kube_certificates_metrics_dir={METRICS}", "--limit", "cp1")
    code, document, printed = report(*words)
    assert code == 0, printed
    file = cp1.file(f"{METRICS}/quorum_kubeadm_certificates.prom")
    assert (file.user, file.mode) == ("root", 0o644)
    assert cp1.file(METRICS).listdir() == ["quorum_kubeadm_certificates.prom"]
    lines = file.content_string.splitlines()
    labels = f'name="apiserver",kind="leaf",path="{PKI}/apiserver.crt"'
    assert f'quorum_kubeadm_certificate_served_is_file{{{labels},port="6443"}} 1' in lines
    end = cp1.check_output(f"date -d {by_name(document)['apiserver']['not_after']} +%s")
    assert f"quorum_kubeadm_certificate_not_after_seconds{{{labels}}} {end}" in lines
    # Nothing new, nothing written.
    before = cp1.check_output("stat -c %%i,%%y %s", file.path)
    assert report(*words)[0] == 0
    assert cp1.check_output("stat -c %%i,%%y %s", file.path) == before


def test_metrics_that_cannot_be_written_fail(report: Report) -> None:
    """After the report, which has everything else in it."""
    code, document, printed = report("-e", "kube_certificates_metrics_dir=/nowhere", "--limit", "w1")
    assert code != 0
    assert wrong(document) == {("fail", "metrics", "w1")}
    assert "/nowhere" in printed


def test_thresholds(report: Report) -> None:
    """Leaves live for a year, CAs for ten."""
    code, document, _printed = report("-e", "kube_certificates_warn_days=400")
    assert code == 0
    told = {row["check"] for row in document["rows"]}
    assert {row["status"] for row in document["rows"]} == {"warn"}
    assert {"apiserver", "etcd-peer", "admin.conf"} <= told
    assert not {"ca", "etcd-ca"} & told
    words = ("-e", "kube_certificates_warn_days=400", "-e", "kube_certificates_fail_days=399")
    code, document, _printed = report(*words)
    assert code != 0
    assert ("fail", "apiserver", "cp1") in wrong(document)
    code, _document, printed = report(*words, "-e", "verify_probe_pods=false", playbook="verify")
    assert code != 0
    assert "apiserver: ends in" in printed


def test_keys_that_others_may_read(report: Report, cp1: Host) -> None:
    cp1.check_output(f"chmod 0644 /etc/kubernetes/admin.conf && chmod 0640 {PKI}/etcd/server.key")
    try:
        code, document, _printed = report()
    finally:
        cp1.check_output(f"chmod 0600 /etc/kubernetes/admin.conf {PKI}/etcd/server.key")
    assert code != 0
    assert wrong(document) == {("fail", "admin.conf", "cp1"), ("fail", "etcd-server", "cp1")}


def test_damaged_absent_and_of_another_ca(report: Report, cp1: Host) -> None:
    healthcheck, proxy = f"{PKI}/etcd/healthcheck-client.crt", f"{PKI}/front-proxy-client.crt"
    with kept(cp1, healthcheck):
        cp1.check_output(f"truncate -s 100 {healthcheck}")
        code, document, _printed = report()
        assert code != 0
        assert wrong(document) == {("fail", "etcd-healthcheck-client", "cp1")}
        assert "is damaged" in document["rows"][0]["found"]
    with kept(cp1, proxy):
        cp1.check_output(f"rm {proxy}")
        code, document, _printed = report()
        assert code != 0
        assert "is absent" in document["rows"][0]["found"]
        put(cp1, proxy, cp1.check_output(f"cat {PKI}/apiserver-kubelet-client.crt"))
        found = {row["found"] for row in report()[1]["rows"]}
        assert any("was not signed by the CA front-proxy-ca" in text for text in found)
        assert any("is not its key" in text for text in found)
    assert report()[0] == 0


def test_the_api_is_dead(report: Report, cp1: Host) -> None:
    with kept(cp1, MANIFEST):
        cp1.check_output(f"rm {MANIFEST}")
        cp1.check_output("for i in $(seq 120); do pgrep -x kube-apiserver >/dev/null || exit 0; sleep 1; done; exit 1")
        code, document, printed = report()
        assert code == 0, printed
        assert ("warn", "apiserver", "cp1") in wrong(document)
        mine = by_name(document)
        assert (mine["apiserver"]["served"], mine["etcd-server"]["served"]) == ("not listening", "same")
        assert mine["apiserver"]["seconds_left"] > 0
        assert by_name(document, "w1")["kubelet-client"]["signed"] == "yes"
    readyz = "kubectl --kubeconfig /etc/kubernetes/admin.conf get --raw /readyz"
    cp1.check_output(f"for i in $(seq 120); do {readyz} >/dev/null 2>&1 && exit 0; sleep 1; done; exit 1")


def test_a_host_that_does_not_answer(report: Report) -> None:
    code, document, printed = report(
        "-e", json.dumps({"ansible_ssh_args": ""}), "-e", "ansible_port=1", "--limit", "w1"
    )
    assert code != 0
    assert wrong(document) == {("fail", "hosts", "w1")}
    assert "unreachable" in printed
