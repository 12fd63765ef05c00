# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host of etcd has registered when it was looked at before a recovery or a restore, as one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.quorum.kubeadm.plugins.module_utils.recovery_seen import Machine
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.hosts_read import problem_of
from ansible_collections.quorum.kubeadm.plugins.plugin_utils.values import plain

DATA, ETCD, PODS, COPY = "__recover_data", "__recover_etcd", "__recover_pods", "__recover_snapshot"


def machine(name: str, seen: Mapping[str, Any], away: Mapping[str, str]) -> Machine:
    """A host's registers as one value; away: addresses of hosts that gave nothing, to their names."""
    told = plain(seen.get(DATA) or {})
    if "etcd" not in told:
        first = plain(seen.get(PODS) or {})
        return Machine(name, why=problem_of(told if told.get("failed") or not first else first)[1])
    sample = plain(seen.get(ETCD) or {}).get("etcd") or {}
    members = sample.get("members") or []
    copy = plain(seen.get(COPY) or {})
    return Machine(
        name=name,
        reachable=True,
        etcd=told["etcd"],
        quorum=bool(sample.get("linearizable")),
        voters=tuple(sorted(one["name"] or one["id"] for one in members if not one["learner"])),
        alarms=tuple(sorted({alarm for one in members for alarm in one["alarms"]})),
        answering=tuple(url for url in told.get("answering") or [] if urlsplit(url).hostname in away),
        snapshot=copy.get("snapshot") or {},
        why=str((copy.get("error") or {}).get("found") or ""),
    )


def silent(names: Sequence[str], addresses: Mapping[str, Any], hostvars: Mapping[str, Any]) -> dict[str, str]:
    """Address to name of the hosts that gave nothing."""
    gave_nothing = [name for name in names if "etcd" not in (hostvars[name].get(DATA) or {})]
    return {str(addresses[name]): name for name in gave_nothing if name in addresses}
