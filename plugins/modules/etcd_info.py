#!/usr/bin/python
# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the members of an etcd cluster and their health."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_info
short_description: Members of an etcd cluster, and which of them are healthy
version_added: 0.1.0
author:
  - quorum.kubeadm contributors (@quorum-kubeadm)
description:
  - Asks etcd's JSON gateway over mutual TLS. Needs nothing on the host but Python and the certificates.
  - Works through any living endpoint. Every member is asked itself, all at once; a member that cannot be asked is
    unknown, and unknown counts as unhealthy.
  - A voter is healthy when it answers a linearizable read, raises no alarm and lags at most 5000 entries behind.
  - When no endpoint has a quorum behind it, the members that a living endpoint believes in are returned, with
    RV(etcd.linearizable=false) and a fatal finding, so that the state of a broken cluster can be read too.
  - With O(hashes) the members' data are compared by their hashes at one revision that all of them have. A member that
    holds other data than the majority is unhealthy and named in a fatal finding, as one that raises an alarm is.
  - Changes nothing.
options:
  hashes:
    description:
      - Whether to compare the members' data. Each member reads all of its keys for it, one after another, and writes
        wait meanwhile; a database of 100 MiB takes well below a second. Another look that only asks who is healthy
        does not need it.
    type: bool
    default: true
extends_documentation_fragment:
  - quorum.kubeadm.etcd_api
attributes:
  check_mode:
    description: Runs the same in check mode, nothing is ever changed.
    support: full
  diff_mode:
    description: There is nothing that could differ.
    support: none
"""

EXAMPLES = r"""
- name: Read the etcd members on a control plane
  quorum.kubeadm.etcd_info:
  register: __members

- name: Read them through whichever machine lives
  quorum.kubeadm.etcd_info:
    endpoints:
      - https://192.0.2.11:2379
      - https://192.0.2.12:2379
      - https://192.0.2.13:2379
  register: __members
"""

RETURN = r"""
etcd:
  description: The cluster as it was seen.
  returned: success
  type: dict
  contains:
    cluster_id:
      description: The cluster's ID, hexadecimal.
      type: str
    members:
      description:
        - The members, by name. Numbers are null for a member that did not answer, and C(hash) also for a learner and
          without O(hashes). C(raft_lag) is how many entries of the log are still to be applied.
      type: list
      elements: dict
      sample:
        - id: 8e9e05c52164694d
          name: cp1
          peer_urls: ["https://192.0.2.11:2380"]
          client_urls: ["https://192.0.2.11:2379"]
          learner: false
          started: true
          healthy: true
          leader: true
          version: 3.6.16
          db_size: 4694016
          db_size_in_use: 2236416
          db_quota: 2147483648
          raft_index: 5042
          raft_applied_index: 5042
          raft_lag: 0
          hash: 2152755834
          alarms: []
          error: ""
    leader:
      description: ID of the leader, or null.
      type: str
    voters:
      description: How many members vote.
      type: int
    healthy_voters:
      description: How many of them are healthy.
      type: int
    quorum:
      description: How many healthy voters are needed.
      type: int
    tolerance:
      description: How many voters of a fully healthy cluster of this size may fail.
      type: int
    linearizable:
      description: Whether a majority stands behind the list of members.
      type: bool
    hash_revision:
      description: The revision whose hashes were compared, or null.
      type: int
    empty:
      description: Whether no Kubernetes ever wrote here (no key below C(/registry/)); null when no majority could say.
      type: bool
    silent_endpoints:
      description: Those of O(endpoints) that were tried and did not answer, and the members' own that did not.
      type: list
      elements: str
    findings:
      description: What is wrong (V(fatal)) or odd (V(warning)), with the next step.
      type: list
      elements: dict
      sample:
        - {level: fatal, member: '"cp3"', found: "timed out", next_step: "Look at the etcd of that host"}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import KubeadmError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_health import observe
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_options import OPTIONS, connector


def main() -> None:
    """Read and return."""
    module = AnsibleModule(
        argument_spec={"hashes": {"type": "bool", "default": True}, **OPTIONS}, supports_check_mode=True
    )
    params = module.params
    try:
        sample = observe(params["endpoints"], connector(params), hashes=params["hashes"])
    except KubeadmError as exc:
        module.fail_json(**exc.result())
    module.exit_json(changed=False, etcd=sample.result())


if __name__ == "__main__":
    main()
