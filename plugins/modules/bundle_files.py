#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install a bundle's programs on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_files
short_description: Install the programs of a release from a bundle on the host
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Verifies the SHA-256 of every file and image archive that the host's roles need before it installs the first file.
  - Each file is replaced atomically. A program that runs keeps running until it is restarted by somebody.
  - Checksums and versions are remembered in C(/var/lib/quorum-kubeadm/bundle.json) while a file stays the same,
    so that a second run reads no file.
options:
  source:
    description: Absolute path of the bundle on the host, the directory with C(manifest.json).
    type: str
    required: true
  kube_version:
    description: The Kubernetes release that the bundle must be of.
    type: str
    required: true
  roles:
    description: What the host is.
    type: list
    elements: str
    choices: [control_plane, worker, etcd]
    required: true
  only:
    description: Install only the files with these names. Others are neither installed nor verified.
    type: list
    elements: str
extends_documentation_fragment: quorum.kubeadm.receipt
attributes:
  check_mode:
    description: Verifies and compares like a run, installs nothing.
    support: full
"""

EXAMPLES = r"""
- name: Install the programs of a worker
  quorum.kubeadm.bundle_files:
    source: /srv/bundles/1.36.3
    kube_version: 1.36.3
    roles: [worker]
"""

RETURN = r"""
installed:
  description: Paths that were installed or whose mode was corrected.
  returned: success
  type: list
  elements: str
steps:
  description: What was done, in words.
  returned: success
  type: list
  elements: str
versions:
  description: Versions of the bundle's components, C(kubernetes) among them.
  returned: when the host was asked
  type: dict
  sample: {kubernetes: 1.36.3, etcd: 3.6.16}
proven:
  description: The host was not asked, because its receipt was proven earlier in this run.
  returned: when O(receipt) was proven
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils import receipts
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle import ROLES
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_install import install_bundle
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host, labeller

SPEC: dict[str, Any] = {
    "source": {"type": "str", "required": True},
    "kube_version": {"type": "str", "required": True},
    "roles": {"type": "list", "elements": "str", "choices": list(ROLES), "required": True},
    "only": {"type": "list", "elements": "str"},
    "receipt": receipts.OPTION,
}


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        host = Host()
        result = install_bundle(host, module.params, effects=not module.check_mode, label=labeller(module))
        receipts.leave(host, "bundle_files", module.params, effects=not module.check_mode)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
