# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the figures are compared with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A figure that must not be larger than this."""

    what: str
    most: float
    unit: str = ""
    note: str = ""

    def show(self, value: float) -> str:
        """A value of this figure."""
        return f"{value:g} {self.unit}".strip()

    def text(self) -> str:
        """The goal in words."""
        note = f" ({self.note})" if self.note else ""
        return f"≤ {self.show(self.most)}{note}"


@dataclass(frozen=True)
class Scenario:
    """A fault: its name, what clients may see of it, and for how long it is watched."""

    name: str
    goal: Goal
    hold: float


SCENARIOS = (
    Scenario("control-plane-killed", Goal("a control plane killed", 4, "s", "as for a frozen one"), 15),
    Scenario("control-plane-frozen", Goal("a control plane frozen", 4, "s"), 20),
    Scenario("api-server-killed", Goal("kube-apiserver killed with -9", 1.5, "s"), 15),
    Scenario("balancer-killed", Goal("the active load balancer killed", 2, "s"), 10),
    Scenario("haproxy-killed", Goal("haproxy killed on the active load balancer", 2, "s", "as for its machine"), 10),
)
CALLS_FIRST = {
    "worker": Goal("first run, remote calls of a worker, most", 25),
    "control_plane": Goal("first run, remote calls of a control plane, most", 45),
}
CALLS_SECOND = {
    "worker": Goal("second run, remote calls of a worker, most", 10),
    "control_plane": Goal("second run, remote calls of a control plane, most", 15),
}
