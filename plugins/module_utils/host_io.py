# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine as an argument: files and programs of one host. Everything that decides gets a Host, never `open`."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import Any, Callable, Optional

SBIN = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"

# Gives what was written at the first path the security context that belongs to the second.
Labeller = Optional[Callable[[str, str], None]]


def labeller(module: Any) -> Labeller:
    """SELinux contexts by an AnsibleModule's own means; None where there is no SELinux."""
    if not module.selinux_enabled():
        return None

    def label(written: str, path: str) -> None:
        module.set_context_if_different(written, module.selinux_default_context(path), False)

    return label


@dataclass(frozen=True)
class Result:
    """How a program ended. `code` is 127 when there is no such program, 124 when its time was up."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """What the program said, errors first, for an error message."""
        return (self.err.strip() + "\n" + self.out.strip()).strip()


class Host:
    """Files below `root` (the real root, or a test's directory) and programs, always as a list of arguments."""

    def __init__(self, root: str = "/") -> None:
        self.root = root.rstrip("/")

    def real(self, path: str) -> str:
        return self.root + path

    def read_bytes(self, path: str, limit: int = -1) -> bytes | None:
        """The file's content; None when it is missing or cannot be read (many files of /proc come and go)."""
        try:
            with open(self.real(path), "rb") as stream:
                return stream.read(limit)
        except OSError:
            return None

    def read_text(self, path: str, limit: int = -1) -> str | None:
        content = self.read_bytes(path, limit)
        return None if content is None else content.decode("utf-8", "replace")

    def exists(self, path: str) -> bool:
        return os.path.exists(self.real(path))

    def names(self, path: str) -> list[str]:
        """Sorted names in a directory, [] when there is none."""
        try:
            return sorted(os.listdir(self.real(path)))
        except OSError:
            return []

    def identity(self, path: str) -> list[int] | None:
        """Size, mtime and inode: while these stay the same the content does."""
        try:
            info = os.stat(self.real(path))
        except OSError:
            return None
        return [info.st_size, info.st_mtime_ns, info.st_ino]

    def which(self, name: str) -> bool:
        """Is there a program of this name?"""
        if "/" in name:
            return os.access(self.real(name), os.X_OK)
        return any(os.access(f"{self.root}{folder}/{name}", os.X_OK) for folder in SBIN.split(":"))

    def start(self, argv: list[str]) -> subprocess.Popen[str] | None:
        """Start a program without waiting; None when there is no such program."""
        env = dict(os.environ, LC_ALL="C", PATH=SBIN + ":" + os.environ.get("PATH", ""))
        env.pop("PYTHONPATH", None)
        try:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                env=env,
            )
        except OSError:
            return None

    def finish(self, process: subprocess.Popen[str] | None, timeout: float = 60.0) -> Result:
        if process is None:
            return Result(127, "", "no such program")
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return Result(124, out, f"{err}\nstopped after {timeout:g} s")
        return Result(process.returncode, out, err)

    def run(self, argv: list[str], timeout: float = 60.0) -> Result:
        return self.finish(self.start(argv), timeout)
