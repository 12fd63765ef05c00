# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows that more than one section of RESULTS.md has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.report import table

Run = Mapping[str, Any]


def verdict(problem: str, good: str) -> str:
    """A result's cell; in one line, as tables want it."""
    return f"**{' '.join(problem.split())[:400]}**" if problem else good


def steps(data: Run) -> list[str]:
    """A campaign that is a walk."""
    rows = [[run["name"], f"{run['seconds']:.0f}", verdict(run["problem"], "well")] for run in data["runs"]]
    return table(["step", "s", "result"], rows)
