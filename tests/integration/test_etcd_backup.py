# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a real etcd by the program that runs on hosts: what is in a set, whose turn it is, and the copies."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import backup_set
from ansible_collections.quorum.kubeadm.plugins.module_utils.backup_turn import LAST, PREFIX, TURN
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_changes import below, grant, put
from ansible_collections.quorum.kubeadm.plugins.plugin_utils import host_program
from tests.integration.etcd_cluster import EtcdCluster, Make
from tests.integration.object_store import Store, serving
from tests.integration.servers import program
from tests.integration.support import run_module

RCLONE = "/usr/bin/rclone"
ACCOUNT, SECRET = "backup-account", "hush-hush-hush"


class Backups:
    """One host of a real cluster, its configuration, and the program."""

    def __init__(self, etcd: EtcdCluster, directory: Path, name: str = "cp1") -> None:
        self.etcd, self.name = etcd, name
        self.place = directory / name
        self.place.mkdir(parents=True)
        self.sets = self.place / "sets"
        self.program = self.place / "etcd-backup.pyz"
        self.program.write_bytes(host_program.archive("backup_main"))
        pki = self.place / "pki"
        shutil.copytree(etcd.directory / "pki", pki)
        shutil.copy(etcd.authority.pair.cert, pki / "ca.crt")
        (self.place / "metrics").mkdir()
        self.config: dict[str, Any] = {
            "cluster": "prod", "host": name, "directory": str(self.sets), "endpoints": [etcd.members[name].url],
            **etcd.files(), "pki": [str(pki)], "minimum_free_mib": 0, "kube_version": "1.36.3", "verify": "restore",
            "metrics_dir": str(self.place / "metrics"), "state_dir": str(self.place / "state"), "rclone": RCLONE,
            **{tool: str(program("etcd", tool)) for tool in ("etcd", "etcdctl", "etcdutl")},
        }  # fmt: skip

    def write(self, **more: Any) -> str:
        path = self.place / "config.json"
        path.write_text(json.dumps({**self.config, **more}))
        return str(path)

    def run(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """As the timer does."""
        argv = [sys.executable, "-I", "-S", str(self.program), "--config", self.write(**more), *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
        assert "Traceback" not in done.stderr, done.stderr
        assert SECRET not in done.stdout + done.stderr
        return done

    def well(self, *words: str, **more: Any) -> dict[str, Any]:
        done = self.run(*words, **more)
        assert done.returncode == 0, done.stderr
        return self.status()

    def status(self) -> dict[str, Any]:
        return dict(json.loads((self.place / "state" / "etcd-backup.json").read_text()))

    def metrics(self) -> str:
        return (self.place / "metrics" / "quorum_kubeadm_etcd_backup.prom").read_text()

    def names(self) -> list[str]:
        return sorted(os.listdir(self.sets)) if self.sets.exists() else []

    def manifest(self) -> backup_set.Manifest:
        (name,) = [name for name in self.names() if name.endswith(".json")]
        return backup_set.parse_manifest((self.sets / name).read_text(), str(self.sets / name))


def files_of(folder: Path) -> dict[str, backup_set.File | None]:
    found: dict[str, backup_set.File | None] = {}
    for path in folder.iterdir():
        text = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True).stdout
        found[path.name] = backup_set.File(path.stat().st_size, text.split()[0])
    return found


@pytest.fixture
def one(make: Make, tmp_path: Path) -> Backups:
    cluster = make("cp1")
    for number in range(20):
        cluster.put("cp1", f"/registry/{number}", 20_000)
    return Backups(cluster, tmp_path / "hosts")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    place = tmp_path / "mounted"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)], check=False)
    if made.returncode:
        pytest.skip("a file system can only be mounted by root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def store() -> Iterator[Store]:
    if not os.path.exists(RCLONE):
        pytest.skip("rclone is not installed: python3 -m lab deps")
    with serving("backups", ACCOUNT) as started:
        yield started


def s3(store: Store, **more: Any) -> dict[str, Any]:
    return {"name": "store", "type": "s3", "bucket": store.bucket, "path": "prod", "endpoint": store.url,
            "access_key": ACCOUNT, "secret_key": SECRET, "options": {"force_path_style": "true"}, **more}  # fmt: skip


def test_a_set_is_whole_and_its_manifest_tells_the_truth(one: Backups, mounted: Path) -> None:
    place = {"name": "nas", "type": "directory", "path": str(mounted / "prod")}
    before = one.etcd.api("cp1").read()
    status = one.well(verify="drill", destinations=[place])
    manifest = one.manifest()
    assert (manifest.cluster, manifest.taken_by, manifest.kube_version) == ("prod", "cp1", "1.36.3")
    assert (manifest.revision >= before, manifest.total_keys >= 20, manifest.verified) == (True, True, "drill")
    assert manifest.cluster_id == format(int(one.etcd.api("cp1").status()["header"]["cluster_id"]), "x")
    assert manifest.etcd_version == one.etcd.api("cp1").status()["version"]
    assert not backup_set.defects(manifest, files_of(one.sets))
    assert not backup_set.defects(manifest, files_of(mounted / "prod"))
    assert len(one.names()) == 3, "nothing else is left"
    assert {path.stat().st_mode & 0o777 for path in [*one.sets.iterdir(), *(mounted / "prod").iterdir()]} == {0o600}
    assert one.sets.stat().st_mode & 0o777 == 0o700
    judged = {"state": "verified", "path": str(one.sets / manifest.snapshot), "etcdutl": one.config["etcdutl"]}
    assert run_module("etcd_snapshot", judged)["etcdutl_hash"] == manifest.hash
    assert (status["result"], status["newest"]["name"]) == ("taken", manifest.snapshot.removesuffix(".db"))
    assert [(copy["name"], copy["error"]) for copy in status["taken"]["copies"]] == [("nas", "")]
    assert 'copy_failed{cluster="prod",kind="etcd",destination="nas"} 0' in one.metrics()
    assert not [key for key in below(one.etcd.api("cp1"), PREFIX) if key.startswith(TURN)], "the turn was given back"


def test_the_pki_comes_back_as_it_was_and_encrypted_only_with_the_key(one: Backups, tmp_path: Path) -> None:
    one.well()
    archive = one.sets / one.manifest().pki
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "back", filter="tar")
        names = tar.getnames()
    (pki,) = one.config["pki"]
    assert not subprocess.run(["diff", "-r", pki, f"{tmp_path}/back{pki}"], check=False).returncode
    key, certificate = tmp_path / "recipient.key", tmp_path / "recipient.crt"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=backup"]
    subprocess.run(
        ["openssl", "req", *kind, "-days", "2", "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    shutil.rmtree(one.sets)
    one.well("--now", recipient=certificate.read_text())
    sealed = one.sets / one.manifest().pki
    assert sealed.name.endswith(".pki.tar.gz.cms")
    assert sealed.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE KEY" not in sealed.read_bytes()
    opened = tmp_path / "opened.tar.gz"
    argv = ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", sealed, "-inkey", key, "-out", opened]
    subprocess.run(argv, check=True, capture_output=True)
    with tarfile.open(opened) as tar:
        assert tar.getnames() == names
    damaged = bytearray(sealed.read_bytes())
    damaged[-40] ^= 1
    sealed.write_bytes(damaged)
    assert subprocess.run(argv, check=False, capture_output=True).returncode, "a changed archive does not decrypt"
    done = one.run("--now", recipient="-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
    assert (done.returncode, "etcd_backup_recipient" in done.stderr) == (1, True)


def test_a_fresh_one_is_left_alone_also_when_another_host_has_taken_it(make: Make, tmp_path: Path) -> None:
    cluster = make("cp1", "cp2", "cp3")
    leader = next(m["name"] for m in cluster.info()["etcd"]["members"] if m["leader"])
    first, second = [Backups(cluster, tmp_path / "hosts", name) for name in cluster.members if name != leader]
    assert first.well()["result"] == "taken"
    status = second.well()
    assert (status["result"], status["newest"]["by"], second.names()) == ("fresh", first.name, [])
    assert second.well("--now")["newest"]["by"] == second.name
    assert "last_run_failed{" in second.metrics()


def test_the_leader_leaves_it_to_the_others(make: Make, tmp_path: Path) -> None:
    cluster = make("cp1", "cp2", "cp3")
    leader = next(m["name"] for m in cluster.info()["etcd"]["members"] if m["leader"])
    lead = Backups(cluster, tmp_path / "hosts", leader)
    argv = [sys.executable, "-I", "-S", str(lead.program), "--config", lead.write()]
    waiting = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(5)
        other = next(name for name in cluster.members if name != leader)
        assert Backups(cluster, tmp_path / "hosts", other).well()["result"] == "taken"
        out, err = waiting.communicate(timeout=60)
    finally:
        waiting.kill()
    assert (waiting.returncode, f"was taken by {other}" in out) == (0, True), err
    assert lead.names() == []


def test_who_died_with_the_turn_does_not_keep_it(one: Backups) -> None:
    api = one.etcd.api("cp1")
    lease = grant(api, 5)
    put(api, TURN + "prod", "cp9", lease)
    assert one.well()["result"] == "taken"


def test_wrong_places_are_told_and_the_right_one_has_its_copy(one: Backups, mounted: Path, tmp_path: Path) -> None:
    right = {"name": "nas", "type": "directory", "path": str(mounted / "prod")}
    forgotten = {"name": "forgotten", "type": "directory", "path": str(tmp_path / "nothing" / "mounted")}
    file = mounted / "file"
    file.write_text("in the way")
    broken = {"name": "broken", "type": "directory", "path": str(file / "below")}
    done = one.run(destinations=[forgotten, broken, right])
    assert done.returncode == 1
    copies = {copy["name"]: copy["error"] for copy in one.status()["taken"]["copies"]}
    assert "mount point" in copies["forgotten"]
    assert "Not a directory" in copies["broken"]
    assert copies["nas"] == ""
    assert not (tmp_path / "nothing").exists()
    assert 'destination="forgotten"} 1' in one.metrics()
    assert not backup_set.defects(one.manifest(), files_of(mounted / "prod"))


def test_old_ones_go_at_every_place_when_the_new_one_is_proven(one: Backups, mounted: Path) -> None:
    place = {"name": "nas", "type": "directory", "path": str(mounted)}
    old = backup_set.etcd_stem("prod", 5, 1_700_000_000)
    one.sets.mkdir(mode=0o700)
    for folder in (one.sets, mounted):
        for name in (f"{old}.db", f"{old}.json", "notes.txt"):
            (folder / name).write_text("x")
    (mounted / f".part-{old}.db").write_text("x")
    foreign = mounted / f".part-{backup_set.etcd_stem('prod-2', 5, 1_700_000_000)}.db"
    foreign.write_text("x")
    failing = one.run(keep=1, destinations=[place], etcdutl="/usr/bin/no-such-program")
    assert failing.returncode == 1
    assert f"{old}.json" in one.names(), "without a new one nothing goes"
    one.well("--now", keep=1, destinations=[place])
    assert foreign.exists(), "another cluster's copy may be on its way"
    foreign.unlink()
    for folder in (one.sets, mounted):
        names = sorted(os.listdir(folder))
        assert (len(names), "notes.txt" in names, f"{old}.db" in names) == (4, True, False)


def test_without_a_majority_it_fails_and_says_so(make: Make, tmp_path: Path) -> None:
    cluster = make("cp1", "cp2", "cp3")
    backups = Backups(cluster, tmp_path / "hosts")
    cluster.members["cp2"].kill()
    cluster.members["cp3"].kill()
    done = backups.run()
    assert (done.returncode, "no member of etcd answers" in done.stderr) == (1, True)
    assert "majority" in backups.status()["error"] or "no member" in backups.status()["error"]
    assert 'last_run_failed{cluster="prod",kind="etcd"} 1' in backups.metrics()
    assert backups.names() == []


def test_the_pki_of_a_control_plane_whose_etcd_is_elsewhere(one: Backups) -> None:
    one.well(snapshot=False)
    manifest = one.manifest()
    assert (manifest.kind, manifest.snapshot, manifest.revision) == ("pki", "", 0)
    assert not backup_set.defects(manifest, files_of(one.sets))
    assert LAST + "prod-cp1" in below(one.etcd.api("cp1"), PREFIX)


def test_the_module_says_what_it_would_do_then_does_it(one: Backups) -> None:
    config = one.write()
    told = run_module("etcd_backup", {"state": "taken", "config": config}, check=True)
    assert told["changed"]
    assert (one.names(), (one.place / "state").exists()) == ([], False)
    assert any(step.startswith("archive ") for step in told["steps"])
    done = run_module("etcd_backup", {"state": "taken", "config": config})
    assert done["status"]["result"] == "taken"
    seen = run_module("etcd_backup", {"state": "seen", "config": config})
    assert (seen["changed"], seen["status"]) == (False, done["status"])
    missing = run_module("etcd_backup", {"state": "seen", "config": "/nowhere.json"})
    assert "no configuration" in missing["msg"]


def test_an_object_store_gets_the_set_and_what_comes_back_is_compared(one: Backups, store: Store) -> None:
    one.well(destinations=[s3(store)])
    assert {f"prod/{name}": (one.sets / name).read_bytes() for name in one.names()} == store.objects
    old = f"prod/{backup_set.etcd_stem('prod', 5, 1_700_000_000)}"
    for end in (".db", ".json"):
        store.objects[old + end], store.meta[old + end] = b"x", {}
    one.well("--now", keep=1, destinations=[s3(store)])
    assert not [key for key in store.objects if key.startswith(old)]
    assert len(store.objects) == 3
    store.spoil = {".db"}
    done = one.run("--now", destinations=[s3(store)])
    assert (done.returncode, "not what was written" in done.stderr) == (1, True)
    refused = one.run("--now", destinations=[s3(store, access_key="somebody")])
    assert (refused.returncode, "AccessDenied" in refused.stderr or "403" in refused.stderr) == (1, True)
    nowhere = one.run("--now", destinations=[s3(store, bucket="no-such-bucket")])
    assert (nowhere.returncode, "object store" in nowhere.stderr) == (1, True)
    assert not [path for path in one.sets.iterdir() if path.name.startswith(".")]
