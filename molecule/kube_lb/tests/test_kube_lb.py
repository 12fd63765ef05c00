"""The load balancers: one holds the VIP, only servers that the cluster's CA vouches for are used, and it fails over."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

from lab import settings as lab_settings
from tests.lanes import scenario_lab

VIP = lab_settings.load({**os.environ, "LAB_NAME": scenario_lab("kube_lb")}).vip
NAMES = ("lb1", "lb2")


@pytest.fixture(scope="module")
def balancers() -> dict[str, Host]:
    config = str(Path(os.environ["SCENARIO_DIRECTORY"]) / "ssh_config")
    return {name: testinfra.get_host(f"ssh://{name}", ssh_config=config) for name in NAMES}


def holders(balancers: dict[str, Host]) -> list[str]:
    return [name for name, host in balancers.items() if f" {VIP}/" in host.check_output("ip -4 -o addr show dev eth0")]


def until(condition: Callable[[], bool], seconds: float) -> float:
    """Seconds until the condition held; a failure when it did not in time."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(0.2)
    return time.monotonic() - began


def servers(host: Host) -> dict[str, str]:
    """State of each API server, as HAProxy sees it."""
    reader = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/admin.sock'); "
    reader += "s.sendall(b'show stat\\n'); print(b''.join(iter(lambda: s.recv(65536), b'')).decode())"
    rows = [line.split(",") for line in host.check_output(f'python3 -c "{reader}"').splitlines() if line]
    return {
        row[1]: row[17].split()[0] for row in rows if row[0] == "kube_api" and row[1] not in ("FRONTEND", "BACKEND")
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("service", ["haproxy", "keepalived"])
def test_services_run_and_come_back(balancers: dict[str, Host], name: str, service: str) -> None:
    assert balancers[name].service(service).is_running
    assert balancers[name].service(service).is_enabled


def test_exactly_one_machine_holds_the_vip(balancers: dict[str, Host]) -> None:
    until(lambda: len(holders(balancers)) == 1, 10)


@pytest.mark.parametrize("name", NAMES)
def test_a_server_of_a_foreign_ca_is_down(balancers: dict[str, Host], name: str) -> None:
    until(lambda: servers(balancers[name]) == {"w1": "UP", "w2": "DOWN"}, 15)


def test_the_vip_answers_with_the_clusters_certificate(balancers: dict[str, Host]) -> None:
    ask = f"curl -fsS -m 3 --cacert /etc/haproxy/kube-ca.crt https://{VIP}:6443/readyz"
    answers = [balancers["lb1"].check_output(ask) for _number in range(4)]
    assert answers == ["w1"] * 4, "w2 answers too, but nobody vouches for it"


@pytest.mark.parametrize("name", NAMES)
def test_what_was_written_is_root_s(balancers: dict[str, Host], name: str) -> None:
    found = balancers[name].file("/etc/keepalived/keepalived.conf")
    assert (found.user, found.mode) == ("root", 0o600)
    assert "vrrp_version 3" in found.content_string
    assert balancers[name].run("haproxy -c -q -f /etc/haproxy/haproxy.cfg").rc == 0


def test_the_vip_moves_when_haproxy_dies_and_does_not_come_back_by_itself(balancers: dict[str, Host]) -> None:
    (holder,) = holders(balancers)
    (other,) = set(NAMES) - {holder}
    balancers[holder].run_expect([0], "systemctl stop haproxy")
    try:
        until(lambda: holders(balancers) == [other], 15)
    finally:
        balancers[holder].run_expect([0], "systemctl start haproxy")
    time.sleep(3)
    assert holders(balancers) == [other], "nothing is preempted: a second gap for nothing"
