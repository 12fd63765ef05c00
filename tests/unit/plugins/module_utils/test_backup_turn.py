# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How hosts agree on who takes a backup, by a played etcd."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import backup_peers
from ansible_collections.quorum.kubeadm.plugins.module_utils import backup_turn as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.backup_config import Config
from ansible_collections.quorum.kubeadm.plugins.module_utils.backup_plan import Last
from ansible_collections.quorum.kubeadm.plugins.module_utils.backup_turn import Agreement, Peer
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_api import EtcdApi
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Result
from tests.unit.plugins.module_utils.fake_etcd import Fake, client
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok

NOW = 1_780_000_000.0
LAST = Last("etcd-prod-r7-20260528T000000Z", NOW, "e2", 7)
KEY = "ssh-ed25519 AAAA"


def config(host: str, **more: object) -> Config:
    base = Config("prod", host, "/b", ("https://x:1",), "/a", "/c", "/k")
    return replace(base, **more)


def agreement(etcd: Fake, number: int, **more: object) -> Agreement:
    return Agreement(EtcdApi(client(number), etcd), config(f"e{number}", **more))


def peer(number: int, **more: object) -> Peer:
    return replace(Peer(f"e{number}", "etcd", f"192.0.2.{number}", 22, KEY, (KEY,), NOW), **more)


@pytest.fixture
def etcd() -> Fake:
    return Fake()


def test_of_two_one_has_the_turn_until_it_gives_it_back(etcd: Fake) -> None:
    one, two = agreement(etcd, 2), agreement(etcd, 3)
    assert one.take()
    assert not two.take()
    assert (one.look().holder, two.look().holder) == ("", "e2")
    assert len(etcd.leases) == 1, "who lost has given its lease back"
    one.remember(LAST)
    one.give_back()
    assert not etcd.leases
    assert (two.look().holder, two.look().last) == ("", LAST)
    assert two.take()
    two.give_back()


def test_a_holder_that_died_loses_the_turn_with_its_lease(etcd: Fake) -> None:
    one = agreement(etcd, 2)
    assert one.take()
    one._stop.set()
    etcd.sleep(subject.LEASE_SECONDS + 1)
    assert agreement(etcd, 3).look().holder == ""


def test_the_leader_is_told_and_a_cluster_of_one_too(etcd: Fake) -> None:
    assert [agreement(etcd, number).look().leads for number in (1, 2, 3)] == [True, False, False]
    assert agreement(etcd, 1).look().others
    assert not agreement(etcd, 1, snapshot=False).look().leads, "it has no member of its own"
    assert not agreement(Fake(voters=1), 1).look().others


def test_control_planes_of_an_external_etcd_do_not_wait_for_each_other(etcd: Fake) -> None:
    one, two = agreement(etcd, 1, snapshot=False), agreement(etcd, 2, snapshot=False)
    assert one.take()
    assert two.take()
    one.remember(LAST)
    assert two.last() is None
    for each in (one, two):
        each.give_back()


def test_an_etcd_that_is_full_is_backed_up_all_the_same(etcd: Fake) -> None:
    full = ["etcdserver: mvcc: database space exceeded"]
    etcd.refuse = {"lease/grant": list(full), "kv/put": full * 2}
    one = agreement(etcd, 2)
    assert one.take()
    one.remember(LAST)
    one.register(peer(2))
    one.give_back()
    etcd.refuse = {"lease/grant": ["etcdserver: permission denied"]}
    with pytest.raises(ApiError):
        agreement(etcd, 2).take()


def test_peers_are_those_that_are_members_and_have_shown_themselves(etcd: Fake) -> None:
    for each in (
        peer(1),
        peer(2),
        peer(3, at=NOW - 8 * 86400),
        peer(9),
        peer(8, kind="pki"),
        peer(7, kind="pki", at=0.0),
    ):
        agreement(etcd, 1).register(each)
    assert [found.name for found in agreement(etcd, 1).peers(NOW)] == ["e2", "e8"]


@pytest.mark.parametrize(
    "raw",
    [
        "", "[]", "{}", "null",
        json.dumps({**asdict(peer(2)), "key": 'ssh-ed25519 AAAA\ncommand="sh" ssh-ed25519 BBBB'}),
        json.dumps({**asdict(peer(2)), "key": 'command="sh" ssh-ed25519 BBBB'}),
        json.dumps({**asdict(peer(2)), "host_keys": ["x\n* ssh-rsa AAAA"]}),
        json.dumps({**asdict(peer(2)), "address": "-oProxyCommand=id"}),
        json.dumps({**asdict(peer(2)), "name": "a\nb"}),
        json.dumps({**asdict(peer(2)), "port": 0}),
        json.dumps({**asdict(peer(2)), "port": "22"}),
        json.dumps({**asdict(peer(2)), "more": 1}),
    ],
)  # fmt: skip
def test_what_would_be_more_than_a_line_of_keys_is_nobody(raw: str) -> None:
    assert subject.parse_peer(raw) is None
    assert subject.parse_peer(json.dumps(asdict(peer(2)))) == peer(2)


@pytest.mark.parametrize(("password", "calls"), [("!*", 1), ("!", 1), ("*", 0)])
def test_the_account_is_not_locked(tmp_path: Path, password: str, calls: int) -> None:
    host = FakeHost(tmp_path, {"usermod -p * etcd-backup": ok()})
    host.write("/etc/shadow", f"root:x:1::::::\netcd-backup2:!:1::::::\netcd-backup:{password}:1::::::\n")
    backup_peers.unlock(host)
    assert len(host.calls) == calls


def test_hosts_that_meet_let_each_other_in(etcd: Fake, tmp_path: Path) -> None:
    """Each with a key of its own, whose private half stays; the second time nothing is made again."""
    hosts = {}
    for number in (1, 2):
        host = hosts[number] = FakeHost(tmp_path / str(number))
        host.write("/etc/ssh/ssh_host_ed25519_key.pub", f"ssh-ed25519 HOST{number} root@x\n")
        host.write("/etc/ssh/ssh_host_ed25519_key", "secret")
        host.write("/etc/quorum-kubeadm/x", "")

        def keygen(argv: list[str], host: FakeHost = host, number: int = number) -> Result:
            host.write(backup_peers.KEY, "private")
            host.write(backup_peers.KEY + ".pub", f"ssh-ed25519 OWN{number} quorum-kubeadm\n")
            return ok()

        host.programs["ssh-keygen"] = keygen
    for number in (1, 2, 1):
        told = config(f"e{number}", address=f"192.0.2.{number}")
        met = backup_peers.meet(hosts[number], agreement(etcd, number), told, NOW)
    assert [(one.name, one.key, one.host_keys) for one in met] == [("e2", "ssh-ed25519 OWN2", ("ssh-ed25519 HOST2",))]
    assert len(hosts[1].calls) == 1
    allowed = {number: hosts[number].read_text(backup_peers.ALLOWED) for number in hosts}
    assert allowed == {
        number: f"restrict ssh-ed25519 OWN{3 - number} quorum-kubeadm:e{3 - number}\n" for number in hosts
    }
    assert "private" not in str(etcd.keys)
    place = met[0].destination("private")
    assert (place.host, place.user, place.path, place.host_keys) == (
        "192.0.2.2",
        "etcd-backup",
        "sets",
        ("ssh-ed25519 HOST2",),
    )
    assert not backup_peers.meet(hosts[1], agreement(etcd, 1), config("e1"), NOW), "they are turned off"
