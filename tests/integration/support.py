# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module as Ansible runs it: its own process, arguments on standard input, one JSON object back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
MODULES = ROOT / "plugins" / "modules"
COLLECTIONS = ROOT / ".build" / "collections"


def run_module(name: str, args: Mapping[str, Any], check: bool = False, before: Sequence[Path] = ()) -> dict[str, Any]:
    """The result of a module, failed or not. `before`: directories that Python looks into first.

    Anything but one JSON object on standard output is an error.
    """
    settings = {
        "_ansible_check_mode": check,
        "_ansible_diff": True,
        "_ansible_no_log": False,
        "_ansible_module_name": f"quorum.kubeadm.{name}",
        "_ansible_tmpdir": None,
        "_ansible_remote_tmp": os.environ.get("TMPDIR", "/tmp"),
        "_ansible_keep_remote_files": False,
    }
    path = os.pathsep.join([*map(str, before), str(COLLECTIONS)])
    done = subprocess.run(
        [sys.executable, str(MODULES / f"{name}.py")],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": {**args, **settings}}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        result = json.loads(done.stdout)
    except ValueError:
        raise AssertionError(
            f"{name} wrote no result (exit {done.returncode}):\n{done.stdout}\n{done.stderr}"
        ) from None
    assert isinstance(result, dict)
    assert done.returncode == (1 if result.get("failed") else 0), done.stderr
    return result
