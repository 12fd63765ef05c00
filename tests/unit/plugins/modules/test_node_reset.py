# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host made blank: everything of ours goes, nothing else, from wherever an earlier run was ended."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_reset_ours as ours
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import (
    ApiError,
    CommandError,
    InputError,
    RefusedError,
    UnreachableError,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_health import Sample
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_probe import Probe
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_reset_world import World
from ansible_collections.quorum.kubeadm.plugins.module_utils.quorum import Member
from ansible_collections.quorum.kubeadm.plugins.modules import node_reset as subject
from tests.unit.plugins.module_utils.fake_host import tree
from tests.unit.plugins.modules.support import run_module
from tests.unit.reset_world import POD, SHIM, VIP, Killed, ResetHost, blank, control_plane, files

OPTIONS: dict[str, Any] = {
    "name": "cp1", "confirm": "cp1", "force": False, "leaving": False, "delete_data": False, "vip": "", "cni_files": [],
    "etcd_endpoints": [], "api_endpoints": [], "ports": [6443], "grace_seconds": 0.0, "timeout": 10.0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


def nobody(_endpoints: Sequence[str]) -> Sample:
    raise UnreachableError("No etcd endpoint answers")


def world(host: ResetHost, **given: Any) -> World:
    return World(**{"observe": nobody, "has_node": lambda _urls, _name: False, "kill": host.kill, **given})


def reset(host: ResetHost, *, effects: bool = True, asked: World | None = None, **options: Any) -> dict[str, Any]:
    return subject.reset(host, {**OPTIONS, **options}, effects=effects, world=asked or world(host))


def test_a_control_plane_becomes_blank_and_what_others_have_stays(tmp_path: Path) -> None:
    bare = files(blank(tmp_path / "bare"))
    host = control_plane(tmp_path / "host")
    done = reset(host)
    assert done["changed"] is True
    assert done["leftovers"] == []
    kept = {"/people/ann/.kube/config", "/var/lib/etcd-removed"}
    assert files(host) == bare | kept
    assert [link["ifname"] for link in host.links] == ["lo", "eth0", "cni00"]
    assert host.tables == ["ip mine"]
    assert host.active == host.enabled == set()
    assert host.containers == []
    assert not host.lives(POD)
    assert not host.lives(SHIM)
    assert not host.exists("/etc/kubernetes")
    assert done["left_alone"] == [
        "/etc/cni/net.d/87-podman.conflist is not known as ours",
        "/people/ann/.kube/config has other clusters too",
    ]
    (data,) = done["etcd_data"]
    assert host.read_text(f"{data}/wal/0") == "x"


def test_check_mode_tells_what_a_run_then_does_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.strftime", lambda *_args: "20260101T000000Z")
    host = control_plane(tmp_path)
    before = tree(tmp_path)
    told = reset(host, effects=False)
    assert tree(tmp_path) == before
    assert host.changed() == []
    assert reset(host)["steps"] == told["steps"]


def test_a_blank_host_is_left_as_it_is(tmp_path: Path) -> None:
    host = control_plane(tmp_path)
    reset(host)
    host.calls.clear()
    before = tree(tmp_path)
    again = reset(host)
    assert (again["changed"], again["steps"], again["leftovers"]) == (False, [], [])
    assert host.changed() == []
    assert tree(tmp_path) == before


def test_static_pods_and_services_go_in_an_order_in_which_nothing_comes_back(tmp_path: Path) -> None:
    host = control_plane(tmp_path)
    steps = reset(host)["steps"]

    def at(beginning: str) -> int:
        return next(number for number, step in enumerate(steps) if step.startswith(beginning))

    assert at("stop and disable kubelet") < at("remove the static pods") < at("end 2 containers")
    assert at("end 2 containers") < at("stop and disable containerd") < at("unmount") < at("remove /var/lib/kubelet")
    assert at("stop and disable keepalived") < at("take the VIP away")
    assert at("set etcd's data aside") < at("remove /var/lib/kubelet")
    assert steps[-1] == f"remove {ours.LAST}"


class Death:
    """Ends the run before the n-th change."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, _what: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


def mortal(monkeypatch: pytest.MonkeyPatch, death: Death) -> None:
    """Changes to files count as well."""

    def counted(real: Any) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            death("")
            return real(*args, **named)

        return call

    for module, name in ((os, "unlink"), (os, "rename"), (os, "rmdir"), (shutil, "rmtree")):
        monkeypatch.setattr(module, name, counted(getattr(module, name)))


def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(tmp_path: Path) -> None:
    whole = control_plane(tmp_path / "whole")
    reset(whole)
    wanted = files(whole)
    points = 0
    while True:
        host = control_plane(tmp_path / str(points))
        death = Death(points)
        host.die = death
        with pytest.MonkeyPatch.context() as patch:
            mortal(patch, death)
            try:
                reset(host)
            except Killed:
                pass
            else:
                break
        host.die = lambda _what: None
        done = reset(host)
        assert done["leftovers"] == [], points
        assert files(host) == wanted, points
        assert [link["ifname"] for link in host.links] == ["lo", "eth0", "cni00"], points
        assert host.active == host.enabled == set(), points
        shutil.rmtree(host.root)
        points += 1
    assert points > 50


@pytest.mark.parametrize("confirm", ["", "cp", "cp10", "CP1", "cp1 ", "all"])
def test_only_the_host_s_own_name_confirms(tmp_path: Path, confirm: str) -> None:
    host = control_plane(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(RefusedError, match="not the name of this host"):
        reset(host, confirm=confirm, force=True)
    assert tree(tmp_path) == before
    assert host.calls == []


def refused(host: ResetHost, match: str, **options: Any) -> RefusedError:
    before = tree(Path(host.root))
    with pytest.raises(RefusedError, match=match) as caught:
        reset(host, **options)
    assert tree(Path(host.root)) == before
    assert host.changed() == []
    return caught.value


def test_another_node_behind_the_name_is_refused_by_force_too(tmp_path: Path) -> None:
    error = refused(control_plane(tmp_path), "another node", name="cp10", confirm="cp10", force=True)
    assert error.found == "Kubernetes or etcd calls it cp1"


def test_kubernetes_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    host = blank(tmp_path)
    host.write(f"{ours.PKI}/ca.crt", "x")
    host.write(ours.UNIT_FILES[ours.KUBELET], "[Unit]\n")
    refused(host, "not ours", force=True)
    host.active.add(ours.KUBELET)
    refused(host, "not ours", force=True)


def test_a_node_that_its_cluster_has_is_refused(tmp_path: Path) -> None:
    host = control_plane(tmp_path)
    asked: list[Any] = []

    def has_node(urls: Sequence[str], name: str) -> bool:
        asked.append((list(urls), name))
        return True

    living = world(host, has_node=has_node)
    error = refused(host, "a node of a cluster that lives", asked=living, api_endpoints=["https://192.0.2.22:6443"])
    assert asked == [(["https://192.0.2.22:6443"], "cp1")]
    assert "remove_node" in error.next_step
    assert reset(host, force=True, asked=living)["leftovers"] == []


def test_a_node_that_is_leaving_may_still_be_there_but_no_member(tmp_path: Path) -> None:
    host = control_plane(tmp_path)
    members = sample(("cp1", "192.0.2.21", True), ("cp2", "192.0.2.22", True))
    still = world(host, has_node=lambda _urls, _name: True, observe=lambda _endpoints: members)
    refused(host, "a member of a cluster that others keep alive", asked=still, leaving=True)
    gone = world(host, has_node=lambda _urls, _name: True)
    assert reset(host, leaving=True, asked=gone)["leftovers"] == []


@pytest.mark.parametrize(
    ("answer", "allowed"),
    [
        (ApiError("no", status=401), False),
        (ApiError("no", status=503), False),
        (UnreachableError("nobody"), True),
        (InputError("no certificate"), True),
    ],
)
def test_what_the_api_answers_decides(tmp_path: Path, answer: Exception, allowed: bool) -> None:
    def has_node(_urls: Sequence[str], _name: str) -> bool:
        raise answer

    host = control_plane(tmp_path)
    if allowed:
        assert reset(host, asked=world(host, has_node=has_node))["leftovers"] == []
    else:
        refused(host, "a node of a cluster that lives", asked=world(host, has_node=has_node))


def sample(*members: tuple[str, str, bool]) -> Sample:
    """Members as (name, address, whether it answers)."""
    listed = tuple(
        Member(id=f"a{number}", name=name, peer_urls=(f"https://{address}:2380",))
        for number, (name, address, _answers) in enumerate(members)
    )
    probes = {f"a{number}": Probe(status={} if row[2] else None) for number, row in enumerate(members)}
    return Sample(listed, probes)


@pytest.mark.parametrize(
    ("members", "allowed"),
    [
        ([("cp1", "192.0.2.21", True), ("cp2", "192.0.2.22", True)], False),
        # A name tells nothing: the member is who has the peer URL.
        ([("other", "192.0.2.21", True), ("cp2", "192.0.2.22", True)], False),
        ([("cp1", "192.0.2.99", True), ("cp2", "192.0.2.22", True)], True),
        ([("cp1", "192.0.2.21", True)], True),
        ([("cp1", "192.0.2.21", True), ("cp2", "192.0.2.22", False)], True),
        ([("cp1", "192.0.2.21", False), ("cp2", "192.0.2.22", True), ("cp3", "192.0.2.23", False)], False),
    ],
)
def test_a_member_that_others_keep_is_refused(tmp_path: Path, members: Any, allowed: bool) -> None:
    host = control_plane(tmp_path)
    asked: list[str] = []

    def observe(endpoints: Sequence[str]) -> Sample:
        asked.extend(endpoints)
        return sample(*members)

    living = world(host, observe=observe)
    if allowed:
        assert reset(host, asked=living)["leftovers"] == []
    else:
        error = refused(host, "others keep alive", asked=living, etcd_endpoints=["https://192.0.2.23:2379"])
        assert f"member {members[0][0]}, ID a0; " in error.found
        assert reset(host, force=True, asked=living)["leftovers"] == []
        assert asked == ["https://127.0.0.1:2379", "https://192.0.2.22:2379", "https://192.0.2.21:2379",
                         "https://192.0.2.23:2379"]  # fmt: skip


def test_an_etcd_that_cannot_be_asked_is_refused(tmp_path: Path) -> None:
    def observe(_endpoints: Sequence[str]) -> Sample:
        raise InputError("no certificates", found="[Errno 2] No such file")

    host = control_plane(tmp_path)
    refused(host, "cannot be asked", asked=world(host, observe=observe))


def test_data_of_a_member_are_deleted_only_when_asked_for(tmp_path: Path) -> None:
    host = control_plane(tmp_path)
    host.write("/var/lib/etcd/member-removed-20250101T000000Z/wal/0", "old")
    host.write("/var/lib/etcd/mine", "x")
    done = reset(host, delete_data=True)
    assert done["etcd_data"] == []
    assert {name for name in files(host) if "/etcd" in name and name.startswith("/var/lib")} == {"/var/lib/etcd/mine"}


def test_etcd_s_data_stay_within_a_file_system_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.rename

    def rename(source: str, target: str) -> None:
        if "/var/lib/etcd-removed-" in target:
            raise OSError(18, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    done = reset(control_plane(tmp_path))
    (data,) = done["etcd_data"]
    assert data.startswith("/var/lib/etcd/member-removed-")


def test_an_etcd_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    host = control_plane(tmp_path)
    os.unlink(host.real(f"{ours.PKI}/etcd/server.crt"))
    host.active.add(ours.ETCD)
    host.enabled.add(ours.ETCD)
    done = reset(host, asked=world(host, observe=lambda _endpoints: sample()))
    assert done["leftovers"] == []
    assert host.active == host.enabled == {ours.ETCD}
    assert host.exists("/var/lib/etcd/member/wal/0")


def test_a_load_balancer_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    host = control_plane(tmp_path)
    for path in (ours.UNIT_FILES[ours.HAPROXY], ours.UNIT_FILES[ours.KEEPALIVED]):
        host.write(path, "# mine\n    virtual_ipaddress {\n        192.0.2.100/32\n    }\n")
    assert reset(host)["leftovers"] == []
    assert host.active == host.enabled == {ours.HAPROXY, ours.KEEPALIVED}
    assert host.exists(ours.UNIT_FILES[ours.HAPROXY])
    assert VIP in str(host.links)


def test_a_runtime_that_others_use_goes_on(tmp_path: Path) -> None:
    host = control_plane(tmp_path)
    host.namespaces["moby"] = ["docker1"]
    done = reset(host)
    assert done["leftovers"] == []
    assert host.active == {ours.CONTAINERD}
    assert host.containers == []
    assert host.exists("/etc/containerd/config.toml")
    assert "containerd has containers of others (moby)" in done["left_alone"]
    assert reset(host)["steps"] == []


def test_what_is_mounted_is_never_deleted(tmp_path: Path) -> None:
    host = control_plane(tmp_path)
    host.stubborn = {"umount"}
    with pytest.raises(CommandError, match="something is mounted in it") as caught:
        reset(host)
    assert caught.value.found == "/var/lib/kubelet/pods/p/volumes/v"
    assert host.exists("/var/lib/kubelet/pods/p/volumes/v/f")
    host.stubborn = set()
    assert reset(host)["leftovers"] == []


def test_where_the_machine_is_a_pod_itself_no_process_is_ended_by_its_cgroup(tmp_path: Path) -> None:
    host = control_plane(tmp_path)
    host.write("/proc/self/cgroup", "0::/kubepods.slice/pod1/machine\n")
    host.process(POD, "postgres", "/kubepods.slice/pod1/postgres")
    assert reset(host)["leftovers"] == []
    assert host.lives(POD)


def test_the_network_of_a_manifest_of_one_s_own_goes_when_it_is_named(tmp_path: Path) -> None:
    host = control_plane(tmp_path)
    host.write("/etc/cni/net.d/10-own.conf", '{"name": "own"}')
    host.write("/var/lib/cni/networks/own/10.244.0.9", "x")
    reset(host, cni_files=["10-own.conf"])
    assert not host.exists("/etc/cni/net.d/10-own.conf")
    assert not host.exists("/var/lib/cni/networks/own")
    assert host.exists("/etc/cni/net.d/87-podman.conflist")


def test_as_ansible_calls_it_a_wrong_name_is_refused(tmp_path: Path) -> None:
    result = run_module("node_reset", {"name": "node1", "confirm": "node10"}, check=True)
    assert result["failed"] is True
    assert result["error"]["where"] == "node1"
