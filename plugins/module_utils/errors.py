# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error tree: every error says what, where, what was found and what to do next."""

from __future__ import annotations


class KubeadmError(Exception):
    """An error that a person can act on.

    what: what went wrong, one sentence. where: host, file or URL. found: what was seen there.
    next_step: what to do now, a command where there is one.
    """

    def __init__(self, what: str, *, where: str = "", found: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.found = found
        self.next_step = next_step

    def __str__(self) -> str:
        parts = [self.what.rstrip(".") + "."]
        if self.where:
            parts.append(f"Where: {self.where}.")
        if self.found:
            parts.append(f"Found: {self.found.rstrip('.')}.")
        if self.next_step:
            parts.append(f"Next: {self.next_step.rstrip('.')}.")
        return " ".join(parts)

    def result(self) -> dict[str, object]:
        """The keyword arguments for fail_json: msg and the four parts under `error`."""
        return {
            "msg": str(self),
            "error": {"what": self.what, "where": self.where, "found": self.found, "next": self.next_step},
        }


class InputError(KubeadmError):
    """A value given by the user cannot be used."""


class RefusedError(KubeadmError):
    """A guard said no; nothing was changed."""


class UnreachableError(KubeadmError):
    """No endpoint answered."""


class CommandError(KubeadmError):
    """An official tool that we ran ended with an error."""


class ApiError(KubeadmError):
    """The Kubernetes or etcd API answered with an error. `status` is the HTTP status code, 0 when there is none."""

    def __init__(self, what: str, *, status: int = 0, where: str = "", found: str = "", next_step: str = "") -> None:
        super().__init__(what, where=where, found=found, next_step=next_step)
        self.status = status
