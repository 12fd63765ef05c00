#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin bundle_make."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_make
short_description: Make a bundle of a release, on a machine that reaches its publishers
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Fetches the programs from their publishers, copies the images with C(skopeo), and packs one file with a manifest of
    every checksum, an SBOM (SPDX 2.3) and, with a key, a signature.
  - Downloads run side by side and go on where they ended, also in the next run. Progress is shown.
  - Runs on the controller.
requirements:
  - skopeo
options:
  kube_version:
    description: The Kubernetes release.
    type: str
    required: true
  arch:
    description: The architecture of the hosts.
    type: str
    choices: [amd64, arm64]
    default: amd64
  dest:
    description: The bundle's file.
    type: path
    required: true
  list:
    description: Show what goes in, with sizes and checksums, and download nothing of it. Check mode does the same.
    type: bool
    default: false
  work:
    description: Directory that keeps what has arrived.
    type: path
    default: ~/.cache/quorum-kubeadm/bundle-work
  base:
    description: Base URL of a mirror of the publishers' files, empty for the publishers.
    type: str
    default: ""
  checksums:
    description: The publisher's URL of a file to its SHA-256, before those of the collection's table.
    type: dict
    default: {}
  image_repository:
    description: Where Kubernetes' images are named from.
    type: str
    default: registry.k8s.io
  skopeo_options:
    description: More options for C(skopeo), such as V(--authfile=/path) or V(--tls-verify=false).
    type: list
    elements: str
    default: []
  ca_pem:
    description: Certificates to trust for the files, besides the system's.
    type: str
    default: ""
  logins:
    description: Host to a dictionary with C(username) and C(secret_b64), for the files.
    type: dict
    default: {}
  signing_key_file:
    description: Ed25519 private key (PEM, without a password) that signs the manifest. Empty signs nothing.
    type: path
    default: ""
attributes:
  check_mode:
    description: As O(list).
    support: full
  action:
    description: Works on the controller.
    support: full
"""

EXAMPLES = r"""
- name: Make a bundle
  quorum.kubeadm.bundle_make:
    kube_version: 1.36.3
    dest: kubernetes-1.36.3-amd64.tar
"""

RETURN = r"""
items:
  description: What goes in, with C(name), C(size) and C(sha256).
  returned: success
  type: list
  elements: dict
size:
  description: The bundle's size in bytes.
  returned: when it was made
  type: int
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

SPEC: dict[str, Any] = {
    "kube_version": {"type": "str", "required": True},
    "arch": {"type": "str", "choices": ["amd64", "arm64"], "default": "amd64"},
    "dest": {"type": "path", "required": True},
    "list": {"type": "bool", "default": False},
    "work": {"type": "path", "default": "~/.cache/quorum-kubeadm/bundle-work"},
    "base": {"type": "str", "default": ""},
    "checksums": {"type": "dict", "default": {}},
    "image_repository": {"type": "str", "default": "registry.k8s.io"},
    "skopeo_options": {"type": "list", "elements": "str", "default": []},
    "ca_pem": {"type": "str", "default": ""},
    "logins": {"type": "dict", "default": {}, "no_log": True},
    "signing_key_file": {"type": "path", "default": "", "no_log": False},
}


def main() -> None:
    """An action plugin of the same name does the work; Ansible never sends this file to a host."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    module.fail_json(msg="bundle_make runs on the controller only, as an action of a playbook's task")


if __name__ == "__main__":
    main()
