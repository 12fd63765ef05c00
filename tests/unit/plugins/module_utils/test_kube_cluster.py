# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster in the collection's own words."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import kube_cluster, tokens

NOW = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)


def test_a_node_that_has_only_a_name_has_every_key() -> None:
    assert kube_cluster.node({"metadata": {"name": "w1"}}) == {
        "name": "w1",
        "role": "worker",
        "ready": False,
        "kubelet_version": "",
        "addresses": [],
        "zone": "",
        "labels": {},
        "taints": [],
        "unschedulable": False,
        "cordoned": False,
        "conditions": {},
    }


@pytest.mark.parametrize("status", ["True", "False", "Unknown"])
def test_only_true_is_ready(status: str) -> None:
    conditions = [{"type": "MemoryPressure", "status": "True"}, {"type": "Ready", "status": status, "message": "m"}]
    node = kube_cluster.node({"metadata": {"name": "w1"}, "status": {"conditions": conditions}})
    assert node["ready"] is (status == "True")
    assert node["conditions"]["Ready"] == {"status": status, "reason": "", "message": "m", "since": ""}


def test_tokens_without_their_secrets() -> None:
    def secret(life: timedelta) -> dict[str, Any]:
        return tokens.to_secret(tokens.mint(now=NOW, ttl=life, description="d"))

    secrets = [secret(timedelta(minutes=1)), secret(timedelta(minutes=30)), {"data": {"token-id": "!!"}}, {}]
    found = kube_cluster.bootstrap_tokens(secrets, NOW + timedelta(minutes=5))
    assert sorted((entry["expires"], entry["expired"]) for entry in found) == [
        ("2026-01-31T12:01:00Z", True),
        ("2026-01-31T12:30:00Z", False),
    ]
    for one in secrets[:2]:
        assert tokens.decode(one["data"], "token-secret") not in str(found)


@pytest.mark.parametrize(
    "config_map",
    [None, {}, {"data": None}, {"data": {"ClusterConfiguration": "a: ["}}, {"data": {"ClusterConfiguration": "- a"}}],
)
def test_no_configuration_that_can_be_read_is_none(config_map: Any) -> None:
    assert kube_cluster.cluster_configuration(config_map) is None
