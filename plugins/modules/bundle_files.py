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
  returned: success
  type: dict
  sample: {kubernetes: 1.36.3, etcd: 3.6.16}
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle import ROLES, parse_bundle, require
from ansible_collections.quorum.kubeadm.plugins.module_utils.bundle_install import (
    Installer,
    learn_versions,
    plan_install,
    verify_sources,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import check_path
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host, Labeller, labeller
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_kubernetes import BUNDLE_STATE
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_memory import Memory

SPEC: dict[str, Any] = {
    "source": {"type": "str", "required": True},
    "kube_version": {"type": "str", "required": True},
    "roles": {"type": "list", "elements": "str", "choices": list(ROLES), "required": True},
    "only": {"type": "list", "elements": "str"},
}


def run(host: Host, params: dict[str, Any], *, effects: bool, label: Labeller = None) -> dict[str, Any]:
    """Compare, verify everything, then install."""
    source = check_path(params["source"])
    bundle = parse_bundle(host.read_text(f"{source}/manifest.json"), source)
    require(bundle, source, params["kube_version"], os.uname().machine)
    memory = Memory(host, BUNDLE_STATE)
    files = bundle.files_for(params["roles"], params["only"])
    plan = plan_install(host, memory, files)
    archives = bundle.images_for(params["roles"]) if params["only"] is None else []
    expected = {archive.path: archive.sha256 for archive in archives}
    if not effects:
        # A real run verifies the programs while it copies them.
        expected.update({file.path: file.sha256 for file in plan.copies})
    verify_sources(memory, source, expected)
    if effects:
        Installer(host, memory, label).install(bundle, source, plan)
        learn_versions(memory, bundle, files)
        memory.save()
    return {
        "changed": bool(plan.steps()),
        "installed": plan.installed,
        "steps": plan.steps(),
        "versions": {"kubernetes": bundle.kube_version, **bundle.versions},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        result = run(Host(), module.params, effects=not module.check_mode, label=labeller(module))
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
