#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compact, defragment and disarm an etcd cluster, and move its leader."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_maintenance
short_description: Compact, defragment and disarm an etcd cluster, and move its leader
version_added: 0.1.0
description:
  - Every step is asked its gate about the members as they are at that moment; a plan whose end would be refused begins
    nothing. Nothing is done to a cluster whose members do not hold the same data, or of which one raises CORRUPT.
  - A member that is defragmented answers nothing meanwhile, so this goes by the rules of a restart. One member after
    another; the leader is last, when another one has taken its place.
  - An alarm is disarmed only when its cause is gone. NOSPACE, when no member that answers has more than 90 % of its
    quota on disk; CORRUPT, when all voters hold the same data at one revision.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  action:
    description:
      - V(compact), forget what was overwritten or deleted before a revision.
      - V(defragment), give free pages back to the disk, of one member (O(name)) or of all that are worth it.
      - V(disarm), take back alarms whose cause is gone, those of members that were removed as well.
      - V(move_leader), make O(name) the leader, or the best other member.
      - V(auto), what NOSPACE needs, in this order - compact, defragment the members near their quota, disarm. Nothing
        when NOSPACE is not raised. As nothing is written while it is, neither a dead member nor a learner stands in
        the way of a defragmentation then.
    type: str
    required: true
    choices: [compact, defragment, disarm, move_leader, auto]
  name:
    description: Exact name of the member to defragment, or of the one to lead.
    type: str
    default: ""
  away_from:
    description: With V(move_leader), nothing is done unless the member of this exact name leads.
    type: str
    default: ""
  revision:
    description: Compact to this revision, which stays readable. V(0) means all but the last O(keep) ones.
    type: int
    default: 0
  keep:
    description: How many revisions to keep, when O(revision) names none. What is there now always stays.
    type: int
    default: 0
  min_size_mib:
    description: With V(defragment), a smaller database is left alone.
    type: float
    default: 100.0
  min_free_percent:
    description: With V(defragment), a database of which less is free is left alone.
    type: float
    default: 30.0
  allow_downtime:
    description:
      - Whether a gap is wanted, where the others have no quorum while a member is defragmented. Only for one or two
        members; with V(auto) for any number.
    type: bool
    default: false
  wait_seconds:
    description: How long one compaction or defragmentation may take, and the cluster to be well again after it.
    type: float
    default: 120.0
extends_documentation_fragment:
  - quorum.kubeadm.etcd_api
attributes:
  check_mode:
    description:
      - Predicts the steps that a run takes. How far a compaction shrinks the data is only seen in a run.
      - With O(action=auto), members that seem too full to be mended finish the last compaction and count their pages
        anew, in check mode too. That changes no data.
    support: full
  diff_mode:
    description: Shows each member's sizes and alarms and which one leads, before and after.
    support: full
"""

EXAMPLES = r"""
- name: Mend a cluster that raises NOSPACE
  quorum.kubeadm.etcd_maintenance:
    action: auto

- name: Give back what is free, one member after another
  quorum.kubeadm.etcd_maintenance:
    action: defragment

- name: The leadership goes away from cp1 before its machine is taken down
  quorum.kubeadm.etcd_maintenance:
    action: move_leader
    away_from: cp1
"""

RETURN = r"""
steps:
  description: What was done, or would be, in order.
  returned: success
  type: list
  elements: str
  sample: ["compact to revision 5042", 'defragment "cp2"', 'disarm NOSPACE of "cp2"']
arithmetic:
  description: The numbers afterwards.
  returned: success
  type: str
  sample: 3 of 3 voters healthy, quorum 2, tolerance 1
aloud:
  description: What a person has to be told.
  returned: success
  type: list
  elements: str
freed:
  description: Bytes that the members' databases take less on their disks, all together. An estimate in check mode.
  returned: success
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import InputError, KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_health import Sample, observe
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_options import OPTIONS, connector
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_upkeep import (
    ACTIONS,
    Asked,
    carry_out,
    look,
    outcome,
    plan_upkeep,
)
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_world import Settings, World
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_lock import operation

# A change is only answered when a majority has it on disk.
CHANGE_SECONDS = 10.0
OWN = {
    "action": {"type": "str", "required": True, "choices": list(ACTIONS)},
    "name": {"type": "str", "default": ""},
    "away_from": {"type": "str", "default": ""},
    "revision": {"type": "int", "default": 0},
    "keep": {"type": "int", "default": 0},
    "min_size_mib": {"type": "float", "default": 100.0},
    "min_free_percent": {"type": "float", "default": 30.0},
    "allow_downtime": {"type": "bool", "default": False},
    "wait_seconds": {"type": "float", "default": 120.0},
}


def asked(params: dict) -> Asked:
    """The options that say what is wanted."""
    for option in ("revision", "keep", "min_size_mib", "min_free_percent", "wait_seconds"):
        if params[option] < 0:
            raise InputError(
                f"{option} cannot be used", where=option, found=str(params[option]), next_step="give 0 or more"
            )
    return Asked(
        params["action"],
        params["name"],
        params["away_from"],
        params["revision"],
        params["keep"],
        int(params["min_size_mib"] * (1 << 20)),
        params["min_free_percent"] / 100,
        params["allow_downtime"],
    )


def run(params: dict, effects: bool) -> dict:
    """Plan, and with `effects` do it."""
    wanted = asked(params)
    ask, change = connector(params), connector(dict(params, timeout=max(params["timeout"], CHANGE_SECONDS)))

    def inspect() -> Sample:
        # Who leads changes no data.
        return observe(params["endpoints"], ask, hashes=wanted.action != "move_leader")

    world = World(
        look=lambda: observe(params["endpoints"], ask),
        connect=change,
        dial=lambda _url: False,
        settings=Settings(wait=params["wait_seconds"]),
    )

    def compacted(to: int) -> bool:
        return bool(world.through(lambda api: api.compacted(to)))

    plan = plan_upkeep(look(world, wanted, inspect, compacted), wanted, compacted)
    return outcome(plan, carry_out(plan, world, inspect) if effects and plan.steps else None)


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
