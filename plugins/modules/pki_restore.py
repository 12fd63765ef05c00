#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the PKI of a cluster from an archive onto a blank control plane."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pki_restore
short_description: Put the PKI of a cluster from an archive onto a blank control plane
version_added: 0.1.0
description:
  - The CAs of the cluster, of its front proxy and of etcd with their keys, the keys of the service accounts, and the
    configuration of encryption at rest where the archive has it. Everything else in the archive is left out, kubeadm
    makes it.
  - Refuses an archive that lacks one of them, or in which a certificate and a key do not belong together, and a host
    that has another cluster's. Nothing has been written then.
  - Keys have mode 0600 from the first byte on, and are in no result, log or diff.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  archive:
    description: Path of the archive on this host, a tar file, compressed or not, with paths below C(/etc/kubernetes).
    type: path
    required: true
  wait_seconds:
    description: How long to wait for another operation on this host.
    type: float
    default: 60.0
attributes:
  check_mode:
    description: Judges the archive and the host, and says what would be written.
    support: full
"""

EXAMPLES = r"""
- name: Bring the cluster's CAs back
  quorum.kubeadm.pki_restore:
    archive: /var/lib/quorum-kubeadm/restore/pki.tar.gz
"""

RETURN = r"""
written:
  description: What was written, or would be, below C(/etc/kubernetes); empty when all of it was there.
  returned: success
  type: list
  elements: str
ca:
  description: SHA-256 fingerprint of the cluster's CA.
  returned: success
  type: str
encryption:
  description: Whether the archive has the configuration of encryption at rest.
  returned: success
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import check_path
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_lock import operation
from ansible_collections.quorum.kubeadm.plugins.module_utils.kubeadm_host import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.pki_archive import (
    ENCRYPTION,
    PAIRS,
    judge,
    missing_on,
    place,
    read_archive,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.snapshot_authority import fingerprint


def run(params: dict[str, Any], *, effects: bool) -> dict[str, Any]:
    """Read, judge, write."""
    path, host = check_path(params["archive"]), Host()
    files = read_archive(path)
    judge(files, host, path)
    names = missing_on(files, host)
    if effects:
        place(files, host, names)
    ca = fingerprint(files[PAIRS[0][0]].encode())
    return {"changed": bool(names), "written": names, "ca": ca, "encryption": ENCRYPTION in files}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "archive": {"type": "path", "required": True},
            "wait_seconds": {"type": "float", "default": 60.0},
        },
        supports_check_mode=True,
    )
    try:
        if module.check_mode:
            module.exit_json(**run(module.params, effects=False))
        with operation(module.params["wait_seconds"]):
            told = run(module.params, effects=True)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**told)


if __name__ == "__main__":
    main()
