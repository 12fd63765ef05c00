# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of `python3 -m lab fault`."""

from __future__ import annotations

import argparse

from lab import faults
from lab.settings import Settings


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `fault` and what can go wrong."""
    top = commands.add_parser("fault", help="make things go wrong, and right again")
    kinds = top.add_subparsers(dest="fault", required=True, metavar="FAULT")
    for name, text in (
        ("kill", "cut the power of nodes"),
        ("start", "boot killed nodes again"),
        ("freeze", "stop every process of nodes, without ending any"),
        ("thaw", "let frozen nodes go on"),
        ("heal", "undo partitions on nodes"),
    ):
        sub = kinds.add_parser(name, help=text, description=text)
        sub.add_argument("nodes", nargs="+", metavar="NODE")
        sub.set_defaults(run=_on_nodes)
    split = kinds.add_parser("partition", help="cut two groups of nodes off from one another")
    split.add_argument("one", help="names with commas between, such as cp1,w1")
    split.add_argument("other")
    split.set_defaults(run=_partition)
    process = kinds.add_parser("process", help="signal a process by its program's name in one node")
    process.add_argument("node")
    process.add_argument("process")
    process.add_argument("--signal", default="KILL", choices=["KILL", "TERM", "STOP", "CONT"])
    process.set_defaults(run=_process)
    for name, text in (
        ("shrink", "give a directory that nobody uses a small disk of its own"),
        ("fill", "fill a directory's small disk"),
        ("free", "empty it again"),
    ):
        sub = kinds.add_parser(name, help=text, description=text)
        sub.add_argument("node")
        sub.add_argument("directory")
        if name == "shrink":
            sub.add_argument("--mebibytes", type=int, default=256)
        sub.set_defaults(run=_disk)


def _on_nodes(lab: Settings, args: argparse.Namespace) -> int:
    actions = {
        "kill": faults.kill,
        "start": faults.start,
        "freeze": faults.freeze,
        "thaw": faults.thaw,
        "heal": faults.heal,
    }
    actions[args.fault](lab, args.nodes)
    return 0


def _partition(lab: Settings, args: argparse.Namespace) -> int:
    faults.partition(lab, args.one.split(","), args.other.split(","))
    return 0


def _process(lab: Settings, args: argparse.Namespace) -> int:
    print(*faults.signal_process(lab, lab.node(args.node).name, args.process, args.signal))
    return 0


def _disk(lab: Settings, args: argparse.Namespace) -> int:
    node = lab.node(args.node).name
    if args.fault == "shrink":
        faults.shrink_disk(lab, node, args.directory, args.mebibytes)
    elif args.fault == "fill":
        faults.fill_disk(lab, node, args.directory)
    else:
        faults.free_disk(lab, node, args.directory)
    return 0
