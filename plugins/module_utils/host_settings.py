# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live settings of a host's kernel: modules, sysctls, swap, hostname. Planned as values, applied in their order."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass

from ansible_collections.quorum.kubeadm.plugins.module_utils.errors import CommandError, InputError, RefusedError
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_entries import Entry
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_facts import parse_swaps
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_io import Host
from ansible_collections.quorum.kubeadm.plugins.module_utils.host_kernel import (
    LOADABLE,
    MISSING,
    Kernel,
    read_sysctl,
    sysctl_path,
)

MODULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
SYSCTL = re.compile(r"[a-z0-9_]+([./][A-Za-z0-9_-]+)+")
BOOLEAN = re.compile(r"[a-z][a-z0-9_]{0,63}")
BOOLEANS = "/sys/fs/selinux/booleans"
HOSTNAME = re.compile(r"(?=.{1,63}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


@dataclass(frozen=True)
class Setting:
    """One live setting that differs. kind: module, sysctl, boolean (SELinux's), swap or hostname."""

    kind: str
    name: str
    old: str | None
    new: str

    @property
    def text(self) -> str:
        if self.kind == "module":
            return f"load kernel module {self.name}"
        if self.kind == "swap":
            return f"swap off: {self.old}"
        return f"{self.kind} {self.name}: {'(none)' if self.old is None else self.old} -> {self.new}"


def plan_modules(kernel: Kernel, names: list[str]) -> list[Setting]:
    """Modules to load. What is built in needs nothing; what is truly missing is named, all at once."""
    for name in names:
        if not MODULE.fullmatch(name):
            raise InputError(
                "this is no name of a kernel module", found=repr(name[:80]), next_step="correct `kernel_modules`"
            )
    states = {name: kernel.state(name) for name in names}
    missing = [name for name, state in states.items() if state == MISSING]
    if missing:
        raise RefusedError(
            f"the kernel lacks {', '.join(missing)}; nothing was changed",
            where=f"kernel {kernel.release}",
            found="neither built in nor loaded nor below /lib/modules",
            next_step="install the kernel's extra modules, or boot a kernel that has them",
        )
    return [Setting("module", name, None, "loaded") for name, state in states.items() if state == LOADABLE]


def plan_sysctls(host: Host, wanted: dict[str, str], *, modules_come: bool) -> list[Setting]:
    """Sysctls that differ. One may be missing only when a kernel module is about to bring it."""
    settings = []
    for name, value in wanted.items():
        new = " ".join(str(value).split())
        if not SYSCTL.fullmatch(name) or len(new) > 1000:
            raise InputError("this is no sysctl", found=repr(f"{name} = {value}"[:120]), next_step="correct `sysctls`")
        old = read_sysctl(host, name)
        if old is None and not modules_come:
            next_step = "correct the name, or list the module that brings it under `kernel_modules`"
            raise InputError("the kernel has no such sysctl", where=sysctl_path(name), found=name, next_step=next_step)
        if old == new:
            continue
        if old is not None and not os.access(host.real(sysctl_path(name)), os.W_OK):
            found = f"{name} is {old}, wanted {new}"
            next_step = "run with become; in a container mount /proc/sys read-write"
            raise RefusedError(
                "a sysctl is read-only; nothing was changed", where=sysctl_path(name), found=found, next_step=next_step
            )
        settings.append(Setting("sysctl", name, old, new))
    return settings


def plan_booleans(host: Host, names: list[str]) -> list[Setting]:
    """SELinux booleans that are off. Where SELinux is not there, nothing needs them; one it does not know, neither."""
    bad = [name for name in names if not BOOLEAN.fullmatch(name)]
    if bad:
        found = repr(bad[0][:80])
        raise InputError("this is no SELinux boolean", found=found, next_step="correct `selinux_booleans`")
    have = {name: (host.read_text(f"{BOOLEANS}/{name}") or "").split() for name in names}
    return [Setting("boolean", name, "off", "on") for name, values in have.items() if values and values[0] != "1"]


def plan_swap(host: Host) -> list[Setting]:
    devices = parse_swaps(host.read_text("/proc/swaps") or "")
    return [Setting("swap", "off", " ".join(devices), "off")] if devices else []


def plan_hostname(wanted: str) -> list[Setting]:
    if not HOSTNAME.fullmatch(wanted):
        next_step = "use lower case letters, digits, '-' and '.'"
        raise InputError("this is no hostname", found=repr(wanted[:80]), next_step=next_step)
    have = os.uname().nodename
    return [] if have == wanted else [Setting("hostname", "live", have, wanted)]


def without_swap(fstab: str) -> str:
    """The text of /etc/fstab with its swap lines commented out."""
    lines = []
    for line in fstab.splitlines(keepends=True):
        words = line.split()
        is_swap = len(words) >= 3 and words[2] == "swap" and not words[0].startswith("#")
        lines.append(f"# {line}" if is_swap else line)
    return "".join(lines)


def edited(host: Host, path: str, content: str) -> list[Entry]:
    """An existing file with other content and the mode and owner that it has; nothing when it is not there."""
    try:
        info = os.stat(host.real(path))
    except OSError:
        return []
    return [Entry(path, content.encode(), info.st_mode & 0o7777, str(info.st_uid), str(info.st_gid))]


def apply_settings(host: Host, settings: list[Setting]) -> None:
    modules = [s.name for s in settings if s.kind == "module"]
    if modules:
        said = f"modprobe could not load {', '.join(modules)}"
        _must(host, ["modprobe", "-a", "--", *modules], 60, said, "look at `dmesg`")
    booleans = [f"{s.name}={s.new}" for s in settings if s.kind == "boolean"]
    if booleans:
        # -P, because otherwise they are forgotten at the next boot.
        said = f"SELinux did not take {', '.join(booleans)}"
        _must(host, ["setsebool", "-P", *booleans], 120, said, "look at `ausearch -m avc`")
    for setting in settings:
        if setting.kind == "sysctl":
            _write_sysctl(host, setting)
        elif setting.kind == "hostname":
            socket.sethostname(setting.new)
        elif setting.kind == "swap":
            said = f"swap on {setting.old} could not be turned off"
            _must(host, ["swapoff", "-a"], 600, said, "free memory, then run again")


def _must(host: Host, argv: list[str], timeout: float, said: str, next_step: str) -> None:
    answer = host.run(argv, timeout=timeout)
    if answer.code:
        raise CommandError(said, found=answer.text, next_step=next_step)


def _write_sysctl(host: Host, setting: Setting) -> None:
    path = sysctl_path(setting.name)
    try:
        with open(host.real(path), "w", encoding="ascii") as stream:
            stream.write(setting.new + "\n")
    except (OSError, UnicodeError) as exc:
        found = f"{exc} for the value {setting.new!r}"
        raise CommandError(
            f"sysctl {setting.name} could not be set", where=path, found=found, next_step="correct the value"
        ) from exc
