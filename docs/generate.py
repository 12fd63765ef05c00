"""Writes docs/variables.md from the roles' meta/argument_specs.yml. Run it by `make docs`; a test keeps it fresh."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "variables.md"
HEAD = """\
# Variables

Written by `make docs` from each role's `meta/argument_specs.yml`; edit those, not this file.
The shared inputs of role [`kube`](#kube) go into the inventory; every other role's variables begin with its name.
What is required and not a shared input is set by the playbooks.
"""
CODE = re.compile(r"\b(?:C|V|O|RV|E|I|B)\(([^)]*)\)")
MODULE = re.compile(r"\bM\(([^)]*)\)")
LINK = re.compile(r"\bL\(([^,)]*),\s*([^)]*)\)")
URL = re.compile(r"\bU\(([^)]*)\)")


def plain(text: str | list[str] | None) -> str:
    """Ansible's documentation markup as Markdown, on one line."""
    joined = " ".join(text) if isinstance(text, list) else text or ""
    joined = MODULE.sub(r"`\1`", CODE.sub(r"`\1`", joined))
    joined = URL.sub(r"<\1>", LINK.sub(r"[\1](\2)", joined))
    return joined.replace("|", "\\|").replace("\n", " ").strip()


def shown(option: Mapping[str, Any]) -> str:
    """The default, or why there is none."""
    if "default" in option:
        default = option["default"]
        text = str(default).lower() if isinstance(default, bool) else str(default) if default != "" else '""'
        return "`" + text.replace("|", "\\|").replace("\n", " ") + "`"
    return "**required**" if option.get("required") else "none"


def kind(option: Mapping[str, Any]) -> str:
    """The type, with the elements' type and the choices."""
    text = str(option.get("type", "str"))
    if "elements" in option:
        text += f" of {option['elements']}"
    if "choices" in option:
        text += ": " + ", ".join(f"`{choice}`" for choice in option["choices"])
    return text


def rows(options: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """A table row for each option, its suboptions below it."""
    for name, option in sorted(options.items()):
        label = f"{prefix}{name}"
        yield f"| `{label}` | {kind(option)} | {shown(option)} | {plain(option.get('description'))} |"
        yield from rows(option.get("options") or {}, f"{label}.")


def section(role: str, specs: Mapping[str, Any]) -> Iterator[str]:
    """One role: its entry points, and under each the variables that it adds to those before it."""
    yield f"\n## {role}\n"
    seen: dict[str, Any] = {}
    for entry, spec in specs.items():
        yield f"### {role}: {entry}\n" if len(specs) > 1 else ""
        yield f"{plain(spec.get('short_description'))}. {plain(spec.get('description'))}".strip() + "\n"
        options = spec.get("options") or {}
        fresh = {name: option for name, option in options.items() if seen.get(name) != option}
        again = sorted(f"`{name}`" for name in options if name not in fresh)
        if fresh:
            yield "| variable | type | default | what it is |"
            yield "|---|---|---|---|"
            yield from rows(fresh)
            yield ""
        if again:
            yield f"As above: {', '.join(again)}.\n"
        seen.update(fresh)


def render(root: Path = ROOT) -> str:
    """The whole file."""
    lines = [HEAD]
    for path in sorted(root.glob("roles/*/meta/argument_specs.yml")):
        specs = yaml.safe_load(path.read_text())["argument_specs"]
        lines += section(path.parts[-3], specs)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def main() -> int:
    TARGET.write_text(render())
    return 0


if __name__ == "__main__":
    sys.exit(main())
