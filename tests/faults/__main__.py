# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry point of `make faults`: every campaign; results go to RESULTS.md beside this file, failures included."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.store import Results, load
from lab import nodes
from lab import settings as lab_settings
from lab.debian import SUITES
from lab.errors import LabError
from lab.podman import containers
from lab.shell import say
from tests.e2e.support import Site
from tests.faults import (
    anywhere,
    colocated,
    etcd_truth,
    external_etcd,
    losses,
    pairs,
    recover_other,
    renewal,
    report,
    reset,
    restore,
    rotate_key,
    snapshot_flips,
    upgrades,
    worker,
)
from tests.faults.cases import Case
from tests.faults.interrupted import POINTS, try_point
from tests.faults.quorum_lost import QuorumLost
from tests.faults.sources import Sources

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LAB = "qfaults"
MACHINES = ("lb1", "cp1", "cp2", "cp3", "w1")
Campaign = Callable[[lab_settings.Settings, Path, argparse.Namespace], Iterator[dict[str, Any]]]


def interrupted(settings: lab_settings.Settings, work: Path, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """`site` killed at many points."""
    site = Site(settings, MACHINES, work)
    for number in args.point or range(1, len(POINTS) + 1):
        yield asdict(try_point(site, POINTS[number - 1]))


def together(settings: lab_settings.Settings, work: Path, _args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Load balancers on the control planes."""
    for step in colocated.steps(Site(settings, colocated.MACHINES, work)):
        yield asdict(step)


def external(settings: lab_settings.Settings, work: Path, _args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """etcd on machines of its own."""
    for step in external_etcd.External(Site(settings, external_etcd.MACHINES, work)).steps():
        yield asdict(step)


def rotated(settings: lab_settings.Settings, work: Path, _args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The key for Secrets at rest rotated, and killed meanwhile."""
    site = Site(replace(settings, cpus=settings.cpus or upgrades.CPUS), rotate_key.MACHINES, work)
    for step in rotate_key.Rotations(site).steps():
        yield asdict(step)


def through_sources(suite: str) -> Campaign:
    """Every source of software on one Debian."""

    def campaign(settings: lab_settings.Settings, work: Path, _args: argparse.Namespace) -> Iterator[dict[str, Any]]:
        things = Sources(Site(settings, MACHINES, work))
        bundle = things.make_bundle()
        for source in ("bundle", "public", "mirror"):
            yield asdict(things.through(suite, source, bundle))

    return campaign


def broken_sources(settings: lab_settings.Settings, work: Path, _args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Sources that cannot be used, told before a service is touched."""
    for name, problem in Sources(Site(settings, MACHINES, work)).broken():
        yield {"broken": name, "problem": problem}


def etcd_rows(_settings: lab_settings.Settings, work: Path, _args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The gates' truth table on real etcd clusters."""
    for row in etcd_truth.rows(work, etcd_truth.CLUSTERS):
        yield asdict(row)


def damaged_snapshots(
    _settings: lab_settings.Settings, work: Path, _args: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Snapshots that are not what they were."""
    for row in snapshot_flips.rows(work):
        yield asdict(row)


def upgraded(part: Callable[[upgrades.Upgrades], Iterator[Case]], *, compared: bool = True) -> Campaign:
    """Upgrades under the prober. compared: the end has to be that of the undisturbed one, which was measured before."""

    def campaign(settings: lab_settings.Settings, work: Path, _args: argparse.Namespace) -> Iterator[dict[str, Any]]:
        site = Site(replace(settings, cpus=settings.cpus or upgrades.CPUS), upgrades.MACHINES, work)
        known = load("upgrade", report.RESULTS) or {"runs": [{}]}
        end = known["runs"][-1].get("end") or {}
        if compared and not end:
            raise LabError("nothing to compare with: run python3 -m tests.faults upgrade before")
        for case in part(upgrades.Upgrades(site, end)):
            yield asdict(case)

    return campaign


def lost(part: Callable[[losses.Losses], Iterator[losses.Loss]]) -> Campaign:
    """Machines that are lost under the prober."""

    def campaign(settings: lab_settings.Settings, work: Path, _args: argparse.Namespace) -> Iterator[dict[str, Any]]:
        site = Site(replace(settings, cpus=settings.cpus or losses.CPUS), losses.MACHINES, work)
        for case in part(losses.Losses(site)):
            yield asdict(case)

    return campaign


def killed_anywhere(name: str) -> Campaign:
    """A playbook killed at points that are drawn. Single points are compared with the undisturbed runs of before."""

    def campaign(settings: lab_settings.Settings, work: Path, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
        plan, known = anywhere.PLANS[name], anywhere.undisturbed((load(name, report.RESULTS) or {}).get("runs", []))
        tries = anywhere.Anywhere(Site(settings, plan.machines, work), plan, args.seed)
        if args.keep and containers(settings):
            tries.adopt()
        only = args.points or args.point or ()
        tries.known = known if only else {}
        yield from map(asdict, tries.undisturbed())
        for outcome in tries.points(only):
            yield asdict(outcome)

    return campaign


def on_lab(machines: Sequence[str], cpus: float, rows: Callable[[Site], Iterator[DataclassInstance]]) -> Campaign:
    """Rows from one lab of these machines, of which each has so many processors where LAB_CPUS says nothing else."""

    def campaign(settings: lab_settings.Settings, work: Path, _args: argparse.Namespace) -> Iterator[dict[str, Any]]:
        for row in rows(Site(replace(settings, cpus=settings.cpus or cpus), machines, work)):
            yield asdict(row)

    return campaign


CAMPAIGNS: dict[str, Campaign] = {
    "interrupted": interrupted,
    "colocated": together,
    "external-etcd": external,
    **{f"sources-{suite}": through_sources(suite) for suite in SUITES},
    "sources-broken": broken_sources,
    "etcd-truth": etcd_rows,
    "snapshot-flips": damaged_snapshots,
    "restore": on_lab(restore.MACHINES, restore.CPUS, lambda site: restore.Restores(site).steps()),
    "rotate-key": rotated,
    "upgrade": upgraded(upgrades.Upgrades.alone, compared=False),
    "upgrades-killed": upgraded(upgrades.Upgrades.killed),
    "upgrades-stopped": upgraded(upgrades.Upgrades.stopped),
    "losses": lost(losses.Losses.stacked),
    "losses-external": lost(losses.Losses.external),
    "quorum-lost": lost(lambda things: QuorumLost(things).cases()),
    **{name: killed_anywhere(name) for name in anywhere.PLANS},
    "worker": on_lab(worker.MACHINES, worker.CPUS, lambda site: worker.Workers(site).rounds()),
    "pairs": on_lab(pairs.MACHINES, pairs.CPUS, lambda site: pairs.Pairs(site).meetings()),
    "reset": on_lab(reset.MACHINES, reset.CPUS, lambda site: reset.Resets(site).steps()),
    "recover-other": on_lab(
        recover_other.STACKED, recover_other.CPUS, lambda site: recover_other.Recoveries(site).steps()
    ),
    "renewal": on_lab(renewal.MACHINES, renewal.CPUS, lambda site: renewal.Renewals(site).rows()),
}


def span(text: str) -> range:
    """Numbers such as 3-7."""
    first, _dash, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def in_turn(found: Iterator[dict[str, Any]], command: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What a campaign finds; the command is run before each."""
    while True:
        if command:
            subprocess.run(command, check=True)
        try:
            yield next(found)
        except StopIteration:
            return


def run(settings: lab_settings.Settings, names: Sequence[str], args: argparse.Namespace) -> bool:
    """Run these campaigns. Every result is kept at once, unless only some points were asked for."""
    good = True
    for name in names:
        results = Results(name, f"python3 -m tests.faults {name}", report.RESULTS)
        if args.points:
            stored = (load(name, report.RESULTS) or {}).get("runs", [])
            results.data["runs"] = [found for found in stored if found.get("number") not in args.points]
        with tempfile.TemporaryDirectory() as work:
            for found in in_turn(CAMPAIGNS[name](settings, Path(work), args), shlex.split(args.before_each)):
                say(f"{name}: {found}")
                good = good and not found["problem"]
                if not args.point:
                    results.add(found)
                    report.write()
    return good


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.faults", description=__doc__)
    parser.add_argument("campaigns", nargs="*", metavar="CAMPAIGN", help=f"of {', '.join(CAMPAIGNS)}; default all")
    parser.add_argument("--point", type=int, action="append", help="interrupted, anywhere-*: only this one; not kept")
    parser.add_argument("--points", type=span, metavar="FIRST-LAST", help="anywhere-*: only these; the others are kept")
    parser.add_argument("--seed", type=int, default=anywhere.SEED, help="anywhere-*: of what is drawn (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="anywhere-*: keep the lab, begin with one that was kept")
    parser.add_argument("--before-each", default="", metavar="COMMAND", help="run before each point; it may wait")
    args = parser.parse_args()
    names = args.campaigns or list(CAMPAIGNS)
    unknown = sorted(set(names) - set(CAMPAIGNS))
    if unknown:
        parser.error(f"no such campaign: {', '.join(unknown)}")
    settings = lab_settings.load({**os.environ, "LAB_NAME": os.environ.get("FAULTS_LAB_NAME", LAB)})
    try:
        good = run(settings, names, args)
    finally:
        if not args.keep:
            nodes.down(settings)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
