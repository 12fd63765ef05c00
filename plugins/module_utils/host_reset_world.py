# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is asked, before a reset, whether a cluster still needs this host."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import etcd_api, etcd_health, kube_api
from .host_probe import ETCD_FILES, ETCD_TIMEOUT
from .host_reset_guards import Observe
from .host_reset_ours import KUBELET_CONF
from .https import HttpsTransport, tls_context
from .kubeconfig import load


def observe(endpoints: Sequence[str]) -> etcd_health.Sample:
    """The etcd cluster as any of these endpoints tells it."""
    transport = etcd_api.tls_transport(*ETCD_FILES)
    return etcd_health.observe(endpoints, lambda url: etcd_api.EtcdApi(url, transport, ETCD_TIMEOUT))


def has_node(endpoints: Sequence[str], name: str, kubeconfig: str = KUBELET_CONF) -> bool:
    """Whether the cluster has this node, asked as the node itself, which may read its own object, gone or not."""
    config = load(kubeconfig)
    urls = list(dict.fromkeys([config.server, *endpoints]))
    transport = HttpsTransport(tls_context(config), config.tls_server_name)
    return kube_api.api_for(config, urls, transport, timeout=0, dry_run=True).find(kube_api.node_path(name)) is not None


@dataclass(frozen=True)
class World:
    """What is asked and told besides the host's own files and programs."""

    observe: Observe = observe
    has_node: Callable[[Sequence[str], str], bool] = has_node
    kill: Callable[[int, int], None] = os.kill
