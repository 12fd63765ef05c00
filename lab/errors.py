# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error of the lab: what failed, and what to do next."""

from __future__ import annotations


class LabError(Exception):
    """Says what went wrong in one sentence, and in `next_step` what to do about it."""

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}\n  next: {self.next_step}" if self.next_step else text
