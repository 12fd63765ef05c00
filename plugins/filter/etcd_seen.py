# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter: what the plan's look at the hosts told of etcd."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

BEFORE = "__kube_preflight_node"
AGAIN = "__kube_verify_node"


def etcd_seen(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the first of these etcd hosts that could tell told in this run's plan, as etcd_info returns it.

    {} when none did, or when any host of the inventory was looked at again since: it was changed, so etcd may be
    another one now. hostvars is empty while a playbook is only read, as with --syntax-check.
    """
    if any(AGAIN in variables for variables in hostvars.values()):
        return {}
    for host in hosts:
        look = hostvars[host].get(BEFORE) or {} if host in hostvars else {}
        told = (look.get("node") or {}).get("etcd") or {}
        if told.get("etcd"):
            return dict(told)
    return {}


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Any]:
        """Names as Ansible looks them up."""
        return {"etcd_seen": etcd_seen}
