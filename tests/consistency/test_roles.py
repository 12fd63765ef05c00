"""Roles: what they take is what they document, they keep to their own names, and they know hosts, not groups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import pytest

from tests.consistency.repo import (
    BLOCKS,
    ROLES,
    ROOT,
    defaults,
    load,
    options,
    specs,
    strings,
    task_files,
    tasks,
    where,
)

SHARED = "kube"
TASK_NAME = re.compile(r"[A-Za-z][\w -]* \| [A-Z][^|]*[^.\s]")
# Names that Ansible itself provides.
MAGIC = {
    "inventory_hostname",
    "inventory_dir",
    "hostvars",
    "lookup",
    "query",
    "undef",
    "omit",
    "role_path",
    "item",
    "now",
}
EXPRESSIONS = ("when", "failed_when", "changed_when", "until", "that")


@pytest.mark.parametrize("role", ROLES)
def test_defaults_equal_the_argument_specs(role: str) -> None:
    documented = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert defaults(role) == documented


@pytest.mark.parametrize("role", ROLES)
def test_an_option_is_required_or_has_a_default(role: str) -> None:
    neither = [n for n, option in options(role).items() if ("default" in option) == bool(option.get("required"))]
    assert not neither, "each option is required, or has a default, and never both"


@pytest.mark.parametrize("role", ROLES)
def test_an_option_means_the_same_in_every_entry_point(role: str) -> None:
    known = options(role)
    for entry, spec in specs(role).items():
        for name, option in (spec.get("options") or {}).items():
            assert option == known[name], f"{role}: {name} differs in {entry}"


@pytest.mark.parametrize("role", ROLES)
def test_role_has_its_files(role: str) -> None:
    base = ROOT / "roles" / role
    for name in ("README.md", "defaults/main.yml", "meta/argument_specs.yml", "meta/main.yml"):
        assert (base / name).is_file(), f"roles/{role}/{name} is missing"
    assert role in (base / "README.md").read_text()
    if role != SHARED:
        dependencies = [str(item.get("role", item)) for item in load(base / "meta" / "main.yml")["dependencies"]]
        assert any(name.rsplit(".", 1)[-1] == SHARED for name in dependencies), (
            "every role depends on the shared inputs"
        )


@pytest.mark.parametrize("role", [role for role in ROLES if role != SHARED])
def test_every_entry_point_is_a_task_file_and_the_other_way_round(role: str) -> None:
    base = ROOT / "roles" / role / "tasks"
    files = {path.stem for path in base.glob("*.yml")}
    entries = set(specs(role))
    assert entries <= files, "an entry point without a task file"
    patterns = [re.sub(r"\\{\\{.*?\\}\\}", ".*", re.escape(name)) for name in included(role)]
    for name in files - entries:
        assert any(re.fullmatch(p, f"{name}.yml") for p in patterns), (
            f"{role}/tasks/{name}.yml: no entry point, not included"
        )


def included(role: str) -> Iterator[str]:
    for path in task_files(role):
        for task in tasks(path):
            for module in ("ansible.builtin.include_tasks", "ansible.builtin.import_tasks"):
                target = task.get(module)
                if target:
                    yield target["file"] if isinstance(target, dict) else target


@pytest.mark.parametrize("role", ROLES)
def test_roles_know_hosts_not_groups(role: str) -> None:
    for path in task_files(role):
        for task in tasks(path):
            assert not {"run_once", "throttle", "delegate_facts", "ignore_errors"} & set(task), f"{where(path)}: {task}"
            for text in strings(task):
                assert not re.search(r"\bgroups\b|\bgroup_names\b", text), f"{where(path)}: {text}"


@pytest.mark.parametrize("role", ROLES)
def test_task_files_are_small(role: str) -> None:
    for path in task_files(role):
        assert len(list(tasks(path))) <= 25, f"{where(path)}: more than 25 tasks"


def all_task_files() -> list[Path]:
    plays = [*(ROOT / "playbooks").rglob("*.yml"), *(ROOT / "molecule").rglob("*.yml")]
    plays = [path for path in plays if isinstance(load(path), list)]
    return sorted([*(path for role in ROLES for path in task_files(role)), *plays])


@pytest.mark.parametrize("path", all_task_files(), ids=where)
def test_task_names_and_forbidden_words(path: Path) -> None:
    for task in tasks(path):
        assert "set_fact" not in str(task.keys()), f"{where(path)}: derive with vars, or return it from a module"
        name = task.get("name")
        assert name, f"{where(path)}: a task without a name: {task}"
        if "handlers" not in path.parts:
            assert TASK_NAME.fullmatch(name), f"{where(path)}: {name!r} is not `component | Imperative sentence`"


@pytest.mark.parametrize("role", ROLES)
def test_names_that_a_role_makes_carry_its_prefix(role: str) -> None:
    made = {*options(role), *defaults(role)}
    for path in (ROOT / "roles" / role / "vars").glob("*.yml"):
        # vars/Debian.yml and its like are read into one prefixed name.
        made |= set(load(path) or {}) if path.stem.islower() else set()
    for path in task_files(role):
        for task in tasks(path):
            made |= set(task.get("vars") or {})
            made |= {name for name in (task.get("register"), loop_variable(task)) if name}
    foreign = {name for name in made if not name.startswith((f"{role}_", f"__{role}_"))}
    assert not foreign, f"{role}: names without the role's prefix"


def loop_variable(task: dict[str, Any]) -> str:
    if not {"loop", "with_items", "with_dict"} & set(task):
        return ""
    return str((task.get("loop_control") or {}).get("loop_var", "item"))


@pytest.mark.parametrize("role", ROLES)
def test_names_that_a_role_reads_are_its_own_or_shared(role: str) -> None:
    shared = set(options(SHARED))
    for path, text in expressions(role):
        for name in undeclared(text):
            own = name.startswith((f"{role}_", f"__{role}_", "ansible_"))
            assert own or name in shared | MAGIC, f"{where(path)} reads {name}, which is neither its own nor shared"


def expressions(role: str) -> Iterator[tuple[Path, str]]:
    """Every Jinja text of the role; conditions are bare expressions and get their braces here."""
    base = ROOT / "roles" / role
    for path in base.glob("templates/**/*.j2"):
        yield path, path.read_text()
    for path in [*base.glob("vars/*.yml"), base / "defaults" / "main.yml"]:
        yield from ((path, text) for text in strings(load(path) or {}))
    for path in task_files(role):
        for task in tasks(path):
            plain = {key: value for key, value in task.items() if key not in BLOCKS}
            yield from ((path, text) for text in strings(plain))
            conditions = [plain.get(key) for key in EXPRESSIONS]
            yield from ((path, "{{ " + text + " }}") for text in strings(conditions))


class AnyName(dict[str, Any]):
    """Ansible's filters and tests need not be loaded to see which variables an expression reads."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, default or str)


def undeclared(text: str) -> set[str]:
    environment = jinja2.Environment(autoescape=False, extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])
    environment.filters = AnyName(environment.filters)
    environment.tests = AnyName(environment.tests)
    return jinja2.meta.find_undeclared_variables(environment.parse(text))


def test_required_inputs_have_no_default_anywhere() -> None:
    required = {name for role in ROLES for name, option in options(role).items() if option.get("required")}
    given = {name for role in ROLES for name in defaults(role)}
    assert not required & given
    assert "kube_vip" in required, "a cluster's address is the user's to choose"
