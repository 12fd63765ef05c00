# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reset asks before it begins, of a real API server as a node, and of a real etcd."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.quorum.kubeadm.plugins.module_utils import host_reset_world as subject
from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import ApiError, RefusedError, UnreachableError
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_api import EtcdApi, tls_transport
from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_health import Sample, observe
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_reset_guards import Place, check_membership
from tests.integration.etcd_cluster import EtcdCluster, Make, eventually
from tests.integration.servers import Cluster

NODE = '{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "reset1"}}'


def test_a_node_may_ask_for_itself_whether_it_is_there_or_not(cluster: Cluster) -> None:
    client = cluster.authority.issue("kubelet-reset1", "system:node:reset1", organization="system:nodes")
    conf = str(cluster.kubeconfig("kubelet-reset1.conf", client=client))
    assert subject.has_node([], "reset1", conf) is False
    cluster.kubectl("create", "-f", "-", stdin=NODE)
    assert subject.has_node([], "reset1", conf) is True
    cluster.kubectl("delete", "node", "reset1")
    assert subject.has_node([], "reset1", conf) is False
    # Of another node it learns nothing, which counts as a no to the reset.
    with pytest.raises(ApiError) as caught:
        subject.has_node([], "reset10", conf)
    assert caught.value.status == 403


def test_where_the_kubelet_s_own_server_is_gone_the_others_are_asked(cluster: Cluster) -> None:
    client = cluster.authority.issue("kubelet-reset2", "system:node:reset2", organization="system:nodes")
    conf = str(cluster.kubeconfig("kubelet-reset2.conf", client=client, server="https://127.0.0.1:9"))
    assert subject.has_node([cluster.url], "reset2", conf) is False
    with pytest.raises(UnreachableError):
        subject.has_node([], "reset2", conf)


def guard(cluster: EtcdCluster, name: str, known: list[str]) -> None:
    """The guard on the host of this member, which knows these others."""
    transport = tls_transport(
        *(str(path) for path in (cluster.authority.pair.cert, cluster.client.cert, cluster.client.key))
    )

    def look(endpoints: Sequence[str]) -> Sample:
        return observe(endpoints, lambda url: EtcdApi(url, transport, 1.0))

    here = Place((cluster.members[name].peer_url,), tuple(cluster.members[one].url for one in known))
    check_membership(here, name, look)


def test_a_member_is_refused_until_it_is_out_or_alone(make: Make, tmp_path: Path) -> None:
    cluster = make("cp1", "cp2", "cp3")
    with pytest.raises(RefusedError) as caught:
        guard(cluster, "cp3", ["cp3"])
    told = {member["name"]: member["id"] for member in cluster.info()["etcd"]["members"]}
    assert f"member cp3, ID {told['cp3']}; cp1, cp2 answer" in caught.value.found
    # Stopped, it is a member all the same: the others say so.
    cluster.members["cp3"].kill()
    with pytest.raises(RefusedError):
        guard(cluster, "cp3", ["cp3", "cp1"])
    eventually(lambda: cluster.member("absent", name="cp3"), lambda result: not result.get("failed"))
    guard(cluster, "cp3", ["cp3", "cp1"])
    # Without a quorum one other still answers, and may be all that is left of the data.
    cluster.members["cp2"].kill()
    with pytest.raises(RefusedError):
        guard(cluster, "cp2", ["cp1"])
    guard(cluster, "cp1", ["cp1"])
    cluster.members["cp1"].kill()
    guard(cluster, "cp2", ["cp1", "cp2"])
