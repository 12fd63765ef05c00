# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot from its plan to its name, with a played gateway and played programs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import snapshot_run as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_api import EtcdApi
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Result
from ansible_collections.quorum.kubeadm.plugins.module_utils.snapshot_store import SnapshotStore
from ansible_collections.quorum.kubeadm.plugins.module_utils.snapshot_tools import Tools
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok
from tests.unit.plugins.module_utils.test_snapshot_file import database, sealed

DEAD, LIVE = "https://192.0.2.11:2379", "https://192.0.2.12:2379"
CTL, UTL = "/usr/bin/etcdctl", "/usr/bin/etcdutl"
GOOD = sealed(database())
NOW = 1_795_000_000.0


class World:
    """One member that answers, at revision 40, and one that does not; etcdutl tells what the attributes say."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "backups"
        self.host = FakeHost(directory)
        self.revision, self.size, self.alarms = 40, len(GOOD), list[dict[str, str]]()
        self.saved, self.keys, self.restored_keys = GOOD, 7, 7
        self.hash, self.live_hash, self.compacted = 5, 5, 3
        self.kill: Callable[[], None] = lambda: None
        self.host.programs.update({
            f"/usr/bin/env -i {CTL}": self.etcdctl,
            f"{UTL} snapshot status": self.status,
            f"{UTL} snapshot restore": self.restore,
            f"{UTL} hashkv": lambda _argv: ok(json.dumps({"hash": self.hash, "compactRevision": 3})),
            CTL: ok(),
        })  # fmt: skip

    def transport(self, url: str, body: bytes, _timeout: float) -> tuple[int, bytes]:
        if url.startswith(DEAD):
            raise ConnectionRefusedError("nobody is there")
        path = url.partition("/v3/")[2]
        answers: dict[str, Any] = {
            "kv/range": {"header": {"cluster_id": "255", "revision": "40"}},
            "maintenance/status": {"dbSize": str(self.size)},
            "maintenance/alarm": {"alarms": self.alarms},
            "maintenance/hashkv": {"hash": self.live_hash, "compact_revision": str(self.compacted)},
        }
        asked = json.loads(body)
        assert path != "kv/range" or "serializable" not in asked, "a majority has to answer"
        if "revision" in asked and path == "kv/range" and int(asked["revision"]) < self.compacted:
            return 400, json.dumps({"message": "mvcc: required revision has been compacted"}).encode()
        return 200, json.dumps(answers[path]).encode()

    def etcdctl(self, argv: list[str]) -> Result:
        assert argv[3:7] == [f"--endpoints={LIVE}", "--cacert=/a", "--cert=/b", "--key=/c"]
        Path(argv[-1]).write_bytes(self.saved)
        return ok()

    def status(self, argv: list[str]) -> Result:
        keys = self.restored_keys if "/restored/" in argv[3] else self.keys
        return ok(json.dumps({"hash": 1, "revision": self.revision, "totalKey": keys}))

    def restore(self, argv: list[str]) -> Result:
        os.makedirs(argv[-1].partition("=")[2])
        self.kill()
        return ok()

    def run(self, effects: bool = True, state: str = "saved", **more: Any) -> dict[str, Any]:
        params = {
            "endpoints": [DEAD, LIVE], "path": "", "cluster": "", "verify": "restore", "keep": 0, "ca": "/a",
            "cert": "/b", "key": "/c", "minimum_free_bytes": 0, "wait_seconds": 60.0, **more,
        }  # fmt: skip
        store, tools = SnapshotStore(str(self.directory)), Tools(self.host, CTL, UTL, 60)
        save = subject.saver(tools, store, params)
        io = subject.Io(store, tools, lambda url: EtcdApi(url, self.transport), save, lambda: NOW)
        return (subject.saved if state == "saved" else subject.verified)(io, params, effects=effects)

    def left(self) -> list[str]:
        return sorted(os.listdir(self.directory)) if self.directory.exists() else []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_name_has_the_cluster_and_the_revision_that_the_snapshot_has(world: World) -> None:
    told = world.run(effects=False)
    assert (os.path.basename(told["path"]), world.left()) == ("etcd-ff-r40-20261118T110640Z.db", [])
    world.revision = 43
    done = world.run()
    assert world.left() == [os.path.basename(done["path"])] == ["etcd-ff-r43-20261118T110640Z.db"]
    assert (done["revision"], done["total_keys"], done["endpoint"]) == (43, 7, LIVE)
    assert done["same_as_member"] is True


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"alarms": [{"memberID": "1", "alarm": "CORRUPT"}]}, "CORRUPT is raised"),
        ({"revision": 39}, "revision 39; a majority had 40 before"),
        ({"saved": GOOD[:-40]}, "truncated"),
        ({"saved": GOOD[:-1] + bytes([GOOD[-1] ^ 1])}, "damaged"),
        ({"saved": b""}, "empty"),
        ({"restored_keys": 6}, "with 6 keys, not 40 with 7"),
        ({"live_hash": 6}, "hash 5 at revision 40, the member's is 6"),
        ({"size": 1 << 60}, "are needed"),
    ],
)
def test_what_is_not_right_never_gets_a_name(world: World, wrong: dict[str, Any], words: str) -> None:
    for name, value in wrong.items():
        setattr(world, name, value)
    with pytest.raises(RefusedError) as caught:
        world.run()
    assert words in caught.value.found
    assert world.left() == []


def test_a_program_that_fails_leaves_nothing_and_says_why(world: World) -> None:
    world.host.programs[f"{UTL} snapshot restore"] = Result(1, "", "panic: page 5 is free")
    with pytest.raises(CommandError) as caught:
        world.run()
    assert "page 5 is free" in caught.value.found
    assert world.left() == []
    world.host.programs[f"{UTL} snapshot status"] = ok("{}")
    with pytest.raises(CommandError, match="does not say"):
        world.run(verify="status")
    assert world.left() == []


def test_what_cannot_be_compared_is_no_fault(world: World) -> None:
    world.compacted, world.live_hash = 4, 6
    assert world.run()["same_as_member"] is False, "the member has forgotten more since"
    world.compacted = 3
    world.host.programs[f"{UTL} hashkv"] = Result(1, "", 'Error: unknown command "hashkv" for "etcdutl"')
    assert world.run()["same_as_member"] is False, "before etcd 3.6"


def test_a_run_that_is_killed_while_it_restores_is_swept_by_the_next(world: World) -> None:
    class KilledError(BaseException):
        pass

    def kill() -> None:
        # Nothing of ours runs after a SIGKILL: put back what the context manager takes away.
        [place] = world.left()
        os.rename(world.directory / place, world.directory / "aside")
        raise KilledError

    world.kill = kill
    with pytest.raises(KilledError):
        world.run()
    leftover = f".quorum-snapshot.{os.uname().nodename}.{'a' * 16}"
    os.rename(world.directory / "aside", world.directory / leftover)
    assert sorted(os.listdir(world.directory / leftover)) == ["db", "restored"]
    world.kill = lambda: None
    told = world.run(effects=False)
    assert world.left() == [leftover]
    done = world.run()
    assert told["steps"] == done["steps"]
    assert leftover in done["steps"][0]
    assert world.left() == [os.path.basename(done["path"])]


def test_nobody_answers_for_a_majority(world: World) -> None:
    with pytest.raises(RefusedError, match="no member answers") as caught:
        world.run(endpoints=[DEAD])
    assert "nobody is there" in caught.value.found


def test_without_etcdutl_it_is_said_where_it_comes_from(world: World) -> None:
    for name in [name for name in world.host.programs if name.startswith(UTL)]:
        del world.host.programs[name]
    for verify in ("status", "restore"):
        with pytest.raises(InputError, match="kube_source"):
            world.run(verify=verify)
    assert world.left() == []
    assert world.run(verify="none")["revision"] == 40


def test_a_file_is_judged_and_in_check_mode_not_restored(world: World) -> None:
    path = world.run()["path"]
    world.host.calls.clear()
    told = world.run(effects=False, state="verified", path=path)
    assert not any("restore" in argv for argv in world.host.calls)
    done = world.run(state="verified", path=path)
    assert any("restore" in argv for argv in world.host.calls)
    assert {**told, "seconds": 0} == {**done, "seconds": 0}
    assert (done["changed"], done["revision"]) == (False, 40)
    assert world.left() == [os.path.basename(path)]
    world.restored_keys = 0
    with pytest.raises(RefusedError):
        world.run(state="verified", path=path)
    assert world.left() == [os.path.basename(path)]


def test_of_two_in_one_second_the_last_one_stays(world: World) -> None:
    first = world.run(keep=1)
    assert world.run(keep=1)["path"] == first["path"]
    assert world.left() == [os.path.basename(first["path"])]


def test_a_deletion_that_was_compacted_away_does_not_make_it_older(world: World) -> None:
    world.revision, world.compacted, world.live_hash = 38, 40, 6
    done = world.run()
    assert (done["revision"], done["same_as_member"]) == (38, False)
    world.compacted = 39
    with pytest.raises(RefusedError, match="is older"):
        world.run()
