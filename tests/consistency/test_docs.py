"""Documents: fresh where they are generated, and without a link or a command that leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import generate
from tests.consistency.repo import MODULES, ROLES, ROOT

SKIPPED = {".build", ".venv", ".git", ".cache", ".ansible", ".pytest_cache"}
DOCUMENTS = sorted(p for p in ROOT.rglob("*.md") if not SKIPPED & set(p.relative_to(ROOT).parts))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def test_variables_are_fresh() -> None:
    assert generate.TARGET.read_text() == generate.render(), "docs/variables.md is stale: run `make docs`"


def anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(path: Path) -> None:
    for link in LINK.findall(re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _hash, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{path.relative_to(ROOT)}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{path.relative_to(ROOT)}: no heading for {link}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_playbooks_and_targets_exist(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(r"\bplaybooks/([\w-]+\.yml)", text):
        assert (ROOT / "playbooks" / name).exists(), f"{path.name} names playbooks/{name}"
    for name in re.findall(r"\bansible-playbook quorum\.kubeadm\.(\w+)", text):
        assert (ROOT / "playbooks" / f"{name}.yml").exists(), f"{path.name} names the playbook {name}"
    targets = set(re.findall(r"^([a-z0-9 -]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    known = {word for line in targets for word in line.split()}
    for name in re.findall(r"`make ([a-z0-9-]+)", text):
        assert name in known, f"{path.name} names `make {name}`"


def test_readme_lists_every_playbook() -> None:
    text = (ROOT / "README.md").read_text()
    for path in (ROOT / "playbooks").glob("*.yml"):
        assert f"`{path.stem}`" in text, f"README does not tell of the playbook {path.stem}"


def test_readme_lists_every_role_and_module() -> None:
    text = (ROOT / "README.md").read_text()
    for name in (*ROLES, *MODULES):
        assert f"`{name}`" in text, f"README does not tell of {name}"


@pytest.mark.parametrize(
    "path", [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"], ids=lambda path: path.stem
)
def test_named_files_exist(path: Path) -> None:
    """A path in backticks that begins with a directory of this repository."""
    for name in re.findall(
        r"`((?:docs|inventories|lab|molecule|playbooks|plugins|requirements|roles|tests)/[\w/.-]+)`", path.read_text()
    ):
        hidden = "/." in name  # made by a run
        assert hidden or (ROOT / name).exists(), f"{path.name} names {name}"


def test_readme_gives_the_commands_that_ci_runs() -> None:
    assert re.search(r"^exec make test\b", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert re.search(r"^make lab$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert re.search(r"^make test$", (ROOT / "README.md").read_text(), re.MULTILINE)
