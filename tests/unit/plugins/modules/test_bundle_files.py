"""bundle_files: the whole module on a host in a directory, and its refusals as Ansible sees them."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_install import install_bundle
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError
from tests.unit.plugins.module_utils.bundle_fixture import SOURCE, write_bundle
from tests.unit.plugins.module_utils.fake_host import FakeHost, tree
from tests.unit.plugins.modules.support import run_module

PARAMS: dict[str, Any] = {"source": SOURCE, "kube_version": "1.36.3", "roles": ["control_plane"], "only": None}


def files_of(root: Path) -> dict[str, tuple[int, bytes]]:
    return {name: row for name, row in tree(root).items() if not stat.S_ISDIR(row[0])}


def test_check_predicts_the_real_run_and_the_second_has_nothing_to_do(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    before = tree(tmp_path)
    predicted = install_bundle(host, PARAMS, effects=False)
    assert tree(tmp_path) == before
    real = install_bundle(host, PARAMS, effects=True)
    assert predicted == real
    assert real["changed"] is True
    assert "/usr/bin/kubelet" in real["installed"]
    assert real["versions"] == {"kubernetes": "1.36.3", "etcd": "3.6.16"}
    after = tree(tmp_path)
    again = install_bundle(host, PARAMS, effects=True)
    assert (again["changed"], again["installed"], again["steps"]) == (False, [], [])
    assert tree(tmp_path) == after


def test_a_worker_gets_no_etcdctl(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    install_bundle(host, {**PARAMS, "roles": ["worker"]}, effects=True)
    assert not host.exists("/usr/bin/etcdctl")
    assert host.exists("/opt/cni/bin/bridge")


def test_an_etcd_machine_gets_kubeadm_and_no_kubelet(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    real = install_bundle(host, {**PARAMS, "roles": ["etcd"]}, effects=True)
    assert set(real["installed"]) == {"/usr/bin/kubeadm", "/usr/bin/etcdctl"}


@pytest.mark.parametrize("path", ["bin/kubelet", "images/control-plane.tar"])
@pytest.mark.parametrize("effects", [True, False])
def test_a_wrong_checksum_stops_before_anything_is_installed(tmp_path: Path, path: str, effects: bool) -> None:
    """An archive of images is checked here too: before containerd is even started."""
    host = FakeHost(tmp_path)
    write_bundle(host)
    victim = Path(host.real(f"{SOURCE}/{path}"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"X")
    before = files_of(tmp_path)
    with pytest.raises(InputError, match=r"expected sha256 .* actual"):
        install_bundle(host, PARAMS, effects=effects)
    assert files_of(tmp_path) == before


def test_a_worker_does_not_care_for_a_control_planes_archive(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    Path(host.real(f"{SOURCE}/images/control-plane.tar")).unlink()
    assert install_bundle(host, {**PARAMS, "roles": ["worker"]}, effects=True)["changed"]


def test_only_some_files(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    write_bundle(host)
    result = install_bundle(host, {**PARAMS, "only": ["kubelet"]}, effects=True)
    assert result["installed"] == ["/usr/bin/kubelet"]
    assert not host.exists("/usr/bin/kubeadm")


def test_another_release_in_the_bundle_is_refused(tmp_path: Path) -> None:
    write_bundle(FakeHost(tmp_path))
    arguments = {"source": f"{tmp_path}{SOURCE}", "kube_version": "1.35.4", "roles": ["worker"]}
    result = run_module("bundle_files", arguments)
    assert result["failed"]
    assert "1.36.3, wanted 1.35.4" in result["msg"]
    assert result["error"]["next"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"source": "/no/such/bundle"},
        {"source": "../bundle"},
        {"source": "/a\nb"},
        {"roles": ["load_balancer"]},
        {"roles": "; reboot"},
    ],
)
def test_a_bad_input_is_refused(tmp_path: Path, arguments: dict[str, Any]) -> None:
    write_bundle(FakeHost(tmp_path))
    good = {"source": f"{tmp_path}{SOURCE}", "kube_version": "1.36.3", "roles": ["worker"]}
    result = run_module("bundle_files", {**good, **arguments}, check=True)
    assert result["failed"]
    assert "Traceback" not in str(result)
