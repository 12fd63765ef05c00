# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""upgrade.yml against upgrade.sh: the same cluster, built by site.yml each time, from one minor version to the next."""

from __future__ import annotations

import json
from typing import Any

from bench.cluster import KUBE_VERSION, Cluster
from bench.site import FULL, budget
from bench.store import Results
from lab.errors import LabError
from lab.settings import Settings, topology

BEFORE = "1.35.4"
# What bare kubeadm finds on a cluster that nobody has tuned: the API server's own default.
UNTUNED = json.dumps({"kube_control_plane_api_server_args": {"shutdown-watch-termination-grace-period": "0s"}})


def build(cluster: Cluster, *arguments: str) -> None:
    """A cluster of the version before."""
    cluster.recreate()
    measured, _report = cluster.site("-e", f"kube_version={BEFORE}", *arguments)
    if measured.status:
        raise LabError("site.yml failed, so there is nothing to upgrade:\n" + "\n".join(measured.tail))


def by_playbook(cluster: Cluster) -> dict[str, Any]:
    """upgrade.yml, with its snapshot, gates and verify; also the seconds of each node, from its record."""
    build(cluster)
    measured, report = cluster.play("upgrade", "playbooks/upgrade.yml", "-e", f"kube_version={KUBE_VERSION}")
    records = sorted((cluster.work / "inventory" / ".upgrades").glob("*.json"))
    record = json.loads(records[-1].read_text(encoding="utf-8")) if records else {"steps": []}
    nodes: dict[str, float] = {}
    for step in record["steps"]:
        if step["step"] != "snapshot":
            nodes[step["node"]] = round(nodes.get(step["node"], 0.0) + step["seconds"], 1)
    return {"kind": "upgrade", **measured.result(), **budget(report, cluster), "nodes": nodes}


def by_script(cluster: Cluster, kind: str, *arguments: str) -> dict[str, Any]:
    """upgrade.sh; also the seconds of each node."""
    build(cluster, *arguments)
    measured, phases = cluster.upgrade_script()
    began, nodes = 0.0, {}
    for name, second in phases.items():
        nodes[name], began = round(second - began, 1), second
    return {"kind": kind, **measured.result(), "nodes": nodes}


def compare(settings: Settings, count: int) -> None:
    """Pairs: the playbook, the script on a cluster with our defaults, the script on one with kubeadm's own."""
    results = Results("upgrades", f"python3 -m bench upgrades --upgrade-pairs {count}")
    for pair in range(count):
        cluster = Cluster(settings, topology(FULL), f"upgrades{pair + 1}")
        results.add({"pair": pair, **by_playbook(cluster)})
        results.add({"pair": pair, **by_script(cluster, "script", "-e", UNTUNED)})
