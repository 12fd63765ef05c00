# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""image_pins against a real containerd with its CRI plugin, in directories of its own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.images import Image, Layer, write_archive
from tests.integration.etcd_cluster import eventually
from tests.integration.servers import END_WITH_PARENT, program
from tests.integration.support import run_module

REFS = tuple(f"registry.k8s.io/kube-scheduler:v1.{minor}.0" for minor in (35, 36))
CONFIG = """version = 3
root = "{0}/root"
state = "{0}/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]
[grpc]
address = "{0}/sock"
[ttrpc]
address = "{0}/ttrpc"
"""
SECONDS = 30


@dataclass
class Runtime:
    """ctr: a program that speaks with this containerd."""

    ctr: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.ctr), "-n", "k8s.io", *words], check=False, capture_output=True, text=True, timeout=60
        )

    def must(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def labels(self) -> dict[str, str]:
        return {row.split()[0]: row.split()[-1] for row in self.must("images", "ls").splitlines()[1:]}

    def pinned(self) -> set[str]:
        return {ref for ref, labels in self.labels().items() if "io.cri-containerd.pinned=pinned" in labels}

    def module(self, check: bool = False, **args: Any) -> dict[str, Any]:
        result = run_module("image_pins", {"ctr": str(self.ctr), **args}, check=check)
        assert not result.get("failed"), result
        return result


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A containerd that holds two images, of which the first has a container."""
    place = tmp_path_factory.mktemp("containerd")
    (place / "config.toml").write_text(CONFIG.format(place))
    ctr = place / "ctr"
    ctr.write_text(f'#!/bin/sh\nexec {program("containerd", "ctr")} --address {place}/sock "$@"\n')
    ctr.chmod(0o755)
    argv = [*END_WITH_PARENT, str(program("containerd", "containerd")), "--config", str(place / "config.toml")]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    made = Runtime(ctr)
    try:
        deadline = time.monotonic() + SECONDS
        while made.run("version").returncode:
            assert process.poll() is None, (place / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (place / "log").read_text()[-2000:]
            time.sleep(0.1)
        for ref in REFS:
            content = place / "file"
            content.write_text(ref)
            write_archive([Image(ref, {"file": content})], Layer(place / "none", ""), place / "images.tar")
            made.must("images", "import", "--local", str(place / "images.tar"))
        # The CRI plugin labels what it has taken in.
        eventually(made.labels, lambda seen: all("image=managed" in labels for labels in seen.values()))
        made.must("containers", "create", "--snapshotter", "native", REFS[0], "scheduler", "/file")
        yield made
    finally:
        process.terminate()
        process.wait(SECONDS)


def test_pins_come_and_go_as_predicted(runtime: Runtime) -> None:
    before = runtime.labels()
    assert runtime.pinned() == set()
    asked = {"pinned": [REFS[1]], "running": True}
    told = runtime.module(check=True, **asked)
    assert runtime.labels() == before
    done = runtime.module(**asked)
    assert told == done
    assert done["used"] == [REFS[0]]
    assert runtime.pinned() == set(REFS) == set(done["pinned"])
    assert runtime.module(**asked)["changed"] is False

    refused = run_module("image_pins", {"ctr": str(runtime.ctr), "running": True, "unpinned": [REFS[0]]})
    assert refused["failed"] is True
    assert runtime.pinned() == set(REFS)

    runtime.must("containers", "delete", "scheduler")
    after = {"pinned": [REFS[1]], "unpinned": [REFS[0], "registry.k8s.io/gone:v1"]}
    assert runtime.module(**after)["steps"] == [f"unpin {REFS[0]}"]
    # The CRI plugin, which is told of every change, has not put it back, on no name of that image.
    time.sleep(1)
    assert runtime.pinned() == {REFS[1]}
    assert runtime.module(**after)["changed"] is False
    assert runtime.labels()[REFS[0]] == before[REFS[0]]
