# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a reset, done on the host. What is gone already is no error: an interrupted run is done again."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence

from . import host_reset_net as net
from . import host_reset_ours as ours
from .errors import CommandError
from .host_io import Host
from .host_reset import Step
from .host_reset_look import keepers, pod_processes, saved
from .host_units import Wish, apply_units, plan_units, read_units

SCRATCH = "/run/quorum-kubeadm"
AT_ONCE = 100
PAUSE = 0.2
KILLED_SECONDS = 5.0
UNMOUNT_SECONDS = 15.0
# Without its lock iptables would refuse while another program changes rules.
LOCK_SECONDS = "10"


class Doer:
    """Does one step after another. grace: seconds that pods have to end by themselves."""

    def __init__(
        self, host: Host, networks: Sequence[str], *, grace: float, timeout: float, kill: Callable[[int, int], None]
    ) -> None:
        self._host = host
        self._networks = networks
        self._grace = grace
        self._timeout = timeout
        self._kill = kill

    def act(self, step: Step) -> None:
        """Do this step."""
        try:
            getattr(self, f"_{step.kind}")(step.items)
        except OSError as exc:
            raise CommandError(
                f"this host could not be reset: {step.text}",
                where=str(exc.filename or ""),
                found=exc.strerror or str(exc),
                next_step="mend what is named and run the same again: it does the rest",
            ) from exc

    def _must(self, argv: list[str], what: str) -> None:
        answer = self._host.run(argv, timeout=self._timeout)
        if answer.code:
            raise CommandError(
                what,
                where=" ".join(argv),
                found=answer.text[-1000:],
                next_step="mend what it names and run the same again: it does the rest",
            )

    def _units(self, names: Sequence[str]) -> None:
        wishes = [Wish(name, enabled=False, state="stopped") for name in names]
        plan = plan_units(wishes, read_units(self._host, list(names)), reload=False, expected=set())
        apply_units(self._host, plan.early, self._timeout)

    def _pods(self, _items: Sequence[str]) -> None:
        self._end(pod_processes, signal.SIGTERM, self._grace)
        self._end(pod_processes, signal.SIGKILL, KILLED_SECONDS)
        ctr = ["ctr", "-n", ours.NAMESPACE]
        for noun, words in (("tasks", ["rm", "-f"]), ("containers", ["rm"])):
            found = self._host.run([*ctr, noun, "ls", "-q"]).out.split()
            for first in range(0, len(found), AT_ONCE):
                self._host.run([*ctr, noun, *words, *found[first : first + AT_ONCE]], timeout=self._timeout)

    def _keepers(self, _items: Sequence[str]) -> None:
        self._end(pod_processes, signal.SIGKILL, KILLED_SECONDS)
        self._end(keepers, signal.SIGKILL, KILLED_SECONDS)

    def _end(self, find: Callable[[Host], list[int]], how: int, seconds: float) -> None:
        """Send a signal to such processes, and wait until none is left, so long."""
        pids = find(self._host)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                self._kill(pid, how)
        deadline = time.monotonic() + seconds
        while pids and time.monotonic() < deadline:
            time.sleep(PAUSE)
            pids = find(self._host)

    def _vip(self, items: Sequence[str]) -> None:
        for item in items:
            address, device = item.split()
            self._host.run(["ip", "addr", "del", address, "dev", device])

    def _aside(self, items: Sequence[str]) -> None:
        """Beside etcd's directory, which kubeadm wants empty; within it where it is a file system of its own."""
        data, stamp = items
        folder = os.path.dirname(data)
        try:
            os.rename(self._host.real(data), self._host.real(f"{folder}-removed-{stamp}"))
        except OSError as exc:
            if exc.errno != errno.EXDEV:
                raise
            os.rename(self._host.real(data), self._host.real(f"{data}-removed-{stamp}"))

    def _netns(self, names: Sequence[str]) -> None:
        for name in names:
            self._host.run(["ip", "netns", "delete", name])

    def _mounts(self, paths: Sequence[str]) -> None:
        for path in paths:
            if self._host.run(["umount", "--", path], timeout=UNMOUNT_SECONDS).code:
                # A server that is gone answers no unmount: the kernel lets go of it later.
                self._host.run(["umount", "--lazy", "--", path], timeout=UNMOUNT_SECONDS)

    def _rules(self, tools: Sequence[str]) -> None:
        texts = saved(self._host)
        for tool in tools:
            payload, _chains = net.removal(texts.get(tool, ""), self._networks)
            if payload:
                path = f"{SCRATCH}/{tool}.rules"
                self._write(path, payload)
                self._must([f"{tool}-restore", "--noflush", "-w", LOCK_SECONDS, path], "iptables refused the removal")
                os.unlink(self._host.real(path))

    def _write(self, path: str, text: str) -> None:
        real = self._host.real(path)
        os.makedirs(os.path.dirname(real), mode=0o700, exist_ok=True)
        descriptor = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)

    def _nft(self, tables: Sequence[str]) -> None:
        for table in tables:
            self._must(["nft", "delete", "table", *table.split()], "nftables refused the removal")

    def _ipvs(self, _services: Sequence[str]) -> None:
        self._must(["ipvsadm", "--clear"], "IPVS could not be cleared: install ipvsadm, or restart the machine")

    def _links(self, names: Sequence[str]) -> None:
        for name in names:
            # The other end of a pair goes with the first.
            self._host.run(["ip", "link", "delete", name])

    def _files(self, paths: Sequence[str]) -> None:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._host.real(path))

    def _trees(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._remove(path)

    def _remove(self, path: str) -> None:
        """A directory with everything in it, unless something is mounted there: that is somebody's data."""
        below = [
            at for at in net.mounted(self._host.read_text("/proc/self/mountinfo") or "") if at.startswith(f"{path}/")
        ]
        if below:
            raise CommandError(
                "a directory is not removed: something is mounted in it",
                where=path,
                found=", ".join(below[:5]),
                next_step=f"unmount {below[0]}, then run the same again: it does the rest",
            )
        real = self._host.real(path)
        if not os.path.isdir(real) or os.path.islink(real):
            self._files([path])
            return
        for name in os.listdir(real):
            child = os.path.join(real, name)
            if os.path.isdir(child) and not os.path.islink(child):
                shutil.rmtree(child)
            else:
                os.unlink(child)
        self._tidy([path])

    def _tidy(self, paths: Sequence[str]) -> None:
        """A mount point stays, and so does what has something in it."""
        for path in paths:
            with contextlib.suppress(OSError):
                os.rmdir(self._host.real(path))

    def _reload(self, _items: Sequence[str]) -> None:
        self._must(["systemctl", "daemon-reload"], "systemd could not read its units again")
        units = read_units(self._host, list(ours.UNIT_FILES))
        failed = [name for name, unit in units.items() if unit.active == "failed"]
        if failed:
            self._host.run(["systemctl", "reset-failed", "--", *failed])
