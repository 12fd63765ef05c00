# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where etcd's program comes from, and a closed database as a snapshot. etcd itself: tests/integration."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import etcd_alone as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, InputError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Result
from ansible_collections.quorum.kubeadm.plugins.module_utils.snapshot_file import Contents, defect
from ansible_collections.quorum.kubeadm.plugins.module_utils.snapshot_store import SnapshotStore
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok
from tests.unit.plugins.module_utils.test_snapshot_file import database

CTR = "/usr/bin/ctr"
MANIFEST = "spec:\n  containers:\n  - command:\n    - etcd\n    image: registry.example/etcd:3.6.16-0\n"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setattr(subject, "IMAGE", str(tmp_path / "image"))
    return FakeHost(tmp_path / "root")


def mount(argv: list[str]) -> Result:
    assert argv[-2] == "registry.example/etcd:3.6.16-0"
    program = Path(argv[-1], subject.IN_IMAGE)
    program.parent.mkdir(parents=True)
    program.write_text("etcd of the image")
    return ok()


@pytest.mark.parametrize("folder", [subject.MANIFESTS, subject.KEPT])
def test_taken_out_of_the_image_of_the_static_pod_whether_it_is_held_or_not(
    host: FakeHost, tmp_path: Path, folder: str
) -> None:
    host.write(f"{folder}/etcd.yaml", MANIFEST)
    unmounted = []
    host.programs[f"{CTR} -n k8s.io images mount"] = mount
    host.programs[f"{CTR} -n k8s.io images unmount"] = lambda argv: unmounted.append(argv[-1]) or ok()
    with subject.program(host, "/usr/bin/etcd", CTR, str(tmp_path)) as path:
        assert Path(path).read_text() == "etcd of the image"
        assert Path(path).stat().st_mode & 0o777 == 0o700
    assert unmounted == [subject.IMAGE] * 2, "what a killed run has left, and its own"


def test_the_hosts_own_is_used_where_there_is_one(host: FakeHost, tmp_path: Path) -> None:
    host.programs["/usr/bin/etcd"] = ok()
    with subject.program(host, "/usr/bin/etcd", CTR, str(tmp_path)) as path:
        assert path == "/usr/bin/etcd"


def test_neither_program_nor_image_is_told(host: FakeHost, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no etcd on this host"), subject.program(host, "/usr/bin/etcd", CTR, "/"):
        pass
    host.write(f"{subject.MANIFESTS}/etcd.yaml", MANIFEST)
    host.programs[f"{CTR} -n k8s.io images"] = Result(1, "", "connection refused")
    with (
        pytest.raises(CommandError, match="image of etcd cannot be opened"),
        subject.program(host, "/usr/bin/etcd", CTR, str(tmp_path)),
    ):
        pass


def test_a_closed_database_becomes_a_whole_snapshot_without_what_is_behind_its_pages(tmp_path: Path) -> None:
    pages = database()
    (tmp_path / "db").write_bytes(pages + bytes(512 * 40))
    store = SnapshotStore(str(tmp_path))
    store.write(str(tmp_path / "s.db"), subject.sealed(str(tmp_path / "db")))
    contents: Contents = store.read(str(tmp_path / "s.db"))
    assert defect(contents) == ""
    assert contents.size == len(pages) + 32
