# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that go wrong, on purpose, in one lab's own nodes and nowhere else."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from lab.errors import LabError
from lab.nodes import power_on
from lab.podman import inside
from lab.settings import Settings
from lab.shell import parallel, run

CHAIN = "LAB-PARTITION"
FILLER = "lab-filler"
PROCESS = re.compile(r"[A-Za-z0-9._-]+")


def kill(settings: Settings, names: Sequence[str]) -> None:
    """Cut the power: every process of the nodes ends at once, the disks stay."""
    parallel(lambda name: run(["podman", "kill", "--signal", "KILL", _container(settings, name)]), names)


def start(settings: Settings, names: Sequence[str]) -> None:
    """Boot nodes that were killed."""
    power_on(settings, names)


def freeze(settings: Settings, names: Sequence[str]) -> None:
    """Stop every process of the nodes without ending it: connections stay open, nothing answers."""
    parallel(lambda name: run(["podman", "pause", _container(settings, name)]), names)


def thaw(settings: Settings, names: Sequence[str]) -> None:
    """Let frozen nodes go on."""
    parallel(lambda name: run(["podman", "unpause", _container(settings, name)]), names)


def partition(settings: Settings, one: Sequence[str], other: Sequence[str]) -> None:
    """Drop every packet between two groups of nodes, in both directions; this machine still reaches both."""
    if set(one) & set(other):
        raise LabError("A node cannot be on both sides of a partition.")
    both = (one, other), (other, one)
    scripts = {
        name: partition_script([settings.node(far).address for far in there]) for here, there in both for name in here
    }
    parallel(lambda item: inside(settings, *item), scripts.items())


def partition_script(addresses: Sequence[str]) -> str:
    """Return the shell script that cuts a node off from the addresses, also for what its pods forward."""
    lines = ["set -e", f"iptables -w -N {CHAIN} 2>/dev/null || true"]
    for hook in ("INPUT", "OUTPUT", "FORWARD"):
        lines.append(f"iptables -w -C {hook} -j {CHAIN} 2>/dev/null || iptables -w -I {hook} -j {CHAIN}")
    for address in addresses:
        for flag in ("-s", "-d"):
            rule = f"{CHAIN} {flag} {address} -j DROP"
            lines.append(f"iptables -w -C {rule} 2>/dev/null || iptables -w -A {rule}")
    return "\n".join(lines)


def heal(settings: Settings, names: Sequence[str]) -> None:
    """Undo every partition on the nodes."""
    lines = [f"iptables -w -D {hook} -j {CHAIN} 2>/dev/null" for hook in ("INPUT", "OUTPUT", "FORWARD")]
    lines += [f"iptables -w -F {CHAIN} 2>/dev/null", f"iptables -w -X {CHAIN} 2>/dev/null", "true"]
    parallel(lambda name: inside(settings, name, "; ".join(lines)), names)


def signal_process(settings: Settings, node: str, process: str, signal: str = "KILL") -> list[int]:
    """Send a signal to every process of that name in one node, its pods' included; returns the process ids there."""
    if PROCESS.fullmatch(process) is None:
        raise LabError(f"{process!r} is not the name of a process.")
    pids = [int(word) for word in inside(settings, node, find_script(process), check=False).split()]
    if not pids:
        raise LabError(f"No process named {process!r} runs on {node}.")
    inside(settings, node, f"kill -{signal} {' '.join(map(str, pids))}", check=False)
    return pids


def find_script(process: str) -> str:
    """Return the shell script that prints the ids of a node's processes whose program has exactly that name."""
    # The kernel cuts a command's name at 15 bytes, so the program's file decides; a container's pid space is its own.
    wanted = shlex.quote(process)
    return (
        "for exe in /proc/[0-9]*/exe; do "
        'path=$(readlink "$exe" 2>/dev/null) || continue; '
        f'[ "$(basename "${{path%% (deleted)}}")" = {wanted} ] && basename "$(dirname "$exe")"; '
        "done; true"
    )


def shrink_disk(settings: Settings, node: str, directory: str, mebibytes: int) -> None:
    """Put a directory with its content on a small disk of its own, so that filling it hurts nobody else.

    Nothing may have a file open in it: stop its users first. The small disk lives until the node goes down.
    """
    place = _directory(directory)
    users = inside(settings, node, f"lsof -t +D {place} 2>/dev/null", check=False).split()
    if users:
        raise LabError(f"{directory} on {node} is in use by {len(users)} processes.", "stop them first")
    lines = [
        "set -e",
        f"mkdir -p {place}",
        f'if [ "$(stat -f -c %T {place})" = tmpfs ]; then',
        f"  mount -o remount,size={mebibytes}m {place}; exit 0; fi",
        "copy=$(mktemp -d /var/tmp/lab-disk.XXXXXX)",
        f"cp -a {place}/. $copy/",
        f"mount -t tmpfs -o size={mebibytes}m,mode=$(stat -c %a {place}) tmpfs {place}",
        f"cp -a $copy/. {place}/",
        "rm -rf $copy",
    ]
    inside(settings, node, "\n".join(lines), timeout=120)


def fill_disk(settings: Settings, node: str, directory: str) -> None:
    """Fill a directory's small disk to the last byte."""
    place = _directory(directory)
    kind = inside(settings, node, f"stat -f -c %T {place}", check=False)
    if kind != "tmpfs":
        raise LabError(
            f"{directory} on {node} lies on this machine's own disk.",
            f"python3 -m lab fault shrink {node} {directory}",
        )
    inside(settings, node, f"cat /dev/zero > {place}/{FILLER}", check=False, timeout=300)


def free_disk(settings: Settings, node: str, directory: str) -> None:
    """Remove what fill_disk put there."""
    inside(settings, node, f"rm -f {_directory(directory)}/{FILLER}")


def _directory(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/"):
        raise LabError(f"{path!r} is not an absolute path.")
    return shlex.quote(path.rstrip("/"))


def _container(settings: Settings, name: str) -> str:
    return settings.container(settings.node(name).name)
