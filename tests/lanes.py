"""What the gate runs: the parts of each lane, what they need, and how much of the machine they take."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LANES = ("lint", "unit", "consistency", "integration", "molecule", "e2e")
SETUP = "setup"
# What the lanes run; other releases are built by those who need them.
KUBE_VERSION = "1.36.3"
# From which e2e upgrades.
KUBE_VERSION_BEFORE = "1.35.4"
# The gate's own labs: a lab that a person has running is never touched.
TEST_LAB = "qtest"


@dataclass(frozen=True)
class Part:
    """One program that either passes or fails."""

    lane: str
    name: str
    argv: tuple[str, ...]
    needs: tuple[str, ...] = ()
    # True: timing matters or it uses every core, so nothing runs beside it.
    alone: bool = False
    # The lab that the part uses, removed before and after it.
    lab: str = ""
    minutes: float = 10
    env: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.lane}:{self.name}"


# pytest leaves the reason out of a line of its summary that would be longer than the terminal is wide.
WIDE = {"COLUMNS": "300"}


def pytest(*args: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", "-q", "-ra", "--durations=5", "--color=no", *args)


def setup() -> list[Part]:
    def lab(verb: str, *argv: str, needs: tuple[str, ...] = (), minutes: float) -> Part:
        return Part(SETUP, verb, (sys.executable, "-m", "lab", verb, *argv), needs=needs, minutes=minutes)

    return [
        lab("deps", minutes=10),
        lab("artifacts", "--kube-version", KUBE_VERSION, needs=("setup:deps",), minutes=45),
        Part(
            SETUP,
            "artifacts-before",
            (sys.executable, "-m", "lab", "artifacts", "--kube-version", KUBE_VERSION_BEFORE),
            needs=("setup:artifacts",),
            minutes=45,
        ),
        lab("image", needs=("setup:deps",), minutes=15),
    ]


def lint() -> list[Part]:
    def part(name: str, *argv: str, needs: tuple[str, ...] = (), minutes: float = 5) -> Part:
        return Part("lint", name, argv, needs=needs, minutes=minutes)

    collection = "ansible_collections.quorum.kubeadm.plugins"
    sanity = (sys.executable, "-m", "tests.sanity")
    return [
        part("sanity", *sanity, minutes=15),
        part("ansible-lint", "ansible-lint", "--offline", "--nocolor", "-q", minutes=10),
        part("mypy", "mypy", "-p", f"{collection}.module_utils", "-p", "lab", "-p", "tests", *_if_there("bench", "-p")),
        part("ruff", "ruff", "check", "."),
        part("ruff-format", "ruff", "format", "--check", "."),
        part("yamllint", "yamllint", "--strict", "."),
        part("docs", "antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=all", "."),
        part("shellcheck", sys.executable, "-m", "tests.shell_scripts", needs=("setup:deps",)),
    ]


def _if_there(package: str, flag: str) -> tuple[str, ...]:
    return (flag, package) if any((ROOT / package).glob("*.py")) else ()


def scenario_lab(scenario: str) -> str:
    """The lab of a Molecule scenario; a lab's name has 21 characters at most."""
    return f"mol-{scenario.removeprefix('kube_').replace('_', '-')}"


def molecule() -> list[Part]:
    scenarios = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
    return [
        Part(
            "molecule",
            name,
            # Named, because without a git checkout Molecule would not find it and pass without doing anything.
            ("molecule", "--base-config", ".config/molecule/config.yml", "test", "--scenario-name", name),
            needs=("setup:artifacts", "setup:image"),
            lab=scenario_lab(name),
            env={"NO_COLOR": "1", "MOLECULE_COMMAND_BORDERS": "false", "ANSIBLE_NOCOLOR": "1"},
            minutes=15,
        )
        for name in scenarios
    ]


def all_parts() -> list[Part]:
    """Every part, the long ones first, so that the two cores stay busy until the end."""
    built = ("setup:artifacts", "setup:artifacts-before", "setup:image")
    return [
        *setup(),
        *lint(),
        Part("unit", "pytest", pytest("tests/unit", "-n", "2"), env=WIDE),
        Part("consistency", "pytest", pytest("tests/consistency"), env=WIDE),
        Part("integration", "pytest", pytest("tests/integration"), needs=("setup:artifacts",), minutes=40, env=WIDE),
        *molecule(),
        Part("e2e", "pytest", pytest("tests/e2e"), needs=built, alone=True, lab=TEST_LAB, minutes=55, env=WIDE),
    ]


def select(lanes: list[str], only: str = "") -> list[Part]:
    """The parts of these lanes and, first, what they need."""
    parts = all_parts()
    by_id = {part.id: part for part in parts}
    chosen = {part.id for part in parts if part.lane in lanes and only in ("", part.id)}
    waiting = list(chosen)
    while waiting:
        for need in by_id[waiting.pop()].needs:
            if need not in chosen:
                chosen.add(need)
                waiting.append(need)
    return [part for part in parts if part.id in chosen]
