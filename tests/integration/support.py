# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module as Ansible runs it: its own process, arguments on standard input, one JSON object back."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
MODULES = ROOT / "plugins" / "modules"
COLLECTIONS = ROOT / ".build" / "collections"
SECONDS = 120
FORKING_PARENT = """
import json, os, runpy, signal, sys
import ansible.module_utils.basic

for line in iter(sys.stdin.readline, ""):
    program, *files = json.loads(line)
    child = os.fork()
    if child == 0:
        signal.alarm(int(sys.argv[1]))
        for number, (name, mode) in enumerate(zip(files, ("r", "w", "w"))):
            os.dup2(os.open(name, os.O_RDONLY if mode == "r" else os.O_WRONLY | os.O_CREAT, 0o600), number)
            setattr(sys, ("stdin", "stdout", "stderr")[number], open(number, mode, closefd=False))
        sys.argv = [program]
        runpy.run_path(program, run_name="__main__")
        sys.exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
_LOCK = threading.Lock()


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
        "_ansible_remote_tmp": tempfile.gettempdir(),
        "_ansible_keep_remote_files": False,
    }
    program, text = MODULES / f"{name}.py", json.dumps({"ANSIBLE_MODULE_ARGS": {**args, **settings}})
    status, out, err = _spawn(program, text, before) if before else _fork(program, text)
    try:
        result = json.loads(out)
    except ValueError:
        raise AssertionError(f"{name} wrote no result (exit {status}):\n{out}\n{err}") from None
    assert isinstance(result, dict)
    assert status == (1 if result.get("failed") else 0), err
    return result


def _environment(before: Sequence[Path] = ()) -> dict[str, str]:
    path = os.pathsep.join([*map(str, before), str(COLLECTIONS)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def _spawn(program: Path, text: str, before: Sequence[Path]) -> tuple[int, str, str]:
    """A new interpreter."""
    argv = [sys.executable, str(program)]
    done = subprocess.run(
        argv, input=text, capture_output=True, text=True, timeout=SECONDS, check=False, env=_environment(before)
    )
    return done.returncode, done.stdout, done.stderr


def _fork(program: Path, text: str) -> tuple[int, str, str]:
    """A fork of an interpreter that has imported Ansible's part already, which is most of a module's time."""
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name, part) for part in ("in", "out", "err")]
        files[0].write_text(text)
        with _LOCK:
            parent = _forking_parent()
            assert parent.stdin is not None
            assert parent.stdout is not None
            parent.stdin.write(json.dumps([str(program), *map(str, files)]) + "\n")
            parent.stdin.flush()
            status = int(parent.stdout.readline())
        return status, files[1].read_text(), files[2].read_text()


@functools.lru_cache(maxsize=1)
def _forking_parent() -> subprocess.Popen[str]:
    # It ends when its standard input is closed, which happens at the latest when this process ends.
    argv = [sys.executable, "-c", FORKING_PARENT, str(SECONDS)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment())
