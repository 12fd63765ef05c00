# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters: what was told of etcd, and whether it may be upgraded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils import scope, skew
from ansible_collections.quorum.kubeadm.plugins.module_utils.version import parse_version
from ansible_collections.quorum.kubeadm.plugins.module_utils.versions import component

BEFORE = "__kube_preflight_node"
AGAIN = "__kube_verify_node"


def etcd_seen(
    hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """What the first of these etcd hosts that could tell told in this run's plan, as etcd_info returns it.

    {} when none did, or when any host of the groups but a mere worker was looked at again since: it was changed, so
    etcd may be another one now. hostvars is empty while a playbook is only read, as with --syntax-check.
    """
    if any(AGAIN in hostvars[host] for host in scope.removal_scope(groups, []) if host in hostvars):
        return {}
    for host in hosts:
        look = hostvars[host].get(BEFORE) or {} if host in hostvars else {}
        told = (look.get("node") or {}).get("etcd") or {}
        if told.get("etcd"):
            return dict(told)
    return {}


def etcd_upgrade_refusal(etcd: Mapping[str, Any], kube_version: str) -> str:
    """Why etcd, as etcd_info returns it, cannot go to the version that belongs to this Kubernetes; "" when it can."""
    wanted = parse_version(component(kube_version, "etcd"))
    for member in etcd["members"]:
        if not member["healthy"]:
            return f"{member['name'] or member['id']} is not healthy: mend it, then run the same playbook again"
        verdict = skew.etcd_upgrade(parse_version(str(member["version"])), wanted)
        if not verdict.allowed:
            return f"{member['name']}: {verdict.reason}; the way is {' -> '.join(verdict.path) or 'to stay'}"
    return ""


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Any]:
        """Names as Ansible looks them up."""
        return {"etcd_seen": etcd_seen, "etcd_upgrade_refusal": etcd_upgrade_refusal}
