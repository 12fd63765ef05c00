"""What the consistency tests read: the checkout as data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if path.stem != "__init__")
BLOCKS = ("block", "rescue", "always")


class Loader(yaml.SafeLoader):
    """Plain YAML that lets Ansible's own tags pass."""


Loader.add_multi_constructor("!", lambda loader, _suffix, node: loader.construct_scalar(node))


def load(path: Path) -> Any:
    """One YAML document; None when the file is not there."""
    return yaml.load(path.read_text(), Loader) if path.exists() else None


def specs(role: str) -> dict[str, Any]:
    """The role's entry points."""
    return dict((load(ROOT / "roles" / role / "meta" / "argument_specs.yml") or {}).get("argument_specs") or {})


def options(role: str) -> dict[str, Any]:
    """All variables that the role takes, over all entry points."""
    found: dict[str, Any] = {}
    for spec in specs(role).values():
        found.update(spec.get("options") or {})
    return found


def defaults(role: str) -> dict[str, Any]:
    """The role's defaults/main.yml."""
    return load(ROOT / "roles" / role / "defaults" / "main.yml") or {}


def task_files(role: str) -> list[Path]:
    """Task and handler files of a role."""
    base = ROOT / "roles" / role
    return sorted([*base.glob("tasks/**/*.yml"), *base.glob("handlers/*.yml")])


def tasks(path: Path) -> Iterator[dict[str, Any]]:
    """Every task of a file, those in blocks too; plays are opened."""
    yield from _tasks(load(path) or [])


def _tasks(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in items:
        for key in ("pre_tasks", "tasks", "post_tasks", "handlers"):
            yield from _tasks(item.get(key) or [])
        if "hosts" in item or "ansible.builtin.import_playbook" in item:
            continue
        yield item
        for key in BLOCKS:
            yield from _tasks(item.get(key) or [])


def strings(value: Any) -> Iterator[str]:
    """All strings in a YAML value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(key)
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def where(path: Path) -> str:
    """A path as a person would write it."""
    return str(path.relative_to(ROOT))
