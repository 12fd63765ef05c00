#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch published files to a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_files
short_description: Fetch a release's published files to the host, from their publishers or a mirror
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Downloads files side by side, takes the programs out of those that are archives, and lists them in a
    C(manifest.json), so that M(quorum.kubeadm.bundle_files) installs them like those of a bundle.
  - A file is taken only with the expected SHA-256. A download that broke off goes on where it ended, also in the next
    run. A page instead of a file, a wrong size, a wrong checksum and a silent server are told for every URL that was
    tried. Nothing is installed and no service is touched.
  - Uses the proxy of the environment (C(https_proxy), C(no_proxy)).
options:
  dest:
    description: Absolute path of the directory on the host.
    type: str
    required: true
  kube_version:
    description: The Kubernetes release that the files belong to.
    type: str
    required: true
  arch:
    description: The architecture that the files are for.
    type: str
    choices: [amd64, arm64]
    required: true
  files:
    description: What to fetch, as the filter P(quorum.kubeadm.release_downloads#filter) makes it.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where the download is put, below O(dest).
        type: str
        required: true
      urls:
        description: Where it may be had; the first that has it is used.
        type: list
        elements: str
        required: true
      sha256:
        description: Its checksum. Empty takes it from O(files[].sums_urls).
        type: str
        default: ""
      sums_urls:
        description: Where its checksum may be had.
        type: list
        elements: str
        default: []
      size:
        description: Its size in bytes, V(0) when nobody knows.
        type: int
        default: 0
      component:
        description: The component that it belongs to.
        type: str
        required: true
      version:
        description: The component's version.
        type: str
        required: true
      members:
        description: Member of the archive to the absolute path where it will be installed. Empty for a plain program.
        type: dict
        default: {}
      install:
        description: Absolute path where a plain program will be installed.
        type: str
        default: ""
      roles:
        description: The roles whose hosts need it.
        type: list
        elements: str
        required: true
      narrow:
        description:
          - Absolute path where a program will be installed to the roles that need it, where not all of
            O(files[].roles) do.
        type: dict
        default: {}
  ca_pem:
    description: Certificates to trust besides the system's, for a file server with the company's own CA.
    type: str
    default: ""
  logins:
    description:
      - Host, with its port where the URL has one, to a dictionary with C(username) and C(secret_b64), the password in
        base64. It is sent to that host alone, also when the host redirects.
    type: dict
    default: {}
extends_documentation_fragment: quorum.kubeadm.receipt
attributes:
  check_mode:
    description: Tells what would be fetched and asks no server.
    support: full
"""

EXAMPLES = r"""
- name: Fetch what a worker needs
  quorum.kubeadm.release_files:
    dest: /srv/bundles/1.36.3
    kube_version: 1.36.3
    arch: amd64
    files: "{{ '1.36.3' | quorum.kubeadm.release_downloads('amd64', ['worker'], packaged=true) }}"
"""

RETURN = r"""
fetched:
  description: Every file that was asked for and was not there, with C(path), C(url), C(bytes) received and C(seconds).
  returned: success
  type: list
  elements: dict
bytes:
  description: Bytes received.
  returned: success
  type: int
steps:
  description: What was done, in words.
  returned: success
  type: list
  elements: str
proven:
  description: The host was not asked, because its receipt was proven earlier in this run.
  returned: when O(receipt) was proven
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils import receipts
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.fetch_http import HttpOpener, parse_logins
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.publishers import ARCHITECTURES
from ansible_collections.quorum.kubeadm.plugins.module_utils.release_store import bring

FILE: dict[str, Any] = {
    "path": {"type": "str", "required": True},
    "urls": {"type": "list", "elements": "str", "required": True},
    "sha256": {"type": "str", "default": ""},
    "sums_urls": {"type": "list", "elements": "str", "default": []},
    "size": {"type": "int", "default": 0},
    "component": {"type": "str", "required": True},
    "version": {"type": "str", "required": True},
    "members": {"type": "dict", "default": {}},
    "install": {"type": "str", "default": ""},
    "roles": {"type": "list", "elements": "str", "required": True},
    "narrow": {"type": "dict", "default": {}},
}
SPEC: dict[str, Any] = {
    "dest": {"type": "str", "required": True},
    "kube_version": {"type": "str", "required": True},
    "arch": {"type": "str", "choices": list(ARCHITECTURES), "required": True},
    "files": {"type": "list", "elements": "dict", "required": True, "options": FILE},
    "ca_pem": {"type": "str", "default": ""},
    "logins": {"type": "dict", "default": {}, "no_log": True},
    "receipt": receipts.OPTION,
}


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        host = Host()
        opener = HttpOpener(module.params["ca_pem"], parse_logins(module.params["logins"]))
        result = bring(host, module.params, opener, effects=not module.check_mode)
        receipts.leave(host, "release_files", module.params, effects=not module.check_mode)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
