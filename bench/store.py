# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results on disk: written after every single measurement, so that an interrupted run loses nothing."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


def machine() -> dict[str, Any]:
    """What it was measured on. No names or addresses."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "processor": _first("/proc/cpuinfo", "model name"),
        "kernel": platform.release().split("-")[0],
        "system": _first("/etc/os-release", "PRETTY_NAME").strip('"'),
        "python": platform.python_version(),
    }


def _first(path: str, key: str) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    values = [line.partition("=" if "=" in line else ":")[2].strip() for line in lines if line.startswith(key)]
    return values[0] if values else "unknown"


class Results:
    """One file of results: what it is of, and a list of runs."""

    def __init__(self, name: str, command: str, directory: Path = RESULTS) -> None:
        self.path = directory / f"{name}.json"
        self.data: dict[str, Any] = {
            "name": name,
            "command": command,
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "machine": machine(),
            "runs": [],
        }

    def add(self, run: dict[str, Any]) -> None:
        """Keep a run at once."""
        self.data["runs"].append(run)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".tmp")
        fresh.write_text(json.dumps(self.data, indent=1) + "\n", encoding="utf-8")
        fresh.replace(self.path)


def load(name: str, directory: Path = RESULTS) -> dict[str, Any] | None:
    """Results of an earlier run, None when there are none."""
    path = directory / f"{name}.json"
    if not path.exists():
        return None
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data
