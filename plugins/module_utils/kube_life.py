# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a kubelet still serves its node: the condition Ready and the node's Lease, judged by the API's own clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
# A kubelet renews its Lease every 10 s. After this time without it the node controller takes the node for lost.
SILENT_SECONDS = 40.0


def lease_age(lease: Mapping[str, Any] | None, now: datetime) -> float | None:
    """Seconds since the kubelet renewed its Lease; None without one, or when it cannot be read."""
    text = str(((lease or {}).get("spec") or {}).get("renewTime") or "")
    try:
        renewed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    renewed = renewed if renewed.tzinfo else renewed.replace(tzinfo=timezone.utc)
    return max(round((now - renewed).total_seconds(), 1), 0.0)


def lease_ages(leases: Iterable[Mapping[str, Any]], now: datetime) -> dict[str, float | None]:
    """Node to the age of its Lease, which has the node's name."""
    return {str(lease["metadata"]["name"]): lease_age(lease, now) for lease in leases}


def is_served(ready: bool, age: float | None) -> bool:
    """Whether a kubelet stands behind a node. Ready without a Lease to tell counts as served."""
    return ready and (age is None or age <= SILENT_SECONDS)
