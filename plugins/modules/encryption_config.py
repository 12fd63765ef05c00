#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the key for Secrets at rest, on the node that keeps it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: encryption_config
short_description: Make the configuration that encrypts Secrets in etcd
version_added: 0.1.0
description:
  - Writes an EncryptionConfiguration with a new random key, unless there is one already.
  - The key is made on the node and never leaves it in a result, a log or a diff.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  path:
    description: The file. It is made with mode 0600, its directory with 0700.
    type: path
    default: /etc/kubernetes/encryption/config.yaml
  state:
    description: Only V(present); a key is never deleted, because what it encrypted would be lost.
    type: str
    choices: [present]
    default: present
attributes:
  check_mode:
    description: Says whether a key would be made.
    support: full
  diff_mode:
    description: Tells that a key is made, never the key.
    support: full
"""

EXAMPLES = r"""
- name: Encryption | Make the key for Secrets at rest
  quorum.kubeadm.encryption_config:
"""

RETURN = r"""
path:
  description: The file.
  returned: always
  type: str
"""

import os
import secrets

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.encryption import is_usable, new_configuration
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_host import Host


def ensure(path: str, effects: bool) -> bool:
    """Whether the file is (or would be) made. An existing file that cannot be used is refused, never replaced."""
    host = Host()
    if host.exists(path):
        if not is_usable(host.read(path)):
            raise InputError(
                "the encryption configuration cannot be used",
                where=path,
                found="a file that is no EncryptionConfiguration for secrets",
                next_step="restore it from another control plane or a backup; without its key Secrets cannot be read",
            )
        return False
    if effects:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        host.write(path, new_configuration(secrets.token_bytes), 0o600)
    return True


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/kubernetes/encryption/config.yaml"},
            "state": {"type": "str", "choices": ["present"], "default": "present"},
        },
        supports_check_mode=True,
    )
    try:
        changed = ensure(module.params["path"], effects=not module.check_mode)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    diff = {"before": "", "after": "(secret: a new key)\n" if changed else ""}
    module.exit_json(changed=changed, path=module.params["path"], diff=diff)


if __name__ == "__main__":
    main()
