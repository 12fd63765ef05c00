"""One table of versions: the lab builds, and the roles default to, what plugins/module_utils/versions.py says."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils.versions import RELEASES
from lab.releases import RELEASES as LAB
from tests import lanes
from tests.consistency.repo import ROOT, defaults, load


@pytest.mark.parametrize("version", LAB)
def test_lab_builds_what_the_table_says(version: str) -> None:
    table = dataclasses.asdict(RELEASES[version.rpartition(".")[0]])
    built = dataclasses.asdict(LAB[version])
    # flannel's own releases of its plugin are no Go module; the lab builds the last one that is.
    both = set(table) & set(built) - {"flannel_cni"}
    assert {"etcd", "coredns", "pause", "containerd", "flannel"} <= both
    assert {name: built[name] for name in both} == {name: table[name] for name in both}


def test_default_version_is_the_newest_of_the_table() -> None:
    newest = max(RELEASES, key=lambda series: [int(part) for part in series.split(".")])
    assert defaults("kube")["kube_version"] == RELEASES[newest].newest_patch
    assert defaults("kube")["kube_version"] in LAB, "the default is what the lab runs"
    assert defaults("kube")["kube_version"] == lanes.KUBE_VERSION
    assert f"KUBE_VERSION ?= {lanes.KUBE_VERSION}\n" in (ROOT / "Makefile").read_text()


def test_readme_names_the_supported_series() -> None:
    text = (ROOT / "README.md").read_text()
    for series in RELEASES:
        assert series in text, f"the support matrix lacks {series}"


def test_collection_and_controller_versions_agree() -> None:
    requirements = (ROOT / "requirements" / "run.txt").read_text()
    core = next(line for line in requirements.splitlines() if line.startswith("ansible-core=="))
    minimum = load(ROOT / "meta" / "runtime.yml")["requires_ansible"].removeprefix(">=")
    assert core.partition("==")[2].split(".")[:2] == minimum.split(".")[:2], (
        "what is tested is the oldest that is allowed"
    )
