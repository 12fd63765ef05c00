# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real etcd and a real kube-apiserver serve, compared with their files, before and after these are replaced."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import certificate_host
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_judge import Limits, judge
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_places import Place, places
from ansible_collections.quorum.kubeadm.plugins.module_utils.certificate_seen import Seen
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.certificate_parse import Reader
from tests.integration.certificates import Authority, Pair
from tests.integration.servers import LOOPBACK, Cluster, Etcd, client_context, start_cluster, start_etcd
from tests.integration.support import run_module

NAMES = [LOOPBACK, "localhost", "kubernetes"]
PATIENCE = 90


@dataclass
class World:
    """A control plane's files in a directory, linked to those of two real servers, and the servers' own ports."""

    root: Path
    cluster: Cluster
    etcd: Etcd

    @property
    def places(self) -> list[Place]:
        """The table, with the ports of these servers."""
        ports = {
            "apiserver": _port(self.cluster.url),
            "etcd-server": _port(self.etcd.url),
            "etcd-peer": _port(self.etcd.peer_url),
        }
        wanted = {*ports, "ca", "etcd-ca", "etcd-healthcheck-client"}
        return [
            replace(one, port=ports.get(one.name, 0)) for one in places(["control_plane", "etcd"]) if one.name in wanted
        ]

    def look(self) -> dict[str, Seen]:
        """Everything, by name."""
        told = certificate_host.read_all(Host(str(self.root)), self.places, LOOPBACK, 2.0)
        reader = Reader("cp1", (LOOPBACK,), ("kubernetes",), datetime.now(timezone.utc))
        return {one.name: one for one in reader.read(self.places, told)}

    def pair(self, name: str) -> Pair:
        """The real files behind a place."""
        (path,) = [one.path for one in self.places if one.name == name]
        cert = Path(f"{self.root}{path}").resolve()
        return Pair(cert, cert.with_suffix(".key"))


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def link(root: Path, path: str, pair: Pair) -> None:
    for file, end in ((pair.cert, "crt"), (pair.key, "key")):
        target = Path(f"{root}{path}.{end}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(file)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    (tmp_path / "etcd").mkdir()
    (tmp_path / "cluster").mkdir()
    etcd = start_etcd(tmp_path / "etcd")
    try:
        etcd.server.wait(client_context(etcd.ca, etcd.client), "/health")
        cluster = start_cluster(tmp_path / "cluster", etcd)
        try:
            cluster.server.wait(client_context(cluster.authority.pair, cluster.admin), "/readyz")
            made = World(tmp_path / "root", cluster, etcd)
            pki, mine = "/etc/kubernetes/pki", Pair(cluster.pki / "apiserver.crt", cluster.pki / "apiserver.key")
            link(made.root, f"{pki}/ca", cluster.authority.pair)
            link(made.root, f"{pki}/apiserver", mine)
            serving = Pair(etcd.ca.cert.with_name("server.crt"), etcd.ca.cert.with_name("server.key"))
            for name, pair in (("ca", etcd.ca), ("server", serving), ("peer", serving)):
                link(made.root, f"{pki}/etcd/{name}", pair)
            link(made.root, f"{pki}/etcd/healthcheck-client", etcd.client)
            own, peer = _port(etcd.url), _port(etcd.peer_url)
            clients = {own: f"{pki}/etcd/healthcheck-client.crt", peer: f"{pki}/etcd/peer.crt"}
            monkeypatch.setattr(certificate_host, "CLIENTS", clients)
            yield made
        finally:
            cluster.server.stop()
    finally:
        etcd.server.stop()


def put(authority: Authority, pair: Pair, *, expired: bool = False) -> None:
    """A new certificate with a new key in the place of the old one, each file whole at once."""
    new = authority.issue("fresh", "renewed", names=NAMES, expired=expired)
    os.replace(new.key, pair.key)
    os.replace(new.cert, pair.cert)


def until(condition: Callable[[], bool]) -> float:
    """How many seconds it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < PATIENCE
        time.sleep(0.5)
    return time.monotonic() - begun


def etcd_authority(world: World) -> Authority:
    """The one that start_etcd has made is not kept: another of the same layout, which etcd is not asked to trust."""
    return Authority(world.root / "other", name="etcd-ca")


def test_all_three_ports_serve_their_files(world: World) -> None:
    found = world.look()
    assert {one.name: one.served for one in found.values() if one.served_port} == {
        "apiserver": "same", "etcd-server": "same", "etcd-peer": "same",
    }  # fmt: skip
    assert {one.signed for one in found.values() if one.signer} == {"yes"}
    assert not [one for one in found.values() if one.lacks]
    rows = judge(list(found.values()), Limits(datetime.now(timezone.utc), warn_days=1, fail_days=1))
    # They live for two days only: the CAs end with what they have signed.
    assert {(row.status, row.check) for row in rows} <= {("warn", "ca"), ("warn", "etcd-ca")}
    # We came as clients that etcd knows: it has nothing to complain about.
    assert "rejected connection" not in world.etcd.server.log.read_text()


def test_the_api_server_takes_a_new_file_by_itself_and_until_then_serves_another(world: World) -> None:
    before = world.look()["apiserver"]
    put(world.cluster.authority, world.pair("apiserver"))
    now = world.look()["apiserver"]
    assert now.serial != before.serial
    assert now.served in ("other", "same")
    if now.served == "other":
        assert now.served_serial == before.serial
        (row,) = [row for row in judge([*world.look().values()], Limits(datetime.now(timezone.utc), 1, 1)) if
                  row.check == "apiserver"]  # fmt: skip
        assert row.status == "fail"
        assert f"serial {before.serial}" in row.found
    seconds = until(lambda: world.look()["apiserver"].served == "same")
    print(f"kube-apiserver served the new file after {seconds:.0f} s")


def test_etcd_serves_a_new_file_at_the_next_connection(world: World) -> None:
    before = world.look()["etcd-server"]
    put(etcd_authority(world), world.pair("etcd-server"))
    found = world.look()
    for name in ("etcd-server", "etcd-peer"):
        assert found[name].serial != before.serial
        assert found[name].served == "same"
        # Of another CA of the same name.
        assert (found[name].signed, found[name].issuer) == ("no", before.issuer)


def test_everything_has_expired_and_the_api_is_dead(world: World) -> None:
    put(world.cluster.authority, world.pair("apiserver"), expired=True)
    world.cluster.server.process.send_signal(signal.SIGKILL)
    world.cluster.server.process.wait()
    put(etcd_authority(world), world.pair("etcd-server"), expired=True)
    found = world.look()
    assert (found["apiserver"].served, found["apiserver"].served_found) == ("not listening", "Connection refused")
    assert found["apiserver"].seconds_left < 0
    # An expired certificate is served, and read.
    assert (found["etcd-server"].served, found["etcd-server"].seconds_left < 0) == ("same", True)
    failed = {row.check for row in judge([*found.values()], Limits(datetime.now(timezone.utc))) if "ended" in row.found}
    assert failed >= {"apiserver", "etcd-server", "etcd-peer"}


def test_a_frozen_server_costs_no_more_than_its_time(world: World) -> None:
    process = world.cluster.server.process
    process.send_signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        found = world.look()["apiserver"]
        assert time.monotonic() - begun < 6
        assert (found.served, found.state) == ("no certificate", "present")
        assert "timed out" in found.served_found
    finally:
        process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("check", [False, True])
def test_the_module_on_a_host_with_nothing(check: bool) -> None:
    """As Ansible runs it; this machine is no node."""
    told = run_module("certificate_info", {"name": "x", "roles": ["worker"], "timeout": 0.5}, check=check)
    assert told["changed"] is False
    assert {one["state"] for one in told["certificates"]} == {"absent"}
    assert [one["name"] for one in told["certificates"]] == [one.name for one in places(["worker"])]
    refused = run_module("certificate_info", {"name": "x", "roles": ["cook"]}, check=check)
    assert refused["failed"]
