"""The next command that a message, a comment or a document tells: its playbook exists and knows what it is given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.consistency.repo import ROLES, ROOT, defaults, load, options, where

# Up to the end of the line or of the quotation; variables in it are filled in later.
COMMAND = re.compile(r"(?:playbooks/|quorum\.kubeadm\.)(\w+)(?:\.yml)?((?:\s+(?:-[ei]|with)\s+[^\s`'\"]+)+)")
VARIABLE = re.compile(r"-e\s+(\w+)=")
FOLDERS = ("plugins", "playbooks", "roles", "docs", "inventories")
FILES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".yml", ".md", ".j2") and "__pycache__" not in path.parts
)
# Of every role: an extra variable reaches them all.
INPUTS = {name for role in ROLES for name in (*options(role), *defaults(role))}


def text_of(playbook: Path) -> str:
    """A playbook with those that it imports and the tasks that it names."""
    text = playbook.read_text()
    names = re.findall(r"(?:import_playbook|import_tasks|include_tasks): (?:tasks/)?(\w+\.yml)", text)
    below = [ROOT / "playbooks" / name for name in names] + [ROOT / "playbooks" / "tasks" / name for name in names]
    return "\n".join([text, *(text_of(path) for path in below if path.exists() and path != playbook)])


def told(text: str) -> list[tuple[str, str]]:
    """Playbook and variable of every command in a text; Python's neighbouring strings are one."""
    joined = re.sub(r"\"\s*\n\s*f?\"", "", text)
    return [(name, variable) for name, rest in COMMAND.findall(joined) for variable in VARIABLE.findall(rest)]


@pytest.mark.parametrize("path", [*FILES, ROOT / "README.md"], ids=where)
def test_a_command_gives_its_playbook_what_it_knows(path: Path) -> None:
    for name, variable in told(path.read_text()):
        playbook = ROOT / "playbooks" / f"{name}.yml"
        assert playbook.exists(), f"{where(path)} names the playbook {name}"
        known = variable in INPUTS or re.search(rf"\b{variable}\b", text_of(playbook))
        assert known, f"{where(path)}: {name} does not know -e {variable}="


def test_commands_are_found() -> None:
    """The pattern finds what messages tell, over neighbouring strings too."""
    found = {pair for path in FILES for pair in told(path.read_text())}
    wanted = {("reset", "reset_hosts"), ("replace_node", "node"), ("upgrade", "kube_version")}
    assert wanted <= found, wanted - found
    assert load(ROOT / "playbooks" / "reset.yml")
    assert told('"ansible-playbook playbooks/reset.yml "\n    "-e node={host}"') == [("reset", "node")]
