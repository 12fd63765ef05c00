"""External etcd: who reads which key, one restart at a time with the leader last, and a member replaced."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

FACTS = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"], ".build/molecule/etcd/before.json")
MEMBERS = ["etcd1", "etcd2", "etcd4"]
testinfra_hosts = [f"ssh://{name}" for name in MEMBERS]
PKI = "/etc/kubernetes/pki"
CLIENT = f"--cert {PKI}/etcd/healthcheck-client.crt --key {PKI}/etcd/healthcheck-client.key"
ETCDCTL = f"etcdctl --cacert {PKI}/etcd/ca.crt {CLIENT} --endpoints https://127.0.0.1:2379"


@pytest.fixture
def before() -> dict[str, Any]:
    return dict(json.loads(FACTS.read_text()))


def machine(name: str) -> Host:
    """Another machine than the one that a test is about."""
    config = Path(FACTS.parent, "ssh_config")
    return Host.get_host(f"ssh://{name}", ssh_config=str(config))


def environment(host: Host) -> dict[str, str]:
    """Of the process that runs, not of a file."""
    pid = host.check_output("systemctl show etcd -P MainPID")
    words = host.file(f"/proc/{pid}/environ").content_string.split("\0")
    return dict(word.partition("=")[::2] for word in words if word)


def test_three_members_vote_and_are_healthy(host: Host) -> None:
    members = json.loads(host.check_output(f"{ETCDCTL} member list -w json"))["members"]
    assert sorted(member["name"] for member in members) == MEMBERS
    assert not any(member.get("isLearner") for member in members)
    assert host.run(f"{ETCDCTL} endpoint health --cluster").rc == 0


def test_the_service(host: Host) -> None:
    assert host.service("etcd").is_running
    assert host.service("etcd").is_enabled
    for name, value in {"Type": "notify", "NRestarts": "0", "NeedDaemonReload": "no"}.items():
        assert host.check_output(f"systemctl show etcd -P {name}") == value
    (process,) = host.process.filter(comm="etcd")
    assert process.user == "etcd"
    assert host.run("systemd-analyze verify /etc/systemd/system/etcd.service").rc == 0


def test_the_process_has_the_configuration_of_now(host: Host) -> None:
    values = environment(host)
    assert (values["ETCD_HEARTBEAT_INTERVAL"], values["ETCD_ELECTION_TIMEOUT"]) == ("500", "2500")
    assert not host.file("/etc/etcd/initial.env").exists
    assert "ETCD_INITIAL_CLUSTER=" not in host.file("/etc/etcd/etcd.env").content_string


def test_the_data_is_etcds_alone(host: Host) -> None:
    found = host.file("/var/lib/etcd")
    assert (found.user, found.group, found.mode) == ("etcd", "etcd", 0o700)


def test_no_key_is_readable_by_others(host: Host) -> None:
    assert host.check_output(f"find {PKI} -name '*.key' -perm /007") == ""
    readable = host.check_output(f"find {PKI} -name '*.key' -perm /070 -printf '%f %U %g %m\\n'").splitlines()
    assert sorted(readable) == ["peer.key 0 etcd 640", "server.key 0 etcd 640"]
    for name in ("ca", "healthcheck-client"):
        assert host.run(f"setpriv --reuid etcd --regid etcd --clear-groups cat {PKI}/etcd/{name}.key").rc != 0


def test_the_same_ca_and_the_right_names(host: Host) -> None:
    mine = host.check_output(f"sha256sum {PKI}/etcd/ca.crt {PKI}/etcd/ca.key")
    assert mine == machine("etcd2").check_output(f"sha256sum {PKI}/etcd/ca.crt {PKI}/etcd/ca.key")
    address = host.check_output("hostname -I").split()[0]
    for name in ("localhost", "127.0.0.1", address):
        probe = f"curl -sS --cacert {PKI}/etcd/ca.crt {CLIENT}"
        assert '"true"' in host.check_output(f"{probe} https://{name}:2379/health"), name
    refused = host.run(f"curl -sS --cacert {PKI}/etcd/ca.crt https://127.0.0.1:2379/health")
    assert refused.rc != 0, "without a client's certificate nobody gets an answer"


def test_metrics_are_on_loopback_alone(host: Host) -> None:
    assert "etcd_server_has_leader 1" in host.check_output("curl -sS http://127.0.0.1:2381/metrics")
    assert host.socket("tcp://127.0.0.1:2381").is_listening
    assert not host.socket("tcp://0.0.0.0:2381").is_listening


def starts_and_stops(host: Host) -> list[tuple[float, str]]:
    """What systemd wrote down: when the service was stopped, and when it was ready again."""
    text = host.check_output("journalctl --unit=etcd --output=json --no-pager _PID=1")
    rows = [json.loads(line) for line in text.splitlines()]
    words = {"de5b426a63be47a7b6ac3eaac82e2f6f": "stopping", "39f53479d3a045ac8e11786248231fbf": "started"}
    return [
        (int(row["__REALTIME_TIMESTAMP"]) / 1e6, words[row["MESSAGE_ID"]])
        for row in rows
        if row.get("MESSAGE_ID") in words
    ]


def test_one_member_at_a_time_and_the_leader_last(before: dict[str, Any]) -> None:
    gaps = []
    for name in before["order"]:
        seen = starts_and_stops(machine(name))
        assert [word for _when, word in seen][:3] == ["started", "stopping", "started"], name
        gaps.append((seen[1][0], seen[2][0], name))
    assert [name for _stopped, _ready, name in sorted(gaps)] == before["order"], "the leader is last in it"
    for (_stopped, ready, _name), (stopped, _ready, name) in zip(gaps, gaps[1:]):
        assert ready < stopped, f"{name} was stopped before the one before was ready"


@pytest.mark.parametrize("name", ["etcd1", "etcd2"])
def test_it_is_another_process_now_and_was_restarted_once(name: str, before: dict[str, Any]) -> None:
    host = machine(name)
    assert host.check_output("systemctl show etcd -P MainPID") != str(before["pids"][name])
    assert [word for _when, word in starts_and_stops(host)] == ["started", "stopping", "started"]


def test_the_member_that_was_removed() -> None:
    host = machine("etcd3")
    assert not host.service("etcd").is_running
    assert not host.service("etcd").is_enabled
    kept = host.check_output("ls /var/lib/etcd").split()
    assert [name.rpartition("-")[0] for name in kept] == ["member-removed"]


def test_a_machine_without_data_begins_no_cluster_of_its_own() -> None:
    host = machine("etcd3")
    assert host.run("systemctl start etcd").rc != 0
    assert host.check_output("systemctl show etcd -P AssertResult") == "no"
    assert not host.file("/var/lib/etcd/member").exists


def test_two_snapshots_are_kept_and_only_root_reads_them() -> None:
    host = machine("etcd1")
    directory = host.file("/var/backups/etcd")
    assert (directory.user, directory.mode) == ("root", 0o700)
    names = host.check_output("ls -A /var/backups/etcd").split()
    assert len(names) == 2
    for name in names:
        assert re.fullmatch(r"etcd-kubernetes-r\d+-\d{8}T\d{6}Z\.db", name)
        assert host.file(f"/var/backups/etcd/{name}").mode == 0o600
