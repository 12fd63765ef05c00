# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gates' truth table, tried on real etcd clusters while a client writes.

Each cluster has so many voters, of which so many are made unhealthy. Every step is asked of the gate; one that is
allowed is then done, one that is refused is also asked of the module that would do it, which has to refuse as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.quorum.kubeadm.plugins.module_utils.etcd_api import text
from tests.faults.etcd_ways import WAYS, Ways, breakable
from tests.faults.etcd_writer import Writer
from tests.integration.etcd_cluster import EtcdCluster, eventually
from tests.integration.servers import client_context

# Voters, unhealthy: each with a quorum, and one more lost.
CLUSTERS = [(voters, lost) for voters in range(1, 8) for lost in range((voters - 1) // 2 + 2) if lost < voters]
TIMES: dict[str, Any] = {"timeout": 2.0, "sample_seconds": 1.0, "wait_seconds": 60.0}
# A no that is not expected may be a busy machine's: it is waited for so long, as playbooks do.
PATIENCE = 15.0
# So many writes a second are wanted; no step that is allowed may stop them for longer.
RATE, GAP = 50, 5.0


def most(members: int) -> int:
    """More than half of them."""
    return members // 2 + 1


def allowed(action: str, voters: int, lost: int) -> bool:
    """What SAFETY says, written down anew: the code under test is not asked."""
    healthy = voters - lost
    return {
        "restart a healthy member": healthy - 1 >= most(voters),
        "restart the unhealthy member": healthy >= most(voters),
        "defragment a healthy member": lost == 0 and healthy - 1 >= most(voters),
        # Beyond the quorum now, etcd itself wants one after the promotion when a voter is down.
        "add a learner": healthy >= most(voters) and (lost == 0 or healthy >= most(voters + 1)),
        "restart while a learner joins": False,
        "add a second learner": False,
        "promote the learner": healthy >= most(voters) and (voters == 1 or healthy >= most(voters + 1)),
        "remove a healthy member": voters > 1 and healthy >= most(voters) and healthy - 1 >= most(voters - 1),
        "remove the unhealthy member": voters > 1 and healthy >= most(voters),
    }[action]


@dataclass
class Row:
    """One step asked of one cluster. said: "yes" or the gate's reasons. gap: the longest time without a write.

    checked, missing: writes that had been acknowledged, told with the last row of a cluster.
    """

    action: str
    voters: int
    lost: int
    ways: str
    wanted: bool
    said: str = ""
    done: str = ""
    seconds: float = 0.0
    acknowledged: int = 0
    gap: float = 0.0
    problem: str = ""
    cluster: str = ""
    checked: int = 0
    missing: int = 0


@dataclass
class Trial:
    """One cluster, its writer and what is asked of it."""

    ways: Ways
    writer: Writer
    lost: list[str]
    rows: list[Row] = field(default_factory=list)

    @property
    def cluster(self) -> EtcdCluster:
        return self.ways.cluster

    def info(self) -> dict[str, Any]:
        """The cluster through any member; the healthy ones are asked first, so that a frozen one costs nothing."""
        names = sorted(self.cluster.members, key=lambda name: name in self.ways.made)
        urls = [self.cluster.members[name].url for name in names]
        result = self.cluster.info(urls, hashes=False, timeout=1.0)
        return dict(result.get("etcd") or {"members": [], "healthy_voters": -1, "voters": -1, "leader": None})

    def settle(self, healthy: int, voters: int) -> dict[str, Any]:
        """Until so many are healthy, with a leader when there can be one."""
        quorum = voters // 2 + 1
        want = (healthy if healthy >= quorum else 0, voters)

        def good(seen: dict[str, Any]) -> bool:
            return (seen["healthy_voters"], seen["voters"]) == want and (want[0] == 0 or seen["leader"] is not None)

        return eventually(self.info, good, 60)

    def endpoints(self) -> list[str]:
        names = [name for name in self.cluster.members if name not in self.ways.made]
        return [self.cluster.members[name].url for name in names if self.cluster.members[name].server is not None]

    def follower(self) -> str:
        """A healthy voter that does not lead; the leader where there is no other."""
        names = [name for name in self.cluster.members if name not in self.ways.made]
        seen = self.info()
        leading = {member["name"] for member in seen["members"] if member["leader"]}
        return next((name for name in sorted(names) if name not in leading), names[0])

    def fault(self, name: str, way: str) -> None:
        """And large writes, which a full disk needs in order to be noticed."""
        others = [other for other in self.cluster.members if other not in (name, *self.ways.made)]
        self.ways.make(name, way, lambda: self.cluster.put(others[0], f"large/{time.monotonic()}", 65536))

    def member_ids(self) -> list[str]:
        return sorted(f"{member['id']}{member['learner']}" for member in self.info()["members"])

    def row(self, action: str, voters: int, lost: int, gate: Callable[[], dict[str, Any]],
            act: Callable[[], str], refuse: Callable[[], dict[str, Any]] | None = None) -> bool:  # fmt: skip
        """Ask; when allowed do it. Returns whether it was done."""
        ways = ", ".join(sorted(self.ways.made.values())) or "-"
        row = Row(action, voters, lost, ways, allowed(action, voters, lost))
        self.rows.append(row)
        began = time.monotonic()
        answer = gate()
        said = not answer.get("failed")
        row.said = "yes" if said else str(answer.get("error", {}).get("found") or answer.get("msg"))
        if said != row.wanted:
            row.problem = f"the gate said {row.said}"
        elif said:
            row.done, row.problem = self._try(act)
        else:
            row.done, row.problem = self._refused(refuse)
        row.seconds = round(time.monotonic() - began, 1)
        row.acknowledged, gap = self.writer.since(began)
        row.gap = round(gap, 2)
        if voters > 2 and said and not row.problem and row.gap > GAP:
            row.problem = f"no write for {row.gap} s"
        return said and not row.problem

    def _try(self, act: Callable[[], str]) -> tuple[str, str]:
        try:
            return act(), ""
        except AssertionError as exc:
            return "", f"not done: {str(exc)[:300]}"

    def _refused(self, refuse: Callable[[], dict[str, Any]] | None) -> tuple[str, str]:
        if refuse is None:
            return "refused", ""
        before = self.member_ids()
        answer = refuse()
        if not answer.get("failed"):
            return "", f"the gate refused, the module did it: {answer.get('steps')}"
        after = self.member_ids()
        return ("refused by gate and module", "") if before == after else ("", f"members {before} became {after}")

    def member(self, state: str, **args: Any) -> dict[str, Any]:
        """etcd_member through a healthy one."""
        names = [one for one in self.cluster.members if one not in self.ways.made and one != args.get("name")]
        return self.cluster.member(state, through=(names or list(self.cluster.members))[0], **{**TIMES, **args})

    def gate(self, action: str, name: str, wanted: bool, **args: Any) -> dict[str, Any]:
        wait = PATIENCE if wanted else 0
        return self.cluster.gate(action, name, self.endpoints(), timeout=TIMES["timeout"], wait_seconds=wait, **args)

    # What is asked, in this order.

    def restart_healthy(self, voters: int, lost: int) -> None:
        name = self.follower()

        def act() -> str:
            self.ways.restart(name)
            self.settle(voters - lost, voters)
            return "restarted"

        action = "restart a healthy member"
        wanted = allowed(action, voters, lost)
        self.row(action, voters, lost, lambda: self.gate("restart", name, wanted), act)

    def defragment(self, voters: int, lost: int) -> None:
        name = self.follower()
        args = {"name": name, "min_size_mib": 0, "min_free_percent": 0, "timeout": TIMES["timeout"]}
        if not lost:
            eventually(self.info, lambda seen: all(m["db_size"] > m["db_size_in_use"] for m in seen["members"]))

        def act() -> str:
            done = self.cluster.maintain("defragment", **args)
            assert not done.get("failed"), done
            self.settle(voters - lost, voters)
            assert done["steps"], "nothing was free"
            return "; ".join(done["steps"])

        self.row("defragment a healthy member", voters, lost,
                 lambda: self.cluster.maintain("defragment", check=True, **args), act,
                 lambda: self.cluster.maintain("defragment", **args))  # fmt: skip

    def restart_unhealthy(self, voters: int, lost: int) -> None:
        name = self.lost[0]
        way = self.ways.made[name]

        def act() -> str:
            if way in ("frozen", "cut off"):
                self.ways.mend(name)
                self.ways.restart(name)
            else:
                self.ways.mend(name)
            self.settle(voters - lost + 1, voters)
            self.fault(name, way)
            self.settle(voters - lost, voters)
            return "restarted, healthy again"

        action = "restart the unhealthy member"
        wanted = allowed(action, voters, lost)
        self.row(action, voters, lost, lambda: self.gate("restart", name, wanted), act)

    def add(self, voters: int, lost: int) -> bool:
        added = self.cluster.plan("new")
        self.ways.prepare("new")
        urls = [added.peer_url]

        def act() -> str:
            done = self.member("present", name="new", peer_urls=urls)
            assert not done.get("failed"), done
            return "; ".join(done["steps"])

        wanted = allowed("add a learner", voters, lost)
        good = self.row("add a learner", voters, lost,
                        lambda: self.gate("add_learner", "new", wanted, peer_url=urls[0]), act,
                        lambda: self.member("present", name="new", peer_urls=urls))  # fmt: skip
        if not good:
            del self.cluster.members["new"]
            return False
        name = next(one for one in sorted(self.cluster.members) if one not in self.ways.made and one != "new")
        self.row("restart while a learner joins", voters, lost,
                 lambda: self.gate("restart", name, False), lambda: "")  # fmt: skip
        other = "https://127.0.0.1:1"
        self.row("add a second learner", voters, lost,
                 lambda: self.gate("add_learner", "newer", False, peer_url=other), lambda: "",
                 lambda: self.member("present", name="newer", peer_urls=[other]))  # fmt: skip
        return True

    def promote(self, voters: int, lost: int) -> bool:
        """Whether there is one voter more now; otherwise the learner is removed again."""
        urls = [self.cluster.members["new"].peer_url]
        args = {"name": "new", "peer_urls": urls}

        def act() -> str:
            with suppress(AssertionError):
                self.cluster.start("new")
            done = self.member("promoted", **args)
            assert not done.get("failed"), done
            self.settle(voters - lost + 1, voters + 1)
            return "; ".join(done["steps"])

        if self.row("promote the learner", voters, lost, lambda: self.member("promoted", check=True, **args), act,
                    lambda: self.member("promoted", **args)):  # fmt: skip
            return True
        self.forget("new", self.member("absent", peer_urls=urls))
        return False

    def remove(self, voters: int, lost: int, name: str, action: str) -> bool:
        def act() -> str:
            done = self.member("absent", name=name, confirm_no_tolerance=True)
            assert not done.get("failed"), done
            self.forget(name, done)
            left = lost - (action == "remove the unhealthy member")
            self.settle(voters - 1 - left, voters - 1)
            return "; ".join(done["steps"])

        wanted = allowed(action, voters, lost)
        return self.row(action, voters, lost, lambda: self.gate("remove", name, wanted), act,
                        lambda: self.member("absent", name=name, confirm_no_tolerance=True))  # fmt: skip

    def forget(self, name: str, done: dict[str, Any]) -> None:
        """Its machine is switched off."""
        assert not done.get("failed"), done
        member = self.cluster.members[name]
        if self.ways.made.get(name) == "cut off":
            self.ways.reconnect(name)
        if member.server is not None:
            member.kill()
        self.ways.made.pop(name, None)
        del self.cluster.members[name]
        if name in self.lost:
            self.lost.remove(name)

    def everything(self, voters: int, lost: int) -> None:
        """Every row of a cluster of this size with so many lost."""
        self.restart_healthy(voters, lost)
        if lost < 2:
            self.defragment(voters, lost)
        if lost:
            self.restart_unhealthy(voters, lost)
        if self.add(voters, lost) and self.promote(voters, lost):
            voters += 1
            if self.remove(voters, lost, "new", "remove a healthy member"):
                voters -= 1
        if voters < 3 or lost == 0 or not allowed("remove a healthy member", voters, lost):
            done = self.remove(voters, lost, self.follower(), "remove a healthy member")
            voters -= done
        if lost and self.remove(voters, lost, self.lost[0], "remove the unhealthy member"):
            voters, lost = voters - 1, lost - 1
        for name in list(self.ways.made):
            self.ways.mend(name)
        self.settle(voters, voters)


def chosen(voters: int, lost: int) -> dict[str, str]:
    """Who is lost and how; all ways take turns. A full disk is noticed only while there is a quorum, so it is first."""
    turn = voters + lost
    names = [f"e{1 + (turn + number) % voters}" for number in range(lost)]
    ways = sorted((WAYS[(turn + number) % len(WAYS)] for number in range(lost)), key=lambda way: way != "disk full")
    return dict(zip(names, ways))


def judge(trial: Trial, final: dict[str, Any]) -> None:
    """Nothing acknowledged is lost, and it was written often enough: told with the last row."""
    last = trial.rows[-1]
    lost = trial.writer.lost(trial.cluster.api(next(iter(trial.cluster.members))))
    hashes = {member["hash"] for member in final["members"]}
    last.checked, last.missing = len(trial.writer.acknowledged), len(lost)
    if lost:
        last.problem += f" {len(lost)} acknowledged writes are lost: {', '.join(lost[:3])}"
    if len(hashes) != 1:
        last.problem += f" the members do not hold the same: {hashes}"


def leave_holes(cluster: EtcdCluster) -> None:
    """So that a defragmentation has something to do."""
    name = next(iter(cluster.members))
    for number in range(24):
        cluster.put(name, f"large/{number}", 65536)
    cluster.api(name).call("kv/deleterange", {"key": text("large/"), "range_end": text("large0")})
    done = cluster.maintain("compact")
    assert not done.get("failed"), done


def one(directory: Path, voters: int, lost: int) -> list[Row]:
    """All rows of one cluster."""
    faults = chosen(voters, lost)
    names = [f"e{number + 1}" for number in range(voters)]
    small = [name for name, way in faults.items() if way == "disk full"]
    with breakable(directory, names, small) as ways:
        cluster = ways.cluster
        context = client_context(cluster.authority.pair, cluster.client)
        trial = Trial(ways, Writer(list, context), list(faults))
        trial.writer.endpoints = trial.endpoints
        try:
            trial.settle(voters, voters)
            leave_holes(cluster)
            trial.writer.start()
            for name, way in faults.items():
                trial.fault(name, way)
            trial.settle(voters - lost, voters)
            trial.everything(voters, lost)
        except AssertionError as exc:
            trial.rows.append(Row("(the trial itself)", voters, lost, "", True, problem=str(exc)[:400]))
        finally:
            trial.writer.stop()
        if not trial.rows[-1].problem:
            judge(trial, cluster.info()["etcd"])
        return trial.rows


def rows(directory: Path, clusters: list[tuple[int, int]]) -> Iterator[Row]:
    """All rows of these clusters."""
    for voters, lost in clusters:
        for row in one(directory / f"{voters}-{lost}", voters, lost):
            row.cluster = f"{voters}-{lost}"
            yield row
