# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a gate of quorum.py about the cluster as it is now, waiting a bounded time for a yes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .control_plane_gate import ControlPlane, take_down_gate
from .errors import RefusedError
from .etcd_api import number
from .etcd_health import Sample
from .etcd_world import LAG_SPACING
from .membership import arithmetic
from .quorum import Cluster, Gate, Member, add_learner_gate, defragment_gate, promote_gate, remove_gate, restart_gate

ACTIONS = ("add_learner", "restart", "remove", "promote", "defragment", "take_down")


@dataclass(frozen=True)
class Question:
    """action: one of ACTIONS. name: the member's. peer_url: of a member to add.

    resumes: its join was interrupted and goes on. restarting: names of members that are restarted now.
    planes and backends_up: what was seen of the control planes, to take one of them down. moves_leader: the leadership
    is moved away before that one's member restarts.
    """

    action: str
    name: str
    peer_url: str = ""
    allow_downtime: bool = False
    resumes: bool = False
    restarting: tuple[str, ...] = ()
    planes: tuple[ControlPlane, ...] = ()
    backends_up: int = 0
    moves_leader: bool = False


def ask(samples: Sequence[Sample], question: Question) -> Gate:
    """The gate's answer for the newest sample; a promotion looks at the one before as well."""
    cluster = samples[-1].cluster
    if question.action == "add_learner":
        return add_learner_gate(cluster, question.name, [question.peer_url], resumes=question.resumes)
    if question.action == "take_down":
        return _take_down(cluster, question)
    member = cluster.named(question.name)
    if question.action == "restart":
        return _restart(cluster, member, question)
    if question.action == "promote":
        lags = [sample.lag(member.id) for sample in samples[-2:] if member.id in sample.probes]
        return promote_gate(cluster, member.id, [found for found in lags if found is not None])
    if question.action == "defragment":
        return defragment_gate(cluster, member.id, _sizes(samples[-1]), allow_downtime=question.allow_downtime)
    return remove_gate(cluster, member.id)


def _restart(cluster: Cluster, member: Member, question: Question) -> Gate:
    restarting = [cluster.named(name).id for name in question.restarting]
    return restart_gate(cluster, member.id, allow_downtime=question.allow_downtime, restarting=restarting)


def _take_down(cluster: Cluster, question: Question) -> Gate:
    """With external etcd no member has the control plane's name, and none goes down with it."""
    if question.moves_leader:
        cluster = cluster.without_leader()
    stacked = any(member.name == question.name for member in cluster.members)
    etcd = _restart(cluster, cluster.named(question.name), question) if stacked else Gate()
    own = take_down_gate(question.name, question.planes, question.backends_up, allow_downtime=question.allow_downtime)
    return Gate(own.reasons + etcd.reasons, own.aloud + etcd.aloud)


def _sizes(sample: Sample) -> dict[str, tuple[int, int]]:
    told = {member: probe.status for member, probe in sample.probes.items() if probe.status}
    return {member: (number(one.get("dbSize")), number(one.get("dbSizeInUse"))) for member, one in told.items()}


def wait_for_yes(
    observe: Callable[[], Sample],
    question: Question,
    wait_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Sample, Gate]:
    """The first sample that allows the step. RefusedError with every reason when none did in time."""
    deadline = clock() + wait_seconds
    needed = 2 if question.action == "promote" else 1
    samples: list[Sample] = []
    while True:
        samples = [*samples[-1:], observe()]
        gate, sample = ask(samples, question), samples[-1]
        if gate.allowed and sample.linearizable:
            return sample, gate
        if len(samples) >= needed and clock() >= deadline:
            reasons = gate.reasons or ("no majority stands behind the list of members",)
            raise RefusedError(
                f"etcd must not {question.action.replace('_', ' ')} {question.name} now",
                where="etcd",
                found=f"{'; '.join(reasons)} ({arithmetic(sample.cluster)})",
                next_step="mend what is named, then run the same playbook again",
            )
        sleep(LAG_SPACING)
