# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd_restore against real etcd: a majority is lost, and nothing that was acknowledged is."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_alone
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_wal import read_log
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.snapshot_tools import Tools
from tests.faults.etcd_writer import Writer
from tests.integration.etcd_cluster import EtcdCluster, Make, eventually
from tests.integration.etcd_losses import lose_majority
from tests.integration.servers import program
from tests.integration.support import run_module

BUMP = 1_000_000_000


def ask(state: str, directory: Path, /, check: bool = False, **args: Any) -> dict[str, Any]:
    tools = {"etcd": str(program("etcd", "etcd")), "etcdutl": str(program("etcd", "etcdutl"))}
    own = {"data_dir": str(directory), "minimum_free_bytes": 0, **tools, **args}
    return run_module("etcd_restore", {"state": state, **own}, check=check)


def well(result: dict[str, Any]) -> dict[str, Any]:
    assert not result.get("failed"), result
    return result


def refused(result: dict[str, Any]) -> str:
    assert result.get("failed"), result
    assert "Traceback" not in str(result)
    return str(result["msg"])


def member(cluster: EtcdCluster, name: str = "e1") -> dict[str, str]:
    return {"name": name, "peer_url": cluster.members[name].peer_url}


def revive(cluster: EtcdCluster, name: str = "e1") -> EtcdCluster:
    """The survivor starts as its own service does, and is alone."""
    for other in [one for one in cluster.members if one != name]:
        shutil.rmtree(cluster.directory / other)
        del cluster.members[other]
    cluster.start(name)
    cluster.wait(name)
    return cluster


def tree(path: Path) -> dict[str, tuple[int, int]]:
    return {str(one.relative_to(path)): (one.stat().st_mtime_ns, one.stat().st_size) for one in path.rglob("*")}


@pytest.fixture
def lost(make: Make) -> tuple[EtcdCluster, Writer]:
    cluster = make("e1", "e2", "e3")
    return cluster, lose_majority(cluster)


@pytest.mark.parametrize("_time", range(2))
def test_every_acknowledged_write_is_there_after_the_majority_is_lost(make: Make, _time: int) -> None:
    cluster = make("e1", "e2", "e3")
    writer = lose_majority(cluster)
    data = cluster.directory / "e1"
    before = well(ask("examined", data))["etcd"]
    done = well(ask("prepared", data, **member(cluster)))
    assert done["etcd"]["phase"] == "prepared"
    well(ask("activated", data))
    revive(cluster)
    assert len(writer.acknowledged) > 300
    assert writer.lost(cluster.api("e1")) == []
    seen = cluster.info()["etcd"]
    assert [(one["name"], one["peer_urls"]) for one in seen["members"]] == [("e1", [cluster.members["e1"].peer_url])]
    assert cluster.api("e1").read() >= BUMP + done["etcd"]["restored"]["revision"]
    after = ask("examined", data)["etcd"]
    assert after["cluster_id"] != before["cluster_id"]
    assert after["phase"] == "none", "etcd has been started on it"


def forget_the_mark(data: Path, database: bytes) -> None:
    """As when the power fails after a write was acknowledged and before this member was told so.

    database: as it was before that write. One that ends well has written down what it has applied.
    """
    (data / "member" / "snap" / "db").write_bytes(database)
    (path,) = (data / "member" / "wal").glob("*.wal")
    content = path.read_bytes()
    end = read_log([(path.name, content)]).end
    for cut in range(end, 0, -8):
        log = read_log([(path.name, content[:cut])])
        if log.uncommitted and not log.torn:
            path.write_bytes(content[:cut] + bytes(len(content) - cut))
            return
    raise AssertionError("no entry")


def test_a_write_that_is_not_marked_as_committed_is_kept_which_etcd_alone_would_not(make: Make, tmp_path: Path) -> None:
    cluster = make("e1", "e2", "e3")
    data = cluster.directory / "e1"
    # It is written a tenth of a second after a change, and nothing changes yet.
    time.sleep(1)
    database = (data / "member" / "snap" / "db").read_bytes()
    writer = lose_majority(cluster)
    forget_the_mark(data, database)
    assert well(ask("examined", data))["etcd"]["uncommitted"] > 0
    shutil.copytree(data, tmp_path / "plain")
    etcd_alone.settle(Host(), str(program("etcd", "etcd")), str(tmp_path / "plain"), 60)
    plain = Tools(Host(), "", str(program("etcd", "etcdutl")), 60).status(str(tmp_path / "plain/member/snap/db"))
    done = well(ask("prepared", data, **member(cluster)))
    assert done["etcd"]["restored"]["revision"] > plain.revision
    well(ask("activated", data))
    assert writer.lost(revive(cluster).api("e1")) == []


def test_the_old_data_are_kept_and_watches_from_before_are_told_that_they_are_too_old(
    lost: tuple[EtcdCluster, Writer],
) -> None:
    cluster, _writer = lost
    data = cluster.directory / "e1"
    old = tree(data / "member")
    well(ask("prepared", data, **member(cluster)))
    assert tree(data / "member") == old, "the survivor's data are only read"
    done = well(ask("activated", data))
    (kept,) = [path for path in data.iterdir() if path.name.startswith("member-removed-")]
    assert tree(kept) == old
    assert f"rename member to {kept.name}" in done["steps"]
    assert sorted(os.listdir(data)) == ["member", kept.name]
    api = revive(cluster).api("e1")
    assert api.compacted(api.read() - 1), "everything before the restore counts as compacted"


def test_check_mode_says_the_same_steps_and_writes_nothing(lost: tuple[EtcdCluster, Writer]) -> None:
    cluster, _writer = lost
    data = cluster.directory / "e1"
    before = tree(data)
    told = well(ask("prepared", data, check=True, **member(cluster)))
    assert tree(data) == before
    done = well(ask("prepared", data, **member(cluster)))
    assert done["steps"] == told["steps"]
    assert well(ask("prepared", data, **member(cluster)))["steps"] == [], "it is prepared already"
    told = well(ask("activated", data, check=True))
    assert (data / "member-restoring").exists()
    done = well(ask("activated", data))
    assert [step.split(" to member-removed-")[0] for step in done["steps"]] == [
        step.split(" to member-removed-")[0] for step in told["steps"]
    ]
    assert well(ask("activated", data))["steps"] == []
    assert well(ask("prepared", data, **member(cluster)))["steps"] == [], "what is in place is what was asked for"


def test_refused_while_etcd_runs_on_the_data_and_nothing_is_left(make: Make) -> None:
    cluster = make("e1")
    data = cluster.directory / "e1"
    assert "etcd runs on this data directory" in refused(ask("prepared", data, **member(cluster)))
    assert "etcd runs on this data directory" in refused(ask("activated", data))
    assert sorted(os.listdir(data)) == ["member"]
    found = well(ask("examined", data))["etcd"]
    assert (found["runs"], found["damage"]) == (True, "")


def test_what_is_told_of_a_survivor_that_runs_is_what_it_has_when_it_is_stopped(make: Make) -> None:
    """What a person acknowledges is named by it, and a recovery that was killed asks for the same again."""
    cluster = make("e1", "e2", "e3")
    for number in range(30):
        cluster.put("e1", f"/registry/{number}", 100)
    for name in ("e2", "e3"):
        cluster.members[name].kill()
    time.sleep(3)
    data, urls = cluster.directory / "e1", [cluster.members[name].peer_url for name in ("e1", "e2")]
    running = well(ask("examined", data, others=urls))
    survivor = cluster.members["e1"].server
    assert survivor is not None
    survivor.stop()
    stopped = well(ask("examined", data, others=urls))
    assert (running["etcd"]["runs"], stopped["etcd"]["runs"]) == (True, False)
    assert (running["answering"], stopped["answering"]) == (urls[:1], [])
    for key in ("last_term", "last_index", "cluster_id", "member_id"):
        assert running["etcd"][key] == stopped["etcd"][key]


def test_killed_between_the_two_renames_it_goes_on(lost: tuple[EtcdCluster, Writer]) -> None:
    cluster, writer = lost
    data = cluster.directory / "e1"
    well(ask("prepared", data, **member(cluster)))
    (data / "member").rename(data / "member-removed-x")
    assert well(ask("examined", data))["etcd"]["phase"] == "prepared"
    assert well(ask("prepared", data, **member(cluster)))["steps"] == []
    assert "prepared for e1" in refused(ask("prepared", data, name="e2", peer_url=cluster.members["e2"].peer_url))
    well(ask("activated", data))
    assert writer.lost(revive(cluster).api("e1")) == []


def test_killed_while_it_prepared_it_begins_again(lost: tuple[EtcdCluster, Writer]) -> None:
    cluster, writer = lost
    data = cluster.directory / "e1"
    half = data / "member-restoring" / "restored" / "member"
    half.mkdir(parents=True)
    (half / "quorum-restore.json").write_text('{"source": ')
    assert well(ask("examined", data))["etcd"]["phase"] == "none"
    assert "nothing restored" in refused(ask("activated", data))
    assert well(ask("prepared", data, **member(cluster)))["steps"][0].startswith("delete")
    well(ask("activated", data))
    assert writer.lost(revive(cluster).api("e1")) == []


def test_a_damaged_log_is_refused(lost: tuple[EtcdCluster, Writer]) -> None:
    cluster, _writer = lost
    data = cluster.directory / "e1"
    (log,) = (data / "member" / "wal").glob("*.wal")
    content = bytearray(log.read_bytes())
    content[20_000] ^= 4
    log.write_bytes(content)
    assert well(ask("examined", data))["etcd"]["damage"].startswith(log.name)
    assert "cannot be built on" in refused(ask("prepared", data, **member(cluster)))
    assert sorted(os.listdir(data)) == ["member"]


def test_a_log_with_a_torn_end_is_restored_up_to_it(lost: tuple[EtcdCluster, Writer]) -> None:
    cluster, writer = lost
    data = cluster.directory / "e1"
    (path,) = (data / "member" / "wal").glob("*.wal")
    content = bytearray(path.read_bytes())
    end = read_log([(path.name, bytes(content))]).end
    content[end : end + 8] = (2000).to_bytes(8, "little")
    content[end + 8 : end + 20] = b"\x08\x02" + b"x" * 10
    path.write_bytes(content)
    assert well(ask("examined", data))["etcd"]["torn"] > 0
    well(ask("prepared", data, **member(cluster)))
    well(ask("activated", data))
    assert writer.lost(revive(cluster).api("e1")) == []


def test_a_snapshot_is_restored_on_a_host_without_data(make: Make, tmp_path: Path) -> None:
    cluster = make("e1", "e2", "e3")
    for number in range(20):
        cluster.put("e2", f"/registry/{number}", 1000)
    path = tmp_path / "backups" / "one.db"
    tools = {"etcdctl": str(program("etcd", "etcdctl")), "etcdutl": str(program("etcd", "etcdutl"))}
    where = {"endpoints": [cluster.members["e2"].url], **cluster.files(), **tools}
    saved = well(run_module("etcd_snapshot", {"path": str(path), **where}))
    cluster.stop()
    data = cluster.directory / "e1"
    shutil.rmtree(data)
    data.mkdir()
    found = well(ask("examined", data, snapshot=str(path)))
    assert (found["etcd"]["data"], found["snapshot"]["revision"]) == (False, saved["revision"])
    assert abs(found["snapshot"]["taken"] - time.time()) < 120
    well(ask("prepared", data, snapshot=str(path), **member(cluster)))
    done = well(ask("activated", data))
    assert (done["etcd"]["phase"], done["etcd"]["restored"]["source"]) == ("activated", f"snapshot:{saved['sha256']}")
    assert well(ask("prepared", data, snapshot=str(path), **member(cluster)))["steps"] == []
    api = revive(cluster).api("e1")
    assert api.read() >= BUMP + saved["revision"]
    assert not api.empty("/registry/")


@pytest.mark.parametrize("damage", ["truncated", "raw copy"])
def test_a_snapshot_that_is_none_is_refused(lost: tuple[EtcdCluster, Writer], tmp_path: Path, damage: str) -> None:
    cluster, _writer = lost
    data = cluster.directory / "e1"
    path = tmp_path / "bad.db"
    content = (data / "member" / "snap" / "db").read_bytes()
    path.write_bytes(content[:-5000] if damage == "truncated" else content)
    for state in ("examined", "prepared"):
        assert "no whole snapshot" in refused(ask(state, data, snapshot=str(path), **member(cluster)))
    assert sorted(os.listdir(data)) == ["member"]


def test_what_has_not_enough_room_or_no_names_is_refused_before_anything_is_written(
    lost: tuple[EtcdCluster, Writer],
) -> None:
    cluster, _writer = lost
    data = cluster.directory / "e1"
    assert "room" in refused(ask("prepared", data, minimum_free_bytes=1 << 60, **member(cluster)))
    assert "no name" in refused(ask("prepared", data, name="", peer_url=""))
    assert "without etcdutl" in refused(ask("prepared", data, etcdutl="/usr/bin/none", **member(cluster)))
    assert sorted(os.listdir(data)) == ["member"]
    assert eventually(lambda: well(ask("examined", data))["etcd"]["phase"], lambda phase: phase == "none")


def snapshot_of(cluster: EtcdCluster, path: Path, name: str = "e2") -> dict[str, Any]:
    tools = {"etcdctl": str(program("etcd", "etcdctl")), "etcdutl": str(program("etcd", "etcdutl"))}
    where = {"endpoints": [cluster.members[name].url], **cluster.files(), **tools}
    return well(run_module("etcd_snapshot", {"path": str(path), **where}))


def restored(cluster: EtcdCluster, path: Path, token: str = "t1", **more: Any) -> dict[str, dict[str, Any]]:
    """What is asked of each member."""
    members = {name: member.peer_url for name, member in cluster.members.items()}
    same = {"snapshot": str(path), "initial_members": members, "token": token, **more}
    return {name: {"name": name, **same} for name in members}


def start_all(cluster: EtcdCluster) -> dict[str, Any]:
    """All at once, as their own services do, until all are healthy and hold the same."""
    for name in cluster.members:
        cluster.start(name)
    return dict(eventually(lambda: cluster.info()["etcd"], lambda seen: seen["healthy_voters"] == len(cluster.members)))


def test_three_members_are_restored_from_one_snapshot_as_one_new_cluster(make: Make, tmp_path: Path) -> None:
    cluster, path = make("e1", "e2", "e3"), tmp_path / "one.db"
    for number in range(50):
        cluster.put("e1", f"/registry/before/{number}", 1000)
    old = cluster.info()["etcd"]
    saved = snapshot_of(cluster, path)
    cluster.put("e1", "/registry/after/1", 10)
    for name, asked in restored(cluster, path, sha256=saved["sha256"]).items():
        done = well(ask("prepared", cluster.directory / name, **asked))
        assert done["etcd"]["runs"], "it is restored beside a member that serves"
        assert (done["etcd"]["phase"], done["etcd"]["restored"]["token"]) == ("prepared", "t1")
        assert well(ask("prepared", cluster.directory / name, **asked))["steps"] == []
        assert "etcd runs on this data directory" in refused(ask("activated", cluster.directory / name))
    cluster.stop()
    for name in cluster.members:
        well(ask("activated", cluster.directory / name))
    seen = start_all(cluster)
    assert seen["cluster_id"] != old["cluster_id"]
    assert len({one["hash"] for one in seen["members"]}) == 1
    assert [one["name"] for one in seen["members"]] == ["e1", "e2", "e3"]
    for name in cluster.members:
        api = cluster.api(name)
        assert not api.empty("/registry/before/")
        assert api.empty("/registry/after/"), "it was written after the snapshot"
        assert api.read() >= BUMP + saved["revision"]
        found = well(ask("examined", cluster.directory / name))["etcd"]
        assert (found["phase"], found["record"]["token"]) == ("none", "t1")
        (kept,) = [one for one in (cluster.directory / name).iterdir() if one.name.startswith("member-removed-")]
        assert (kept / "snap" / "db").exists()


def test_members_that_were_killed_at_different_places_become_one_cluster_all_the_same(
    make: Make, tmp_path: Path
) -> None:
    cluster, path = make("e1", "e2", "e3"), tmp_path / "one.db"
    cluster.put("e1", "/registry/one", 1000)
    snapshot_of(cluster, path)
    asked = restored(cluster, path)
    for name in ("e1", "e2"):
        well(ask("prepared", cluster.directory / name, **asked[name]))
    cluster.stop()
    well(ask("activated", cluster.directory / "e1"))
    (cluster.directory / "e2" / "member").rename(cluster.directory / "e2" / "member-removed-x")
    for name in cluster.members:
        steps = well(ask("prepared", cluster.directory / name, **asked[name]))["steps"]
        assert bool(steps) == (name == "e3")
        well(ask("activated", cluster.directory / name))
    assert len({one["hash"] for one in start_all(cluster)["members"]}) == 1


def test_what_an_abandoned_restore_has_prepared_is_made_anew_and_another_file_is_refused(
    make: Make, tmp_path: Path
) -> None:
    cluster, path = make("e1", "e2", "e3"), tmp_path / "one.db"
    cluster.put("e1", "/registry/one", 1000)
    saved = snapshot_of(cluster, path)
    data = cluster.directory / "e1"
    well(ask("prepared", data, **restored(cluster, path)["e1"]))
    again = well(ask("prepared", data, **restored(cluster, path, "t2")["e1"]))
    assert again["steps"][0].startswith("delete what an earlier run has left")
    assert again["etcd"]["restored"]["token"] == "t2"
    wrong = restored(cluster, path, sha256="0" * 64)["e1"]
    assert "not the snapshot that shall be restored" in refused(ask("prepared", data, **wrong))
    assert "not the snapshot" in refused(ask("examined", data, snapshot=str(path), sha256="0" * 64))
    seen = well(ask("examined", data, snapshot=str(path), sha256=saved["sha256"]))
    assert seen["snapshot"]["version"].startswith("3.6.")
    assert seen["etcdutl"].startswith("3.6.")
    assert seen["free_bytes"] > 1 << 20
    cluster.stop()
    assert "restored from one snapshot" in refused(
        ask("prepared", data, **{**restored(cluster, path)["e1"], "snapshot": ""})
    )
