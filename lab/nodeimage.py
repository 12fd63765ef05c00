# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of a node: a whole Debian with systemd, as close to a machine as a container gets."""

from __future__ import annotations

from pathlib import Path

from lab.cache import cached, content_key, lock
from lab.debian import SUITES, debootstrap
from lab.errors import LabError
from lab.settings import LAB_DIR, Settings
from lab.shell import output, run, step

REPOSITORY = "localhost/quorum-lab-node"
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "python3", "python3-apt", "iproute2", "iptables", "nftables", "ipset", "kmod",
    "ca-certificates", "procps", "openssh-server", "sudo", "conntrack", "ethtool", "socat", "curl", "haproxy",
    "keepalived", "libseccomp2", "iputils-ping", "iputils-arping", "psmisc", "lsof", "tar", "gzip",
)  # fmt: skip
NODE_FILES = LAB_DIR / "node"
SETUP = "/usr/local/sbin/lab-image"


def recipe(suite: str) -> str:
    """Return the content key of a suite's node image."""
    return content_key(suite, PACKAGES, NODE_FILES, Path(__file__))


def ensure(settings: Settings, suite: str = SUITES[0]) -> str:
    """Build or reuse the node image; returns its full name."""
    if suite not in SUITES:
        raise LabError(f"There is no node image of {suite!r}.", f"use one of {', '.join(SUITES)}")
    key = recipe(suite)
    name = f"{REPOSITORY}:{suite}-{key}"
    with lock(settings.cache / "locks" / f"podman-{suite}-{key}.lock", "node image"):
        if run(["podman", "image", "exists", name], check=False).returncode == 0:
            return name
        root = cached(settings.cache, "nodeimage", suite, key, lambda work: _make(suite, work)) / "root.tar"
        with step(f"importing {name}"):
            changes = ['CMD ["/usr/local/sbin/lab-init"]', "STOPSIGNAL SIGRTMIN+3", "ENV container=podman"]
            flags = [word for change in changes for word in ("--change", change)]
            output(["podman", "import", *flags, root, name])
    return name


def _make(suite: str, work: Path) -> None:
    hooks = (
        f"--customize-hook=sync-in {NODE_FILES} /",
        f'--customize-hook=chroot "$1" {SETUP}',
        f'--customize-hook=rm -f "$1{SETUP}"',
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
    )
    debootstrap(suite, "minbase", PACKAGES, work / "root.tar", hooks)
