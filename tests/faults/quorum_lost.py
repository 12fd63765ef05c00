# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two of three control planes are destroyed while somebody writes: what the survivor has received is there again."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from lab import faults, nodes, probefiles
from lab.ledger import Ack, numbers, read_ledger
from tests.e2e.upgrading import watched
from tests.e2e.workload import Workload
from tests.faults.cases import containers, slug
from tests.faults.losses import Loss, Losses, gap_within

RECOVER = "playbooks/recover_quorum.yml"
SURVIVOR, DESTROYED = "cp1", ("cp2", "cp3")
# Until a leader without followers knows that it is none, and writes no more.
STILL_SECONDS = 5.0
# The prober's writes in the survivor's log, from its raw bytes: not by the reader that the recovery uses.
LOG_SCRIPT = r"""
import glob, json, re
found = {}
for path in sorted(glob.glob("/var/lib/etcd/member/wal/*.wal")):
    data = open(path, "rb").read()
    for match in re.finditer(rb"/registry/configmaps/lab-probe/probe-(new|kept).{0,2000}?written\x12", data, re.S):
        at, size, shift, byte = match.end(), 0, 0, 128
        while byte > 127:
            byte = data[at]
            size |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
        last = re.split(rb"[,-]", data[at:at + size])[-1]
        found.setdefault(match.group(1).decode(), set()).add(int(last or 0))
print(json.dumps({stream: sorted(numbers) for stream, numbers in found.items()}))
"""


def judge(
    acks: Iterable[Ack], received: Mapping[str, Sequence[int]], final: Mapping[str, str]
) -> tuple[int, list[str]]:
    """How many acknowledged writes only the destroyed machines had, and what is wrong.

    received: by stream the number of every write in the survivor's log.
    final: by stream the set of numbers at the end, such as `1-4,6`.
    """
    only_there, wrong = 0, []
    for ack in acks:
        if ack.stream in final and ack.seq in numbers(final[ack.stream]):
            continue
        if ack.stream not in final or ack.seq in received.get(ack.stream, ()):
            wrong.append(f"{ack.stream}: write {ack.seq}, acknowledged and received by the survivor, is lost")
        else:
            only_there += 1
    return only_there, wrong


class QuorumLost:
    """The cases, on the lab of the losses."""

    def __init__(self, losses: Losses) -> None:
        self.losses = losses
        self.site = losses.site

    def cases(self) -> Iterator[Loss]:
        """The loss and the recovery, then the other two join again."""
        workload = self.losses.build()
        self.site.admin = SURVIVOR
        yield self.recovered(workload)
        for name in DESTROYED:
            yield self.losses.case(workload, f"{name} is made anew", partial(self.join, name), limits=(4.0, 4.0))

    def join(self, name: str) -> str:
        """One more control plane; the last one's verify has nothing to miss."""
        run = self.losses.play(f"join-{name}", "playbooks/replace_node.yml", "-e", f"node={name}")
        return self.losses.settled(run) if name == DESTROYED[-1] else ""

    def recovered(self, workload: Workload) -> Loss:
        """Destroy, look, recover. The gap is the time from the command to the first write."""
        before = containers(self.site)
        name = "two of three control planes are destroyed, recovered from the third"
        with watched(self.site, workload, slug(name)) as seen:
            time.sleep(10)
            faults.kill(self.site.settings, list(DESTROYED))
            time.sleep(STILL_SECONDS)
            received = json.loads(self.site.on(SURVIVOR, "python3", "-c", LOG_SCRIPT))
            nodes.remove(self.site.settings, DESTROYED)
            look = self.losses.play("look", RECOVER, "-e", f"recover_lost={','.join(DESTROYED)}")
            words = re.search(r"recover_acknowledge=(\S+)", look.text)
            began = time.monotonic()
            problem = "it does not ask for an acknowledgement" if not words or look.changed() else ""
            if words:
                run = self.losses.play(
                    "recover", RECOVER, "-e", f"survivor={SURVIVOR}", "-e", f"recover_lost={','.join(DESTROYED)}",
                    "-e", f"recover_acknowledge={words[1]}",
                )  # fmt: skip
                problem = problem or run.problem()
            ended = time.monotonic()
            # Some writes more, by which the objects are known to live.
            time.sleep(10)
        out = seen.out
        probes = probefiles.load_lines(out / probefiles.PROBES)
        only_there, wrong = judge(
            read_ledger(out / probefiles.LEDGER), received, probefiles.load(out / probefiles.FINAL)
        )
        after = containers(self.site)
        wrong += [f"{pod} was {found}, is {after.get(pod)}" for pod, found in before.items() if after.get(pod) != found]
        wrong += seen.unserved
        wrong += [] if received else ["nothing was found in the survivor's log: this proves nothing"]
        started = probefiles.load(out / probefiles.META)["started"]
        told = f"{only_there} acknowledged writes were only on what was destroyed; {len(before)} pods of workers ran on"
        self.losses.blank(*DESTROYED)
        return Loss(
            name, "; ".join(filter(None, [problem, *wrong])), round(ended - began, 1),
            gap_within(probes, began, ended), seen.api["failed_share"], seen.api["ledger"]["acknowledged"],
            seen.shop["asked"], len(seen.shop["failed"]), told, loss=gap_within(probes, started, began),
        )  # fmt: skip
