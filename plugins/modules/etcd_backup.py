#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup of a cluster: taken now, or how the ones that a timer takes are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_backup
short_description: Take a backup of etcd and the PKI, copy it elsewhere, or say how the backups are
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - A backup is a set of files, a snapshot that has been judged as M(quorum.kubeadm.etcd_snapshot) does it, an archive
    of the host's PKI, and a manifest with the checksums of both, which is written last.
  - Every copy is read back and compared at its destination before it gets its name there. Old sets are deleted only
    where the new one is proven to be, and never the last one.
  - Everything that it needs to know is in O(config) on the host, which role C(etcd_backup) writes; the timer's program
    is the same code.
options:
  state:
    description:
      - V(taken), take one now, whatever the age of the newest one, and wait for another host that is taking one.
      - V(met), make the host's key, show it to the other hosts in etcd, and let in those that have shown themselves.
      - V(seen), say what the last run on this host was. Changes nothing.
    type: str
    choices: [taken, met, seen]
    required: true
  config:
    description: The host's configuration.
    type: path
    default: /etc/quorum-kubeadm/etcd-backup.json
attributes:
  check_mode:
    description: Asks etcd and the disk, and says what would be done. Nothing is restored or copied.
    support: full
"""

EXAMPLES = r"""
- name: A backup now
  quorum.kubeadm.etcd_backup:
    state: taken

- name: How are the backups of this host?
  quorum.kubeadm.etcd_backup:
    state: seen
  register: __backup
"""

RETURN = r"""
status:
  description: What the host has written down of its last run. None where there was none.
  returned: with O(state=seen), and with O(state=taken) unless in check mode
  type: dict
  sample:
    host: cp1
    result: taken
    newest: {name: etcd-prod-r4711-20260131T060000Z, at: 1769839200.0, by: cp1, revision: 4711}
steps:
  description: What would be done, in order.
  returned: with O(state=taken) in check mode
  type: list
  elements: str
needed_bytes:
  description: What has to be free in the backups' directory.
  returned: with O(state=taken) in check mode
  type: int
hosts:
  description: The other hosts that take copies of this one's backups.
  returned: with O(state=met)
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils import backup_run
from ansible_collections.quorum.kubeadm.plugins.module_utils.backup_run import World, read_config
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_memory import json_object


def taken(world: World, path: str, effects: bool) -> dict[str, Any]:
    """One now, or what it would be."""
    if not effects and not world.host.exists(path):
        return {"changed": True, "needed_bytes": 0, "steps": ["take a backup, when there is a configuration of it"]}
    config = read_config(world.host, path)
    if not effects:
        return {"changed": True, **backup_run.planned(world, config)}
    status = backup_run.run(world, config, forced=True)
    problems = backup_run.bad(status)
    if problems:
        raise CommandError(
            "the backup is not what it should be",
            where=config.host,
            found="; ".join(problems),
            next_step="mend that, and run backup_etcd again; the timer tries again by itself",
        )
    return {"changed": True, "status": json_object(status.text())}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["taken", "met", "seen"], "required": True},
            "config": {"type": "path", "default": "/etc/quorum-kubeadm/etcd-backup.json"},
        },
        supports_check_mode=True,
    )
    state, path, world = module.params["state"], module.params["config"], World(Host())
    result: dict[str, Any]
    try:
        if state == "seen":
            kept = world.host.read_text(backup_run.written(read_config(world.host, path)))
            result = {"changed": False, "status": json_object(kept) or None}
        elif state == "taken":
            result = taken(world, path, effects=not module.check_mode)
        else:
            # What it writes into etcd is when the host was last here, so nothing is said to have changed.
            found = [] if module.check_mode else backup_run.met(world, read_config(world.host, path))
            result = {"changed": False, "hosts": found}
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
