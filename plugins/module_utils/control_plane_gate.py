# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""May a control plane be taken down? Only while another one does all of its work. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .quorum import Gate

# API servers that the load balancers must have in service while one of them goes.
BACKENDS = 2


@dataclass(frozen=True)
class ControlPlane:
    """What answered on a control plane when it was asked there. What is not known has not answered."""

    name: str
    api: bool = False
    controller_manager: bool = False
    scheduler: bool = False
    etcd: bool = False

    @property
    def silent(self) -> tuple[str, ...]:
        """What does not answer there."""
        parts = (
            ("API server", self.api),
            ("controller manager", self.controller_manager),
            ("scheduler", self.scheduler),
            ("etcd", self.etcd),
        )
        return tuple(part for part, answers in parts if not answers)


def take_down_gate(
    name: str, planes: Sequence[ControlPlane], backends_up: int, *, allow_downtime: bool = False
) -> Gate:
    """allow_downtime: a gap is wanted, which only a single control plane can have."""
    others = [plane for plane in planes if plane.name != name]
    if len(others) == len(planes):
        known = ", ".join(plane.name for plane in planes) or "none"
        return Gate((f'"{name}" is not among the control planes that were asked: {known}',))
    if not others and allow_downtime:
        return Gate(aloud=(f'no API while "{name}" is down: it is the only control plane',))
    reasons = []
    if all(plane.silent for plane in others):
        found = "; ".join(f'"{plane.name}": {", ".join(plane.silent)} silent' for plane in others)
        reasons.append(f'no other control plane does all the work of "{name}" ({found or "there is no other one"})')
    if backends_up < BACKENDS:
        reasons.append(f"the load balancers have {backends_up} API servers in service, {BACKENDS} are needed")
    return Gate(tuple(reasons))
