"""The gate: a scenario for each role, labs that do not collide, no machine's paths, no suppression without a reason."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from lab.settings import DEFAULT_NAME, subnet_of
from tests import lanes
from tests.consistency.repo import ROLES, ROOT, load

SUPPRESSION = re.compile(r"#\s*(?:noqa|type: ignore|pylint: disable|nosec|pragma: no cover|shellcheck disable)")
TEXT = {".py", ".yml", ".yaml", ".md", ".j2", ".sh", ".toml", ".cfg", ".ini", ".txt", ""}


def tracked() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted(ROOT / name for name in set(names) if name and (ROOT / name).is_file())


def lines(path: Path) -> list[tuple[int, str]]:
    return list(enumerate(path.read_text(errors="replace").splitlines(), 1))


@pytest.mark.parametrize("role", [role for role in ROLES if role != "kube"])
def test_role_has_a_scenario(role: str) -> None:
    scenario = ROOT / "molecule" / role
    assert (scenario / "molecule.yml").is_file()
    assert (scenario / "converge.yml").is_file()
    assert list(scenario.glob("tests/test_*.py")), "assertions by testinfra"
    assert role in (scenario / "converge.yml").read_text()


def test_every_lane_has_parts() -> None:
    parts = lanes.all_parts()
    assert {part.lane for part in parts} == {lanes.SETUP, *lanes.LANES}
    assert len({part.id for part in parts}) == len(parts)
    known = {part.id for part in parts}
    assert all(set(part.needs) <= known for part in parts)


def test_labs_of_the_gate_stand_beside_each_other_and_beside_the_users() -> None:
    names = {part.lab for part in lanes.all_parts() if part.lab} | {DEFAULT_NAME}
    subnets = {subnet_of(name) for name in names}
    assert len(subnets) == len(names), "two labs would share a subnet: rename a scenario"
    assert all(len(name) <= 21 for name in names)


def test_no_path_of_one_machine() -> None:
    # Built from parts, so that this file is no hit itself.
    words = re.compile("|".join(["/" + "work/", "/" + "root/", r"/home/\w+/", "/" + r"Users/\w+/"]))
    hits = [
        f"{p.relative_to(ROOT)}:{n}"
        for p in tracked()
        if p.suffix in TEXT
        for n, line in lines(p)
        if words.search(line)
    ]
    assert not hits


def test_no_private_key_or_token_is_kept() -> None:
    words = re.compile("-----BEGIN " + r"(?:\w+ )?PRIVATE KEY" + r"-----\s*$")
    assert not [
        str(p.relative_to(ROOT)) for p in tracked() if p.suffix in TEXT for _n, line in lines(p) if words.search(line)
    ]


def test_a_suppression_carries_its_reason() -> None:
    paths = [p for p in tracked() if p.suffix in {".py", ".yml", ".sh"}]
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in paths
        for number, line in lines(path)
        if SUPPRESSION.search(line) and not re.search(SUPPRESSION.pattern + r".* - \w", line)
    ]
    assert not bare


def test_lint_has_no_skip_list() -> None:
    config = load(ROOT / ".ansible-lint")
    assert config["profile"] == "production"
    assert not config.get("skip_list")
    assert not config.get("warn_list")
    assert not list((ROOT / "tests" / "sanity").glob("ignore*")) if (ROOT / "tests" / "sanity").exists() else True
