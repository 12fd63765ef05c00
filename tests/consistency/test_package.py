"""The built collection: what is needed at run time, and nothing else."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.consistency.repo import MODULES, ROLES, ROOT, load

NEEDED = {"meta", "plugins", "roles", "playbooks"}
BESIDE = {"FILES.json", "MANIFEST.json", "LICENSE", "README.md"}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    target = tmp_path_factory.mktemp("galaxy")
    command = ["ansible-galaxy", "collection", "build", "--output-path", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (archive,) = target.glob("quorum-kubeadm-*.tar.gz")
    with tarfile.open(archive) as tar:
        return [member.name for member in tar.getmembers() if member.isfile()]


def test_package_holds_only_what_runs(names: list[str]) -> None:
    tops = {Path(name).parts[0] for name in names}
    assert tops == NEEDED | BESIDE
    assert not [name for name in names if name.endswith((".pyc", ".tar.gz")) or "__pycache__" in name]


def test_package_holds_every_role_and_module(names: list[str]) -> None:
    for role in ROLES:
        assert f"roles/{role}/meta/argument_specs.yml" in names
    for module in MODULES:
        assert f"plugins/modules/{module}.py" in names
    for path in (ROOT / "playbooks").glob("*.yml"):
        assert f"playbooks/{path.name}" in names


def test_galaxy_metadata() -> None:
    galaxy = load(ROOT / "galaxy.yml")
    assert (galaxy["namespace"], galaxy["name"]) == ("quorum", "kubeadm")
    assert galaxy["license"] == ["GPL-3.0-or-later"]
    assert galaxy["dependencies"] == {}, "the roles use ansible-core alone"


def test_playbooks_use_the_full_names_of_our_roles_and_modules() -> None:
    for path in (ROOT / "playbooks").rglob("*.yml"):
        text = path.read_text()
        for role in ROLES:
            assert f"name: {role}\n" not in text, (
                f"{path.name}: quorum.kubeadm.{role} is found wherever it is installed"
            )
