# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry point of `python3 -m bench`: measures, keeps every result at once, writes RESULTS.md."""

from __future__ import annotations

import argparse
import os
import sys

from bench import faults, report, site, sources, upgrades, vrrp
from bench.cluster import Cluster
from lab import nodes
from lab.errors import LabError
from lab.settings import Settings, load, topology
from lab.shell import say

PARTS = ("site", "small", "sources", "upgrades", "faults", "vrrp", "report")


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(prog="python3 -m bench", description=__doc__)
    top.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default all")
    top.add_argument("--pairs", type=int, default=3, help="pairs of site.yml and baseline.sh")
    top.add_argument("--small-pairs", type=int, default=3, help="the same on the 3 + 1 topology")
    top.add_argument("--source-times", type=int, default=2, help="rounds of the three sources of software")
    top.add_argument("--upgrade-pairs", type=int, default=1, help="pairs of upgrade.yml and upgrade.sh")
    top.add_argument(
        "--times", type=int, default=5, help="repetitions of every fault, and of a takeover at every advert interval"
    )
    top.add_argument("--scenario", action="append", default=[], help="only this fault; may be given again")
    top.add_argument("--here", action="store_true", help="faults, vrrp: use the cluster that stands")
    top.add_argument("--keep", action="store_true", help="leave the lab standing at the end")
    return top


def built(settings: Settings, machines: str, label: str, args: argparse.Namespace) -> Cluster:
    """A cluster, made by site.yml unless one is there."""
    cluster = Cluster(settings, topology(machines), label)
    if not args.here:
        run = site.first_run(cluster)
        if run["failed"]:
            raise LabError("site.yml failed, so there is nothing to measure:\n" + "\n".join(run["tail"]))
    return cluster


def main() -> int:
    """Run the parts in order; a part that fails does not keep the others from being measured."""
    args = parser().parse_args()
    parts = args.parts or list(PARTS)
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        parser().error(f"no such part: {', '.join(unknown)}")
    # A lab of its own, also for the programs that are started: the user's is not measured and not removed.
    os.environ["LAB_NAME"] = os.environ.get("BENCH_LAB_NAME", "bench")
    os.environ.pop("LAB_SUBNET", None)
    settings = load()
    todo = {
        "site": lambda: site.pairs(settings, args.pairs),
        "small": lambda: site.small(settings, args.small_pairs),
        "sources": lambda: sources.compare(settings, args.source_times),
        "upgrades": lambda: upgrades.compare(settings, args.upgrade_pairs),
        "faults": lambda: faults.campaign(built(settings, site.FULL, "faults", args), args.times, args.scenario),
        "vrrp": lambda: vrrp.curve(built(settings, vrrp.TOPOLOGY, "vrrp", args), args.times),
    }
    failed = False
    for part in (part for part in PARTS[:-1] if part in parts):
        try:
            todo[part]()
        except LabError as exc:
            say(f"error: {part}: {exc}")
            failed = True
        report.write()
    if "report" in parts:
        report.write()
    if not args.keep and set(parts) - {"report"}:
        nodes.down(settings)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
