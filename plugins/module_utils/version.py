# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes versions as values that can be compared."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import InputError

PATTERN = re.compile(r"v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?:[-+][0-9A-Za-z.+-]{0,40})?", re.ASCII)


@dataclass(frozen=True, order=True)
class Version:
    """major.minor.patch. A suffix (-0 of etcd's images, +build) is dropped: releases only are run here."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def series(self) -> str:
        """major.minor, the way release notes name it."""
        return f"{self.major}.{self.minor}"

    def minors_after(self, other: Version) -> int:
        """How many minor versions this one is ahead of the other; negative when behind."""
        return (self.major - other.major) * 1000 + self.minor - other.minor


def parse_version(text: str, where: str = "") -> Version:
    """1.36.3, v1.36.3 or 3.6.16-0 to a Version."""
    found = PATTERN.fullmatch(text)
    if not found:
        raise InputError("not a version", where=where, found=repr(text[:60]), next_step="write it like 1.36.3")
    return Version(*(int(part) for part in found.groups()))


def image_version(image: str) -> Version | None:
    """The version in an image reference's tag; None when it has none."""
    name = image.rsplit("@", 1)[0].rsplit("/", 1)[-1]
    found = PATTERN.fullmatch(name.partition(":")[2])
    return Version(*(int(part) for part in found.groups())) if found else None


def known_version(text: str | None) -> Version | None:
    """Like parse_version, but None for what is not a version: what a host reports is no user's input."""
    found = PATTERN.fullmatch(text or "")
    return Version(*(int(part) for part in found.groups())) if found else None
