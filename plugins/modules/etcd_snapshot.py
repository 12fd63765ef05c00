#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a snapshot of etcd that has been judged and restored, or judge one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_snapshot
short_description: Take a snapshot of etcd that has been verified, or verify one
version_added: 0.1.0
description:
  - A snapshot gets its name only after it has passed everything that O(verify) asks for; the SHA-256 that etcd puts at
    its end is always compared. Until then it is in a private directory beside its place, gone when the module ends;
    what a killed run left there is removed by the next one.
  - It is taken from one member, and is not older than what a majority of the members had when it was asked for.
  - Taken with etcdctl. Where that is missing, through etcd's JSON gateway, which takes many times longer and costs etcd
    processor time.
  - A snapshot holds every Secret of a cluster. Files have mode 0600. A directory that is missing is made with mode
    0700, one to which others may write is refused.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  state:
    description:
      - V(saved), take a snapshot.
      - V(verified), judge the file O(path). A truncated file, one in which a bit has changed, and a raw copy of a
        member's database are refused.
    type: str
    choices: [saved, verified]
    default: saved
  path:
    description:
      - Absolute path of the snapshot. One that is there is replaced in one step, when the new one has been verified.
      - Either this or O(directory); with V(state=verified) this.
    type: str
    default: ""
  directory:
    description: Directory for snapshots, each named C(etcd-<cluster>-r<revision>-<UTC time>.db).
    type: str
    default: ""
  cluster:
    description: The cluster's name in the names of files. Without it the ID that etcd gave the cluster.
    type: str
    default: ""
  verify:
    description:
      - V(none), only its checksum. The result's revision is the one that it is not older than.
      - V(status), C(etcdutl snapshot status) reads it; its revision is compared.
      - V(restore), it is also restored once, into a scratch directory beside it, and what was restored is compared with
        the snapshot, and with the member's own data where that still knows the revision.
      - V(drill), an etcd is also started on what was restored, in a network of its own, on sockets of root's. It has to
        serve the snapshot's revision. Its number of keys and their hash are compared with the member's.
    type: str
    choices: [none, status, restore, drill]
    default: status
  keep:
    description: How many snapshots of this O(cluster) to keep in O(directory), the newest ones. V(0) keeps all.
    type: int
    default: 0
  minimum_free_bytes:
    description:
      - What remains free on the file system. With it has to be free, before anything is written, 1.1 times the size of
        etcd's database; with O(verify=restore) 2.5 times and 64 MiB, with O(verify=drill) 64 MiB more.
    type: int
    default: 268435456
  etcdctl:
    description: Path of etcdctl.
    type: str
    default: /usr/bin/etcdctl
  etcdutl:
    description: Path of etcdutl, which O(verify) needs unless it is V(none).
    type: str
    default: /usr/bin/etcdutl
  etcd:
    description: Path of etcd, which O(verify=drill) needs. Where there is none it is taken from the static pod's image.
    type: str
    default: /usr/bin/etcd
  ctr:
    description: Path of containerd's client, which opens the image.
    type: str
    default: /usr/bin/ctr
  wait_seconds:
    description: How long to wait for another operation on this host, and how long each program may take.
    type: float
    default: 600.0
extends_documentation_fragment:
  - quorum.kubeadm.etcd_api
attributes:
  check_mode:
    description: Asks etcd and the disk, and says where the snapshot would be and what it needs. A file is not restored.
    support: full
"""

EXAMPLES = r"""
- name: A snapshot that has been restored once, the newest three are kept
  quorum.kubeadm.etcd_snapshot:
    directory: /var/backups/etcd
    verify: restore
    keep: 3

- name: Is this file good enough to restore it?
  quorum.kubeadm.etcd_snapshot:
    state: verified
    path: /var/backups/etcd/before.db
"""

RETURN = r"""
path:
  description: Where the snapshot is, or would be (its name then has the revision and the time of the real run).
  returned: success
  type: str
revision:
  description: etcd's revision in it. In check mode and with O(verify=none) what it is not older than.
  returned: success
  type: int
total_keys:
  description: Its keys with all their revisions, as etcdutl counts. None when etcdutl was not asked.
  returned: success
  type: int
size_bytes:
  description: Its size. In check mode that of the member's database.
  returned: success
  type: int
sha256:
  description: The file's checksum, as sha256sum prints it. None in check mode with O(state=saved).
  returned: success
  type: str
etcdutl_hash:
  description: The hash of its pages, as C(etcdutl snapshot status) prints it in hexadecimal. None when not asked.
  returned: success
  type: str
drill:
  description: What an etcd served that was started on it, RV(drill.keys) and RV(drill.hash) at revision RV(drill.at).
  returned: with O(verify=drill), unless in check mode
  type: dict
  sample: {revision: 81, at: 81, keys: 40, hash: 7d2f02ab, compacted: -1}
same_as_member:
  description: Whether what was restored has the hash that the member's keys have at that revision.
  returned: with O(state=saved)
  type: bool
endpoint:
  description: The member that was asked.
  returned: with O(state=saved)
  type: str
needed_bytes:
  description: What had to be free, beside O(minimum_free_bytes).
  returned: with O(state=saved)
  type: int
free_bytes:
  description: What was free before.
  returned: with O(state=saved)
  type: int
deleted:
  description: Names of older snapshots that were deleted.
  returned: with O(state=saved)
  type: list
  elements: str
seconds:
  description: How long it took.
  returned: success
  type: float
steps:
  description: What was done, or would be, in order.
  returned: success
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_alone import starter
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_options import OPTIONS, connector
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import check_path
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_lock import operation
from ansible_collections.quorum.kubeadm.plugins.module_utils.snapshot_run import Io, saved, saver, verified
from ansible_collections.quorum.kubeadm.plugins.module_utils.snapshot_store import SnapshotStore
from ansible_collections.quorum.kubeadm.plugins.module_utils.snapshot_tools import Tools

OWN = {
    "state": {"type": "str", "choices": ["saved", "verified"], "default": "saved"},
    "path": {"type": "str", "default": ""},
    "directory": {"type": "str", "default": ""},
    "cluster": {"type": "str", "default": ""},
    "verify": {"type": "str", "choices": ["none", "status", "restore", "drill"], "default": "status"},
    "keep": {"type": "int", "default": 0},
    "minimum_free_bytes": {"type": "int", "default": 268435456},
    "etcdctl": {"type": "str", "default": "/usr/bin/etcdctl"},
    "etcdutl": {"type": "str", "default": "/usr/bin/etcdutl"},
    "etcd": {"type": "str", "default": "/usr/bin/etcd"},
    "ctr": {"type": "str", "default": "/usr/bin/ctr"},
    "wait_seconds": {"type": "float", "default": 600.0},
}


def place(params: dict) -> str:
    """The directory to work in, when the options go together."""
    wrong = ""
    if bool(params["path"]) == bool(params["directory"]):
        wrong = "give either `path` or `directory`"
    elif params["state"] == "verified" and not params["path"]:
        wrong = "`state: verified` judges the file `path`"
    elif params["path"] and params["keep"]:
        wrong = "`keep` counts the snapshots of a `directory`"
    elif min(params["keep"], params["minimum_free_bytes"], params["wait_seconds"]) < 0:
        wrong = "give 0 or more as `keep`, `minimum_free_bytes` and `wait_seconds`"
    if wrong:
        raise InputError("these options do not go together", next_step=wrong)
    return check_path(params["directory"]) if params["directory"] else os.path.dirname(check_path(params["path"]))


def nobody(*_words: str) -> None:
    """A file is judged without etcd."""


def run(params: dict, effects: bool) -> dict:
    """Take or judge."""
    store = SnapshotStore(place(params))
    tools = Tools(Host(), check_path(params["etcdctl"]), check_path(params["etcdutl"]), params["wait_seconds"])
    start = starter(tools.host, params) if params["verify"] == "drill" else None
    if params["state"] == "verified":
        return verified(Io(store, tools, nobody, nobody, start=start), params, effects=effects)
    return saved(Io(store, tools, connector(params), saver(tools, store, params), start=start), params, effects=effects)


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec={**OWN, **OPTIONS}, supports_check_mode=True)
    params = module.params
    try:
        if module.check_mode:
            result = run(params, effects=False)
        else:
            with operation(params["wait_seconds"]):
                result = run(params, effects=True)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
