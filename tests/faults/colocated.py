# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers on the control planes: from blank machines, again, and with the machine that holds the VIP killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab import faults
from lab.shell import wait_for
from tests.e2e.support import Site
from tests.faults.steps import Step, problem_of, walk

MACHINES = ("cp1", "cp2", "cp3", "w1")
PORT = 8443
ARGUMENTS = ("-e", f'{{"kube_api_port": {PORT}}}')


def balance_on_control_planes(children: dict[str, Any]) -> None:
    children["kube_lb"] = {"children": {"kube_control_plane": None}}


def holder(site: Site) -> str:
    """The one control plane with the VIP, "" when there is none or more than one."""
    found = site.cluster.vip_holders(MACHINES[:3])
    return found[0] if len(found) == 1 else ""


def steps(site: Site) -> Iterator[Step]:
    """Every step; the first that fails is the last."""
    site.cluster.recreate()
    inventory: Path = site.edit(balance_on_control_planes)

    def play(playbook: str, *, unchanged: bool = False) -> str:
        return problem_of(site.play(playbook, *ARGUMENTS, inventory=inventory), unchanged=unchanged)

    def take_over() -> str:
        first = holder(site)
        if not first:
            return "the VIP is not on exactly one control plane"
        faults.kill(site.settings, [first])
        wait_for("another machine at the VIP", lambda: site.cluster.vip_answers(PORT, 0.3), 30, pause=0.1)
        second = holder(site)
        faults.start(site.settings, [first])
        return "" if second not in ("", first) else f"the VIP is on {second or 'no machine'}"

    yield from walk(
        (
            ("`site` from blank machines", lambda: play("site.yml")),
            ("`site` again: nothing changes", lambda: play("site.yml", unchanged=True)),
            ("the machine with the VIP killed: another one answers", take_over),
            ("it is back: `verify`", lambda: play("playbooks/verify.yml")),
        )
    )
