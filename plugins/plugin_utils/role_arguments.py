# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's variables held against the argument specs of all roles, before the first role changes anything.

A role validates its own arguments when its turn comes; by then the roles before it have changed the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain

# What a playbook is given by -e, and no role knows.
PLAYBOOK_VARIABLES = ("etcd_remove",)
ROLES = Path(__file__).resolve().parent.parent.parent / "roles"


@cache
def all_options(roles: Path = ROLES) -> dict[str, dict[str, Any]]:
    """Every variable of every role and its specification."""
    options: dict[str, dict[str, Any]] = {}
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        specs = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
        for spec in specs.values():
            options.update(spec.get("options") or {})
    return options


def _prefixes() -> tuple[str, ...]:
    """The roles' own first words. `kube_` alone is shared with other software in many inventories."""
    return tuple(sorted({f"{role.name}_" for role in ROLES.iterdir() if role.name != "kube"}))


def unknown(names: Iterable[str]) -> list[str]:
    """Variables that look like a role's, and that no role has: most often misspelt."""
    options = all_options()
    prefixes = _prefixes()
    return sorted(name for name in names if name.startswith(prefixes) and name not in (*options, *PLAYBOOK_VARIABLES))


def _holds_secret(option: Mapping[str, Any]) -> bool:
    nested = (option.get("options") or {}).values()
    return bool(option.get("no_log")) or any(_holds_secret(entry) for entry in nested)


def secrets(names: Iterable[str]) -> list[str]:
    """Those of the variables whose option may hold a secret."""
    options = all_options()
    return sorted(name for name in names if name in options and _holds_secret(options[name]))


def read(variables: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of the roles' variables, and what is wrong with them by the roles' own specifications.

    Nothing secret is repeated in what is wrong.
    """
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, option in all_options().items():
        if name not in variables:
            continue
        try:
            values[name] = plain(variables[name])
        except AnsibleError as exc:
            wrong[name] = " ".join(str(exc).split())[:200]
            continue
        # Which of several entry points requires it, the role itself knows.
        spec = {name: {**option, "required": False}}
        errors = ArgumentSpecValidator(spec).validate({name: values[name]}).error_messages
        if errors:
            text = "it does not have the shape that the role documents" if _holds_secret(option) else " ".join(errors)
            wrong[name] = " ".join(text.split())[:200]
    return values, wrong
