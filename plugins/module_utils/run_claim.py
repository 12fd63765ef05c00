# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run's claim on a host, while there is no API that could hold its Lease."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from . import run_lock
from .host_lock import operation

CLAIM = "/run/quorum-kubeadm/run.json"
PATIENCE = 3.0


def _read(path: str) -> dict[str, Any] | None:
    try:
        with open(path, encoding="utf-8") as stream:
            claim = json.load(stream)
    except (OSError, ValueError):
        return None
    return claim if isinstance(claim, dict) else None


def _free(mine: Mapping[str, Any], now: float, path: str) -> None:
    other = run_lock.claimant(_read(path), mine, now)
    if other:
        raise run_lock.refusal(
            other, path, "wait until that run has ended; where it was killed, remove the file on this host"
        )


def claim(mine: Mapping[str, Any], now: float, *, effects: bool, path: str = CLAIM) -> None:
    """Claim the host for a run (run, playbook, place, cluster), or refuse and name who has. By the host's own clock."""
    _free(mine, now, path)
    if not effects:
        return
    with operation(PATIENCE, f"{path}.lock"):
        _free(mine, now, path)
        descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump({**mine, "since": now, "until": now + run_lock.CLAIM}, stream)
        os.replace(f"{path}.new", path)
