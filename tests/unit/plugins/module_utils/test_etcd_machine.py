"""etcd's service at its first start, with a systemctl that a test plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_machine import SystemdMachine
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Result
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok

UNIT, FILE, DATA = "etcd.service", "/etc/etcd/initial.env", "/var/lib/etcd"


def machine(root: Path, state: str = "activating", restarts: tuple[int, ...] = (0,)) -> tuple[FakeHost, SystemdMachine]:
    counts = iter(restarts)
    host = FakeHost(root)
    host.programs = {
        "systemctl start": ok(),
        "systemctl reset-failed": ok(),
        "systemctl show --property=ActiveState": ok(f"{state}\n"),
        "systemctl show --property=NRestarts": lambda _argv: ok(f"{next(counts, restarts[-1])}\n"),
        "journalctl": ok("panic: no space left on device\n"),
    }
    return host, SystemdMachine(host, UNIT, FILE, DATA)


def test_the_file_is_written_whole_and_goes(tmp_path: Path) -> None:
    host, subject = machine(tmp_path)
    assert subject.initial() is None
    subject.begin("A=1\n")
    subject.begin("A=2\n")
    assert (subject.initial(), host.names("/etc/etcd")) == ("A=2\n", ["initial.env"])
    subject.finished()
    subject.finished()
    assert subject.initial() is None


def test_data(tmp_path: Path) -> None:
    host, subject = machine(tmp_path)
    assert not subject.has_data()
    host.write(f"{DATA}/member-removed-8e9e05c52164694d/snap/db", "")
    assert not subject.has_data()
    host.write(f"{DATA}/member/snap/db", "")
    assert subject.has_data()


def test_a_start_does_not_wait(tmp_path: Path) -> None:
    host, subject = machine(tmp_path)
    subject.start()
    assert "systemctl start --no-block -- etcd.service" in host.commands()
    host.programs["systemctl start"] = Result(1, "", "Assertion failed")
    with pytest.raises(CommandError, match="Assertion failed"):
        subject.start()


@pytest.mark.parametrize(
    ("state", "restarts", "told"),
    [
        ("activating", (7, 7), False),
        ("activating", (7, 9), False),
        ("activating", (7, 10), True),
        ("active", (7, 10), False),
        ("failed", (0, 0), True),
    ],
)
def test_a_unit_that_comes_up_again_and_again_is_in_trouble(
    tmp_path: Path, state: str, restarts: tuple[int, ...], told: bool
) -> None:
    _host, subject = machine(tmp_path, state, restarts)
    subject.start()
    said = subject.trouble(3)
    assert ("no space left on device" in said) is told
    assert "no space left on device" in subject.trouble(0)
