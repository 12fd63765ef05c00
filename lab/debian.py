# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File trees made of Debian packages: what lies under some images, and the node image's root."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path

from lab.shell import run

SUITES = ("trixie", "bookworm")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def debootstrap(suite: str, variant: str, packages: Sequence[str], target: Path, options: Sequence[str] = ()) -> None:
    """Write a Debian file tree as a tar archive; the mirror is the one that mmdebstrap knows for the suite."""
    run(
        [
            "nice", "-n", "10", "mmdebstrap", "--mode=root", f"--variant={variant}", f"--include={','.join(packages)}",
            "--skip=output/dev", *([f"--keyring={KEYRING}"] if KEYRING.exists() else []), *options, suite, target,
        ],
        env={"SOURCE_DATE_EPOCH": "0"},
    )  # fmt: skip


UNWANTED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian", "var/lib/apt",
            "var/cache", "var/log", "dev", "proc", "sys")  # fmt: skip


def slim(source: Path, target: Path, symlinks: dict[str, str]) -> None:
    """Copy a tar archive without manuals and with fixed times, and add symlinks."""
    with tarfile.open(source) as old, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda entry: entry.name):
            name = member.name.removeprefix("./").rstrip("/")
            if name in {"", "."} or any(name == path or name.startswith(f"{path}/") for path in UNWANTED):
                continue
            if name in symlinks:
                continue
            member.name, member.mtime, member.uname, member.gname, member.pax_headers = name, 0, "", "", {}
            if member.islnk():
                member.linkname = member.linkname.removeprefix("./")
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
        for name, goal in sorted(symlinks.items()):
            link = tarfile.TarInfo(name)
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, goal, 0o777
            new.addfile(link)
