# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places for copies: written, read back, compared, named; with a played sftp. S3 and directories: tests/integration."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import backup_places as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.backup_config import Config, Destination
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Result
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok

CONTENT = b"a snapshot"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
KEY = "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nhush\n-----END"
CONFIG = Config("prod", "cp1", "/b", ("https://x:1",), "/a", "/c", "/k")
SSH = Destination("vault", "ssh", "sets", host="2001:db8::9", port=2222, user="backup", key=KEY,
                  host_keys=("ssh-ed25519 AAAA",))  # fmt: skip


class Sftp:
    """What the other machine does with a batch; spoil: the copy there gets another content."""

    def __init__(self, root: Path) -> None:
        self.root, self.spoil, self.code = root, False, 0
        self.argv: list[str] = []

    def __call__(self, argv: list[str]) -> Result:
        self.argv = argv
        if self.code:
            return Result(self.code, "", "Permission denied (publickey).")
        out = []
        for line in Path(argv[argv.index("-b") + 1]).read_text().splitlines():
            out.append(f"sftp> {line}")
            try:
                out += self.do(*shlex.split(line))
            except OSError as exc:
                if not line.startswith("-"):
                    return Result(1, "\n".join(out), str(exc))
        return ok("\n".join(out))

    def do(self, verb: str, *words: str) -> list[str]:
        here = [self.root / word for word in words]
        if verb == "-mkdir":
            here[0].mkdir()
        elif verb == "put":
            assert words[0] == "-p"
            shutil.copy(words[1], here[2])
            if self.spoil:
                here[2].write_bytes(b"A snapshot")
        elif verb == "get":
            shutil.copy(here[0], words[1])
        elif verb == "rename":
            here[0].rename(here[1])
        elif verb in ("rm", "-rm"):
            here[0].unlink()
        else:
            assert (verb, words[0]) == ("ls", "-1a")
            return [f"{words[1]}/{name}" for name in (".", "..", *os.listdir(here[1]))]
        return []


@pytest.fixture
def sftp(tmp_path: Path) -> Sftp:
    (tmp_path / "there").mkdir()
    return Sftp(tmp_path / "there")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "file").write_bytes(CONTENT)
    return tmp_path / "work"


def place(sftp: Sftp, work: Path, told: Destination = SSH) -> subject.Place:
    host = FakeHost(work.parent / "root", {subject.SFTP: sftp})
    return subject.place_of(told, host, str(work), CONFIG)


def test_over_sftp(sftp: Sftp, work: Path) -> None:
    there = place(sftp, work)
    for name in ("one.db", "two.db", "one.db"):
        there.store(str(work.parent / "file"), name, SHA256)
    assert there.names() == ["one.db", "two.db"]
    assert (sftp.root / "sets" / "one.db").read_bytes() == CONTENT
    there.remove(["one.db"])
    there.remove([])
    assert os.listdir(sftp.root / "sets") == ["two.db"]
    assert sftp.argv[-1] == "backup@[2001:db8::9]"
    assert "hush" not in str(sftp.argv)
    assert {"StrictHostKeyChecking=yes", "BatchMode=yes", "GlobalKnownHostsFile=/dev/null"} <= set(sftp.argv)
    files = [path for path in work.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    (known,) = [path for path in files if path.name == "known_hosts"]
    assert known.read_text() == "destination ssh-ed25519 AAAA\n"


def test_in_the_accounts_own_directory(sftp: Sftp, work: Path) -> None:
    there = place(sftp, work, replace(SSH, path=""))
    there.store(str(work.parent / "file"), "one.db", SHA256)
    assert there.names() == ["one.db"]


def test_what_comes_back_as_something_else_gets_no_name(sftp: Sftp, work: Path) -> None:
    there = place(sftp, work)
    there.store(str(work.parent / "file"), "one.db", SHA256)
    sftp.spoil = True
    with pytest.raises(CommandError) as caught:
        there.store(str(work.parent / "file"), "one.db", SHA256)
    assert SHA256 in caught.value.found
    assert (sftp.root / "sets" / "one.db").read_bytes() == CONTENT, "the one before stays"


def test_a_machine_that_refuses_is_named(sftp: Sftp, work: Path) -> None:
    there = place(sftp, work)
    sftp.code = 255
    with pytest.raises(CommandError) as caught:
        there.store(str(work.parent / "file"), "one.db", SHA256)
    assert "Permission denied" in caught.value.found
    assert caught.value.where == "backup@2001:db8::9:2222"


def test_a_directory(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = work.parent / "nas" / "prod"
    told = Destination("nas", "directory", str(target))
    with pytest.raises(RefusedError, match="nothing is mounted there"):
        place(Sftp(work), work, told).store(str(work.parent / "file"), "one.db", SHA256)
    assert not target.exists()
    there = place(Sftp(work), work, replace(told, mounted=False))
    there.store(str(work.parent / "file"), "one.db", SHA256)
    assert (there.names(), (target / "one.db").stat().st_mode & 0o777) == (["one.db"], 0o600)
    monkeypatch.setattr(subject, "sha256_of", lambda _path: "0" * 64)
    with pytest.raises(CommandError, match="not what was written"):
        there.store(str(work.parent / "file"), "two.db", SHA256)
    assert "two.db" not in there.names()


def test_without_rclone_an_object_store_is_refused(work: Path) -> None:
    with pytest.raises(InputError, match="no rclone"):
        place(Sftp(work), work, Destination("store", "s3", bucket="backups"))


def test_a_name_with_quotes_stays_one_word() -> None:
    assert shlex.split(subject.quoted('a "b" \\ c')) == ['a "b" \\ c']
