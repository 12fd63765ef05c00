# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `probe` and `probe-report`."""

from __future__ import annotations

import argparse
import json
import signal
from pathlib import Path
from typing import Any

from lab import kubeconfig, probereport
from lab.prober import KINDS, NAMESPACE, Plan, Prober
from lab.settings import Settings


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the prober's commands."""
    probe = commands.add_parser("probe", help="probe the API ten times a second and prove that no write is lost")
    probe.add_argument("--kubeconfig", type=Path, required=True)
    probe.add_argument("--server", default="", help="https://VIP:PORT; default: the kubeconfig's")
    probe.add_argument("--seconds", type=float, default=30.0, help="0: until SIGTERM or SIGINT")
    probe.add_argument("--rate", type=float, default=10.0, help="ticks a second")
    probe.add_argument("--timeout", type=float, default=1.0, help="of one probe, in seconds")
    probe.add_argument("--namespace", default=NAMESPACE)
    probe.add_argument("--kind", action="append", choices=KINDS, help=f"what to ask for; default: {', '.join(KINDS)}")
    probe.add_argument("--goes-back", action="store_true", help="etcd is restored from a snapshot meanwhile: write on")
    probe.add_argument("--out", type=Path, required=True, metavar="DIR")
    probe.add_argument("--json", action="store_true")
    probe.set_defaults(run=_probe)
    report = commands.add_parser("probe-report", help="judge a probe run again from its files")
    report.add_argument("directory", type=Path)
    report.add_argument("--json", action="store_true")
    report.set_defaults(run=_report)


def _probe(_lab: Settings, args: argparse.Namespace) -> int:
    access = kubeconfig.load(args.kubeconfig, args.server)
    kinds = tuple(args.kind or KINDS)
    prober = Prober(
        Plan(access, args.out, args.seconds, args.rate, args.timeout, args.namespace, kinds, args.goes_back)
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: prober.stop.set())
    prober.run()
    return _show(probereport.report(args.out), args.json)


def _report(_lab: Settings, args: argparse.Namespace) -> int:
    return _show(probereport.report(args.directory), args.json)


def _show(content: dict[str, Any], as_json: bool) -> int:
    print(json.dumps(content, indent=1) if as_json else probereport.text(content))
    return 1 if content["ledger"]["problems"] else 0
