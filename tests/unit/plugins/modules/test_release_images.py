"""release_images: the missing ones pulled, all of them pinned, and every one that cannot be had named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, InputError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Result
from ansible_collections.quorum.kubeadm.plugins.module_utils.image_pulls import pull_images
from ansible_collections.quorum.kubeadm.plugins.module_utils.receipt_provers import PROVERS
from tests.unit.plugins.module_utils.fake_host import FakeHost, ok
from tests.unit.plugins.modules.support import run_module

REFS = ["registry.k8s.io/pause:3.10.2", "registry.k8s.io/kube-proxy:v1.36.3"]
CTR = "/usr/bin/ctr"
PIN = "io.cri-containerd.pinned=pinned"


class Containerd:
    """ctr with the images that it has."""

    def __init__(self, **images: str) -> None:
        self.images = {ref.replace("__", "/"): label for ref, label in images.items()}
        self.gone: set[str] = set()

    def __call__(self, argv: list[str]) -> Result:
        words = argv[3:]
        if words[:2] == ["images", "ls"]:
            rows = [f"{ref} type sha256:{'a' * 64} 1 MiB linux/amd64 {label}" for ref, label in self.images.items()]
            return ok("\n".join(["REF TYPE DIGEST SIZE PLATFORMS LABELS", *rows]))
        ref = words[-1] if words[1] == "pull" else words[2]
        if words[1] == "pull" and ref in self.gone:
            return Result(1, "", f'ctr: failed to resolve reference "{ref}": connection refused')
        self.images[ref] = words[-1] if words[1] == "label" else "-"
        return ok()


def host_with(tmp_path: Path, containerd: Containerd) -> FakeHost:
    return FakeHost(tmp_path, {CTR: containerd})


def params(**given: Any) -> dict[str, Any]:
    return {"refs": REFS, "ctr": CTR, "hosts_dir": "/etc/containerd/certs.d", "timeout": 60.0, **given}


def test_pulled_and_pinned_and_then_left_alone(tmp_path: Path) -> None:
    containerd = Containerd()
    host = host_with(tmp_path, containerd)
    predicted = pull_images(host, params(), effects=False)
    assert containerd.images == {}
    result = pull_images(host, params(), effects=True)
    assert result["pulled"] == REFS
    assert (predicted["changed"], predicted["steps"]) == (result["changed"], result["steps"])
    assert containerd.images == dict.fromkeys(REFS, PIN)
    pulls = [argv for argv in host.calls if "pull" in argv]
    assert all(argv[3:7] == ["images", "pull", "--hosts-dir", "/etc/containerd/certs.d"] for argv in pulls)
    host.calls.clear()
    assert pull_images(host, params(), effects=True) == {"changed": False, "pulled": [], "steps": []}
    assert len(host.calls) == 1
    assert PROVERS["release_images"](host, params()) == []


def test_what_is_there_is_only_pinned(tmp_path: Path) -> None:
    containerd = Containerd()
    containerd.images[REFS[0]] = "-"
    result = pull_images(host_with(tmp_path, containerd), params(), effects=True)
    assert result["steps"] == [f"pull {REFS[1]}", f"pin {REFS[0]}"]
    assert set(containerd.images.values()) == {PIN}


def test_fault_10_a_dead_registry_names_every_image(tmp_path: Path) -> None:
    containerd = Containerd()
    containerd.gone = set(REFS)
    with pytest.raises(UnreachableError) as caught:
        pull_images(host_with(tmp_path, containerd), params(), effects=True)
    for ref in REFS:
        assert ref in caught.value.found
    assert "connection refused" in caught.value.found


def test_no_containerd(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="does not tell its images"):
        pull_images(FakeHost(tmp_path), params(), effects=True)
    assert len(pull_images(FakeHost(tmp_path), params(), effects=False)["steps"]) == 2


@pytest.mark.parametrize("ref", ["--all", "a b", "", "x;y"])
def test_a_reference_that_is_none(tmp_path: Path, ref: str) -> None:
    with pytest.raises(InputError):
        pull_images(host_with(tmp_path, Containerd()), params(refs=[ref]), effects=True)


def test_the_module_refuses_with_words() -> None:
    result = run_module("release_images", {"refs": ["--all"], "ctr": "/usr/bin/no-such-ctr"}, check=True)
    assert result["failed"]
    assert "no images' references" in result["msg"]
