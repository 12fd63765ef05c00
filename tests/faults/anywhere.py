# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`site`, `remove_node`, `add_nodes` and `replace_node` killed anywhere, run again, compared with an undisturbed run.

Where a run is killed is drawn: in any of its tasks, or at any of its seconds. Each point is drawn from the seed and its
number alone, so that it can be tried again by itself, with the undisturbed runs' figures that are in the results.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import faults, inventory, nodes
from lab.errors import LabError
from lab.podman import containers, exec_argv
from lab.shell import parallel, run
from tests.e2e.support import Run, Site
from tests.faults import machine_look
from tests.faults.cases import keep, slug
from tests.faults.ends import End, changed, differences, end, ill, tolerance, unsafe
from tests.faults.killing import Point, kill_at
from tests.faults.steps import problem_of

SEED = 7
TASK = re.compile(r"^TASK \[(.+?)\] \**$", re.MULTILINE)
# What the run lock says to who comes second.
HELD = "another run is changing this cluster"
# SAFETY.md: two samples, so far apart, have to agree.
APART = 5.0
# An end is looked at again so often before it counts as another one: HAProxy and the kubelet say things late.
LOOKS = 4
UNDISTURBED, POINT = "undisturbed", "point"


@dataclass(frozen=True)
class Operation:
    """A command, and what it is about. servers: so many API servers serve all the time. lost: the machine dies before.

    after: the operation that makes room for this one, when it is not the one before it.
    """

    name: str
    playbook: str
    arguments: tuple[str, ...] = ()
    touches: str = ""
    servers: int = 0
    after: str = ""
    lost: bool = False
    blank: bool = False

    @property
    def like(self) -> str:
        """What it has in common with the same on another machine of the kind: its tasks, and its end."""
        return kind_of(self.name)


def kind_of(operation: str) -> str:
    """Its name without the machine's number."""
    return operation.rstrip("0123456789")


def remove(name: str, servers: int, *arguments: str) -> Operation:
    """The machine leaves."""
    return Operation(f"remove {name}", "playbooks/remove_node.yml", ("-e", f"node={name}", *arguments), name, servers)


def add(name: str, servers: int) -> Operation:
    """It comes back."""
    arguments = ("-e", f"nodes={name}")
    return Operation(f"add {name}", "playbooks/add_nodes.yml", arguments, name, servers, after=f"remove {name}")


def lose(name: str, servers: int) -> Operation:
    """It is lost for good, and a blank one has its name."""
    return Operation(f"replace {name}", "playbooks/replace_node.yml", ("-e", f"node={name}"), name, servers, lost=True)


@dataclass(frozen=True)
class Plan:
    """A campaign. operations: of each point, in their order."""

    name: str
    machines: tuple[str, ...]
    operations: tuple[Operation, ...]

    def kinds(self) -> list[Operation]:
        """Of each kind the first operation."""
        first: dict[str, Operation] = {}
        for one in self.operations:
            first.setdefault(one.like, one)
        return list(first.values())


WORKER = (remove("w2", 3), add("w2", 3))
CONTROL_PLANE = (remove("cp3", 2, "-e", "remove_confirm_no_tolerance=true"), add("cp3", 2))
TURNS = ("cp1", "w2", "cp2", "lb2", "cp3")
REPLACED = tuple(lose(name, 2 if name.startswith("cp") else 3) for name in TURNS)
SITE = Operation("site", "site.yml", blank=True)
PLANS = {
    plan.name: plan
    for plan in (
        Plan("anywhere-site", ("lb1", "cp1", "cp2", "cp3", "w1"), (SITE,) * 12),
        Plan("anywhere-remove", ("lb1", "cp1", "cp2", "cp3", "w1", "w2"), WORKER * 12 + CONTROL_PLANE * 5),
        Plan("anywhere-replace", ("lb1", "lb2", "cp1", "cp2", "cp3", "w1", "w2"), (REPLACED * 3)[:14]),
    )
}


@dataclass
class Undisturbed:
    """One operation that nobody disturbs. walls: how long each task took. same: what all of its kind end with."""

    operation: str
    seconds: float
    walls: list[float]
    problem: str
    same: dict[str, Any]
    kind: str = UNDISTURBED


@dataclass
class Outcome:
    """What became of one point. during: the task that had begun last. seen: what served in the moment after the kill.

    reached: False where the run had ended before it was to be killed. refused: how many runs found the lock taken.
    orphans: members that never started, and learners, in the end.
    """

    number: int
    seed: int
    operation: str
    killed: str
    kind: str = POINT
    reached: bool = False
    during: str = ""
    ran: float = 0.0
    seen: str = ""
    unsafe: list[str] = field(default_factory=list)
    refused: int = 0
    again: float = 0.0
    orphans: int = 0
    problems: list[str] = field(default_factory=list)
    problem: str = ""


def undisturbed(runs: Sequence[Mapping[str, Any]]) -> dict[str, Undisturbed]:
    """Those among results that nobody disturbed, by the operation's kind."""
    calm = [run for run in runs if run["kind"] == UNDISTURBED and not run["problem"] and not ill(run["same"])]
    return {kind_of(run["operation"]): Undisturbed(**run) for run in calm}


def draw(seed: int, campaign: str, number: int, known: Undisturbed) -> Point:
    """Where this point's run is killed: always the same for the same figures."""
    chance = random.Random(f"{seed} {campaign} {number}")
    tasks = range(1, len(known.walls) + 1)
    if chance.random() < 0.5:
        # A second of the run, told from the task in which it is: no two runs take the same time.
        nth = chance.choices(tasks, known.walls)[0]
        seconds = round(chance.uniform(0, known.walls[nth - 1]), 1)
        return Point(
            f"second {sum(known.walls[: nth - 1]) + seconds:.1f}, {_after(seconds, nth)}", "TASK ", seconds, nth
        )
    nth, seconds = chance.choice(tasks), round(chance.uniform(0, 1.5), 1)
    return Point(f"{_after(seconds, nth)} of {len(tasks)}", "TASK ", seconds, nth)


def _after(seconds: float, nth: int) -> str:
    return f"{seconds} s after the begin of task {nth}"


def walls(text: str, budget: Mapping[str, Any]) -> list[float]:
    """How long each task of a run took, in their order; of one that came more than once its mean."""
    tasks = TASK.findall(text)
    took = {row["name"]: float(row["wall"]) for row in budget["tasks"]}
    return [round(took.get(name, 0.0) / tasks.count(name), 2) for name in tasks]


def last_task(text: str) -> str:
    """The task that a run had begun last."""
    tasks = TASK.findall(text)
    return tasks[-1].replace("quorum.kubeadm.", "") if tasks else "none yet"


class Anywhere:
    """One campaign on one lab."""

    def __init__(self, site: Site, plan: Plan, seed: int) -> None:
        self.site = site
        self.plan = plan
        self.seed = seed
        self.known: dict[str, Undisturbed] = {}
        self.standing = False
        self.gone: set[str] = set()
        # How the cluster was found last, if nothing has been done to it since.
        self.last: End | None = None

    def adopt(self) -> None:
        """Begin with the cluster that stands from before. Machines that its lab did not have join."""
        new = sorted(set(self.plan.machines) - set(containers(self.site.settings)))
        if new:
            nodes.up(self.site.settings, new)
            inventory.write(self.site.settings, self.site.inventory)
            self.must("playbooks/add_nodes.yml", "-e", f"nodes={','.join(new)}")
        there = self.site.kubectl_from("cp1", "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split()
        self.standing = True
        self.gone = {name for name in self.plan.machines if not name.startswith("lb")} - set(there)

    def undisturbed(self) -> Iterator[Undisturbed]:
        """Every operation that is not known yet once, to its end."""
        for operation in [one for one in self.plan.kinds() if one.like not in self.known]:
            self.prepare(operation)
            began = time.monotonic()
            ran = self.site.play(operation.playbook, *operation.arguments)
            seconds = round(time.monotonic() - began, 1)
            keep(slug(f"{operation.name} undisturbed"), ran)
            self.last = found = self.settled()
            problem = problem_of(ran) or "; ".join([*found.wrong, *ill(found.same)])
            same = json.loads(json.dumps(found.same))
            self.known[operation.like] = Undisturbed(
                operation.name, seconds, walls(ran.text, ran.budget), problem, same
            )
            self.note(operation, problem)
            yield self.known[operation.like]
            if problem:
                raise LabError(f"{operation.name}, undisturbed: {problem}", "there is nothing to compare with")

    def points(self, only: Sequence[int]) -> Iterator[Outcome]:
        """Only these, or all, and then one more for each whose run ended before it was to be killed."""
        if only:
            yield from map(self.point, only)
            return
        number, last = 1, len(self.plan.operations)
        while number <= last:
            outcome = self.point(number)
            yield outcome
            # Not without end, where nothing can be reached.
            last += not outcome.reached and last < 2 * len(self.plan.operations)
            number += 1

    def point(self, number: int) -> Outcome:
        """One point, by its number; more than are planned begin anew. A look that fails is a result, too."""
        operation = self.plan.operations[(number - 1) % len(self.plan.operations)]
        point = draw(self.seed, self.plan.name, number, self.known[operation.like])
        outcome = Outcome(number, self.seed, operation.name, point.name)
        try:
            before = self.prepare(operation)
            self.kill(outcome, operation, point)
            self.finish(outcome, operation, before)
        except LabError as exc:
            outcome.problems.append(str(exc))
        outcome.problem = "; ".join(outcome.problems)
        self.note(operation, outcome.problem)
        return outcome

    def kill(self, outcome: Outcome, operation: Operation, point: Point) -> None:
        """Begin it, kill it, look at once what still serves."""
        began = time.monotonic()
        killed = kill_at(self.site, operation.playbook, point, *operation.arguments)
        outcome.ran = round(time.monotonic() - began, 1)
        keep(slug(f"{self.plan.name} {outcome.number} killed"), killed)
        outcome.reached, outcome.during = killed.reached, last_task(killed.text)
        begun = not operation.blank
        looks = self.looks()
        outcome.seen = str(tolerance(looks))
        if unsafe(looks, operation.servers, begun):
            time.sleep(APART)
            outcome.unsafe = unsafe(self.looks(), operation.servers, begun)
            outcome.problems += [f"unsafe: {found}" for found in outcome.unsafe]

    def finish(self, outcome: Outcome, operation: Operation, before: End) -> None:
        """The same command again, to its end, which has to be that of an undisturbed run."""
        began = time.monotonic()
        ran, outcome.refused = self.again(operation)
        outcome.again = round(time.monotonic() - began, 1)
        keep(slug(f"{self.plan.name} {outcome.number} again"), ran)
        if problem := problem_of(ran):
            outcome.problems.append(problem)
        found, wrong = self.compared(operation, before)
        self.last = found
        outcome.orphans = sum(not member.endswith(" voter") or "never" in member for member in found.same["members"])
        outcome.problems += wrong

    def prepare(self, operation: Operation) -> End:
        """The cluster that the operation begins with, as it is before anything is lost."""
        if operation.blank:
            self.site.cluster.recreate()
            return End()
        if not self.standing:
            self.build()
        away = operation.touches if operation.after else ""
        for name in sorted(self.gone - {away}):
            self.must("playbooks/add_nodes.yml", "-e", f"nodes={name}")
            self.gone.discard(name)
        if away and away not in self.gone:
            by_name = {one.name: one for one in self.plan.operations}
            first = by_name[operation.after]
            self.must(first.playbook, *first.arguments)
            self.gone.add(away)
        before, self.last = self.last or self.end(), None
        if operation.lost:
            faults.kill(self.site.settings, [operation.touches])
            nodes.recreate(self.site.settings, [operation.touches])
        return before

    def build(self) -> None:
        """A whole cluster from blank machines."""
        self.site.cluster.recreate()
        self.must("site.yml")
        self.standing, self.gone = True, set()

    def must(self, playbook: str, *arguments: str) -> None:
        """A run that is no part of what is tried."""
        self.last = None
        if problem := problem_of(self.site.play(playbook, *arguments)):
            raise LabError(f"{playbook} {' '.join(arguments)}: {problem}")

    def note(self, operation: Operation, problem: str) -> None:
        """What there is now. After a problem the next one begins with machines made anew."""
        self.standing = not problem and not operation.blank
        (self.gone.add if operation.name.startswith("remove") else self.gone.discard)(operation.touches)

    def again(self, operation: Operation) -> tuple[Run, int]:
        """The same command again; where it finds the killed run's lock, once more, and how often that was so."""
        for refused in range(10):
            ran = self.site.play(operation.playbook, *operation.arguments)
            if not ran.status or HELD not in " ".join(ran.text.split()):
                return ran, refused
            time.sleep(5)
        return ran, refused + 1

    def looks(self) -> dict[str, dict[str, Any]]:
        """Every machine, at once."""
        script = Path(machine_look.__file__).read_bytes()
        settings = self.site.settings

        def look(name: str) -> dict[str, Any]:
            argv = exec_argv(settings, name, ["python3", "-", settings.vip])
            argv.insert(2, "--interactive")
            found: dict[str, Any] = json.loads(run(argv, stdin=script, timeout=120).stdout)
            return found

        return dict(zip(self.site.cluster.names, parallel(look, self.site.cluster.names), strict=True))

    def end(self) -> End:
        """How the cluster is now."""
        looks = self.looks()
        serving = next((name for name, look in looks.items() if look["serves"] and look["data"]), "")
        if not serving:
            raise LabError("no control plane serves")
        api = json.loads(self.site.kubectl_from(serving, "get", "nodes,leases", "-A", "-o", "json"))
        names = self.site.kubectl_from(serving, "-n", "kube-system", "get", "secrets", "-o", "name").split()
        return end(looks, {"items": api["items"], "secrets": [name.partition("/")[2] for name in names]})

    def settled(self) -> End:
        """How the cluster is when HAProxy and the kubelet have seen it, too."""
        for _look in range(LOOKS):
            time.sleep(APART)
            found = self.end()
            if not ill(found.same):
                break
        return found

    def compared(self, operation: Operation, before: End) -> tuple[End, list[str]]:
        """The end; what is not as after the undisturbed run, or new on a machine that the run is not about."""
        want = self.known[operation.like].same
        for _look in range(LOOKS):
            found = self.end()
            wrong = [*found.wrong, *differences(want, json.loads(json.dumps(found.same)))]
            wrong += changed(before.kept, found.kept, operation.touches)
            if not wrong:
                break
            time.sleep(APART)
        return found, wrong
