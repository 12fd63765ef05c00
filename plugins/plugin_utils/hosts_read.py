# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that gave no facts: whether they are away, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Words by which a refused privilege escalation is told from a machine that is away.
BECOME_WORDS = ("sudo", "become", "password is required", "incorrect password", "privilege")


def problem_of(facts: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether a host without facts is away (and not merely misconfigured), and why there are none."""
    if not facts:
        return True, "the task did not run there"
    text = (
        str(facts.get("msg") or facts.get("module_stderr") or "no reason given").strip().removeprefix("Task failed: ")
    )
    tail = str(facts.get("module_stderr") or "").strip().splitlines()
    if tail and tail[-1] not in text:
        text = f"{text} ({tail[-1]})"
    refused = any(word in text.lower() for word in BECOME_WORDS)
    return bool(facts.get("unreachable")) and not refused, " ".join(text.split())[:300]
