# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A finding of preflight or of the plan: what is wrong where, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

FATAL = "fatal"
WARNING = "warning"


@dataclass(frozen=True, order=True)
class Finding:
    """host: a name of the inventory, "" for the cluster as a whole. level: fatal stops the run before any change."""

    host: str
    check: str
    level: str
    found: str
    next_step: str

    def as_dict(self) -> dict[str, str]:
        """For a result."""
        return asdict(self)


def fatal(host: str, check: str, found: str, next_step: str) -> Finding:
    """A finding that stops the run."""
    return Finding(host, check, FATAL, found, next_step)


def warning(host: str, check: str, found: str, next_step: str) -> Finding:
    """A finding that is only told."""
    return Finding(host, check, WARNING, found, next_step)
