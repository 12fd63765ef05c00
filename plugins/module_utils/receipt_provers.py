# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the receipt of each module is proven: by that module's own plan, in check mode."""

from __future__ import annotations

from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_install import install_bundle
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_store import import_images
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_files import Files
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_plan import make_plan


def host_config(host: Host, params: dict[str, Any]) -> list[str]:
    return make_plan(host, Files(host, check_mode=True), params).steps()


def bundle_files(host: Host, params: dict[str, Any]) -> list[str]:
    return list(install_bundle(host, params, effects=False)["steps"])


def bundle_images(host: Host, params: dict[str, Any]) -> list[str]:
    return list(import_images(host, params, effects=False)["steps"])


PROVERS = {"host_config": host_config, "bundle_files": bundle_files, "bundle_images": bundle_images}
