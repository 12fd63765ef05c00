# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether everything that site prepares on a host is proven to be there."""

from __future__ import annotations

from .facts import Node
from .preflight_inputs import LB, HostInputs

# The receipts that the roles leave on a prepared host.
RECEIPTS = ("kube_host",)
NODE_RECEIPTS = ("kube_bundle_files", "containerd", "kube_bundle_images", "kubelet")
LB_RECEIPTS = ("kube_lb",)
ETCD_RECEIPTS = ("kube_bundle_files", "etcd")


def is_prepared(host: HostInputs, node: Node) -> bool:
    """Whether every call that prepares the host is proven, and was made from what this run would make it from."""
    needed = RECEIPTS + NODE_RECEIPTS * host.is_kubernetes + LB_RECEIPTS * (LB in host.groups)
    needed += ETCD_RECEIPTS * host.is_etcd_machine
    return bool(host.inputs) and all(node.receipts.get(name) == host.inputs for name in needed)
