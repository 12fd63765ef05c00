# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes: containers that boot like machines, come up together, and go away without a trace."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lab import network, nodeimage, sshkey
from lab.debian import SUITES
from lab.errors import LabError
from lab.network import LABEL
from lab.podman import IMAGE_LABEL, RUN, Container, containers
from lab.settings import Node, Settings
from lab.shell import parallel, run, say, step, wait_for

BOOT_TIMEOUT = 180.0
STATE_DIRS = ("/var/lib/containerd", "/var/lib/etcd", "/var/lib/kubelet")
BUNDLES = "/srv/bundles"
AUTHORIZED_KEYS = "/etc/ssh/lab_authorized_keys"
# Where podman keeps all machines together, and what one machine weighs there by default.
WEIGHTS = (
    (Path("/sys/fs/cgroup/cpu/libpod_parent/cpu.shares"), 1024),
    (Path("/sys/fs/cgroup/libpod_parent/cpu.weight"), 100),
    (Path("/sys/fs/cgroup/machine.slice/cpu.weight"), 100),
)
MOST_WEIGHT = 10000
TMPFS = ("/run", "/tmp:exec")  # noqa: S108 - mount points in a node, not files of this machine


def up(settings: Settings, names: Sequence[str], suite: str = SUITES[0]) -> None:
    """Make the named nodes run and answer over SSH; what already does is left alone."""
    nodes = [settings.node(name) for name in names]
    image = nodeimage.ensure(settings, suite)
    sshkey.ensure(settings)
    (settings.cache / "bundles").mkdir(parents=True, exist_ok=True)
    net = network.ensure(settings)
    there = containers(settings)
    with step(f"nodes {' '.join(names)}"):
        parallel(lambda node: _bring_up(settings, node, there.get(node.name), image, net), nodes)
        if settings.cpus:
            _weigh(len(containers(settings)))
        # A node whose container runs but which nobody can enter is broken: it is made again, once.
        deaf = [node for node in nodes if not _answers(settings, node, BOOT_TIMEOUT)]
        for node in deaf:
            say(f"{node.name} does not answer, it is made again ...")
            _create(settings, node, image, net)
        for node in deaf:
            if not _answers(settings, node, BOOT_TIMEOUT):
                raise LabError(
                    f"{node.name} ({node.address}) does not answer over SSH.",
                    f"python3 -m lab exec {node.name} journalctl -b",
                )


def recreate(settings: Settings, names: Sequence[str], suite: str = SUITES[0]) -> None:
    """Replace nodes by blank ones, all at once."""
    remove(settings, names)
    up(settings, names, suite)


def remove(settings: Settings, names: Sequence[str]) -> None:
    """Remove nodes and everything they stored; a name that is not there is no error."""
    parallel(lambda name: _remove(settings, settings.node(name)), names)


def down(settings: Settings) -> None:
    """Remove the whole lab."""
    remove(settings, list(containers(settings)))
    _weigh(1)
    network.remove(settings)


def power_on(settings: Settings, names: Sequence[str]) -> None:
    """Boot nodes that were killed, with what is on their disks."""
    parallel(lambda name: run(["podman", "start", settings.container(name)]), names)
    for name in names:
        node = settings.node(name)
        wait_for(f"{name} over SSH", partial(ssh_answers, node), BOOT_TIMEOUT)


def _weigh(machines: int) -> None:
    """Give bounded machines what each would have alone: by default all of them weigh as much as one program."""
    for path, each in WEIGHTS:
        # Another kernel, another podman, or somebody who may not: the machines share as they did.
        with contextlib.suppress(OSError):
            path.write_text(str(min(each * machines, MOST_WEIGHT)), encoding="ascii")


def _bring_up(settings: Settings, node: Node, there: Container | None, image: str, net: str) -> None:
    if there is not None and there.state == "paused":
        run(["podman", "unpause", settings.container(node.name)], check=False)
    elif there is not None and there.state in {"exited", "stopped"}:
        if run(["podman", "start", settings.container(node.name)], check=False).returncode != 0:
            _create(settings, node, image, net)
    elif there is None or not there.running:
        _create(settings, node, image, net)


def _create(settings: Settings, node: Node, image: str, net: str) -> None:
    _remove(settings, node)
    mounts = [f"{settings.cache / 'bundles'}:{BUNDLES}:ro", f"{sshkey.public(settings)}:{AUTHORIZED_KEYS}:ro"]
    command: list[str | Path] = [*RUN, "--detach", "--privileged", "--systemd=always"]
    command += ["--cgroupns=private", "--name", settings.container(node.name), "--hostname", node.name]
    command += ["--label", f"{LABEL}={settings.name}", "--label", f"{IMAGE_LABEL}={image}", "--log-driver", "none"]
    command += ["--network", net, "--ip", node.address]
    command += ["--cpus", str(settings.cpus)] if settings.cpus else []
    command += [word for path in TMPFS for word in ("--tmpfs", path)]
    command += [word for path in (*STATE_DIRS, *mounts) for word in ("--volume", path)]
    run([*command, image])


def _remove(settings: Settings, node: Node) -> None:
    # A frozen container cannot be killed before it is thawed.
    container = settings.container(node.name)
    run(["podman", "unpause", container], check=False)
    run(["podman", "rm", "--force", "--ignore", "--time", "0", "--volumes", container])


def ssh_answers(node: Node) -> bool:
    """Whether an SSH server greets at the node's address."""
    try:
        with socket.create_connection((node.address, 22), timeout=1) as connection:
            connection.settimeout(1)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _answers(settings: Settings, node: Node, timeout: float) -> bool:
    try:
        wait_for(node.name, partial(ssh_answers, node), timeout)
        run(["ssh", *sshkey.options(settings), f"root@{node.address}", "true"], timeout=30)
    except LabError:
        return False
    return True
