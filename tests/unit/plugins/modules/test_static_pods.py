# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module static_pods on a host in memory: what is asked before anything stops, and what stays behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_store import Image
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_run import MARKER
from ansible_collections.quorum.kubeadm.plugins.module_utils.static_pods import API, COMPONENTS, ETCD, Change
from ansible_collections.quorum.kubeadm.plugins.modules import static_pods as subject
from tests.unit.plugins.modules.support import run_module

CONFIG = [{"kind": "InitConfiguration"}, {"kind": "ClusterConfiguration"}]


def manifests(version: str) -> dict[str, str]:
    return {name: f"  - image: registry.example/{name}:{version}\n" for name in COMPONENTS}


OLD, NEW = manifests("1"), manifests("2")


class Pods:
    """What the real host's files and processes would be. Processes follow their manifests at once."""

    def __init__(self) -> None:
        self.files = dict(OLD)
        self.want = dict(NEW)
        self.aside: dict[str, str] = {}
        self.log: list[str] = []
        self.asked_for: list[Any] = []
        self.ill: set[str] = set()

    def manifests(self) -> dict[str, str]:
        return dict(self.files)

    def kept(self) -> dict[str, str]:
        return dict(self.aside)

    def keep(self, component: str) -> None:
        self.log.append(f"stop {component}")
        self.aside.setdefault(component, self.files.pop(component))

    def remove(self, component: str) -> None:
        self.files.pop(component, None)

    def place(self, component: str, text: str) -> None:
        self.log.append(f"start {component}")
        self.files[component] = text

    def forget(self) -> None:
        self.aside.clear()

    def runs(self, component: str) -> bool:
        return component in self.files

    def answers(self, component: str, manifest: str) -> str:
        return "503" if self.files[component] in self.ill else ""

    def why(self, component: str) -> str:
        return f"the log of {component}"

    def wanted(self, *asked: Any) -> dict[str, str]:
        self.asked_for.append(asked)
        return dict(self.want)


class Node:
    """kubeadm's host. lock: what it was given."""

    def __init__(self, files: dict[str, str], log: list[str]) -> None:
        self.files = files
        self.log = log
        self.locks: list[Any] = []
        self.code = 0

    def __call__(self, lock: Any = None) -> Node:
        self.locks.append(lock)
        return self

    def exists(self, path: str) -> bool:
        return path in self.files

    def read(self, path: str) -> str:
        return self.files[path]

    def write(self, path: str, text: str, mode: int) -> None:
        assert mode == 0o600
        self.log.append(f"mark {json.loads(text)['action']}")
        self.files[path] = text

    def remove(self, path: str) -> None:
        self.log.append("unmark")
        self.files.pop(path, None)

    def run(self, argv: list[str], document: str, _timeout: float) -> tuple[int, str]:
        assert json.loads(document.split("---", maxsplit=1)[0]) == CONFIG[0]
        self.log.append(" ".join(argv))
        return self.code, "no key, token abcdef.0123456789abcdef"


class World:
    """Everything that the module reaches."""

    def __init__(self) -> None:
        self.pods = Pods()
        self.node = Node({subject.CA_KEY: ""}, self.pods.log)
        self.images = {f"registry.example/{name}:{version}" for name in COMPONENTS for version in "12"}

    @property
    def log(self) -> list[str]:
        return self.pods.log

    def run(self, check: bool = False, **params: Any) -> dict[str, Any]:
        given = {
            "config": CONFIG,
            "kubeadm": "/usr/bin/kubeadm",
            "restart": [],
            "renew_certificates": True,
            "timeout": 0,
        }
        return subject.run(SimpleNamespace(params={**given, **params}, check_mode=check))


@pytest.fixture(name="world")
def world_in_place_of_the_host(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    @contextmanager
    def operation(_seconds: float) -> Iterator[int]:
        world.log.append("lock")
        yield 7

    def have(*_words: Any) -> SimpleNamespace:
        return SimpleNamespace(images=lambda: {ref: Image("sha256:0", True) for ref in world.images})

    monkeypatch.setattr(subject, "PodHost", lambda: world.pods)
    monkeypatch.setattr(subject, "KubeadmHost", world.node)
    monkeypatch.setattr(subject, "Containerd", have)
    monkeypatch.setattr(subject, "operation", operation)
    return world


def test_a_change_from_its_lock_to_its_end(world: World) -> None:
    result = world.run()
    stops = ["stop kube-scheduler", "stop kube-controller-manager", "stop kube-apiserver", "stop etcd"]
    starts = [f"start {name}" for name in COMPONENTS]
    renewal = "/usr/bin/kubeadm certs renew all"
    assert world.log == ["lock", "mark upgrade", *stops, renewal, *starts, "unmark"]
    assert world.node.locks == [7]
    assert (result["changed"], result["components"], result["touches_etcd"]) == (True, list(COMPONENTS), True)
    assert result["steps"][0] == "stop kube-scheduler"
    assert set(result["seconds"]) == {"stop", "start"}
    assert result["resumed"] is False
    assert result["diff"] == {"before": "".join(OLD.values()), "after": "".join(NEW.values())}
    assert world.pods.asked_for == [("/usr/bin/kubeadm", CONFIG, subject.KUBEADM_SECONDS)]


def test_check_mode_tells_the_same_and_changes_nothing(world: World) -> None:
    predicted = world.run(check=True)
    assert world.log == []
    assert world.pods.files == OLD
    assert world.node.locks == [None]
    real = world.run()
    for key in ("changed", "steps", "components", "touches_etcd", "resumed", "diff"):
        assert predicted[key] == real[key]
    again = world.run()
    assert (again["changed"], again["steps"], world.run(check=True)["changed"]) == (False, [], False)


def test_what_is_as_wanted_is_not_even_marked(world: World) -> None:
    world.pods.files = dict(NEW)
    world.images.clear()
    result = world.run()
    assert world.log == ["lock"]
    assert (result["changed"], result["seconds"], result["diff"]) == (False, {}, {"before": "", "after": ""})


def test_nothing_is_stopped_for_an_image_that_is_not_there(world: World) -> None:
    world.images -= {"registry.example/etcd:2", "registry.example/kube-apiserver:2"}
    with pytest.raises(RefusedError) as caught:
        world.run()
    assert caught.value.found == "registry.example/etcd:2, registry.example/kube-apiserver:2"
    assert "nothing was stopped" in caught.value.what
    assert world.log == ["lock"]
    assert world.pods.files == OLD


def test_an_image_of_what_stays_is_not_asked_for(world: World) -> None:
    world.pods.want = {**OLD, API: NEW[API]}
    world.images = {"registry.example/kube-apiserver:2"}
    assert world.run()["components"] == [API]


@pytest.mark.parametrize(("wanted", "key", "renews"), [(True, True, True), (False, True, False), (True, False, False)])
def test_certificates_are_renewed_where_it_is_wanted_and_the_key_is_there(
    world: World, wanted: bool, key: bool, renews: bool
) -> None:
    if not key:
        del world.node.files[subject.CA_KEY]
    world.run(renew_certificates=wanted)
    assert ("/usr/bin/kubeadm certs renew all" in world.log) is renews


def test_nothing_is_renewed_while_nothing_stops(world: World) -> None:
    world.pods.files = dict(NEW)
    world.pods.aside = {ETCD: OLD[ETCD]}
    assert world.run()["resumed"] is True
    assert world.log == ["lock", "mark upgrade", "unmark"]


def test_a_renewal_that_fails_brings_the_old_ones_back_and_leaves_the_marker(world: World) -> None:
    world.node.code = 1
    with pytest.raises(
        CommandError, match=r"could not renew the certificates \(exit 1\); the control plane runs as before"
    ):
        world.run()
    assert world.pods.files == OLD
    assert MARKER in world.node.files


def test_the_marker_stays_until_a_call_ends_well(world: World) -> None:
    world.pods.ill = {NEW[API]}
    with pytest.raises(CommandError, match="did not become healthy"):
        world.run()
    assert json.loads(world.node.files[MARKER])["action"] == "upgrade"
    world.pods.ill = set()
    result = world.run()
    assert (result["changed"], result["resumed"]) == (True, True)
    assert MARKER not in world.node.files


def test_a_marker_that_outlived_its_call_is_taken_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed when everything was done: otherwise the node would count as unfinished for ever."""

    def killed(_host: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(subject, "unmark", killed)
        with pytest.raises(KeyboardInterrupt):
            world.run()
    assert (world.pods.aside, MARKER in world.node.files) == ({}, True)
    predicted, result = world.run(check=True), world.run()
    assert MARKER not in world.node.files
    for one in (predicted, result):
        assert (one["changed"], one["resumed"]) == (False, True)
    assert world.run()["resumed"] is False


def test_the_marker_of_something_else_stays(world: World) -> None:
    world.pods.files = dict(NEW)
    world.node.files[MARKER] = json.dumps({"action": "join"})
    assert world.run()["resumed"] is False
    assert MARKER in world.node.files


def test_a_restart_that_was_asked_for(world: World) -> None:
    world.pods.files = dict(NEW)
    result = world.run(restart=[API], renew_certificates=False)
    assert (result["components"], result["touches_etcd"]) == ([API], False)
    assert world.log == ["lock", "mark upgrade", "stop kube-apiserver", "start kube-apiserver", "unmark"]


def test_the_timeout_bounds_every_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def change(pods: Any, timeout: float) -> Change:
        given.append(timeout)
        return Change(pods, timeout)

    monkeypatch.setattr(subject, "Change", change)
    world.run(timeout=33)
    assert given == [33]


def test_as_ansible_calls_it_errors_have_four_parts() -> None:
    failed = run_module("static_pods", {"config": CONFIG, "kubeadm": "/nowhere/kubeadm"}, check=True)
    assert failed["failed"]
    assert "/nowhere/kubeadm init phase control-plane all --dry-run" in failed["error"]["where"]
    assert "is not installed" in failed["error"]["found"]
    assert (
        "value of restart must be one or more of" in run_module("static_pods", {"config": [], "restart": ["x"]})["msg"]
    )
