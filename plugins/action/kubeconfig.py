# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the administrator's kubeconfig to the controller, 0600 from the first byte."""

from __future__ import annotations

import base64
import os
import tempfile
from typing import Any

from ansible.plugins.action import ActionBase


def write_private(path: str, content: bytes) -> None:
    """Replace a file atomically; it is never readable by others, not even for a moment."""
    directory = os.path.dirname(os.path.abspath(path))
    os.makedirs(directory, mode=0o700, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".kubeconfig-")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def current(path: str) -> bytes | None:
    """The file's content, None when there is none or others may read it."""
    try:
        if os.stat(path).st_mode & 0o077:
            return None
        with open(path, "rb") as handle:
            return handle.read()
    except FileNotFoundError:
        return None


class ActionModule(ActionBase):
    """Reads one file on the host, writes one file here. The content is in no result."""

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("src", "dest"))

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result = super().run(tmp, task_vars)
        dest = os.path.expanduser(self._task.args["dest"])
        read = self._execute_module(
            module_name="ansible.legacy.slurp",
            module_args={"src": self._task.args.get("src", "/etc/kubernetes/admin.conf")},
            task_vars=task_vars,
        )
        if read.get("failed"):
            result.update(failed=True, msg=f"the kubeconfig could not be read: {read.get('msg', 'no reason given')}")
            return result
        content = base64.b64decode(read["content"])
        changed = current(dest) != content
        if changed and not self._task.check_mode:
            write_private(dest, content)
        result.update(changed=changed, path=dest)
        return result
