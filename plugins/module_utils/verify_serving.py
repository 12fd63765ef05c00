# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge of kubelets' requests for serving certificates: which still wait, for whom. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .kubelet_serving import PATH, SIGNER, USER, pending
from .verify import SHORT_PATIENCE, Row, names

CSRS = f"{PATH}?fieldSelector=spec.signerName%3D{SIGNER.replace('/', '%2F')}"
APPROVE = "Run approve_serving_certificates, which tells what does not match the inventory"
SIGN = "Look at the controller manager, which signs it: its log, and the cluster's CA key on that control plane"


def judge_serving(requests: Iterable[Mapping[str, Any]], nodes: Collection[str]) -> list[Row]:
    """A kubelet that waits for its first certificate gives no logs and no exec. No row where nobody asks for any."""
    every = list(requests)
    waiting = {user_of(one) for one in every if pending(one)}
    unsigned = {user_of(one) for one in every if not pending(one) and _approved(one)}
    ours = sorted(user for user in waiting if user in nodes)
    rows = [
        Row("serving-certificates", names(subjects), status, found, step, SHORT_PATIENCE if status == "fail" else 0)
        for subjects, status, found, step in (
            (ours, "fail", "waits for an approval of its serving certificate", APPROVE),
            (
                sorted(waiting - set(ours)),
                "warn",
                "asks for a serving certificate and is not in the inventory",
                APPROVE,
            ),
            (sorted(unsigned), "fail", "its serving certificate is approved and not signed", SIGN),
        )
        if subjects
    ]
    if rows or not every:
        return rows
    return [Row("serving-certificates", "kubelets", "ok", f"{len(every)} requests, none waits")]


def user_of(csr: Mapping[str, Any]) -> str:
    """The node whose kubelet asks, or who else does."""
    user = ascii(str(csr["spec"].get("username") or ""))[1:-1][:80]
    return user[len(USER) :] if user.startswith(USER) else user


def _approved(csr: Mapping[str, Any]) -> bool:
    status = csr.get("status") or {}
    kinds = {one.get("type") for one in status.get("conditions") or []}
    return "Approved" in kinds and "Failed" not in kinds and not status.get("certificate")
