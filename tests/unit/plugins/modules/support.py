"""Runs a module's main() the way Ansible does: a process of its own, arguments as JSON, one JSON answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[4]
COLLECTIONS = ROOT / ".build" / "collections"
RUNNER = """
import importlib, json, sys
from ansible.module_utils.testing import patch_module_args
module = importlib.import_module("ansible_collections.quorum.kubeadm.plugins.modules." + sys.argv[1])
with patch_module_args(json.loads(sys.stdin.read())):
    module.main()
"""


def run_module(
    name: str,
    arguments: dict[str, Any],
    *,
    check: bool = False,
    diff: bool = True,
    path: Path | None = None,
) -> dict[str, Any]:
    """The module's result, `failed` always set. `path` goes before PATH, for programs that a test plays."""
    environment = dict(os.environ, PYTHONPATH=str(COLLECTIONS), PYTHONDONTWRITEBYTECODE="1")
    if path:
        environment["PATH"] = f"{path}:{environment['PATH']}"
    arguments = {**arguments, "_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_no_log": False}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, name],
        input=json.dumps(arguments),
        env=environment,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, f"{name} gave no result: {done.stdout}{done.stderr}"
    result: dict[str, Any] = json.loads(lines[-1])
    result.setdefault("failed", False)
    assert (done.returncode != 0) == result["failed"]
    return result
