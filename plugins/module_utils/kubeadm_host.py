# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node on which kubeadm runs: its files, its programs, its journal."""

from __future__ import annotations

import grp
import os
import ssl
import stat
import subprocess

from .host_probe import probe_api


class Host:
    """The real node. lock: descriptor of the host's lock, which kubeadm then holds as long as it runs.

    env: more variables of kubeadm's environment.
    """

    def __init__(self, lock: int | None = None, env: dict[str, str] | None = None) -> None:
        self._held = () if lock is None else (lock,)
        self._env = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def listed(self, path: str) -> list[str]:
        """Names in a directory, [] when there is none."""
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    def read(self, path: str) -> str:
        with open(path, encoding="utf-8") as handle:
            return handle.read()

    def write(self, path: str, text: str, mode: int) -> None:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        temporary = f"{path}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        os.rename(temporary, path)

    def remove(self, path: str) -> None:
        if os.path.exists(path):
            os.unlink(path)

    def chmod(self, path: str, mode: int) -> bool:
        changed = (os.stat(path).st_mode & 0o7777) != mode
        if changed:
            os.chmod(path, mode)
        return changed

    def access(self, path: str) -> tuple[int, int]:
        """The group's number and the mode."""
        info = os.stat(path)
        return info.st_gid, stat.S_IMODE(info.st_mode)

    def grant(self, path: str, group: int | None, mode: int) -> None:
        """Root's file, for this group. In this order nobody else can read it, not for a moment."""
        os.chown(path, 0, -1 if group is None else group)
        os.chmod(path, mode)

    def group_id(self, name: str) -> int | None:
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            return None

    def belong_together(self, cert: str, key: str) -> bool:
        """Whether this is a certificate and its key. They are looked at in anonymous memory, not in a file."""
        memory = os.memfd_create("pair")
        try:
            os.write(memory, f"{cert.strip()}\n{key.strip()}\n".encode())
            # A passphrase would be asked for on the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(f"/proc/self/fd/{memory}", password="")
        except (ssl.SSLError, OSError, ValueError):
            return False
        finally:
            os.close(memory)
        return True

    def run(self, argv: list[str], stdin_document: str, timeout: float) -> tuple[int, str]:
        """Run kubeadm with its configuration in anonymous memory: a killed run leaves no file behind."""
        memory = os.memfd_create("kubeadm-config")
        try:
            os.write(memory, stdin_document.encode())
            command = [*argv, "--config", f"/proc/self/fd/{memory}"]
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(memory, *self._held),
                timeout=timeout,
                check=False,
                env=self._env,
            )
        except subprocess.TimeoutExpired as exc:
            printed = (exc.stdout or b"").decode(errors="replace")
            return 124, f"{printed}\nnot done after {timeout:.0f} s"
        except FileNotFoundError:
            return 127, f"{argv[0]} is not installed on this host"
        finally:
            os.close(memory)
        return done.returncode, done.stdout.decode(errors="replace")

    def journal(self, unit: str, lines: int) -> str:
        try:
            done = subprocess.run(
                ["journalctl", "-u", unit, "-n", str(lines), "--no-pager", "-o", "cat"],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=10,
                check=False,
            )
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return "(no journal)"
        return done.stdout.decode(errors="replace")

    def api_arguments(self) -> str:
        """The command line of the API server that runs; "" when none does."""
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/cmdline", encoding="utf-8", errors="replace") as handle:
                    words = handle.read()
            except OSError:
                continue
            if os.path.basename(words.split("\0", maxsplit=1)[0]) == "kube-apiserver":
                return words
        return ""

    def api_ready(self, url: str) -> bool:
        # 401 and 403: anonymous access is off.
        return probe_api(url)["status"] in (200, 401, 403)
