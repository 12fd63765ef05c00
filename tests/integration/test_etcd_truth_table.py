# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the gates' truth table on real clusters while a client writes; `make faults` tries all of them.

And two faults that need a member of their own: other data than the others have, and no space on its disk.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_api import text
from tests.faults import etcd_truth
from tests.faults.etcd_ways import breakable
from tests.faults.etcd_writer import Writer
from tests.integration.etcd_cluster import EtcdCluster, Make, eventually
from tests.integration.servers import client_context

NAMES = ("cp1", "cp2", "cp3")
RIGHT, WRONG = b"right-" * 40, b"wrong-" * 40
ACTIONS = (("compact", {}), ("defragment", {"min_size_mib": 0, "min_free_percent": 0}))


@pytest.mark.parametrize(("voters", "lost"), [(1, 0), (3, 1)])
def test_every_row_of_a_cluster(tmp_path: Path, voters: int, lost: int) -> None:
    rows = etcd_truth.one(tmp_path / "cluster", voters, lost)
    assert [row for row in rows if row.problem] == []
    assert {row.action for row in rows} >= {"restart a healthy member", "add a learner", "remove a healthy member"}
    assert {row.wanted for row in rows} == {True, False}
    assert rows[-1].missing == 0
    seconds = sum(row.seconds for row in rows)
    assert rows[-1].checked > 10 * seconds, "hardly anything was written"


def test_a_member_with_other_data_is_named_and_every_change_refused(make: Make) -> None:
    """FAULTS 21."""
    cluster = make(*NAMES)
    cluster.put("cp1", "gone", 65536)
    cluster.api("cp1").call("kv/deleterange", {"key": text("gone")})
    cluster.api("cp1").call("kv/put", {"key": text("x"), "value": text(RIGHT.decode())})
    eventually(cluster.info, lambda seen: len({member["hash"] for member in seen["etcd"]["members"]}) == 1)
    server = cluster.members["cp3"].server
    assert server is not None
    time.sleep(0.5)
    server.stop()
    database = cluster.directory / "cp3" / "member" / "snap" / "db"
    raw = database.read_bytes()
    assert raw.count(RIGHT)
    # As a disk does that lies: neither etcd nor its database notices, for a page has no checksum.
    database.write_bytes(raw.replace(RIGHT, WRONG))
    cluster.start("cp3")
    cluster.wait("cp3")

    seen = eventually(cluster.info, lambda result: result["etcd"]["healthy_voters"] == 2)["etcd"]
    (finding,) = [one for one in seen["findings"] if one["level"] == "fatal"]
    assert finding["member"] == '"cp3"'
    assert 'holds other data than "cp1", "cp2" at revision' in finding["found"]
    for action, args in ACTIONS:
        assert '"cp3" holds other data' in cluster.maintain(action, **args)["error"]["found"], action
    _alarm(cluster, "cp3")
    refused = cluster.gate("add_learner", "cp4", peer_url="https://192.0.2.14:2380")
    assert "CORRUPT" in refused["error"]["found"]
    still = cluster.maintain("disarm")
    assert '"cp3" holds other data' in still["error"]["found"], "an alarm with its cause is not taken back"
    with pytest.raises(ApiError, match="kv/put"):
        cluster.put("cp1", "x", 1)


def _alarm(cluster: EtcdCluster, name: str) -> None:
    api = cluster.api(name)
    identity = api.status()["header"]["member_id"]
    api.call("maintenance/alarm", {"action": "ACTIVATE", "memberID": identity, "alarm": "CORRUPT"})


def process(cluster: EtcdCluster, name: str) -> subprocess.Popen[bytes]:
    server = cluster.members[name].server
    assert server is not None
    return server.process


def test_a_full_disk_stops_one_member_and_no_other(tmp_path: Path) -> None:
    """FAULTS 22."""
    with breakable(tmp_path / "cluster", NAMES, ["cp2"]) as ways:
        cluster = ways.cluster
        processes = {name: process(cluster, name).pid for name in ("cp1", "cp3")}
        writer = Writer(
            lambda: [cluster.members[name].url for name in ("cp1", "cp3")],
            client_context(cluster.authority.pair, cluster.client),
        )
        writer.start()
        number = iter(range(1000))
        ways.make("cp2", "disk full", lambda: cluster.put("cp1", f"large/{next(number)}", 65536))
        began = time.monotonic()
        silent = (2, [cluster.members["cp2"].url])
        eventually(
            lambda: cluster.info(timeout=1)["etcd"],
            lambda seen: (seen["healthy_voters"], seen["silent_endpoints"]) == silent,
        )
        assert cluster.gate("restart", "cp1", timeout=1)["failed"] is True
        assert writer.since(began)[0] > 0
        ways.mend("cp2")
        eventually(lambda: cluster.info(timeout=1), lambda result: result["etcd"]["healthy_voters"] == 3)
        writer.stop()
        assert {name: process(cluster, name).pid for name in processes} == processes
        assert all(process(cluster, name).poll() is None for name in NAMES)
        assert writer.lost(cluster.api("cp2")) == []
        assert len({member["hash"] for member in cluster.info()["etcd"]["members"]}) == 1
