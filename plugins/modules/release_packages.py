#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes' packages on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_packages
short_description: Install Kubernetes' packages in one version, from its repositories or a mirror
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Writes the repository with its key, reads its index and no other repository's, downloads the packages and installs
    them. Their versions are held by a preference (apt) or an exclusion (dnf).
  - The key is looked at first. Another key than the expected one, and one that has expired, are refused before
    anything is written.
  - Waits while another process uses the package manager, as automatic updates do after a boot.
options:
  manager:
    description: The package manager.
    type: str
    choices: [apt, dnf]
    required: true
  url:
    description: The repository's URL.
    type: str
    required: true
  key:
    description: The repository's public key, armored. Empty takes the one that is on the host, or that of O(key_urls).
    type: str
    default: ""
  key_urls:
    description: Where the key may be had.
    type: list
    elements: str
    default: []
  fingerprint:
    description: The fingerprint of the primary key that O(key) must be. Empty accepts the file's key.
    type: str
    default: ""
  packages:
    description: The packages.
    type: list
    elements: str
    default: [kubeadm, kubelet, kubectl]
  version:
    description: Their version, without the package's revision.
    type: str
    required: true
  state:
    description:
      - V(downloaded) brings the packages to the host's cache and touches nothing else.
      - V(installed) installs them as well.
    type: str
    choices: [downloaded, installed]
    default: installed
  ca_pem:
    description: Certificates to trust for the repository.
    type: str
    default: ""
  logins:
    description: Host to a dictionary with C(username) and C(secret_b64), the password in base64.
    type: dict
    default: {}
extends_documentation_fragment: quorum.kubeadm.receipt
attributes:
  check_mode:
    description: Tells what would be written and installed; reads no index.
    support: full
"""

EXAMPLES = r"""
- name: Install Kubernetes' packages
  quorum.kubeadm.release_packages:
    manager: apt
    url: https://pkgs.k8s.io/core:/stable:/v1.36/deb/
    key_urls: [https://pkgs.k8s.io/core:/stable:/v1.36/deb/Release.key]
    fingerprint: DE15B14486CD377B9E876E1A234654DA9A296436
    version: 1.36.3
"""

RETURN = r"""
steps:
  description: What was done, in words.
  returned: success
  type: list
  elements: str
  sample: ["create /etc/apt/sources.list.d/quorum-kubernetes.sources (0644 root:root)", "install kubeadm"]
proven:
  description: The host was not asked, because its receipt was proven earlier in this run.
  returned: when O(receipt) was proven
  type: bool
"""

from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils import receipts
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch_http import HttpOpener, parse_logins
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_files import Files
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host, labeller
from ansible_collections.quorum.kubeadm.plugins.module_utils.package_store import PackageStore, bring
from ansible_collections.quorum.kubeadm.plugins.module_utils.publishers import PACKAGES
from ansible_collections.quorum.kubeadm.plugins.module_utils.repository import parse_repository

SPEC: dict[str, Any] = {
    "manager": {"type": "str", "choices": ["apt", "dnf"], "required": True},
    "url": {"type": "str", "required": True},
    "key": {"type": "str", "default": "", "no_log": False},
    "key_urls": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "fingerprint": {"type": "str", "default": ""},
    "packages": {"type": "list", "elements": "str", "default": list(PACKAGES)},
    "version": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["downloaded", "installed"], "default": "installed"},
    "ca_pem": {"type": "str", "default": ""},
    "logins": {"type": "dict", "default": {}, "no_log": True},
    "receipt": receipts.OPTION,
}


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params = module.params
    try:
        host = Host()
        logins = parse_logins(params["logins"])
        store = PackageStore(host, Files(host, check_mode=module.check_mode, label=labeller(module)), params["manager"])
        opener = HttpOpener(params["ca_pem"], logins)
        key = store.key(params["key"], params["key_urls"], params["fingerprint"], opener)
        repository = parse_repository(params, key, logins.get(urlsplit(params["url"]).netloc))
        result = bring(store, repository, install=params["state"] == "installed", effects=not module.check_mode)
        receipts.leave(host, "release_packages", params, effects=not module.check_mode)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
