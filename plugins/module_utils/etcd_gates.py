# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a gate of quorum.py about the cluster as it is now, waiting a bounded time for a yes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from .errors import InputError, RefusedError
from .etcd_health import Sample
from .quorum import Cluster, Gate, Member, add_learner_gate, quorum, remove_gate, restart_gate, tolerance


@dataclass(frozen=True)
class Question:
    """action: add_learner, restart or remove. name: the member's. peer_url: of a member to add.

    resumes: its join was interrupted and goes on.
    """

    action: str
    name: str
    peer_url: str = ""
    allow_downtime: bool = False
    resumes: bool = False


def _member(cluster: Cluster, name: str) -> Member:
    found = [member for member in cluster.members if member.name == name]
    if len(found) != 1:
        names = ", ".join(str(member) for member in cluster.members)
        raise InputError(
            f'no single etcd member is named "{name}"',
            where="etcd",
            found=f"members {names}",
            next_step="give the name of one of them",
        )
    return found[0]


def ask(cluster: Cluster, question: Question) -> Gate:
    """The gate's answer for one sample."""
    if question.action == "add_learner":
        return add_learner_gate(cluster, question.name, [question.peer_url], resumes=question.resumes)
    member = _member(cluster, question.name)
    if question.action == "restart":
        return restart_gate(cluster, member.id, allow_downtime=question.allow_downtime)
    return remove_gate(cluster, member.id)


def arithmetic(cluster: Cluster) -> str:
    """The numbers behind an answer."""
    voters = len(cluster.voters)
    return f"{cluster.healthy()} of {voters} voters healthy, quorum {quorum(voters)}, tolerance {tolerance(voters)}"


def wait_for_yes(
    observe: Callable[[], Sample],
    question: Question,
    wait_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Sample, Gate]:
    """The first sample that allows the step. RefusedError with every reason when none did in time."""
    deadline = clock() + wait_seconds
    while True:
        sample = observe()
        gate = ask(sample.cluster, question)
        if gate.allowed and sample.linearizable:
            return sample, gate
        if clock() >= deadline:
            reasons = gate.reasons or ("no majority stands behind the list of members",)
            raise RefusedError(
                f"etcd must not {question.action.replace('_', ' ')} {question.name} now",
                where="etcd",
                found=f"{'; '.join(reasons)} ({arithmetic(sample.cluster)})",
                next_step="mend what is named, then run the same playbook again",
            )
        sleep(0.5)
