"""image_pins: the whole module, with a program in the place of ctr that keeps its images in a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_store import Image
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.image_pins import pin_images, plan_pins
from tests.unit.plugins.module_utils.fake_host import FakeHost
from tests.unit.plugins.modules.support import run_module

OLD, NEW = "registry.k8s.io/kube-apiserver:v1.35.4", "registry.k8s.io/kube-apiserver:v1.36.3"
PAUSE = "registry.k8s.io/pause:3.10.2"
PINNED = "io.cri-containerd.image=managed,io.cri-containerd.pinned=pinned"
FREE = "io.cri-containerd.image=managed"
CTR = """#!{python}
import json, pathlib, sys
store = pathlib.Path({store!r})
images = json.loads(store.read_text())
words = sys.argv[3:]
with open({log!r}, "a") as log:
    log.write(" ".join(words) + "\\n")
if words == ["images", "ls"]:
    print("REF TYPE DIGEST SIZE PLATFORMS LABELS")
    for ref, labels in images.items():
        print(ref, "type", "sha256:" + "a" * 64, "1.5 MiB linux/amd64", labels)
elif words == ["containers", "ls"]:
    print("CONTAINER    IMAGE    RUNTIME    ")
    print("0a1b    {pause}    io.containerd.runc.v2    ")
    print("0a1c    sha256:gone    io.containerd.runc.v2    ")
    print("0a1d    -    io.containerd.runc.v2    ")
elif words[:2] == ["images", "label"] and words[2] in images:
    images[words[2]] = {pinned!r} if words[3] == "io.cri-containerd.pinned=pinned" else {free!r}
    assert words[3] in ("io.cri-containerd.pinned=pinned", "io.cri-containerd.pinned=")
    store.write_text(json.dumps(images))
else:
    sys.exit("image not found")
"""


class Node:
    """A host with three images, of which only the old one is pinned, and a container of the pause image."""

    def __init__(self, path: Path) -> None:
        self.store, self.log, self.ctr = path / "store.json", path / "calls", path / "ctr"
        self.store.write_text(json.dumps({OLD: PINNED, NEW: FREE, PAUSE: FREE}))
        names = {"store": str(self.store), "log": str(self.log), "pause": PAUSE, "pinned": PINNED, "free": FREE}
        self.ctr.write_text(CTR.format(python=sys.executable, **names))
        self.ctr.chmod(0o755)

    def run(self, check: bool = False, **args: Any) -> dict[str, Any]:
        return run_module("image_pins", {"ctr": str(self.ctr), **args}, check=check)

    def pinned(self) -> set[str]:
        return {ref for ref, labels in json.loads(self.store.read_text()).items() if labels == PINNED}

    def labelled(self) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line for line in lines if line.startswith("images label")]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_check_predicts_the_run_and_a_second_run_does_nothing(node: Node) -> None:
    asked = {"pinned": [NEW, NEW], "unpinned": [OLD, "example.com/gone:1"]}
    told = node.run(check=True, **asked)
    assert node.labelled() == []
    done = node.run(**asked)
    assert told == done
    assert done["steps"] == [f"pin {NEW}", f"unpin {OLD}"]
    assert node.pinned() == {NEW} == set(done["pinned"])
    assert len(node.labelled()) == 2
    again = node.run(**asked)
    assert (again["changed"], again["steps"], node.labelled()) == (False, [], [])


def test_what_runs_is_pinned_and_what_is_gone_is_told(node: Node) -> None:
    done = node.run(running=True)
    assert PAUSE in done["used"]
    assert node.pinned() == {OLD, PAUSE}
    assert "sha256:gone" in done["missing"]
    assert node.run(running=True)["changed"] is False


def test_a_missing_image_is_named_before_anything_changes(node: Node) -> None:
    asked = {"pinned": [NEW, "example.com/a:1", "example.com/b:1"], "unpinned": [OLD]}
    failed = node.run(**asked)
    assert failed["error"]["found"] == "example.com/a:1, example.com/b:1"
    assert node.labelled() == []
    done = node.run(missing="ignore", **asked)
    assert done["missing"] == ["example.com/a:1", "example.com/b:1"]
    assert node.pinned() == {NEW}


def test_what_is_needed_is_never_unpinned(node: Node) -> None:
    for asked in ({"pinned": [OLD], "unpinned": [OLD]}, {"running": True, "unpinned": [PAUSE]}):
        failed = node.run(**asked)
        assert "cannot be given to the garbage collection" in failed["msg"]
        assert node.labelled() == []


def test_static_pods_count_even_when_no_container_of_theirs_is_there(node: Node, tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.write("/etc/kubernetes/manifests/kube-apiserver.yaml", f"spec:\n  containers:\n  - image: {NEW}\n")
    host.programs[str(node.ctr)] = lambda argv: super(FakeHost, host).run(argv)
    params = {"pinned": [], "unpinned": [], "running": True, "missing": "error", "namespace": "k8s.io", "timeout": 60.0}
    done = pin_images(host, {**params, "ctr": str(node.ctr)}, effects=True)
    assert NEW in done["used"]
    assert node.pinned() == {OLD, NEW, PAUSE}


@pytest.mark.parametrize(
    "args",
    [
        {"pinned": ["--replace-all"]},
        {"unpinned": ["a b"]},
        {"pinned": [""]},
        {"unpinned": ["a\nb"]},
        {"namespace": "-n x"},
        {"ctr": "ctr"},
        {"ctr": "/usr/bin/no-such-ctr"},
    ],
)
def test_a_bad_input_is_refused_with_words(node: Node, args: dict[str, Any]) -> None:
    failed = node.run(**args)
    assert failed["failed"]
    assert "Traceback" not in str(failed)
    assert node.labelled() == []


def test_the_plan_alone() -> None:
    have = {OLD: Image("sha256:a", True), NEW: Image("sha256:b", False)}
    assert plan_pins(have, [], [], [], ignore=False).steps() == []
    with pytest.raises(InputError):
        plan_pins(have, ["c:1"], [], [], ignore=False)
    with pytest.raises(RefusedError):
        plan_pins(have, [], [OLD], [OLD], ignore=True)
    assert plan_pins(have, [], [OLD], [NEW, "c:1"], ignore=False).missing == ("c:1",)
