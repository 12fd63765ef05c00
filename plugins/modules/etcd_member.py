#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Members join and leave an etcd cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_member
short_description: Members join and leave an etcd cluster
version_added: 0.1.0
description:
  - Every step is asked its gate about the members that are healthy at that moment; a plan whose end would be refused
    begins nothing. A member joins as a learner, which counts for nothing until it has caught up and is promoted.
  - A run that was killed is finished by the next one with the same options.
  - A join holds a claim in etcd, bound to a lease that it keeps alive, so that no other host takes its learner for an
    orphan.
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
options:
  state:
    description:
      - V(present), a member, a learner at least. V(promoted), a voter. V(absent), no member.
      - V(swept), no orphans, which are members that never started, whose peer URL is dead and whose join is over.
    type: str
    choices: [present, promoted, absent, swept]
    required: true
  name:
    description: Exact name of the member, which is the inventory's name of its host.
    type: str
    default: ""
  peer_urls:
    description: Its peer URLs, which identify it. Needed to join; with V(absent) they tell members apart.
    type: list
    elements: str
    default: []
  member_id:
    description: ID of the member to remove, hexadecimal, for one without a name or with a name that is there twice.
    type: str
    default: ""
  unit:
    description:
      - The member's systemd unit on this host. It is started after the member was added.
      - Empty when somebody else starts etcd, which is waited for when O(state=promoted).
    type: str
    default: ""
  initial_file:
    description: Environment file that the unit reads, there from before its first start until it is healthy.
    type: path
    default: /etc/etcd/initial.env
  data_dir:
    description:
      - Where the unit keeps its data. Data of a member that the cluster does not have are refused. Those of a learner
        that was given up are renamed.
    type: path
    default: /var/lib/etcd
  joining:
    description: Hosts on which a join runs now, by name, address or peer URL. Their members are not swept.
    type: list
    elements: str
    default: []
  wait_seconds:
    description: How long a member may take to start and to catch up. A learner that does not is removed again.
    type: float
    default: 120.0
  sample_seconds:
    description: Before anything is removed, two samples so far apart must agree.
    type: float
    default: 5.0
  orphan_seconds:
    description: So long nobody must have cared for a member that never started before it is an orphan.
    type: int
    default: 120
  confirm_no_tolerance:
    description: Remove a healthy voter although none may fail afterwards.
    type: bool
    default: false
extends_documentation_fragment:
  - quorum.kubeadm.etcd_api
attributes:
  check_mode:
    description: Predicts the steps that a run takes.
    support: full
  diff_mode:
    description: Shows the members before and after.
    support: full
"""

EXAMPLES = r"""
- name: etcd4 joins, in one call on that host
  quorum.kubeadm.etcd_member:
    state: promoted
    name: etcd4
    peer_urls: ["https://192.0.2.24:2380"]
    unit: etcd.service
    endpoints: "{{ etcd_member_urls }}"

- name: A dead machine's member is removed through a living one
  quorum.kubeadm.etcd_member:
    state: absent
    name: etcd2
  delegate_to: etcd1

- name: What interrupted joins left behind is removed
  quorum.kubeadm.etcd_member:
    state: swept
    joining: "{{ __joining }}"
"""

RETURN = r"""
steps:
  description: What was done, or would be, in order.
  returned: success
  type: list
  elements: str
  sample: ['add the learner "etcd4" (https://192.0.2.24:2380)', 'start etcd on "etcd4"', 'promote the learner "etcd4"']
arithmetic:
  description: The numbers afterwards.
  returned: success
  type: str
  sample: 4 of 4 voters healthy, quorum 3, tolerance 1
aloud:
  description: What a person has to be told.
  returned: success
  type: list
  elements: str
members:
  description: The members afterwards, by name. RV(members[].id) is null for one that check mode predicts.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: ID, hexadecimal.
      type: str
    name:
      description: Name, empty for a member that never started.
      type: str
    peer_urls:
      description: Peer URLs.
      type: list
      elements: str
    learner:
      description: Whether it does not vote.
      type: bool
    started:
      description: Whether it ever started.
      type: bool
"""

import platform

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_health import observe
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_member_run import OPTIONS as OWN
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_member_run import asked, run, settings
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_options import OPTIONS, connector
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_unit import SystemdUnit, dial
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_world import World
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_lock import operation

# A change is only answered when a majority has it on disk.
CHANGE_SECONDS = 10.0


def world_of(params: dict) -> World:
    """The real one."""
    look, change = connector(params), connector(dict(params, timeout=max(params["timeout"], CHANGE_SECONDS)))
    unit = SystemdUnit(Host(), params["unit"], params["initial_file"], params["data_dir"]) if params["unit"] else None
    return World(
        look=lambda: observe(params["endpoints"], look),
        connect=change,
        dial=dial,
        settings=settings(params),
        unit=unit,
        host=platform.node(),
    )


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={**OWN, **OPTIONS},
        required_if=[("state", "present", ["name", "peer_urls"]), ("state", "promoted", ["name", "peer_urls"])],
        supports_check_mode=True,
    )
    params = module.params
    try:
        wanted = asked(params)
        if module.check_mode:
            outcome = run(world_of(params), wanted, effects=False)
        else:
            with operation(params["wait_seconds"]):
                outcome = run(world_of(params), wanted, effects=True)
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(**outcome.result())


if __name__ == "__main__":
    main()
