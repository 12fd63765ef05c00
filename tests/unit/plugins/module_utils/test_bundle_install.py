"""Installing a bundle's programs: all verified, then all renamed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import bundle_install as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle import parse_bundle
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_memory import Memory
from tests.unit.plugins.module_utils.bundle_fixture import FILES, SOURCE, sha, write_bundle
from tests.unit.plugins.module_utils.fake_host import FakeHost, tree

STATE = "/var/lib/quorum-kubeadm/bundle.json"


def install(host: FakeHost, label: Any = None) -> subject.InstallPlan:
    bundle = parse_bundle(host.read_text(f"{SOURCE}/manifest.json"), SOURCE)
    memory = Memory(host, STATE)
    plan = subject.plan_install(host, memory, bundle.files_for(["control_plane"], None))
    subject.Installer(host, memory, label).install(bundle, SOURCE, plan)
    memory.save()
    return plan


def test_everything_is_installed_once(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    assert install(host).installed == [target for target, _roles, _content in FILES.values()]
    for target, _roles, content in FILES.values():
        path = Path(host.real(target))
        assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (content, 0o755)
        assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []
    inodes = {target: os.stat(host.real(target)).st_ino for target, _r, _c in FILES.values()}
    assert install(host).steps() == []
    assert {target: os.stat(host.real(target)).st_ino for target in inodes} == inodes
    assert Memory(host, STATE).recall("/usr/bin/kubelet", "version") == "1.36.3"


def test_a_running_program_keeps_its_old_file(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    with host.write("/usr/bin/kubelet", b"old").open("rb") as running:
        assert "install /usr/bin/kubelet from bin/kubelet" in install(host).steps()
        assert running.read() == b"old"


@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing"])
def test_one_wrong_file_and_nothing_is_installed(tmp_path: Path, damage: str) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    host.write("/usr/bin/kubelet", b"the old kubelet")
    victim = Path(host.real(f"{SOURCE}/bin/etcdctl"))
    actual = sha(b"etcdctx") if damage == "flipped" else sha(b"etcd")
    if damage == "missing":
        victim.unlink()
    else:
        victim.write_bytes(b"etcdctx" if damage == "flipped" else b"etcd")
    before = {name: row for name, row in tree(tmp_path).items() if not stat.S_ISDIR(row[0])}
    with pytest.raises(InputError, match="nothing was installed") as caught:
        install(host)
    assert {name: row for name, row in tree(tmp_path).items() if not stat.S_ISDIR(row[0])} == before
    assert "bin/etcdctl" in caught.value.found
    if damage == "missing":
        assert "No such file" in caught.value.found
    else:
        assert f"expected sha256 {sha(b'etcdctl')}, actual {actual}" in caught.value.found


def test_all_wrong_files_are_named_at_once(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    host.write(f"{SOURCE}/bin/kubelet", b"x")
    host.write(f"{SOURCE}/cni/bridge", b"y")
    with pytest.raises(InputError) as caught:
        install(host)
    assert "bin/kubelet" in caught.value.found
    assert "cni/bridge" in caught.value.found


def test_a_killed_run_is_finished_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    host.write("/usr/bin/.kubelet.quorum-new", b"half")
    renamed: list[str] = []

    def killed(old: str, new: str) -> None:
        if renamed:
            raise KeyboardInterrupt
        renamed.append(new)
        os.replace(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            install(host)
    rest = install(host).installed
    assert len(rest) == len(FILES) - 1
    assert host.real(rest[0]) not in renamed
    assert install(host).steps() == []


def test_a_wrong_mode_alone_is_corrected_without_a_copy(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    install(host)
    target = Path(host.real("/usr/bin/kubelet"))
    inode = target.stat().st_ino
    target.chmod(0o600)
    assert install(host).steps() == ["set mode of /usr/bin/kubelet to 0755"]
    assert (stat.S_IMODE(target.stat().st_mode), target.stat().st_ino) == (0o755, inode)


def test_a_link_is_replaced_by_the_program_not_followed(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    other = host.write("/opt/other/kubelet", b"somebody else's")
    (tmp_path / "usr/bin").mkdir(parents=True)
    os.symlink(other, tmp_path / "usr/bin/kubelet")
    install(host)
    assert not (tmp_path / "usr/bin/kubelet").is_symlink()
    assert other.read_bytes() == b"somebody else's"


def test_a_directory_in_the_way_is_refused(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    host.write("/usr/bin/kubelet/x", b"")
    with pytest.raises(RefusedError, match="is a directory"):
        install(host)


def test_the_security_context_is_set_before_the_rename(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    seen = []
    install(host, lambda written, path: seen.append((Path(written).name, path, host.exists(path))))
    assert (".kubelet.quorum-new", "/usr/bin/kubelet", False) in seen


def test_sources_are_read_once(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    memory = Memory(host, STATE)
    expected = {"images/node.tar": sha(b"node archive")}
    subject.verify_sources(memory, SOURCE, expected)
    assert memory.recall(f"{SOURCE}/images/node.tar", "sha256") == expected["images/node.tar"]
    host.write(f"{SOURCE}/images/node.tar", b"node archivX!")
    with pytest.raises(InputError, match=r"images/node\.tar: expected sha256"):
        subject.verify_sources(memory, SOURCE, expected)
