# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of an archive makes a cluster again; pki_restore refuses everything else before it writes."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.pki_archive import (
    ENCRYPTION,
    NEEDED,
    judge,
    missing_on,
    place,
    read_archive,
)

FILES = {name: f"content of {name.rpartition('.')[0]}\n" for name in (*NEEDED, ENCRYPTION)}


@dataclass
class Machine:
    """A host in memory. A pair belongs together when both have the same content."""

    files: dict[str, tuple[str, int]] = field(default_factory=dict)

    def exists(self, path: str) -> bool:
        return path in self.files

    def read(self, path: str) -> str:
        return self.files[path][0]

    def write(self, path: str, text: str, mode: int) -> None:
        self.files[path] = (text, mode)

    def belong_together(self, cert: str, key: str) -> bool:
        return cert == key


def archive(path: Path, files: dict[str, str], prefix: str = "etc/kubernetes/") -> str:
    with tarfile.open(path, "w:gz") as target:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"{prefix}{name}")
            entry.size = len(text)
            target.addfile(entry, io.BytesIO(text.encode()))
    return str(path)


@pytest.mark.parametrize(
    "prefix", ["etc/kubernetes/", "./etc/kubernetes/", "/etc/kubernetes/", "", "./", "kubernetes/"]
)
def test_the_files_are_found_whatever_the_paths_begin_with(tmp_path: Path, prefix: str) -> None:
    assert read_archive(archive(tmp_path / "a", FILES, prefix)) == FILES


def test_what_is_of_one_host_or_elsewhere_is_left_out(tmp_path: Path) -> None:
    more = {"pki/apiserver.key": "x", "admin.conf": "x", "../../srv/pki/ca.key": "x", "other/pki/ca.crt": "x"}
    assert read_archive(archive(tmp_path / "a", {**more, **FILES})) == FILES
    with tarfile.open(tmp_path / "links", "w") as target:
        entry = tarfile.TarInfo("etc/kubernetes/pki/ca.key")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/shadow"
        target.addfile(entry)
    assert read_archive(str(tmp_path / "links")) == {}


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    whole = Path(archive(tmp_path / "a", FILES)).read_bytes()
    for content in (b"", b"CMS", whole[: len(whole) // 2]):
        (tmp_path / "b").write_bytes(content)
        with pytest.raises(InputError):
            read_archive(str(tmp_path / "b"))
    with pytest.raises(InputError):
        read_archive(str(tmp_path / "none"))


def test_keys_are_roots_alone_and_the_ca_comes_last() -> None:
    host = Machine()
    judge(FILES, host, "archive")
    names = missing_on(FILES, host)
    assert set(names[-2:]) == {"pki/ca.crt", "pki/ca.key"}
    place(FILES, host, names)
    assert {path.removeprefix("/etc/kubernetes/"): text for path, (text, _mode) in host.files.items()} == FILES
    open_to_all = {path for path, (_text, mode) in host.files.items() if mode != 0o600}
    assert {path.rpartition(".")[2] for path in open_to_all} == {"crt"}
    judge(FILES, host, "archive")
    assert missing_on(FILES, host) == [], "a second run writes nothing"


@pytest.mark.parametrize("count", range(len(FILES)))
def test_killed_between_two_files_the_rest_is_written(count: int) -> None:
    host = Machine()
    place(FILES, host, missing_on(FILES, host)[:count])
    judge(FILES, host, "archive")
    place(FILES, host, missing_on(FILES, host))
    assert len(host.files) == len(FILES)


@pytest.mark.parametrize("name", NEEDED)
def test_an_archive_without_one_of_them_is_refused(name: str) -> None:
    with pytest.raises(InputError) as told:
        judge({key: text for key, text in FILES.items() if key != name}, Machine(), "archive")
    assert name in told.value.found


def test_a_pair_that_is_none_and_another_clusters_pki_are_refused() -> None:
    with pytest.raises(InputError) as told:
        judge({**FILES, "pki/etcd/ca.key": "another"}, Machine(), "archive")
    assert told.value.found == "pki/etcd/ca.crt"
    host = Machine({"/etc/kubernetes/pki/ca.crt": ("another", 0o644)})
    with pytest.raises(RefusedError) as refused:
        judge(FILES, host, "archive")
    assert refused.value.found == "pki/ca.crt"
    assert len(host.files) == 1
