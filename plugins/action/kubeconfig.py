# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the administrator's kubeconfig to the controller, 0600 from the first byte."""

from __future__ import annotations

import base64
import os
import tempfile
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kube_api import open_api
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeconfig import load
from ansible_collections.quorum.kubeadm.plugins.module_utils.pki import same_ca
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain

# A certificate that ends sooner is looked for again: it may have been renewed on the control plane.
RENEWED_SOON = timedelta(days=60)
ADMINISTRATORS_ONLY = "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin"


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


def is_proven(path: str, ca_pem: str, endpoints: list[str]) -> bool:
    """Whether the file is private and this cluster's, and the API takes its bearer for an administrator, for long."""
    if current(path) is None or not ca_pem or not endpoints:
        return False
    from cryptography import x509  # noqa: PLC0415 - ansible-test imports plugins where it is not installed

    try:
        config = load(path)
        if not same_ca(config.ca_pem, ca_pem) or not config.client_cert_pem:
            return False
        ends = x509.load_pem_x509_certificate(config.client_cert_pem.encode()).not_valid_after_utc
        if ends - datetime.now(tz=timezone.utc) < RENEWED_SOON:
            return False
        api = open_api({"kubeconfig": path, "endpoints": endpoints, "timeout": 0}, dry_run=True)
        return bool(api.find(ADMINISTRATORS_ONLY))
    except (KubeadmError, OSError, ValueError):
        return False


class ActionModule(ActionBase):
    """Reads one file on the host, writes one file here, unless that one is proven. The content is in no result."""

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("src", "dest", "ca_pem", "endpoints"))

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result = super().run(tmp, task_vars)
        arguments = plain(self._task.args)
        dest = os.path.expanduser(arguments["dest"])
        if is_proven(dest, arguments.get("ca_pem") or "", arguments.get("endpoints") or []):
            return result | {"changed": False, "path": dest}
        read = self._execute_module(
            module_name="ansible.legacy.slurp",
            module_args={"src": arguments.get("src", "/etc/kubernetes/admin.conf")},
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
