# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The encryption configuration of this host, and the one that its API server has begun with.

The file is mounted into the pod by itself, and it is only ever replaced by renaming: a process sees the one that was
there when its container began, whatever has become of the path since.
"""

from __future__ import annotations

import glob
import os
import time

from .encryption import Config, parse
from .errors import InputError
from .kubeconfig import load_yaml
from .static_pod_host import processes
from .static_pods import API

# Clocks of files and of processes are read at different moments.
SLACK = 2.0


def read(path: str) -> Config:
    """The file. What it has never becomes part of an error."""
    try:
        with open(path, encoding="utf-8") as stream:
            document = load_yaml(stream.read())
    except OSError as exc:
        raise InputError(
            "the encryption configuration cannot be read",
            where=path,
            found=exc.strerror or type(exc).__name__,
            next_step="restore it from another control plane or a backup; without its key Secrets cannot be read",
        ) from None
    except ValueError:
        raise InputError(
            "the encryption configuration cannot be read", where=path, found="neither JSON nor YAML"
        ) from None
    return parse(document, path)


def loaded(path: str, proc: str = "/proc") -> Config | None:
    """What the API server of this host has begun with, None when none runs; without keys when that cannot be told."""
    running = processes(API)
    if not running:
        return None
    seen = f"{proc}/{running[0]}/root{path}"
    unknown = Config({"resources": []}, {})
    try:
        # A file that was written into, and not replaced, may be another one than the process has read.
        edited = os.stat(seen).st_mtime > began(running[0], proc) + SLACK
        return unknown if edited else read(seen)
    except (OSError, InputError):
        return unknown


def began(process: int, proc: str = "/proc") -> float:
    """When a process began, in seconds since the epoch."""
    with open(f"{proc}/{process}/stat", encoding="utf-8", errors="replace") as stream:
        # The program's name, in brackets, may contain anything.
        ticks = int(stream.read().rpartition(")")[2].split()[19])
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


def set_aside(path: str, now: float) -> str:
    """Keep what a dropped key may still have to read: snapshots that are older than it."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    kept = f"{os.path.dirname(path)}/retired-{stamp}.yaml"
    os.link(path, kept)
    return kept


def sweep(path: str) -> None:
    """Remove what killed calls have written and never renamed: there is a key in it."""
    for name in glob.glob(f"{glob.escape(path)}.[0-9]*"):
        if name.rpartition(".")[2].isdigit():
            os.unlink(name)
