# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run lock's Lease, read and written by compare-and-swap."""

from __future__ import annotations

from . import run_lock
from .errors import ApiError
from .kube_api import KubeApi, Object
from .run_lock import Holder, Run, Step

COLLECTION = f"/apis/coordination.k8s.io/v1/namespaces/{run_lock.NAMESPACE}/leases"
PATH = f"{COLLECTION}/{run_lock.NAME}"
SHOWN = f"Lease {run_lock.NAMESPACE}/{run_lock.NAME}"
# Each conflict means that somebody else has written, who then holds it: the next look refuses.
TRIES = 3


def look(api: KubeApi) -> Holder | None:
    """Who holds it now."""
    return run_lock.holder_of(api.find(PATH), api.now())


def hold(api: KubeApi, me: Run, token: int = 0) -> Step:
    """Take it or renew it; what became of it. token: as run_lock.decide has it."""
    for attempt in range(1, TRIES + 1):
        lease = api.find(PATH)
        step = run_lock.decide(lease, me, api.now(), token)
        if step.body is None:
            return step
        try:
            _write(api, lease, step.body)
        except ApiError as exc:
            if exc.status != 409 or attempt == TRIES:
                raise
        else:
            return step
    raise AssertionError("the last attempt returns or raises")


def give_back(api: KubeApi, me: Run) -> None:
    """Let others have it at once."""
    body = run_lock.given_back(api.find(PATH), me)
    if body:
        api.patch(PATH, body)


def _write(api: KubeApi, lease: Object | None, body: Object) -> None:
    if lease is None:
        api.create(COLLECTION, body)
    else:
        api.patch(PATH, body)
