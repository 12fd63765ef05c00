# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`site` killed with SIGKILL in the middle, on blank machines, then run again at once: it must finish what is left.

What the killed run had started on a host goes on there, as it does when a controller loses its power.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.e2e.support import Site
from tests.faults.cases import keep
from tests.faults.killing import Point, kill_at

POINTS = (
    Point("while images are imported", r"TASK .*images \| Import", 3),
    Point("just after the CA was made", r"TASK .*Configure and start HAProxy"),
    Point("in kubeadm init", r"TASK .*Start the first control plane", 4),
    Point("before the pod network", r"TASK .*flannel \| Apply", 0.2),
    Point("in kubeadm join of the second control plane", r"TASK .*kube_control_plane : join \| Join", 4),
    Point("in kubeadm join of the third control plane", r"TASK .*kube_control_plane : join \| Join", 9, 2),
    Point("in kubeadm join of the worker", r"TASK .*kube_worker : join \| Join", 1.5),
)


@dataclass(frozen=True)
class Outcome:
    """What became of one point."""

    point: str
    killed_after: float
    again: float
    problem: str


def try_point(site: Site, point: Point) -> Outcome:
    """One point, from blank machines."""
    site.cluster.recreate()
    began = time.monotonic()
    killed = kill_at(site, "site.yml", point).reached
    ran, began = time.monotonic() - began, time.monotonic()
    run = site.play("site.yml")
    again = time.monotonic() - began
    keep(f"interrupted-{POINTS.index(point) + 1}", run)
    if not killed:
        return Outcome(point.name, ran, again, "the point was not reached: this says nothing")
    return Outcome(point.name, ran, again, run.problem())
