# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of the collection for a host, as the role copies it there."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_program
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
version_added: 0.1.0
short_description: A program of this collection that runs on a host without Ansible
description:
  - One file in base64, which C(python3) runs. It holds the module_utils that the modules use as well, and needs nothing
    but Python's standard library.
  - The same version of the collection gives the same bytes.
options:
  _terms:
    description: Names of modules in C(plugins/module_utils) that have a C(main).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Copy the program that takes backups
  quorum.kubeadm.host_config:
    files:
      - path: /usr/local/lib/quorum-kubeadm/etcd-backup.pyz
        content_b64: "{{ lookup('quorum.kubeadm.host_program', 'backup_main') }}"
"""

RETURN = r"""
_list:
  description: The programs in base64.
  type: list
  elements: str
"""

import base64
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.quorum.kubeadm.plugins.plugin_utils import host_program


class LookupModule(LookupBase):
    """Reads the collection's own files."""

    def run(self, terms: list[str], variables: Any = None, **_options: Any) -> list[str]:  # noqa: ARG002 - Ansible's own
        """The programs."""
        found = []
        for term in terms:
            if not (term.isidentifier() and (host_program.UTILS / f"{term}.py").is_file()):
                raise AnsibleLookupError(f"there is no program {term!r} in this collection")
            found.append(base64.b64encode(host_program.archive(term)).decode())
        return found
