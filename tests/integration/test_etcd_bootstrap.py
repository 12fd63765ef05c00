# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The core of etcd_bootstrap with real members: begun side by side, resumed, and refused where etcd already lives.

systemd is played: a member is started as a process, everything else is etcd's own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_api import EtcdApi, tls_transport
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_beginning import Begin, Beginning
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_first_start import FirstStart
from tests.integration.certificates import Authority
from tests.integration.etcd_cluster import EtcdCluster
from tests.integration.servers import LOOPBACK

NAMES = ("etcd1", "etcd2", "etcd3")


class Process:
    """A machine whose service is a process of the test."""

    def __init__(self, cluster: EtcdCluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.file = cluster.directory / f"{name}.env"

    def has_data(self) -> bool:
        return (self.cluster.directory / self.name / "member").exists()

    def initial(self) -> str | None:
        return self.file.read_text() if self.file.exists() else None

    def write(self, text: str) -> None:
        self.file.write_text(text)

    def start(self) -> None:
        server = self.cluster.members[self.name].server
        if server is None or server.process.poll() is not None:
            self.cluster.start(self.name, "new")

    def log(self) -> str:
        return ""

    def failure(self) -> str:
        server = self.cluster.members[self.name].server
        return "it ended" if server is not None and server.process.poll() is not None else ""

    def finished(self) -> None:
        self.file.unlink(missing_ok=True)


class World:
    """The members of a new cluster, none of which runs."""

    def __init__(self, directory: Path) -> None:
        authority = Authority(directory / "pki", name="etcd-ca")
        serving = authority.issue("server", "etcd", names=[LOOPBACK, "localhost"])
        client = authority.issue("healthcheck-client", "kube-etcd-healthcheck-client")
        self.cluster = EtcdCluster(directory, authority, serving, client)
        for name in NAMES:
            self.cluster.plan(name)
        self.members = {name: self.cluster.members[name].peer_url for name in NAMES}
        # Members end with the thread that has started them, so the threads stay.
        self.pool = ThreadPoolExecutor(max_workers=len(NAMES))
        self.transport = tls_transport(str(authority.pair.cert), str(client.cert), str(client.key))

    def connect(self, url: str) -> EtcdApi:
        return EtcdApi(url, self.transport, 1)

    def bootstrap(self, name: str, seconds: float = 60, *, effects: bool = True) -> tuple[Beginning, bool]:
        others = [self.cluster.members[one].url for one in NAMES if one != name]
        own = [self.cluster.members[name].url]
        want = Begin(name, self.members, "integration")
        first = FirstStart(Process(self.cluster, name), self.connect, want, own, others)
        return first.run(seconds, effects=effects)

    def begun(self) -> list[str]:
        return [name for name in NAMES if Process(self.cluster, name).file.exists()]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.cluster.stop()
    made.pool.shutdown()


def test_all_at_once_then_nothing_is_left_to_do(world: World) -> None:
    predicted = [world.bootstrap(name, effects=False)[0] for name in NAMES]
    done = list(world.pool.map(world.bootstrap, NAMES))
    assert [plan for plan, _healthy in done] == predicted
    assert all(healthy for _plan, healthy in done)
    assert world.begun() == []
    listed = world.connect(world.cluster.members["etcd1"].url).members()["members"]
    assert {raw["name"]: raw["peerURLs"][0] for raw in listed} == world.members
    assert [world.bootstrap(name)[0] for name in NAMES] == [Beginning()] * 3


def test_one_after_another_and_a_straggler(world: World) -> None:
    """As with a single fork: started, not waited for; the third comes when two are a majority already."""
    for name in NAMES[:2]:
        assert world.bootstrap(name, 0)[1] is False
    for name in NAMES[:2]:
        assert world.bootstrap(name)[1] is True
    plan, healthy = world.bootstrap(NAMES[2])
    assert (plan.writes, healthy, world.begun()) == (True, True, [])


def test_a_killed_member_goes_on_with_what_it_has_written(world: World) -> None:
    list(world.pool.map(lambda name: world.bootstrap(name, 0), NAMES))
    world.bootstrap("etcd1")
    world.cluster.members["etcd3"].kill()
    plan, healthy = world.bootstrap("etcd3")
    assert (plan.writes, plan.starts, healthy) == (False, True, True)
    assert "etcd3" not in world.begun()


def test_a_member_whose_data_is_gone_does_not_begin_again(world: World) -> None:
    list(world.pool.map(world.bootstrap, NAMES))
    world.cluster.members["etcd3"].kill()
    shutil.rmtree(world.cluster.directory / "etcd3")
    with pytest.raises(RefusedError, match="its data is gone"):
        world.bootstrap("etcd3")
    assert not (world.cluster.directory / "etcd3").exists(), "nothing was started"
    assert world.begun() == []


def test_data_that_no_bootstrap_of_ours_left_is_not_touched(world: World) -> None:
    list(world.pool.map(world.bootstrap, NAMES))
    world.cluster.members["etcd3"].kill()
    with pytest.raises(RefusedError, match="no beginning of ours"):
        world.bootstrap("etcd3")


def test_another_cluster_is_told(world: World) -> None:
    """etcd2's place is taken by a cluster of one."""
    everybody = dict(world.cluster.members)
    everybody["etcd2"].name = "old"
    world.cluster.members = {"old": everybody["etcd2"]}
    world.cluster.start("old", "new")
    world.cluster.wait("old")
    world.cluster.members = everybody
    with pytest.raises(RefusedError, match="exists already"):
        world.bootstrap("etcd1")
    with pytest.raises(RefusedError, match="belongs to another cluster"):
        world.bootstrap("etcd2")
    assert world.begun() == []


def test_an_etcd_of_another_ca_is_told(world: World, tmp_path: Path) -> None:
    stranger = World(tmp_path / "stranger")
    stranger.cluster.members = {"etcd2": world.cluster.members["etcd2"]}
    try:
        stranger.cluster.start("etcd2", "new")
        stranger.cluster.wait("etcd2")
        with pytest.raises(RefusedError, match="another CA"):
            world.bootstrap("etcd1")
    finally:
        stranger.cluster.stop()
