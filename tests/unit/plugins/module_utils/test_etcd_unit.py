# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's unit on a host, and etcd_member's options read strictly."""

from __future__ import annotations

import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_unit as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_member_run import OPTIONS, asked
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Result
from tests.unit.plugins.module_utils.fake_host import Answer, FakeHost, ok


def unit(root: Path, programs: dict[str, Answer] | None = None) -> tuple[subject.SystemdUnit, FakeHost]:
    host = FakeHost(root, {"systemctl": ok(), **(programs or {})})
    return subject.SystemdUnit(host, "etcd.service", "/etc/etcd/initial.env", "/var/lib/etcd/"), host


def test_the_first_start_reads_a_file_that_is_gone_afterwards(tmp_path: Path) -> None:
    etcd, _host = unit(tmp_path)
    assert not etcd.begun()
    etcd.begin("etcd1=https://192.0.2.21:2380,etcd4=https://192.0.2.24:2380")
    assert etcd.begun()
    written = tmp_path / "etc/etcd/initial.env"
    assert written.read_text().splitlines() == [
        'ETCD_INITIAL_CLUSTER="etcd1=https://192.0.2.21:2380,etcd4=https://192.0.2.24:2380"',
        'ETCD_INITIAL_CLUSTER_STATE="existing"',
    ]
    assert stat.S_IMODE(written.stat().st_mode) & 0o022 == 0
    etcd.finished()
    assert not etcd.begun()
    assert list(written.parent.iterdir()) == []
    etcd.finished()


@pytest.mark.parametrize("name", ['x"', "x\ny", "$(x)", "x\\"])
def test_a_name_that_would_break_out_of_the_file_is_refused(tmp_path: Path, name: str) -> None:
    etcd, _host = unit(tmp_path)
    with pytest.raises(InputError):
        etcd.begin(f"{name}=https://192.0.2.21:2380")
    assert not etcd.begun()


def test_it_starts_without_waiting_and_tells_why_it_failed(tmp_path: Path) -> None:
    etcd, host = unit(tmp_path)
    etcd.start()
    assert host.calls == [
        ["systemctl", "reset-failed", "etcd.service"],
        ["systemctl", "start", "--no-block", "etcd.service"],
    ]
    assert etcd.failure() == ""
    log = ok("listen tcp: address already in use\n")
    etcd, host = unit(tmp_path, {"systemctl show": ok("ActiveState=failed\nNRestarts=0\n"), "journalctl": log})
    assert etcd.failure() == "etcd.service failed; the end of its log:\nlisten tcp: address already in use"
    assert "--lines=20" in host.calls[-1]
    etcd, _host = unit(tmp_path, {"systemctl start": Result(5, "", "Unit etcd.service not found.")})
    with pytest.raises(CommandError, match=r"Unit etcd\.service not found"):
        etcd.start()


@pytest.mark.parametrize(
    ("state", "restarts", "told"),
    [("activating", 2, False), ("activating", 3, True), ("active", 3, False), ("inactive", 0, False)],
)
def test_a_unit_that_comes_up_again_and_again_is_not_waited_for(
    tmp_path: Path, state: str, restarts: int, told: bool
) -> None:
    shown = ok(f"ActiveState={state}\nNRestarts={restarts}\n")
    etcd, _host = unit(tmp_path, {"systemctl show": shown, "journalctl": ok("panic: no space left on device\n")})
    said = etcd.failure()
    assert ("ended 3 times since it was started" in said) is told
    assert ("no space left on device" in said) is told


def test_the_unit_of_a_new_cluster(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, {"systemctl": ok()})
    etcd = subject.FirstUnit(host, "etcd.service", "/etc/etcd/initial.env", "/var/lib/etcd")
    assert (etcd.initial(), etcd.has_data()) == (None, False)
    etcd.write("A=1\n")
    etcd.write("A=2\n")
    assert (etcd.initial(), host.names("/etc/etcd")) == ("A=2\n", ["initial.env"])
    host.write("/var/lib/etcd/member-removed-8e9e05c52164694d/snap/db", "")
    assert not etcd.has_data()
    host.write("/var/lib/etcd/something/else", "")
    assert etcd.has_data()


def test_the_data_of_a_learner_that_was_given_up_are_set_aside(tmp_path: Path) -> None:
    etcd, host = unit(tmp_path)
    assert not etcd.has_data()
    (tmp_path / "var/lib/etcd/member/wal").mkdir(parents=True)
    assert etcd.has_data()
    etcd.begin("a=https://192.0.2.21:2380")
    etcd.discard("abc1")
    assert host.calls == [["systemctl", "stop", "etcd.service"]]
    assert not etcd.has_data()
    assert not etcd.begun()
    assert (tmp_path / "var/lib/etcd/member-removed-abc1/wal").is_dir()
    # One that runs on keeps its data where they are.
    (tmp_path / "var/lib/etcd/member").mkdir()
    etcd, _host = unit(tmp_path, {"systemctl stop": Result(1, "", "timed out")})
    with pytest.raises(CommandError, match="cannot be stopped"):
        etcd.discard("abc2")
    assert etcd.has_data()


def test_somebody_accepts_connections_or_nobody_does() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://127.0.0.1:{server.getsockname()[1]}"
        assert subject.dial(url)
    assert not subject.dial(url, 0.5)
    assert not subject.dial("https://", 0.5)


def options(**given: Any) -> dict[str, Any]:
    return {**{name: option.get("default") for name, option in OPTIONS.items()}, **given}


JOIN = {"state": "promoted", "name": "etcd4", "peer_urls": ["https://192.0.2.24:2380"]}


@pytest.mark.parametrize(
    "given",
    [
        JOIN,
        {**JOIN, "peer_urls": ["https://[2001:db8::4]:2380"]},
        {**JOIN, "peer_urls": ["https://etcd4.example.org:2380"], "state": "present"},
        {"state": "absent", "name": "etcd4"},
        {"state": "absent", "member_id": "8E9e05c52164694d"},
        {"state": "swept"},
    ],
)
def test_options_that_are_accepted(given: dict[str, Any]) -> None:
    assert asked(options(**given)).state == given["state"]


@pytest.mark.parametrize(
    "given",
    [
        {**JOIN, "name": ""},
        {**JOIN, "name": "etcd4; rm -rf /"},
        {**JOIN, "name": "../etcd4"},
        {**JOIN, "name": "-etcd4"},
        {**JOIN, "name": "e\n"},
        {**JOIN, "name": "e" * 300},
        {**JOIN, "peer_urls": []},
        {**JOIN, "peer_urls": ["http://192.0.2.24:2380"]},
        {**JOIN, "peer_urls": ["https://192.0.2.24"]},
        {**JOIN, "peer_urls": ["https://192.0.2.24:2380/x"]},
        {**JOIN, "peer_urls": ["https://a b:2380"]},
        {**JOIN, "peer_urls": ["https://a,b:2380"]},
        {**JOIN, "peer_urls": ["https://x:2380\n"]},
        {"state": "absent"},
        {"state": "absent", "member_id": "xyz"},
        {"state": "absent", "member_id": "0" * 17},
        {"state": "swept", "orphan_seconds": 0},
        {**JOIN, "wait_seconds": -1.0},
    ],
)
def test_options_that_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        asked(options(**given))
