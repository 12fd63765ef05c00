# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole plan of one host_config call: files, live settings, units. Made completely before anything is done."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils import receipts
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import (
    Entry,
    FilePlan,
    check_path,
    entry_from,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_facts import read_packages
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_files import Files
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_kernel import Kernel
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_settings import (
    Setting,
    apply_settings,
    edited,
    plan_booleans,
    plan_hostname,
    plan_modules,
    plan_swap,
    plan_sysctls,
    without_swap,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_units import (
    UnitPlan,
    Wish,
    apply_units,
    plan_units,
    read_units,
    stale_units,
    unit_name,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_users import make_users, missing_users

UNIT_FOLDERS = (
    "/etc/systemd/system/",
    "/usr/local/lib/systemd/system/",
    "/usr/lib/systemd/system/",
    "/lib/systemd/system/",
)

# The arguments of host_config, as a module declares them.
ENTRY: dict[str, Any] = {
    "path": {"type": "str", "required": True},
    "mode": {"type": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
}
FILE: dict[str, Any] = {
    **ENTRY,
    "content": {"type": "str"},
    "content_b64": {"type": "str"},
    "secret_b64": {"type": "str", "no_log": True},
    "validate": {"type": "list", "elements": "str"},
}
CONTENTS = ("content", "content_b64", "secret_b64")
UNIT: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "enabled": {"type": "bool"},
    "state": {"type": "str", "choices": ["started", "stopped"]},
    "masked": {"type": "bool"},
    "reads": {"type": "list", "elements": "str", "default": []},
}
SPEC: dict[str, Any] = {
    "users": {"type": "list", "elements": "str", "default": []},
    "directories": {"type": "list", "elements": "dict", "default": [], "options": ENTRY},
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": FILE,
        "mutually_exclusive": [CONTENTS],
        "required_one_of": [CONTENTS],
    },
    "absent": {"type": "list", "elements": "str", "default": []},
    "kernel_modules": {"type": "list", "elements": "str", "default": []},
    "sysctls": {"type": "dict", "default": {}},
    "selinux_booleans": {"type": "list", "elements": "str", "default": []},
    "swap": {"type": "str", "choices": ["keep", "off"], "default": "keep"},
    "hostname": {"type": "str"},
    "units": {"type": "list", "elements": "dict", "default": [], "options": UNIT},
    "packages": {"type": "list", "elements": "str", "default": []},
    "receipt": receipts.OPTION,
    "timeout": {"type": "float", "default": 60.0},
}


@dataclass(frozen=True)
class Plan:
    """Everything that one call does. missing: packages that a real run would need. users: made before all else."""

    files: FilePlan
    settings: tuple[Setting, ...]
    units: UnitPlan
    missing: tuple[str, ...] = ()
    users: tuple[str, ...] = ()

    def steps(self) -> list[str]:
        settings = [setting.text for setting in self.settings]
        first = [f"need the package {name}" for name in self.missing]
        first += [f"make the system user {name}" for name in self.users]
        return first + self.units.early.steps() + self.files.steps() + settings + self.units.late.steps()

    def result(self) -> dict[str, Any]:
        users = [f"system user {name}" for name in self.users]
        others = users + [setting.text for setting in self.settings] + self.units.steps()
        prepared = [{"prepared": "\n".join(others) + "\n"}] if others else []
        return {
            "changed": bool(self.steps()),
            "changed_files": self.files.changed,
            "changed_units": list(self.units.changed),
            "running_units": list(self.units.running),
            "stale_units": [name for name, _path in self.units.stale],
            "steps": self.steps(),
            "diff": self.files.diffs() + prepared,
        }


def file_content(options: dict[str, Any]) -> bytes:
    """The content from whichever of the three options has it."""
    if options["content"] is not None:
        return str(options["content"]).encode()
    encoded = options["content_b64"] if options["content_b64"] is not None else options["secret_b64"]
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        next_step = "encode it with the filter b64encode"
        raise InputError("the content is not base64", where=str(options["path"])[:120], next_step=next_step) from exc


def entries_of(params: dict[str, Any]) -> tuple[list[Entry], list[Entry]]:
    """Directories and files of the module's options; every path once."""
    directories = [entry_from(dict(o, mode=o["mode"] or "0755"), None) for o in params["directories"]]
    files = []
    for options in params["files"]:
        mode = options["mode"] or ("0600" if options["secret_b64"] is not None else "0644")
        files.append(entry_from(dict(options, mode=mode), file_content(options)))
    paths = [entry.path for entry in directories + files] + [check_path(path) for path in params["absent"]]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        raise InputError("a path is listed twice", found=", ".join(twice), next_step="list each path once")
    return directories, files


def make_plan(host: Host, files: Files, params: dict[str, Any]) -> Plan:
    """Compare the options with the host. Raises before anything is written."""
    missing = _missing_packages(host, params["packages"], check_mode=files.check_mode)
    users = files.coming_accounts = missing_users(params.get("users") or [])
    directories, wanted = entries_of(params)
    settings = plan_modules(Kernel(host), params["kernel_modules"])
    settings += plan_sysctls(host, params["sysctls"], modules_come=bool(settings))
    settings += plan_booleans(host, params["selinux_booleans"])
    if params["swap"] == "off":
        settings += plan_swap(host)
        wanted += edited(host, "/etc/fstab", without_swap(host.read_text("/etc/fstab") or ""))
    if params["hostname"]:
        settings += plan_hostname(params["hostname"])
        wanted += edited(host, "/etc/hostname", params["hostname"] + "\n")
    file_plan = files.plan(directories, wanted, params["absent"])
    coming = {path.rpartition("/")[2] for path in (e.path for e in wanted) if path.startswith(UNIT_FOLDERS)}
    units = _unit_plan(host, file_plan, params["units"], coming, check_mode=files.check_mode)
    return Plan(file_plan, tuple(settings), units, missing, users)


def _missing_packages(host: Host, names: list[str], *, check_mode: bool) -> tuple[str, ...]:
    missing = tuple(name for name, version in read_packages(host, names).items() if not version)
    if missing and not check_mode:
        raise RefusedError(
            "packages that are relied on are not installed",
            where="/var/lib/dpkg or the RPM database",
            found=f"missing: {', '.join(missing)}",
            next_step="install them, or take away what hinders their installation, and run again",
        )
    return missing


def _unit_plan(
    host: Host, files: FilePlan, options: list[dict[str, Any]], coming: set[str], *, check_mode: bool
) -> UnitPlan:
    wishes = [Wish(unit_name(o["name"]), o["enabled"], o["state"], o["masked"], tuple(o["reads"])) for o in options]
    reload = any(path.startswith(UNIT_FOLDERS) for path in files.changed) and host.exists("/run/systemd/system")
    # In check mode a package that brings the unit may not be installed yet: what would be done is said all the same.
    names = {wish.name for wish in wishes}
    have = read_units(host, sorted(names))
    # A run that was killed after it wrote a unit file: the file is there, systemd has not looked yet.
    reload = reload or any(have[name].load == "not-found" for name in names & coming)
    stale = stale_units(host, wishes, have, set(files.changed))
    return plan_units(wishes, have, reload=reload, expected=names if check_mode else coming, stale=stale)


def apply_plan(host: Host, files: Files, plan: Plan, timeout: float, *, effects: bool) -> None:
    if effects:
        make_users(host, plan.users)
        files.coming_accounts = ()
        apply_units(host, plan.units.early, timeout)
        files.apply(plan.files)
        apply_settings(host, list(plan.settings))
        apply_units(host, plan.units.late, timeout)
