"""Images in containerd, against a player of `ctr` that keeps images the way containerd does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import bundle_store as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle import Archive, parse_bundle
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_store import Containerd, ImageStore
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Result
from tests.unit.plugins.module_utils.bundle_fixture import IMAGES, SOURCE, config_id, sha, write_bundle
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok

CTR = "/usr/bin/ctr"
NOISE = 'time="2026-11-21T11:56:55Z" level=warning msg="DEPRECATION: The support for cgroup v1 is deprecated"\n'
LISTING = """REF                                     TYPE                                                 DIGEST                                                                  SIZE     PLATFORMS   LABELS
ghcr.io/flannel-io/flannel:v0.28.4      application/vnd.docker.distribution.manifest.v2+json sha256:629a41e0e0acfa3d2e2626dbe0f70de6d35db262f83eed8f03c6db3f2ade5634 96.4 MiB linux/amd64 io.cri-containerd.image=managed,io.cri-containerd.pinned=pinned
registry.k8s.io/pause:3.10.2            application/vnd.docker.distribution.manifest.v2+json sha256:6e42c4c71045cd4a8633e0cc037017277a599b258e13d3e09335c4b8d19fb5e6 1.5 MiB  linux/amd64 -
"""  # noqa: E501 - as containerd 2.4.2 prints it


class FakeContainerd:
    """Holds images; `manifest_of` maps a manifest's digest to its configuration's."""

    def __init__(self, host: FakeHost, labels_on_import: bool = True) -> None:
        self.host = host
        self.labels_on_import = labels_on_import
        self.images: dict[str, tuple[str, str]] = {}
        self.broken_archive = False
        self.disk_full = False
        host.programs[CTR] = self.answer

    def answer(self, argv: list[str]) -> Result:
        assert argv[:3] == [CTR, "-n", "k8s.io"]
        words = argv[3:]
        if words[:2] == ["images", "ls"]:
            rows = [f"{ref} type {digest} 1.5 MiB linux/amd64 {label}" for ref, (digest, label) in self.images.items()]
            return Result(0, "\n".join(["REF TYPE DIGEST SIZE PLATFORMS LABELS", *rows]) + "\n", NOISE)
        if words[:2] == ["images", "import"]:
            return self.load(words)
        if words[:2] == ["images", "label"]:
            self.images[words[2]] = (self.images[words[2]][0], words[3])
            return ok()
        assert words[:2] == ["content", "get"]
        return ok(json.dumps({"config": {"digest": "sha256:" + words[2][-64:]}}))

    def load(self, words: list[str]) -> Result:
        if "--label" in words and not self.labels_on_import:
            return Result(1, "", "flag provided but not defined: -label")
        if self.disk_full:
            return Result(1, "", NOISE + "ctr: no space left on device")
        path = words[-1].removeprefix(self.host.real(SOURCE) + "/")
        for ref, letter in IMAGES[path][2].items():
            if not (self.broken_archive and ref.startswith("ghcr")):
                self.images[ref] = (config_id(letter), f"{subject.PIN}=pinned" if "--label" in words else "-")
        return ok()

    def calls(self) -> list[str]:
        return [" ".join(argv[3:5]) for argv in self.host.calls]


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path)
    write_bundle(made)
    return made


def archives(host: FakeHost, role: str = "control_plane") -> list[Archive]:
    return parse_bundle(host.read_text(f"{SOURCE}/manifest.json"), SOURCE).images_for([role])


def converge(host: FakeHost, role: str = "control_plane") -> list[str]:
    store = ImageStore(host, Containerd(host, CTR, "k8s.io", 60))
    plan = store.plan(archives(host, role))
    store.apply(plan, SOURCE, archives(host, role), unpack=True)
    return plan.steps()


def test_the_listing_of_a_real_containerd() -> None:
    assert subject.parse_images(LISTING) == {
        "ghcr.io/flannel-io/flannel:v0.28.4": subject.Image(
            "sha256:629a41e0e0acfa3d2e2626dbe0f70de6d35db262f83eed8f03c6db3f2ade5634", True
        ),
        "registry.k8s.io/pause:3.10.2": subject.Image(
            "sha256:6e42c4c71045cd4a8633e0cc037017277a599b258e13d3e09335c4b8d19fb5e6", False
        ),
    }
    assert subject.parse_images("") == {}


def test_everything_is_imported_pinned_and_then_left_alone(host: FakeHost) -> None:
    containerd = FakeContainerd(host)
    steps = converge(host)
    assert [step.split(" (")[0] for step in steps] == ["import images/node.tar", "import images/control-plane.tar"]
    assert len(containerd.images) == 3
    assert {label for _digest, label in containerd.images.values()} == {"io.cri-containerd.pinned=pinned"}
    host.calls.clear()
    assert converge(host) == []
    assert containerd.calls() == ["images ls"], "a run with nothing to do asks once"


def test_a_worker_gets_only_its_archive(host: FakeHost) -> None:
    containerd = FakeContainerd(host)
    converge(host, "worker")
    assert "registry.k8s.io/etcd:3.6.16-0" not in containerd.images


def test_an_older_ctr_pins_after_the_import(host: FakeHost) -> None:
    containerd = FakeContainerd(host, labels_on_import=False)
    converge(host)
    assert {label for _digest, label in containerd.images.values()} == {"io.cri-containerd.pinned=pinned"}


def test_a_lost_pin_is_set_again_without_an_import(host: FakeHost) -> None:
    containerd = FakeContainerd(host)
    converge(host)
    digest, _label = containerd.images["registry.k8s.io/pause:3.10.2"]
    containerd.images["registry.k8s.io/pause:3.10.2"] = (digest, "-")
    assert converge(host) == ["pin registry.k8s.io/pause:3.10.2"]
    assert containerd.images["registry.k8s.io/pause:3.10.2"][1] == "io.cri-containerd.pinned=pinned"
    assert converge(host) == []


def test_an_image_that_was_collected_or_replaced_is_imported_again(host: FakeHost) -> None:
    containerd = FakeContainerd(host)
    converge(host)
    del containerd.images["ghcr.io/x/flannel:v1"]
    assert [step.split(" (")[0] for step in converge(host)] == ["import images/node.tar"]
    containerd.images["registry.k8s.io/etcd:3.6.16-0"] = (config_id("f"), "-")
    assert [step.split(" (")[0] for step in converge(host)] == ["import images/control-plane.tar"]
    assert containerd.images["registry.k8s.io/etcd:3.6.16-0"][0] == config_id("c")


def test_images_that_are_there_already_are_recognised_by_their_configuration(host: FakeHost) -> None:
    containerd = FakeContainerd(host)
    converge(host)
    Path(host.real(subject.STATE)).unlink()
    host.calls.clear()
    assert converge(host) == []
    assert "images import" not in containerd.calls()
    host.calls.clear()
    converge(host)
    assert containerd.calls() == ["images ls"], "and are remembered from then on"


def test_planning_changes_nothing(host: FakeHost) -> None:
    containerd = FakeContainerd(host)
    store = ImageStore(host, Containerd(host, CTR, "k8s.io", 60))
    assert len(store.plan(archives(host)).imports) == 2
    assert containerd.images == {}
    assert not Path(host.real(subject.STATE)).exists()


def test_an_archive_that_lacks_an_image_is_an_error(host: FakeHost) -> None:
    FakeContainerd(host).broken_archive = True
    with pytest.raises(CommandError, match=r"does not hold what.*ghcr\.io/x/flannel:v1"):
        converge(host)


def test_a_containerd_that_does_not_answer(host: FakeHost) -> None:
    host.programs[CTR] = Result(1, "", NOISE + "ctr: connection refused")
    with pytest.raises(CommandError, match="connection refused") as caught:
        converge(host)
    assert "DEPRECATION" not in caught.value.found
    empty = ImageStore(host, Containerd(host, CTR, "k8s.io", 60, absent_is_empty=True))
    assert len(empty.plan(archives(host)).imports) == 2, "in check mode containerd may still come"


def test_a_failed_import_says_what_ctr_said(host: FakeHost) -> None:
    FakeContainerd(host).disk_full = True
    with pytest.raises(CommandError, match="no space left on device"):
        converge(host)


def test_the_state_names_the_archive_by_its_checksum(host: FakeHost) -> None:
    FakeContainerd(host)
    converge(host)
    state = json.loads(Path(host.real(subject.STATE)).read_text())
    assert state["archives"][sha(b"cp archive")] == {"registry.k8s.io/etcd:3.6.16-0": config_id("c")}
