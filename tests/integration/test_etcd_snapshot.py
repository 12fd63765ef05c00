# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd_snapshot against a real etcd and etcd's own programs."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.etcd_cluster import EtcdCluster, Make
from tests.integration.servers import program
from tests.integration.support import run_module

MISSING = "/usr/bin/no-such-program"
SMALL = {"minimum_free_bytes": 0}


def ask(etcd: EtcdCluster | None, /, check: bool = False, **args: Any) -> dict[str, Any]:
    where: dict[str, Any] = {}
    if etcd is not None:
        where = {"endpoints": [etcd.members["cp1"].url], **etcd.files()}
    tools = {"etcdctl": str(program("etcd", "etcdctl")), "etcdutl": str(program("etcd", "etcdutl"))}
    return run_module("etcd_snapshot", {**where, **tools, **args}, check=check)


def well(result: dict[str, Any]) -> dict[str, Any]:
    assert not result.get("failed"), result
    return result


def refused(result: dict[str, Any]) -> str:
    assert result.get("failed"), result
    assert "Traceback" not in str(result)
    return str(result["error"]["found"])


def now(cluster: EtcdCluster) -> int:
    return cluster.api("cp1").read()


@pytest.fixture
def one(make: Make) -> EtcdCluster:
    cluster = make("cp1")
    for number in range(20):
        cluster.put("cp1", f"/registry/{number}", 50_000)
    return cluster


@pytest.fixture
def snapshot(one: EtcdCluster, tmp_path: Path) -> Path:
    return Path(well(ask(one, path=str(tmp_path / "backups" / "one.db")))["path"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    place = tmp_path / "disk"
    place.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a file system can only be mounted by root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("through", ["etcdctl", "gateway"])
def test_a_snapshot_while_the_data_change_is_restored_and_is_the_members(
    one: EtcdCluster, tmp_path: Path, through: str
) -> None:
    tools = {} if through == "etcdctl" else {"etcdctl": MISSING}
    ended = threading.Event()

    def write() -> None:
        number = 0
        while not ended.is_set():
            one.put("cp1", f"/registry/{number % 50}", 20_000)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    before = now(one)
    try:
        done = well(ask(one, directory=str(tmp_path / "backups"), cluster="prod", verify="restore", **tools))
    finally:
        ended.set()
        writer.join()
    file = Path(done["path"])
    assert done["changed"] is True
    assert before <= done["revision"] <= now(one)
    assert file.name.startswith(f"etcd-prod-r{done['revision']}-")
    assert done["same_as_member"] is True
    assert done["total_keys"] >= 20
    assert done["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert done["size_bytes"] == file.stat().st_size
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert os.listdir(file.parent) == [file.name], "nothing else is left"
    again = well(ask(None, state="verified", path=str(file), verify="restore"))
    assert again["changed"] is False
    assert {key: again[key] for key in ("revision", "total_keys", "sha256", "size_bytes")} == {
        key: done[key] for key in ("revision", "total_keys", "sha256", "size_bytes")
    }
    assert os.listdir(file.parent) == [file.name]


def test_check_mode_predicts_the_steps_and_writes_nothing(one: EtcdCluster, tmp_path: Path) -> None:
    asked = {"path": str(tmp_path / "new" / "one.db"), "verify": "restore"}
    told = well(ask(one, check=True, **asked))
    assert not (tmp_path / "new").exists()
    assert told["needed_bytes"] > 2.5 * told["size_bytes"]
    done = well(ask(one, **asked))
    assert (told["changed"], told["path"], told["steps"]) == (done["changed"], done["path"], done["steps"])
    assert told["revision"] == done["revision"]


def test_every_flipped_bit_is_refused(one: EtcdCluster, snapshot: Path) -> None:
    whole = snapshot.read_bytes()
    chance = random.Random(1)
    places = [0, 20, 4096 + 20, len(whole) - 1, *(chance.randrange(len(whole)) for _index in range(6))]
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << chance.randrange(8)
        snapshot.write_bytes(flipped)
        assert "damaged" in refused(ask(None, state="verified", path=str(snapshot), verify="none")), place


def test_what_is_no_snapshot_is_refused_with_what_it_is(one: EtcdCluster, snapshot: Path, tmp_path: Path) -> None:
    whole = snapshot.read_bytes()
    raw = tmp_path / "raw.db"
    shutil.copy(one.directory / "cp1" / "member" / "snap" / "db", raw)
    cases = [
        (b"", "empty"),
        (whole[: len(whole) // 2], "truncated"),
        (whole[: len(whole) // 2 // 512 * 512 + 32], "truncated"),
        (whole[:-32], "raw copy"),
        (raw.read_bytes(), "raw copy"),
        (whole + b"x", "length is wrong"),
        (b"x" * 100_000, "no database of etcd"),
    ]
    for content, words in cases:
        snapshot.write_bytes(content)
        assert words in refused(ask(None, state="verified", path=str(snapshot))), words
    assert "No such file" in refused(ask(None, state="verified", path=str(tmp_path / "none.db")))


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(one: EtcdCluster, small_disk: Path) -> None:
    for asked in ({"verify": "restore", **SMALL}, {"verify": "status", "minimum_free_bytes": 1 << 23}):
        for check in (True, False):
            found = refused(ask(one, check=check, directory=str(small_disk), **asked))
            assert f"{8 << 20} bytes are free" in found
            assert "are needed" in found
            assert os.listdir(small_disk) == []


def test_a_disk_that_fills_meanwhile_leaves_nothing_behind(one: EtcdCluster, small_disk: Path) -> None:
    """Somebody else writes there too; here it is the program itself."""
    tool = one.directory / "etcdctl"
    tool.write_text('#!/bin/sh\nfor last; do :; done\nexec /bin/dd if=/dev/zero "of=$last" bs=1M count=20\n')
    tool.chmod(0o755)
    assert "No space left" in refused(ask(one, directory=str(small_disk), verify="status", etcdctl=str(tool), **SMALL))
    assert os.listdir(small_disk) == []


def test_the_newest_are_kept_and_others_files_stay(one: EtcdCluster, tmp_path: Path) -> None:
    directory = tmp_path / "backups"
    directory.mkdir(mode=0o700)
    foreign = ["etcd-prod-2-r5-20200101T000000Z.db", "etcd-pro-r5-20200101T000000Z.db", "notes.txt"]
    old = ["etcd-prod-r9-20200101T000000Z.db", "etcd-prod-r10-20200102T000000Z.db", "etcd-prod-r2-20200103T000000Z.db"]
    for name in [*foreign, *old]:
        (directory / name).write_bytes(b"")
    asked = {"directory": str(directory), "cluster": "prod", "keep": 2}
    assert well(ask(one, check=True, **asked))["deleted"] == old[:2]
    done = well(ask(one, **asked))
    assert done["deleted"] == old[:2]
    assert sorted(os.listdir(directory)) == sorted([*foreign, old[2], Path(done["path"]).name])


def test_what_a_killed_run_left_is_swept(one: EtcdCluster, tmp_path: Path) -> None:
    directory = tmp_path / "backups"
    mine = directory / f".quorum-snapshot.{os.uname().nodename}.{'0' * 16}"
    other = directory / f".quorum-snapshot.{os.uname().nodename}1.{'0' * 16}"
    for place in (mine, other):
        (place / "restored" / "member").mkdir(parents=True, mode=0o700)
    directory.chmod(0o700)
    done = well(ask(one, path=str(directory / "one.db")))
    assert mine.name in done["steps"][0]
    assert not mine.exists()
    assert other.exists(), "another host works there"


def test_a_failed_judgement_keeps_the_snapshot_that_was_there(one: EtcdCluster, snapshot: Path) -> None:
    before = snapshot.read_bytes()
    tool = one.directory / "etcdutl"
    tool.write_text("#!/bin/sh\necho 'database is corrupted' >&2\nexit 1\n")
    tool.chmod(0o755)
    assert "corrupted" in refused(ask(one, path=str(snapshot), etcdutl=str(tool)))
    tool.write_text("""#!/bin/sh\necho '{"hash":1,"revision":1,"totalKey":1}'\n""")
    assert "a majority had" in refused(ask(one, path=str(snapshot), etcdutl=str(tool)))
    assert snapshot.read_bytes() == before
    assert os.listdir(snapshot.parent) == [snapshot.name]
    well(ask(one, path=str(snapshot)))


def test_without_etcdutl_only_the_checksum_is_compared(one: EtcdCluster, tmp_path: Path) -> None:
    result = ask(one, path=str(tmp_path / "new" / "one.db"), etcdutl=MISSING)
    assert "kube_source" in result["error"]["next"]
    assert not (tmp_path / "new").exists()
    done = well(ask(one, path=str(tmp_path / "new" / "one.db"), etcdutl=MISSING, verify="none"))
    assert (done["revision"], done["total_keys"]) == (now(one), None)
    well(ask(None, state="verified", path=done["path"]))


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"path": "/srv/a.db", "directory": "/srv"},
        {"path": "relative.db"},
        {"directory": "/srv/../etc"},
        {"path": "/srv/a.db", "keep": 2},
        {"directory": "/srv/x", "keep": -1},
        {"state": "verified", "directory": "/srv"},
    ],
)
def test_options_that_do_not_go_together(args: dict[str, Any]) -> None:
    result = ask(None, **args)
    assert result["failed"]
    assert "Traceback" not in str(result)


def test_a_place_that_is_not_safe_is_refused(one: EtcdCluster, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    assert "mode 0777" in refused(ask(one, directory=str(shared)))
    taken = tmp_path / "taken.db"
    taken.write_text("something else")
    tmp_path.chmod(0o700)
    assert "14 bytes" in refused(ask(one, path=str(taken)))
    assert taken.read_text() == "something else"
    (tmp_path / "link.db").symlink_to(taken)
    assert "no plain file" in refused(ask(one, path=str(tmp_path / "link.db")))
    assert "/" in str(ask(one, directory=str(tmp_path), cluster="a/b")["msg"])


def test_without_a_majority_there_is_no_snapshot(make: Make, tmp_path: Path) -> None:
    cluster = make("cp1", "cp2", "cp3")
    cluster.members["cp2"].kill()
    cluster.members["cp3"].kill()
    result = ask(cluster, path=str(tmp_path / "new" / "one.db"))
    assert "no member answers" in result["msg"]
    assert not (tmp_path / "new").exists()


def test_after_a_compaction_the_restored_keys_are_still_the_members(one: EtcdCluster, tmp_path: Path) -> None:
    one.put("cp1", "/registry/0", 10)
    one.api("cp1").compact(now(one) - 1)
    done = well(ask(one, path=str(tmp_path / "new" / "one.db"), verify="restore"))
    assert done["same_as_member"] is True


def test_of_nothing_and_of_what_was_deleted_and_compacted_away(make: Make, tmp_path: Path) -> None:
    cluster = make("cp1")
    asked = {"path": str(tmp_path / "new" / "one.db"), "verify": "restore"}
    assert well(ask(cluster, **asked))["total_keys"] == 0
    for number in range(5):
        cluster.put("cp1", f"/registry/{number}", 10)
    cluster.api("cp1").call("kv/deleterange", {"key": "AA==", "range_end": "AA=="})
    cluster.api("cp1").compact(now(cluster))
    well(ask(cluster, **asked))


def drilled(etcd: EtcdCluster | None, /, **args: Any) -> dict[str, Any]:
    return ask(etcd, verify="drill", etcd=str(program("etcd", "etcd")), **args)


def test_a_drill_starts_an_etcd_that_serves_what_the_member_has(one: EtcdCluster, tmp_path: Path) -> None:
    api = one.api("cp1")
    lease = api.call("lease/grant", {"TTL": "3600"})["ID"]
    api.call("kv/put", {"key": "bGVhc2Vk", "value": "eA==", "lease": lease})
    one.put("cp1", "/registry/0", 10)
    done = well(drilled(one, directory=str(tmp_path / "backups"), cluster="prod"))
    told = done["drill"]
    keys, key_hash = api.call("kv/range", {"key": "AA==", "range_end": "AA==", "count_only": True}), api.hash_kv(0)[1]
    assert (told["revision"], told["at"], told["keys"]) == (now(one), done["revision"], int(keys["count"])) != (0, 0, 0)
    assert told["hash"] == format(key_hash, "x")
    assert done["same_as_member"] is True, "also where a key has a lease, over which etcdutl panics"
    assert os.listdir(tmp_path / "backups") == [Path(done["path"]).name]
    again = well(drilled(None, state="verified", path=done["path"]))
    assert (again["drill"], again["etcdutl_hash"]) == (told, done["etcdutl_hash"])
    assert os.listdir(tmp_path / "backups") == [Path(done["path"]).name]
    assert not subprocess.run(["pgrep", "-f", str(tmp_path / "backups")], check=False, capture_output=True).stdout


def test_a_drill_of_what_was_deleted_and_compacted_away(make: Make, tmp_path: Path) -> None:
    cluster = make("cp1")
    asked = {"path": str(tmp_path / "new" / "one.db")}
    assert well(drilled(cluster, **asked))["drill"]["keys"] == 0
    for number in range(5):
        cluster.put("cp1", f"/registry/{number}", 10)
    cluster.api("cp1").call("kv/deleterange", {"key": "AA==", "range_end": "AA=="})
    cluster.api("cp1").compact(now(cluster))
    done = well(drilled(cluster, **asked))
    assert (done["drill"]["keys"], done["drill"]["at"]) == (0, now(cluster))


def test_a_drill_without_etcd_is_refused_before_anything_is_written(one: EtcdCluster, tmp_path: Path) -> None:
    for check in (True, False):
        result = ask(one, check, path=str(tmp_path / "new" / "one.db"), verify="drill", etcd=MISSING)
        assert "no etcd on this host" in result["msg"]
    assert not (tmp_path / "new").exists()


def test_an_etcd_that_does_not_come_up_is_no_snapshot(one: EtcdCluster, tmp_path: Path) -> None:
    tool = one.directory / "etcd"
    tool.write_text("#!/bin/sh\nexit 3\n")
    tool.chmod(0o755)
    result = ask(one, path=str(tmp_path / "new" / "one.db"), verify="drill", etcd=str(tool))
    assert "status 3" in refused(result)
    assert os.listdir(tmp_path / "new") == []
