# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""keepalived's advert interval: how soon a dead load balancer is replaced, and how often a slow one is by mistake."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from bench.cluster import Cluster
from bench.faults import heal
from bench.store import Results
from lab import faults
from lab.errors import LabError
from lab.podman import inside
from lab.shell import parallel, say, wait_for

TOPOLOGY = "lb=2,cp=1"
# Seconds between adverts. The role's default is one of them.
INTERVALS = (0.1, 0.2, 0.3, 0.5, 1.0)
WATCH_SECONDS = 10.0
# Whoever took over answers all the time by then.
QUIET_SECONDS = 1.0
STRESS_SECONDS = 60.0
# Processes that never rest, for each core of this machine.
STRESS_PER_CORE = 8
API_PORT = 6443
CONFIG = "/etc/keepalived/keepalived.conf"
SET = (
    "sed -i -E 's/^( *(advert_int|interval)) .*/\\1 {seconds:g}/' {config} "
    "&& keepalived -t -f {config} && systemctl restart keepalived"
)
BECAME_MASTER = "journalctl -q -o cat -u keepalived --since @{since:d} | grep -c 'Entering MASTER STATE'"
SPIN = "while True: pass"


class Pair:
    """The two load balancers of the cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.settings = cluster.settings
        self.names = cluster.groups["lb"]

    def use(self, seconds: float) -> None:
        """Run both with this advert interval, and wait until one of them has settled as the holder."""
        script = SET.format(seconds=seconds, config=CONFIG)
        parallel(lambda name: inside(self.settings, name, script), self.names)
        self.settle()

    def settle(self) -> str:
        """Wait until the VIP is on one machine, and still is three seconds later."""

        def well() -> bool:
            before = self.holders()
            time.sleep(3.0)
            return len(before) == 1 and self.holders() == before and self.answers(1.0)

        wait_for("one holder of the VIP", well, 60, pause=0.2)
        return self.holders()[0]

    def holders(self) -> list[str]:
        """The machines that carry the VIP now."""
        return self.cluster.vip_holders(self.names)

    def answers(self, timeout: float) -> bool:
        """Whether the VIP takes a connection."""
        return self.cluster.vip_answers(API_PORT, timeout)

    def elections(self, since: float) -> int:
        """How often a machine became the holder since then."""
        script = BECAME_MASTER.format(since=int(since))
        return sum(int(inside(self.settings, name, script, check=False) or 0) for name in self.names)


def takeover(pair: Pair) -> float:
    """Kill the holder; the longest time without a connection at the VIP."""
    holder = pair.settle()
    killed = time.monotonic()
    faults.kill(pair.settings, [holder])
    last, longest = killed, 0.0
    while time.monotonic() - killed < WATCH_SECONDS:
        if pair.answers(0.05):
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        time.sleep(0.01)
    silent = time.monotonic() - last > QUIET_SECONDS
    faults.start(pair.settings, [holder])
    if silent:
        raise LabError(f"nothing answered at the VIP within {WATCH_SECONDS:g} s after {holder} was killed")
    return round(longest, 2)


@contextlib.contextmanager
def stress(processes: int) -> Iterator[None]:
    """Processes that take all the time they get."""
    running = [subprocess.Popen([sys.executable, "-c", SPIN], stdin=subprocess.DEVNULL) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def false_failovers(pair: Pair, processes: int) -> int:
    """How often the VIP moved, with every machine alive, while the processors were short."""
    pair.settle()
    # The journal's clock has whole seconds.
    time.sleep(1.0)
    since = time.time()
    with stress(processes):
        time.sleep(STRESS_SECONDS)
    time.sleep(2.0)
    return pair.elections(since)


def curve(cluster: Cluster, times: int) -> None:
    """Every interval: takeovers, then a time of stress."""
    results = Results("vrrp", f"python3 -m bench vrrp --times {times}")
    pair = Pair(cluster)
    processes = STRESS_PER_CORE * int(results.data["machine"]["cores"])
    for seconds in INTERVALS:
        result: dict[str, Any] = {"interval": seconds, "processes": processes, "stress_seconds": STRESS_SECONDS}
        try:
            pair.use(seconds)
            result["gaps"] = [takeover(pair) for _ in range(times)]
            result["false_failovers"] = false_failovers(pair, processes)
            result["failed"] = False
        except (LabError, ValueError) as exc:
            result |= {"failed": True, "error": str(exc)}
            heal(cluster)
        say(f"adverts every {seconds:g} s: {result}")
        results.add(result)
