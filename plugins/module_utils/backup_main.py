# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program on a host that a timer starts: no Ansible and no packages, the same code as the module etcd_backup."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .backup_config import PATH
from .backup_run import World, bad, read_config, run
from .backup_status import TAKEN
from .errors import KubeadmError
from .host_io import Host


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; 1 when a backup or a copy of it is missing, so that the unit fails where anybody looks."""
    parser = argparse.ArgumentParser(prog="quorum-kubeadm-etcd-backup", description=__doc__)
    parser.add_argument("--config", default=PATH, help="the host's configuration")
    parser.add_argument("--now", action="store_true", help="also when another host has just taken one")
    args = parser.parse_args(argv)
    host = Host()
    try:
        status = run(World(host), read_config(host, args.config), forced=args.now)
    except KubeadmError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    for problem in bad(status):
        sys.stderr.write(f"{problem}\n")
    if status.result == TAKEN and status.taken:
        copies = ", ".join(one.name for one in status.taken.copies if not one.error) or "no other place"
        sys.stdout.write(f"{status.taken.name}: verified by {status.taken.verified}, copied to {copies}\n")
    elif status.newest:
        sys.stdout.write(f"nothing to do: {status.newest.name} was taken by {status.newest.by}\n")
    return 1 if bad(status) else 0


if __name__ == "__main__":
    sys.exit(main())
