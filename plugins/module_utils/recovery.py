# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A majority of etcd is lost: is it really, what is there to build on, who has to be fenced, and in which order. Pure.

Nothing is guessed in favour of a recovery: whoever does not answer and was not named as lost may still live, and a
majority that could be started again is no lost majority.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .etcd_restoring import ACTIVATED
from .quorum import quorum
from .recovery_seen import Asked, Machine, given_up, line, plan_steps, words_of


@dataclass(frozen=True)
class Outcome:
    """What is decided. words: what has to be acknowledged; works: it was. finishes: only what was held starts again."""

    survivor: str = ""
    words: str = ""
    voters: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    fence: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    works: bool = False
    finishes: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For the playbook."""
        return {
            "survivor": self.survivor,
            "words": self.words,
            "told": list(self.told),
            "refusals": list(self.refusals),
            "steps": list(self.steps),
            "fence": list(self.fence),
            "others": list(self.others),
            "works": self.works,
            "finishes": self.finishes,
        }


def voters_of(machines: Sequence[Machine]) -> tuple[str, ...]:
    """The voters that a survivor names; where none tells, the inventory's."""
    named = max((machine.voters for machine in machines), key=len, default=())
    return tuple(sorted(named or {machine.name for machine in machines}))


def still_there(machines: Sequence[Machine], voters: Sequence[str]) -> list[str]:
    """Why the majority is not lost; empty when it is."""
    size, need = len(voters), quorum(len(voters))
    alive = [machine.name for machine in machines if machine.quorum]
    if alive:
        return [f"etcd has its majority: {', '.join(alive)} answers for {need} of {size} voters"]
    whole = _startable(machines, voters)
    # What is only prepared has been put nowhere: everybody has what he had.
    if len(whole) >= need and not any(machine.phase == ACTIVATED for machine in machines):
        return [
            f"{len(whole)} of {size} voters have their data ({', '.join(whole)}), and {need} are a majority: nothing is"
            " lost for good. Start etcd there: by the kubelet on a control plane, else `systemctl start etcd`"
        ]
    return []


def _startable(machines: Sequence[Machine], voters: Sequence[str]) -> list[str]:
    """The most voters that have data of one cluster."""
    clusters: dict[str, list[str]] = {}
    for machine in machines:
        if machine.has_data and machine.name in voters:
            clusters.setdefault(str(machine.etcd.get("cluster_id")), []).append(machine.name)
    return max(clusters.values(), key=len, default=[])


def not_fenced(
    machines: Sequence[Machine], voters: Sequence[str], lost: Sequence[str], option: str = "recover_lost"
) -> list[str]:
    """Who may still live. option: by which the lost ones are named."""
    by_name = {machine.name: machine for machine in machines}
    everybody = sorted({*voters, *by_name})
    away = [name for name in everybody if not (name in by_name and by_name[name].reachable)]
    found = [
        f"{name} is named as lost, and its host is reachable: take it out of {option}, this playbook stops it"
        for name in lost
        if name in by_name and by_name[name].reachable
    ]
    found += [f"{option} names {name}, which is no member" for name in lost if name not in everybody]
    unnamed = [name for name in away if name not in lost]
    if unnamed:
        found.append(
            f"{', '.join(unnamed)} cannot be reached and may still live. Switch the machines off, or cut them off, so"
            f" that they never come back with their data; then confirm it: -e {option}={','.join(away)}"
        )
    answering = sorted({url for machine in machines for url in machine.answering})
    return found + [f"a member that is not reachable for Ansible still answers at {url}" for url in answering]


def choose(machines: Sequence[Machine], voters: Sequence[str], asked: Asked) -> tuple[Machine | None, str]:
    """What is built on; and why that is nothing, or not what was asked for."""
    begun = [machine for machine in machines if machine.phase == ACTIVATED]
    if len(begun) == 1 and asked.survivor in ("", begun[0].name):
        return _finished(begun[0])
    if asked.snapshot:
        return _with_snapshot(machines, asked)
    usable = [machine for machine in machines if machine.usable and machine.name in voters]
    if not usable:
        return None, "no host has data of etcd that could be built on. Give a snapshot: -e snapshot=PATH"
    if len({machine.etcd.get("cluster_id") for machine in usable}) > 1 and not begun:
        found = ", ".join(f"{machine.name} {machine.etcd.get('cluster_id')}" for machine in usable)
        return None, f"the data are of more than one cluster: {found}. Move the data away that do not belong here"
    return _newest(usable, asked)


def _finished(begun: Machine) -> tuple[Machine | None, str]:
    source = str((begun.etcd.get("restored") or {}).get("source"))
    if begun.snapshot and source != f"snapshot:{begun.snapshot.get('sha256')}":
        return None, f"another restore is in place on {begun.name} and was not started: finish it, without snapshot"
    return begun, ""


def _newest(usable: Sequence[Machine], asked: Asked) -> tuple[Machine | None, str]:
    best = max(usable, key=lambda machine: (machine.newest, machine.name == asked.survivor, machine.name))
    chosen = next((machine for machine in usable if machine.name == (asked.survivor or best.name)), None)
    if chosen is None:
        return None, f"{asked.survivor} has no data that could be built on. {best.name} has: -e survivor={best.name}"
    if chosen.newest < best.newest:
        return None, (
            f"{best.name} has entry {best.newest[1]} of term {best.newest[0]}, {chosen.name} only entry "
            f"{chosen.newest[1]} of term {chosen.newest[0]}: give -e survivor={best.name}"
        )
    return chosen, ""


def _with_snapshot(machines: Sequence[Machine], asked: Asked) -> tuple[Machine | None, str]:
    have = [m for m in machines if m.reachable and m.snapshot and asked.survivor in ("", m.name)]
    if len(have) == 1:
        return have[0], ""
    if have:
        names = ", ".join(machine.name for machine in have)
        return None, f"{names} have {asked.snapshot}: say which one, -e survivor={have[0].name}"
    why = "; ".join(f"{machine.name}: {machine.why}" for machine in machines if machine.reachable and machine.why)
    return None, f"no host has a good snapshot {asked.snapshot} ({why or 'no such file'})"


def unfinished(machines: Sequence[Machine], told: tuple[str, ...], held: Mapping[str, Sequence[str]]) -> Outcome | None:
    """What an interrupted run has left when etcd is a cluster of one already. Who is fenced stays held."""
    alone = next((machine for machine in machines if machine.quorum and machine.voters == (machine.name,)), None)
    if alone is None:
        return None
    others = tuple(machine.name for machine in machines if machine is not alone)
    fence = tuple(machine.name for machine in machines if machine is not alone and machine.reachable)
    steps = tuple(
        f"{name}: start {', '.join(parts)}: etcd has been recovered already"
        for name, parts in held.items()
        if parts and name not in others
    )
    if not steps:
        return None
    return Outcome(alone.name, "", (alone.name,), told, (), steps, fence, others, works=True, finishes=True)


def decide(
    machines: Sequence[Machine], asked: Asked, now: float, held: Mapping[str, Sequence[str]] | None = None
) -> Outcome:
    """Everything, from what was seen. held: components that are taken away from the kubelet, by control plane."""
    voters = voters_of(machines)
    told = tuple(line(machine, now) for machine in machines)
    left = unfinished(machines, told, held or {})
    if left:
        return left
    recovered = [machine.name for machine in machines if machine.quorum and machine.etcd.get("was_restored")]
    if recovered and len(voters) == 1:
        return Outcome(voters=voters, told=(*told, f"etcd was recovered on {recovered[0]}: there is nothing to do."))
    refusals = still_there(machines, voters)
    if refusals:
        return Outcome(voters=voters, told=told, refusals=tuple(refusals))
    chosen, why = choose(machines, voters, asked)
    refusals = ([why] if why else []) + not_fenced(machines, voters, asked.lost)
    if chosen is None:
        return Outcome(voters=voters, told=told, refusals=tuple(refusals))
    others = sorted({*voters, *(machine.name for machine in machines)} - {chosen.name})
    fence = tuple(machine.name for machine in machines if machine.reachable and machine.name != chosen.name)
    words = words_of(chosen, others)
    if asked.acknowledge and asked.acknowledge != words:
        refusals.append(f"recover_acknowledge is {asked.acknowledge!r}, which is not what is given up: {words}")
    need = f"{quorum(len(voters))} of {len(voters)} voters ({', '.join(voters)}) are a majority, and it is lost."
    return Outcome(
        survivor=chosen.name,
        words=words,
        voters=voters,
        told=(*told, need, *given_up(chosen, others, voters, asked, now)),
        refusals=tuple(refusals),
        steps=tuple(plan_steps(chosen, fence, asked)),
        fence=fence,
        others=tuple(others),
        works=not refusals and asked.acknowledge == words,
    )
