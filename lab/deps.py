# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine needs: Debian packages and a Go."""

from __future__ import annotations

import os
import platform
import shutil

from lab.errors import LabError
from lab.golang import find_go
from lab.shell import run, say, step

PACKAGES = (
    "podman",
    "runc",
    "iproute2",
    "iptables",
    "nftables",
    "netavark",
    "aardvark-dns",
    "mmdebstrap",
    "debian-archive-keyring",
    "openssh-client",
    "rclone",
    "skopeo",
    "gcc",
    "libc6-dev",
    "libseccomp-dev",
    "pkg-config",
)
GO_PACKAGE = "golang-go"


def missing_packages() -> list[str]:
    """Return the Debian packages that are not installed."""
    query = run(["dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n", *PACKAGES], check=False).stdout
    installed = {line.split()[0] for line in query.splitlines() if line.endswith(" installed")}
    missing = [package for package in PACKAGES if package not in installed]
    return missing if find_go() else [*missing, GO_PACKAGE]


def check_machine() -> None:
    """Refuse a machine on which the lab cannot work."""
    if os.geteuid() != 0:
        raise LabError("The lab needs root: its nodes are privileged containers.", "run it as root")
    if platform.machine() != "x86_64":
        raise LabError(f"The lab builds for x86_64; this machine is {platform.machine()}.")
    if shutil.which("apt-get") is None:
        raise LabError("The lab installs what it needs with apt-get, which is not here.", "use Debian 12 or newer")


def install() -> None:
    """Install what is missing; nothing is asked of the network when all is there."""
    check_machine()
    missing = missing_packages()
    if not missing:
        say("dependencies: all there")
        return
    with step(f"installing {' '.join(missing)}"):
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        # A repository that the lab does not need may be out of reach; the install itself must succeed.
        run(["apt-get", "-q", "update"], env=quiet, check=False)
        run(["apt-get", "-qy", "install", "--no-install-recommends", *missing], env=quiet)
