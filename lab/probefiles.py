# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a probe run, as the prober writes them and the report reads them."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROBES = "probes.jsonl"
LEDGER = "ledger.jsonl"
META = "meta.json"
FINAL = "final.json"
SUMMARY = "summary.json"


def fresh(directory: Path) -> None:
    """Make the directory, without what an earlier run left in it."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in (PROBES, LEDGER, META, FINAL, SUMMARY):
        (directory / name).unlink(missing_ok=True)


def save(path: Path, content: object) -> None:
    """Write a small JSON file; it appears whole or not at all."""
    part = path.with_name(f".{path.name}")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def load(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def load_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of one JSON object a line, but for a last line that was cut off."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


class Recorder:
    """Writes lines in a thread of its own, so that no probe waits for the disk."""

    def __init__(self, path: Path) -> None:
        self._lines: queue.SimpleQueue[dict[str, object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, args=(path,))
        self._thread.start()
        self.add: Callable[[dict[str, object]], None] = self._lines.put

    def close(self) -> None:
        """Wait until everything is written."""
        self._lines.put(None)
        self._thread.join()

    def _write(self, path: Path) -> None:
        with path.open("w", encoding="utf-8") as stream:
            while (line := self._lines.get()) is not None:
                stream.write(json.dumps(line) + "\n")
                stream.flush()
