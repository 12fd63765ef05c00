# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the receipt of each module is proven: by that module's own plan, in check mode."""

from __future__ import annotations

from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_install import install_bundle
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_receive import receive
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_store import import_images
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_files import Files
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_plan import make_plan
from ansible_collections.quorum.kubeadm.plugins.module_utils.image_pulls import pull_images
from ansible_collections.quorum.kubeadm.plugins.module_utils.package_store import PackageStore
from ansible_collections.quorum.kubeadm.plugins.module_utils.release_store import bring as bring_files
from ansible_collections.quorum.kubeadm.plugins.module_utils.repository import parse_repository


def host_config(host: Host, params: dict[str, Any]) -> list[str]:
    return make_plan(host, Files(host, check_mode=True), params).steps()


def bundle_files(host: Host, params: dict[str, Any]) -> list[str]:
    return list(install_bundle(host, params, effects=False)["steps"])


def bundle_images(host: Host, params: dict[str, Any]) -> list[str]:
    return list(import_images(host, params, effects=False)["steps"])


def release_files(host: Host, params: dict[str, Any]) -> list[str]:
    return list(bring_files(host, params, None, effects=False)["steps"])


def release_packages(host: Host, params: dict[str, Any]) -> list[str]:
    store = PackageStore(host, Files(host, check_mode=True), params["manager"])
    # An expired key is found by the run that reads the repository again, not by one that has nothing to do.
    key = params["key"] or host.read_text(store.manager.key_path) or ""
    return store.plan(parse_repository(params, key, None)).steps()


def release_images(host: Host, params: dict[str, Any]) -> list[str]:
    return list(pull_images(host, params, effects=False)["steps"])


def bundle_receive(host: Host, params: dict[str, Any]) -> list[str]:
    told = receive(host, params, effects=False)
    return list(told["steps"]) + (["list"] if told["changed"] else [])


PROVERS = {
    "host_config": host_config,
    "bundle_files": bundle_files,
    "bundle_images": bundle_images,
    "bundle_receive": bundle_receive,
    "release_files": release_files,
    "release_packages": release_packages,
    "release_images": release_images,
}
