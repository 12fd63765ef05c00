"""docs/faults.md: a row for each fault, and every test and campaign that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from bench.__main__ import PARTS
from tests.consistency.repo import ROOT
from tests.faults.__main__ import CAMPAIGNS

DOCUMENT = ROOT / "docs" / "faults.md"
COUNT = 42
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
NAMED = re.compile(r"`([^`]+)`")
CAMPAIGN, BENCH = "python3 -m tests.faults ", "python3 -m bench "
# Where no test shows a fault yet.
NOT_YET = "- not yet"
ROWS = ROW.findall(DOCUMENT.read_text())


def functions(path: Path) -> set[str]:
    """The tests in a file."""
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_fault_has_its_row() -> None:
    assert [int(number) for number, *_cells in ROWS] == list(range(1, COUNT + 1))


@pytest.mark.parametrize(("number", "tests"), [(row[0], row[3]) for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_a_row_names_exists(number: str, tests: str) -> None:
    named = NAMED.findall(tests)
    assert named or tests.startswith(NOT_YET), f"fault {number} names no test"
    for name in named:
        if name.startswith(CAMPAIGN):
            assert name.removeprefix(CAMPAIGN) in CAMPAIGNS, f"fault {number} names the campaign {name}"
            continue
        if name.startswith(BENCH):
            assert name.removeprefix(BENCH) in PARTS, f"fault {number} names the measurement {name}"
            continue
        file, colons, test = name.partition("::")
        path = ROOT / file
        assert path.is_file(), f"fault {number} names {file}"
        assert colons, f"fault {number} names the whole of {file}: name the tests in it"
        assert test in functions(path), f"fault {number} names {test}, which {file} does not have"


def test_every_test_that_says_its_fault_is_in_the_document() -> None:
    """A test named test_fault_NN_... is found from the fault."""
    rows = {int(number): tests for number, _fault, _does, tests in ROWS}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        name = path.relative_to(ROOT).as_posix()
        for test in functions(path):
            found = re.match(r"test_fault_(\d+)", test)
            assert not found or name in rows[int(found[1])], f"{name}::{test} is not named by fault {found[1]}"
