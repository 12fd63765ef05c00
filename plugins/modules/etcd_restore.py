#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore etcd's data on a host as a member of a new cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_restore
short_description: Restore etcd's data on a host as a member of a new cluster
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - For an etcd that has lost its majority for good, or that goes back to a snapshot. Restores a cluster of one from the
    data that a survivor has on its disk, with the last write that was acknowledged; or a cluster of one or more from a
    snapshot, the same one on every member.
  - The restored cluster has new IDs, and revisions that are higher than any before, all older ones marked as compacted,
    so that no watch and no cache of an API server goes backwards.
  - Old data are renamed to C(member-removed-<UTC time>) and never deleted. Goes on where a run was killed.
  - Asks nobody whether the majority is lost, and stops nothing; that is what C(recover_quorum.yml) and
    C(restore_etcd.yml) do before.
options:
  state:
    description:
      - V(examined), say what this host's data are and how old. Changes nothing.
      - V(prepared), make the restored data beside the old ones. Without O(snapshot) refused while etcd runs on them.
      - V(activated), rename the old data, and put what is prepared into their place. Refused while etcd runs on them.
    type: str
    choices: [examined, prepared, activated]
    required: true
  snapshot:
    description: Absolute path of a snapshot to restore from. Without it the source is what is in O(data_dir).
    type: str
    default: ""
  name:
    description: Name of this member, which is the inventory's name of the host. Needed with V(state=prepared).
    type: str
    default: ""
  peer_url:
    description: Its peer URL, for a cluster of it alone. Either this or O(initial_members) with V(state=prepared).
    type: str
    default: ""
  initial_members:
    description: All members of the new cluster, name to peer URL, the same on every machine. Needs O(snapshot).
    type: dict
    default: {}
  token:
    description: Name of the new cluster, the same on every machine, of no other restore. Needed for several members.
    type: str
    default: ""
  sha256:
    description: What the snapshot has to be, as sha256sum prints it. Another one is refused.
    type: str
    default: ""
  others:
    description: With V(state=examined), URLs of other members; told is at which of them somebody accepts connections.
    type: list
    elements: str
    default: []
  log:
    description:
      - With V(state=examined), how much is read of the log of the data in their place. With V(beginning) only whose
        they are is told, not how far they go; a log may have hundreds of megabytes.
    type: str
    choices: [whole, beginning]
    default: whole
  data_dir:
    description: etcd's data directory. What is restored is made in it, so that it is put into place by renaming.
    type: str
    default: /var/lib/etcd
  etcd:
    description:
      - Path of etcd, in the version of the data. Where there is none it is taken from the image of the static pod.
        Needed to restore from O(data_dir).
    type: str
    default: /usr/bin/etcd
  etcdutl:
    description: Path of etcdutl.
    type: str
    default: /usr/bin/etcdutl
  ctr:
    description: Path of containerd's client, which opens the image.
    type: str
    default: /usr/bin/ctr
  minimum_free_bytes:
    description: What remains free on the file system beside what the restore needs.
    type: int
    default: 268435456
  wait_seconds:
    description: How long to wait for another operation on this host, and how long each program may take.
    type: float
    default: 600.0
attributes:
  check_mode:
    description: Looks, judges and says the steps. Nothing is restored.
    support: full
"""

EXAMPLES = r"""
- name: How old is what this survivor has?
  quorum.kubeadm.etcd_restore:
    state: examined

- name: Restore from it
  quorum.kubeadm.etcd_restore:
    state: prepared
    name: cp1
    peer_url: https://192.0.2.11:2380

- name: Restore a snapshot as one of three members
  quorum.kubeadm.etcd_restore:
    state: prepared
    name: cp1
    snapshot: /var/backups/etcd/before.db
    token: restored-20261128
    initial_members:
      cp1: https://192.0.2.11:2380
      cp2: https://192.0.2.12:2380
      cp3: https://192.0.2.13:2380

- name: Put it into its place
  quorum.kubeadm.etcd_restore:
    state: activated
"""

RETURN = r"""
steps:
  description: What was done, or would be, in order; empty when there was nothing to do.
  returned: success
  type: list
  elements: str
etcd:
  description:
    - What is in the data directory. C(data) whether there are any, C(runs) whether etcd runs on them, C(damage) what is
      wrong with them, C(cluster_id), C(member_id), C(last_term), C(last_index), C(term) and C(commit) of the log,
      C(uncommitted) entries that are not marked as committed, C(written) the time of the last write in seconds.
    - C(phase) is V(none), V(prepared), or V(activated) until etcd is started on the restored data. C(restored) says
      what they were made of and when that was written, C(record) the same of the data in their place, also later.
  returned: success
  type: dict
answering:
  description: Those of O(others) at which somebody accepts connections.
  returned: with V(state=examined)
  type: list
  elements: str
ca:
  description: SHA-256 fingerprint of the cluster's CA on this host, empty where there is none.
  returned: with V(state=examined)
  type: str
service:
  description: Whether etcd is a service of this host.
  returned: with V(state=examined)
  type: bool
etcdutl:
  description: Version of etcdutl, empty where there is none.
  returned: with V(state=examined)
  type: str
free_bytes:
  description: What is free on the file system of O(data_dir).
  returned: with V(state=examined)
  type: int
snapshot:
  description:
    - The snapshot's C(path), C(revision), C(total_keys), C(size), C(sha256), and when it was C(taken).
    - C(version) of the etcd that has written it, empty before 3.6; C(authorities), SHA-256 fingerprints of the CAs of
      the cluster that it is of.
  returned: success
  type: dict
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_restore_run import activated, examined, prepared
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_restore_world import known, world
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_unit import dial
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import check_path
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_lock import operation

DIALS = 16
SPEC: dict[str, Any] = {
    "state": {"type": "str", "choices": ["examined", "prepared", "activated"], "required": True},
    "snapshot": {"type": "str", "default": ""},
    "name": {"type": "str", "default": ""},
    "peer_url": {"type": "str", "default": ""},
    "initial_members": {"type": "dict", "default": {}},
    "token": {"type": "str", "default": "", "no_log": False},
    "sha256": {"type": "str", "default": ""},
    "others": {"type": "list", "elements": "str", "default": []},
    "log": {"type": "str", "choices": ["whole", "beginning"], "default": "whole"},
    "data_dir": {"type": "str", "default": "/var/lib/etcd"},
    "etcd": {"type": "str", "default": "/usr/bin/etcd"},
    "etcdutl": {"type": "str", "default": "/usr/bin/etcdutl"},
    "ctr": {"type": "str", "default": "/usr/bin/ctr"},
    "minimum_free_bytes": {"type": "int", "default": 268435456},
    "wait_seconds": {"type": "float", "default": 600.0},
}


def nobody(*_words: str) -> None:
    """A file is judged without etcd."""


def run(params: dict[str, Any], *, effects: bool) -> dict[str, Any]:
    """One state."""
    if params["snapshot"]:
        check_path(params["snapshot"])
    io = world(params)
    if params["state"] == "examined":
        with ThreadPoolExecutor(max_workers=DIALS) as pool:
            answers = list(pool.map(dial, params["others"]))
        accepts = [url for url, answer in zip(params["others"], answers) if answer]
        return {**examined(io, params), **known(), "answering": accepts}
    if params["state"] == "prepared":
        return prepared(io, params, effects=effects)
    return activated(io, effects=effects)


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params = module.params
    try:
        if module.check_mode or params["state"] == "examined":
            module.exit_json(**run(params, effects=False))
        with operation(params["wait_seconds"]):
            told = run(params, effects=True)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**told)


if __name__ == "__main__":
    main()
