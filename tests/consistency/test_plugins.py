"""Plugins: documented where Ansible reads it, tested, and the pure core free of Ansible."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from tests.consistency.repo import MODULES, ROOT

HEADER = (
    "# Copyright: quorum.kubeadm contributors\n"
    "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)\n"
    "# SPDX-License-Identifier: GPL-3.0-or-later\n"
)
PYTHON = sorted((ROOT / "plugins").rglob("*.py"))
# The edge reads and writes the world. Every other module_utils file is the pure core: it decides, and does no I/O.
EDGE = {
    "backup_peers", "backup_pki", "backup_places", "backup_run", "backup_take", "bundle_archive", "bundle_install",
    "bundle_receive", "certificate_host", "encryption_host", "etcd_alone", "etcd_api", "etcd_data",
    "etcd_restore_world", "etcd_stream", "etcd_unit", "fetch", "fetch_http", "haproxy_socket", "host_files", "host_io",
    "host_lock", "host_memory", "host_probe", "host_reset_run", "host_settings", "host_upgrade", "https",
    "kubeadm_host", "kubeconfig", "kubelet_host", "release_store", "renewal_host", "run_claim", "snapshot_store",
    "static_pod_host",
}  # fmt: skip
CORE = sorted(path for path in (ROOT / "plugins" / "module_utils").glob("*.py") if path.stem not in EDGE)
IMPURE = {"ansible", "subprocess", "socket", "http", "shutil", "tempfile", "requests", "kubernetes"}


def constants(path: Path) -> dict[str, str]:
    """The module-level string constants of a Python file."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found.update({target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)})
    return found


@pytest.mark.parametrize("module", MODULES)
def test_module_is_documented(module: str) -> None:
    path = ROOT / "plugins" / "modules" / f"{module}.py"
    parts = constants(path)
    documentation = yaml.safe_load(parts["DOCUMENTATION"])
    assert documentation["module"] == module
    assert documentation["short_description"]
    assert documentation["author"]
    # Whether the module keeps to it is shown by its own tests.
    assert documentation["attributes"]["check_mode"]["support"] in {"full", "none"}
    examples = yaml.safe_load(parts["EXAMPLES"])
    assert any(f"quorum.kubeadm.{module}" in task for task in examples), "an example that uses the module"
    assert yaml.safe_load(parts["RETURN"]), "RETURN says what comes back"
    # The documentation of an action plugin stands in a module file that never runs.
    action = ROOT / "plugins" / "action" / f"{module}.py"
    assert action.exists() or "supports_check_mode" in path.read_text()


@pytest.mark.parametrize("module", MODULES)
def test_module_has_a_test_file(module: str) -> None:
    found = [path for path in (ROOT / "tests").rglob("test_*.py") if module in path.stem]
    assert found, f"no test file is named after {module}"


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_file_is_headed_and_small(path: Path) -> None:
    text = path.read_text()
    assert text.removeprefix("#!/usr/bin/python\n").startswith(HEADER)
    limit = 250 if path.parent.name == "modules" else 300
    assert len(text.splitlines()) <= limit, f"more than {limit} lines: split by noun"


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_pure_core_does_no_io(path: Path) -> None:
    name = path.stem
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        for imported in names:
            assert imported.split(".")[0] not in IMPURE, f"{name} imports {imported}"
            assert imported != "urllib.request", f"{name} imports {imported}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input"}, f"{name} calls {node.func.id}"
