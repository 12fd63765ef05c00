# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a bundle on the controller, in its own process: progress is shown while it works."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch_http import HttpOpener, parse_logins
from ansible_collections.quorum.kubeadm.plugins.modules.bundle_make import SPEC
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.bundle_maker import Maker, show
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.image_copies import Skopeo
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain


class ActionModule(ActionBase):
    """See the module's documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The action."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, given = self.validate_argument_spec(SPEC)
        try:
            return result | self._make(plain(given))
        except KubeadmError as exc:
            return result | {"failed": True, **exc.result()}

    def _make(self, given: dict[str, Any]) -> dict[str, Any]:
        display = Display()
        opener = HttpOpener(given["ca_pem"], parse_logins(given["logins"]))
        given["work"] = os.path.expanduser(given["work"])
        maker = Maker(opener, Skopeo(given["arch"], given["skopeo_options"]), display.display, given)
        if given["list"] or self._task.check_mode:
            items = maker.items()
            display.display(show(items))
            rows = [vars(item) for item in items]
            return {"changed": not given["list"] and not os.path.exists(given["dest"]), "items": rows}
        key, path = None, given["signing_key_file"]
        if path:
            try:
                with open(path, "rb") as stream:
                    key = stream.read()
            except OSError as exc:
                found = exc.strerror or str(exc)
                raise InputError(
                    "the signing key cannot be read", where=path, found=found, next_step="name it"
                ) from exc
        manifest = maker.make(given["dest"], key, path)
        rows = [{"name": row["path"], "size": row["size"], "sha256": row["sha256"]} for row in
                (*manifest["files"], *manifest["images"])]  # fmt: skip
        return {"changed": True, "items": rows, "size": os.stat(given["dest"]).st_size}
