"""Backups by a timer: one host takes it, all places have it, who brings copies can do no more, a fault is told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

FACTS = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"], ".build/molecule/etcd_backup/statuses.json")
MACHINES = ["etcd1", "etcd2", "etcd3"]
testinfra_hosts = [f"ssh://{name}" for name in MACHINES]
OWN, RECEIVED, NAS = "/var/backups/kubernetes", "/var/lib/etcd-backup/sets", "/srv/nas"
PKI = "/etc/kubernetes/pki/etcd"
CLIENT = f"--cacert {PKI}/ca.crt --cert {PKI}/healthcheck-client.crt --key {PKI}/healthcheck-client.key"
KEY = "/etc/quorum-kubeadm/etcd-backup-key"
SSH = f"-i {KEY} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o IdentitiesOnly=yes"


@pytest.fixture
def statuses() -> dict[str, Any]:
    return dict(json.loads(FACTS.read_text()))


def machine(name: str) -> Host:
    return Host.get_host(f"ssh://{name}", ssh_config=str(FACTS.parent / "ssh_config"))


def taken_by(statuses: dict[str, Any]) -> str:
    """The host that took the one of the round."""
    (name,) = [name for name, status in statuses.items() if status["taken"]]
    return name


def test_one_host_took_it_and_not_the_leader(statuses: dict[str, Any]) -> None:
    taker = taken_by(statuses)
    assert {status["newest"]["by"] for status in statuses.values()} == {taker}
    status = machine(taker).check_output(f"etcdctl {CLIENT} endpoint status -w json")
    told = json.loads(status)[0]["Status"]
    assert told["leader"] != told["header"]["member_id"]


def test_the_timer_goes_on(host: Host) -> None:
    timer = "quorum-kubeadm-etcd-backup.timer"
    assert host.service(timer).is_enabled
    assert host.check_output(f"systemctl show {timer} -P ActiveState") == "active"
    assert "quorum-kubeadm-etcd-backup.service" in host.check_output("systemctl list-timers --no-pager")
    for unit in (timer, "quorum-kubeadm-etcd-backup.service"):
        assert host.run(f"systemd-analyze verify /etc/systemd/system/{unit}").rc == 0


def sha256s(host: Host, folder: str, manifest: dict[str, Any]) -> dict[str, str]:
    paths = " ".join(f"{folder}/{name}" for name in manifest["files"])
    lines = host.check_output(f"sha256sum {paths}").splitlines()
    return {os.path.basename(line.split()[1]): line.split()[0] for line in lines}


def test_every_place_has_what_the_manifest_says(statuses: dict[str, Any]) -> None:
    taker = taken_by(statuses)
    stem = statuses[taker]["taken"]["name"]
    manifest = json.loads(machine(taker).file(f"{OWN}/{stem}.json").content_string)
    want = {name: file["sha256"] for name, file in manifest["files"].items()}
    assert (len(want), manifest["verified"], manifest["taken_by"]) == (2, "drill", taker)
    places = [(taker, OWN), (taker, NAS), *((name, RECEIVED) for name in MACHINES if name != taker)]
    for name, folder in places:
        assert machine(name).file(f"{folder}/{stem}.json").exists, f"{name}:{folder}"
        assert sha256s(machine(name), folder, manifest) == want, f"{name}:{folder}"
    copies = {copy["name"]: bool(copy["error"]) for copy in statuses[taker]["taken"]["copies"]}
    others = {f"host {name}": False for name in MACHINES if name != taker}
    assert copies == {**others, "nas": False, "forgotten": True}


def test_only_root_and_the_account_read_them(host: Host) -> None:
    for folder, owner in ((OWN, "root"), (RECEIVED, "etcd-backup")):
        if not host.file(folder).exists:
            continue
        assert (host.file(folder).user, host.file(folder).mode) == (owner, 0o700)
        assert host.check_output(f"find {folder} -type f -perm /077") == ""
        assert host.check_output(f"find {folder} -name '.*' -mindepth 1") == "", "nothing half-done is left"
    for path in ("/etc/quorum-kubeadm/etcd-backup.json", KEY):
        assert (host.file(path).user, host.file(path).mode) == ("root", 0o600)


def test_nothing_was_written_where_nothing_is_mounted(host: Host) -> None:
    assert not host.file("/mnt/forgotten").exists


def test_metrics_tell_of_the_wrong_place(statuses: dict[str, Any]) -> None:
    text = machine(taken_by(statuses)).file("/var/lib/node_exporter/quorum_kubeadm_etcd_backup.prom").content_string
    assert 'copy_failed{cluster="kubernetes",kind="etcd",destination="forgotten"} 1' in text
    assert 'copy_failed{cluster="kubernetes",kind="etcd",destination="nas"} 0' in text


def test_the_unit_fails_where_a_copy_is_missing(statuses: dict[str, Any]) -> None:
    journal = machine(taken_by(statuses)).check_output("journalctl -u quorum-kubeadm-etcd-backup --no-pager")
    assert "forgotten" in journal
    assert "PRIVATE KEY" not in journal


def test_who_brings_copies_can_do_nothing_else() -> None:
    host, other = machine("etcd1"), machine("etcd2").check_output("hostname -I").split()[0]
    assert "root:" not in host.run(f"timeout 20 ssh {SSH} etcd-backup@{other} cat /etc/passwd").stdout
    forward = host.run(f"timeout 20 ssh {SSH} -N -o ExitOnForwardFailure=yes -R 18080:localhost:22 etcd-backup@{other}")
    assert forward.rc not in (0, 124), "forwarding is refused at once"
    listed = host.run(f"echo 'ls -la /' | sftp -q -b - {SSH} etcd-backup@{other}")
    assert (listed.rc, "sets" in listed.stdout, "etc" in listed.stdout.split()) == (0, True, False)
    outside = host.run(f"echo 'put /etc/hostname /outside' | sftp -q -b - {SSH} etcd-backup@{other}")
    assert outside.rc != 0
    root = host.run(f"timeout 20 ssh {SSH} root@{other} true")
    assert root.rc != 0, "the key opens that account alone"


def test_the_next_one_was_taken_by_hand_and_is_whole() -> None:
    host = machine("etcd2")
    status = json.loads(host.file("/var/lib/quorum-kubeadm/etcd-backup.json").content_string)
    stem = status["taken"]["name"]
    manifest = json.loads(host.file(f"{OWN}/{stem}.json").content_string)
    want = {name: file["sha256"] for name, file in manifest["files"].items()}
    assert sha256s(host, OWN, manifest) == want
    names = host.check_output(f"tar -tzf {OWN}/{stem}.pki.tar.gz").splitlines()
    assert {"etc/kubernetes/pki/etcd/ca.key", "etc/kubernetes/pki/etcd/ca.crt"} <= set(names)
